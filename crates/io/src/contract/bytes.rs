//! The suite that every store of bytes passes.

use super::wait;
use crate::{Buffer, ByteRange, ByteStore, IoError};

/// Bytes that are unlike those at other places and in other objects.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| ((i * 31 + seed * 17) ^ (i >> 8)) as u8).collect()
}

/// Checks everything that a store is asked for when it is read: `objects` are all that it holds.
///
/// # Panics
/// If the store breaks its contract.
pub fn check_bytes_read(store: &dyn ByteStore, objects: &[(&str, &[u8])]) {
    let name = store.name();
    let ok = |what: &str, key: &str, e: IoError| -> ! { panic!("{name}: {what} of `{key}`: {e}") };
    for (key, content) in objects {
        let len = content.len() as u64;
        let size = store.size(key).unwrap_or_else(|e| ok("size", key, e));
        assert_eq!(size, Some(len), "{name}: size of `{key}`");
        let got = store.get(key, len).unwrap_or_else(|e| ok("content", key, e));
        assert!(got.as_deref() == Some(content), "{name}: content of `{key}`");
        let mut buffer = Buffer::default();
        for range in [
            ByteRange::Whole,
            ByteRange::Last(7),
            ByteRange::Last(len + 9),
            ByteRange::Part { offset: 0, len: 3 },
            ByteRange::Part { offset: len / 3, len: len / 2 + 1 },
            ByteRange::Part { offset: len.saturating_sub(2), len: 100 },
            ByteRange::Part { offset: len + 5, len: 10 },
        ] {
            let (at, n) = range.of(len);
            let want = &content[at as usize..][..n as usize];
            let got = store.get_range(key, range, len, &mut buffer).unwrap_or_else(|e| ok("a part", key, e));
            assert_eq!(got, Some(want.len()), "{name}: {range:?} of `{key}`");
            assert!(buffer.filled(want.len()) == want, "{name}: {range:?} of `{key}`");
            let fetched = wait(store.fetch(key, vec![range, ByteRange::Last(1)], len));
            let fetched = fetched.unwrap_or_else(|e| ok("fetching", key, e));
            let last = content.last().map(|b| vec![*b]).unwrap_or_default();
            assert!(fetched == Some(vec![want.to_vec(), last]), "{name}: fetching {range:?} of `{key}`");
        }
        if len > 0 {
            let refused = store.get(key, len - 1).is_err();
            assert!(refused, "{name}: `{key}` is read though it is larger than expected");
        }
        let parts = [(len / 2, 20), (0, 3), (4, 2), (len, 5)];
        let got = store.get_ranges(key, &parts, 1).unwrap_or_else(|e| ok("parts", key, e));
        let want = parts.map(|(offset, len)| {
            let (at, n) = ByteRange::Part { offset, len }.of(content.len() as u64);
            content[at as usize..][..n as usize].to_vec()
        });
        assert!(got.as_deref() == Some(&want[..]), "{name}: parts of `{key}`");
    }
    for (key, _) in objects {
        for absent in [format!("{key}x"), format!("{key}/x"), "absent".to_owned(), "absent/x".to_owned()] {
            let got = store.get(&absent, 10).unwrap_or_else(|e| ok("content", &absent, e));
            let size = store.size(&absent).unwrap_or_else(|e| ok("size", &absent, e));
            let fetched = wait(store.fetch(&absent, vec![ByteRange::Last(3)], 10));
            let fetched = fetched.unwrap_or_else(|e| ok("fetching", &absent, e));
            let nothing = got.is_none() && size.is_none() && fetched.is_none();
            assert!(nothing, "{name}: `{absent}` is there");
        }
        if let Some((prefix, _)) = key.rsplit_once('/') {
            assert_eq!(store.size(prefix).ok(), Some(None), "{name}: the prefix `{prefix}` is an object");
        }
    }
}

/// Checks that names are listed: `objects` are all that the store holds.
///
/// # Panics
/// If the store breaks its contract.
pub fn check_bytes_listed(store: &dyn ByteStore, objects: &[(&str, &[u8])]) {
    let mut prefixes = vec![String::new(), "absent".to_owned()];
    for (key, _) in objects {
        prefixes.extend(key.match_indices('/').map(|(at, _)| key[..at].to_owned()));
    }
    for prefix in prefixes {
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let below = objects.iter().filter_map(|(key, _)| key.strip_prefix(&start));
        let mut want: Vec<&str> = below.map(|key| key.split('/').next().unwrap_or_default()).collect();
        want.sort_unstable();
        want.dedup();
        let got = store.list(&prefix).unwrap_or_else(|e| panic!("{}: list of `{prefix}`: {e}", store.name()));
        assert_eq!(got, want, "{}: list of `{prefix}`", store.name());
    }
}

/// Runs everything on a store that is empty, and leaves it empty.
///
/// # Panics
/// If the store breaks its contract.
pub fn check_bytes(store: &dyn ByteStore) {
    let name = store.name();
    let name = name.as_str();
    let get = |key: &str| store.get(key, 1 << 20).unwrap_or_else(|e| panic!("{name}: `{key}`: {e}"));
    macro_rules! ok {
        ($call:expr, $what:literal) => {
            $call.unwrap_or_else(|e| panic!("{name}: {}: {e}", $what))
        };
    }
    assert!(!name.is_empty());
    assert!(ok!(store.list(""), "list").is_empty(), "{name}: is not empty");
    ok!(store.delete("absent"), "deleting what is not there");
    ok!(store.delete_prefix("absent"), "deleting what is not there");

    let contents = [0, 1, 100, 70_001].map(|len| bytes(len as u64, len));
    let keys = ["empty", "zarr.json", "0/c/1/2", "0/c/10"];
    for (key, content) in keys.iter().zip(&contents) {
        ok!(store.put(key, content), "put");
    }
    let all: Vec<(&str, &[u8])> = keys.into_iter().zip(contents.iter().map(Vec::as_slice)).collect();
    check_bytes_read(store, &all);
    check_bytes_listed(store, &all);

    // In the place of what was there, or not.
    ok!(store.put("zarr.json", b"new"), "put");
    assert_eq!(get("zarr.json").as_deref(), Some(&b"new"[..]), "{name}: put");
    assert!(!ok!(store.put_new("zarr.json", b"newer"), "put_new"), "{name}: put_new replaced something");
    assert_eq!(get("zarr.json").as_deref(), Some(&b"new"[..]), "{name}: put_new replaced something");
    assert!(ok!(store.put_new("lock/1", b"mine"), "put_new"), "{name}: put_new");
    assert_eq!(get("lock/1").as_deref(), Some(&b"mine"[..]), "{name}: put_new");
    let won = std::thread::scope(|scope| {
        let one = |n: u8| scope.spawn(move || ok!(store.put_new("lock/2", &[n]), "put_new"));
        let all: Vec<_> = (0..4).map(one).collect();
        all.into_iter().map(|t| t.join().expect("a thread")).filter(|won| *won).count()
    });
    assert_eq!(won, 1, "{name}: put_new by four at once");
    ok!(store.delete_prefix("lock"), "delete_prefix");

    // Piece by piece.
    let mut writer = ok!(store.begin("0/c/1/2"), "begin");
    ok!(writer.append(b"half"), "append");
    assert!(get("0/c/1/2") == Some(contents[2].clone()), "{name}: half an object is seen");
    drop(writer);
    assert!(get("0/c/1/2") == Some(contents[2].clone()), "{name}: a dropped writer left something");
    let mut writer = ok!(store.begin("1/new"), "begin");
    ok!(writer.append(b"half"), "append");
    assert!(get("1/new").is_none(), "{name}: half an object is seen");
    drop(writer);
    assert!(get("1/new").is_none(), "{name}: a dropped writer left something");
    let long = bytes(9, 9 << 20);
    let mut writer = ok!(store.begin("1/new"), "begin");
    for piece in long.chunks(3_000_017) {
        ok!(writer.append(piece), "append");
    }
    ok!(writer.append(&[]), "append");
    ok!(writer.commit(), "commit");
    let got = ok!(store.get("1/new", 10 << 20), "get");
    assert!(got.as_ref() == Some(&long), "{name}: what was appended");
    let writer = ok!(store.begin("1/new"), "begin");
    ok!(writer.commit(), "commit");
    assert_eq!(get("1/new"), Some(Vec::new()), "{name}: an empty object in the place of another");

    // Many at once.
    std::thread::scope(|scope| {
        for n in 0..4u64 {
            scope.spawn(move || {
                for i in 0..8 {
                    let (key, content) = (format!("2/{i}/{n}"), bytes(n * 8 + i, 999));
                    ok!(store.put(&key, &content), "put");
                    assert!(ok!(store.get(&key, 999), "get") == Some(content), "`{key}`");
                }
            });
        }
    });
    assert_eq!(ok!(store.list("2/7"), "list"), ["0", "1", "2", "3"], "{name}: list");

    // A prefix is a whole name.
    ok!(store.put("2/70", b"x"), "put");
    ok!(store.delete_prefix("2/7"), "delete_prefix");
    assert_eq!(ok!(store.list("2"), "list").len(), 8, "{name}: delete_prefix");
    assert!(get("2/70").is_some(), "{name}: delete_prefix took `2/70` with `2/7`");
    ok!(store.delete_prefix("2/70"), "delete_prefix");
    assert!(get("2/70").is_none(), "{name}: delete_prefix of an object");
    ok!(store.delete("empty"), "delete");
    ok!(store.delete("0/c"), "delete of a prefix");
    assert!(get("empty").is_none() && get("0/c/10").is_some(), "{name}: delete");
    ok!(store.delete_prefix(""), "delete_prefix");
    assert!(ok!(store.list(""), "list").is_empty(), "{name}: something is left");
}

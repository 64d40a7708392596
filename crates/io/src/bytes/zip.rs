//! A zip as a store of bytes: read only, by ranges of the file; deflated entries are decoded.
//!
//! ```text
//! entry │ entry │ … │ central directory: name, place, size │ end record: where the directory lies
//! ```

use super::{ByteFile, ByteRange, ByteStore, ByteWriter, check_limit, listed};
use crate::{Buffer, Damage, Feature, IoError};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::OnceLock;

/// What a zip starts with.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";
/// Bytes of the end record without its comment, and the longest comment.
const END: u64 = 22;
const COMMENT: u64 = 0xffff;
/// Most bytes of a central directory.
const MAX_DIRECTORY: u64 = 1 << 30;
/// Most bytes of a deflated entry.
const MAX_INFLATED: u64 = 1 << 30;
/// Deflate makes no more than this of one byte.
const MOST_OF_ONE: u64 = 1032;

/// A zip file.
pub(crate) struct ZipStore {
    file: ByteFile,
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    /// Where its own header lies.
    header: u64,
    /// Where its bytes start, once that was looked up.
    start: OnceLock<u64>,
    stored: u64,
    size: u64,
    method: u16,
    encrypted: bool,
    crc32: u32,
}

fn u16_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u16::from_le_bytes(b.get(at..at + 2)?.try_into().ok()?)))
}

fn u32_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32::from_le_bytes(b.get(at..at + 4)?.try_into().ok()?)))
}

fn u64_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(b.get(at..at + 8)?.try_into().ok()?))
}

/// Where the central directory lies: offset, bytes, entries.
struct Directory {
    offset: u64,
    len: u64,
    count: u64,
}

impl ZipStore {
    /// Reads the directory of a zip. Where all lies in one folder, that is the root.
    pub(crate) fn open(file: ByteFile, path: PathBuf) -> Result<Self, IoError> {
        let mut store = Self { file, path, entries: BTreeMap::new() };
        let directory = store.find_directory()?;
        let mut bytes = vec![0; directory.len as usize];
        store.file.read_exact_at(&mut bytes, directory.offset)?;
        store.read_directory(&directory, &bytes)?;
        store.enter();
        Ok(store)
    }

    fn header(&self, problem: impl Into<String>) -> IoError {
        let store = self.path.display().to_string();
        IoError::Header { store, field: "zip directory".to_owned(), problem: problem.into() }
    }

    fn find_directory(&self) -> Result<Directory, IoError> {
        let len = self.file.len();
        let tail = len.min(END + COMMENT);
        let mut bytes = vec![0; tail as usize];
        self.file.read_exact_at(&mut bytes, len - tail)?;
        let fits = |at: &usize| {
            let comment = u16_at(&bytes, at + 20);
            bytes[*at..].starts_with(b"PK\x05\x06")
                && comment.is_some_and(|n| at + 22 + n as usize == bytes.len())
        };
        let at = (0..(bytes.len() + 1).saturating_sub(END as usize)).rev().find(fits);
        let at = at.ok_or_else(|| self.header("is missing: the file is cut short, or is no zip"))?;
        let end = &bytes[at..];
        let read = || Some((u16_at(end, 10)?, u32_at(end, 12)?, u32_at(end, 16)?));
        let (count, size, offset) = read().ok_or_else(|| self.header("has an end record cut short"))?;
        let mut directory = Directory { offset, len: size, count };
        let place = len - tail + at as u64;
        if count == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff {
            directory = self.find_long(place)?.unwrap_or(directory);
        }
        let Directory { offset, len: size, count } = directory;
        if size > MAX_DIRECTORY || offset.checked_add(size).is_none_or(|end| end > place) {
            return Err(self.header(format!("has {size} bytes at {offset}; the end record lies at {place}")));
        }
        if count.saturating_mul(46) > size {
            return Err(self.header(format!("has {count} entries in {size} bytes")));
        }
        Ok(directory)
    }

    /// The end record of large files, in front of the other one.
    fn find_long(&self, end: u64) -> Result<Option<Directory>, IoError> {
        let Some(at) = end.checked_sub(20) else { return Ok(None) };
        let mut locator = [0; 20];
        self.file.read_exact_at(&mut locator, at)?;
        if !locator.starts_with(b"PK\x06\x07") {
            return Ok(None);
        }
        let at = u64_at(&locator, 8).unwrap_or(0);
        let mut record = [0; 56];
        if at.checked_add(56).is_none_or(|after| after > end) {
            return Err(self.header(format!("of a large file is said to lie at {at}")));
        }
        self.file.read_exact_at(&mut record, at)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err(self.header(format!("of a large file does not lie at {at}, where it should")));
        }
        let read = || {
            Some(Directory {
                count: u64_at(&record, 32)?,
                len: u64_at(&record, 40)?,
                offset: u64_at(&record, 48)?,
            })
        };
        Ok(read())
    }

    fn read_directory(&mut self, directory: &Directory, bytes: &[u8]) -> Result<(), IoError> {
        let mut at = 0;
        for n in 0..directory.count {
            let (name, entry, len) =
                entry(&bytes[at..]).ok_or_else(|| self.header(format!("is damaged at entry {n}")))?;
            at += len;
            if name.ends_with('/') {
                continue;
            }
            let odd = |part: &str| part.is_empty() || matches!(part, "." | "..");
            if name.contains('\\') || name.split('/').any(odd) {
                return Err(self.header(format!("names {name:?}, which is no place inside it")));
            }
            let data = entry.header.checked_add(30).and_then(|n| n.checked_add(entry.stored));
            if data.is_none_or(|end| end > directory.offset) {
                let problem = format!("says that {name:?} has {} bytes at {}", entry.stored, entry.header);
                return Err(self.header(problem));
            }
            if self.entries.insert(name.clone(), entry).is_some() {
                return Err(self.header(format!("names {name:?} twice")));
            }
        }
        Ok(())
    }

    /// Makes the one folder that holds everything the root.
    fn enter(&mut self) {
        if self.entries.keys().any(|key| crate::zarr::ROOT.contains(&key.as_str())) {
            return;
        }
        if let [only] = &listed(&self.entries, "")[..] {
            let start = format!("{only}/");
            if self.entries.keys().all(|key| key.starts_with(&start)) {
                let all = std::mem::take(&mut self.entries);
                self.entries = all.into_iter().map(|(key, e)| (key[start.len()..].to_owned(), e)).collect();
            }
        }
    }

    fn unsupported(&self, what: String) -> IoError {
        IoError::Unsupported { store: self.path.display().to_string(), feature: Feature::Other(what) }
    }

    fn damaged(&self, key: &str, problem: &Damage) -> IoError {
        IoError::Header {
            store: self.path.display().to_string(),
            field: key.to_owned(),
            problem: problem.to_string(),
        }
    }

    /// Where the bytes of an entry start: behind its own header.
    fn start(&self, key: &str, entry: &Entry) -> Result<u64, IoError> {
        if let Some(start) = entry.start.get() {
            return Ok(*start);
        }
        let mut head = [0; 30];
        self.file.read_exact_at(&mut head, entry.header)?;
        let lengths = || Some(u16_at(&head, 26)? + u16_at(&head, 28)?);
        let lengths = lengths().filter(|_| head.starts_with(MAGIC));
        let start = lengths.map(|n| entry.header + 30 + n).filter(|s| s + entry.stored <= self.file.len());
        let start = start.ok_or_else(|| self.header(format!("says that {key:?} lies where it does not")))?;
        Ok(*entry.start.get_or_init(|| start))
    }

    /// All bytes of an entry that is not stored as it is.
    fn inflate(&self, key: &str, entry: &Entry) -> Result<Vec<u8>, IoError> {
        // Also a part of it is decoded with all that comes before.
        check_limit(self.path.join(key), entry.size, MAX_INFLATED)?;
        if entry.size > entry.stored.saturating_mul(MOST_OF_ONE) || entry.stored > self.file.len() {
            return Err(
                self.header(format!("says that {key:?} has {} of {} bytes", entry.size, entry.stored))
            );
        }
        let mut stored = Buffer::default();
        let stored = stored.bytes(entry.stored as usize)?;
        self.file.read_exact_at(stored, self.start(key, entry)?)?;
        let mut out = Buffer::default();
        let len = entry.size as usize;
        let space = out.bytes(len)?;
        let got = libdeflater::Decompressor::new()
            .deflate_decompress(stored, space)
            .map_err(|e| self.damaged(key, &Damage::Codec { codec: "deflate", message: e.to_string() }))?;
        if got != len {
            return Err(self.damaged(key, &Damage::Length { got: got as u64, want: entry.size }));
        }
        let (kind, computed) = ("crc32", libdeflater::crc32(space));
        if computed != entry.crc32 {
            return Err(self.damaged(key, &Damage::Checksum { kind, stored: entry.crc32, computed }));
        }
        Ok(out.into_vec(len))
    }

    fn read_only(&self) -> IoError {
        IoError::ReadOnly { store: self.path.display().to_string() }
    }
}

/// One entry of the central directory: its name, itself, and the bytes that it takes there.
fn entry(bytes: &[u8]) -> Option<(String, Entry, usize)> {
    if !bytes.starts_with(b"PK\x01\x02") {
        return None;
    }
    let [name_len, extra_len, comment_len] = [u16_at(bytes, 28)?, u16_at(bytes, 30)?, u16_at(bytes, 32)?];
    let name_end = 46 + name_len as usize;
    let extra_end = name_end + extra_len as usize;
    let name = std::str::from_utf8(bytes.get(46..name_end)?).ok()?.to_owned();
    let (mut size, mut stored, mut header) = (u32_at(bytes, 24)?, u32_at(bytes, 20)?, u32_at(bytes, 42)?);
    let mut extra = bytes.get(name_end..extra_end)?;
    while let (Some(kind), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let field = extra.get(4..4 + len as usize)?;
        if kind == 1 {
            let mut at = 0;
            for value in [&mut size, &mut stored, &mut header] {
                if *value == 0xffff_ffff {
                    *value = u64_at(field, at)?;
                    at += 8;
                }
            }
        }
        extra = &extra[4 + len as usize..];
    }
    let entry = Entry {
        header,
        start: OnceLock::new(),
        stored,
        size,
        method: u16_at(bytes, 10)? as u16,
        encrypted: u16_at(bytes, 8)? & 1 == 1,
        crc32: u32_at(bytes, 16)? as u32,
    };
    let len = extra_end + comment_len as usize;
    (len <= bytes.len()).then_some((name, entry, len))
}

impl ByteStore for ZipStore {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn size(&self, key: &str) -> Result<Option<u64>, IoError> {
        Ok(self.entries.get(key).map(|entry| entry.size))
    }

    fn get_range(
        &self,
        key: &str,
        range: ByteRange,
        limit: u64,
        into: &mut Buffer,
    ) -> Result<Option<usize>, IoError> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        let (offset, len) = range.of(entry.size);
        check_limit(self.path.join(key), len, limit)?;
        if entry.encrypted {
            return Err(self.unsupported("a zip with a password".to_owned()));
        }
        let space = into.bytes(len as usize)?;
        match entry.method {
            0 if entry.stored != entry.size => {
                let problem = Damage::Length { got: entry.stored, want: entry.size };
                return Err(self.damaged(key, &problem));
            }
            0 => {
                let got = self.file.read_at(space, self.start(key, entry)? + offset)?;
                if got as u64 != len {
                    let source = std::io::Error::from(ErrorKind::UnexpectedEof);
                    return Err(IoError::Io { action: "read", path: self.path.clone(), source });
                }
            }
            8 => {
                let whole = self.inflate(key, entry)?;
                space.copy_from_slice(&whole[offset as usize..][..len as usize]);
            }
            other => return Err(self.unsupported(format!("compression {other} of zip"))),
        }
        Ok(Some(len as usize))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, IoError> {
        Ok(listed(&self.entries, prefix))
    }

    fn put(&self, _: &str, _: &[u8]) -> Result<(), IoError> {
        Err(self.read_only())
    }

    fn put_new(&self, _: &str, _: &[u8]) -> Result<bool, IoError> {
        Err(self.read_only())
    }

    fn begin(&self, _: &str) -> Result<Box<dyn ByteWriter>, IoError> {
        Err(self.read_only())
    }

    fn delete(&self, _: &str) -> Result<(), IoError> {
        Err(self.read_only())
    }

    fn delete_prefix(&self, _: &str) -> Result<(), IoError> {
        Err(self.read_only())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryStore, contract};
    use std::sync::Arc;

    /// A zip of these entries, deflated or as they are, with the records of large files or without.
    fn zip(entries: &[(&str, &[u8])], deflated: bool, long: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut directory = Vec::new();
        for (name, content) in entries {
            let mut bytes = content.to_vec();
            if deflated {
                let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
                bytes.resize(compressor.deflate_compress_bound(content.len()), 0);
                let n = compressor.deflate_compress(content, &mut bytes).unwrap();
                bytes.truncate(n);
            }
            let at = out.len() as u64;
            let mut fields = vec![0, 0];
            fields.extend(if deflated { [8, 0] } else { [0, 0] });
            fields.extend([0; 4]);
            fields.extend(libdeflater::crc32(content).to_le_bytes());
            let sizes = [bytes.len() as u32, content.len() as u32];
            let short = if long { [u32::MAX; 2] } else { sizes };
            fields.extend(short.iter().flat_map(|n| n.to_le_bytes()));
            fields.extend((name.len() as u16).to_le_bytes());
            out.extend_from_slice(MAGIC);
            out.extend([20, 0]);
            out.extend(&fields);
            // Extra fields of the two headers may differ.
            out.extend([3, 0]);
            out.extend(name.as_bytes());
            out.extend([9, 9, 9]);
            out.extend(&bytes);
            directory.extend(b"PK\x01\x02\x14\x00\x14\x00");
            directory.extend(&fields);
            let mut extra = Vec::new();
            if long {
                extra.extend([1, 0, 24, 0]);
                extra.extend(
                    [u64::from(sizes[1]), u64::from(sizes[0]), at].iter().flat_map(|n| n.to_le_bytes()),
                );
            }
            directory.extend((extra.len() as u16).to_le_bytes());
            directory.extend([0; 10]);
            directory.extend(if long { u32::MAX } else { at as u32 }.to_le_bytes());
            directory.extend(name.as_bytes());
            directory.extend(extra);
        }
        let (offset, size, count) = (out.len() as u64, directory.len() as u64, entries.len() as u64);
        out.extend(directory);
        if long {
            let at = out.len() as u64;
            out.extend(b"PK\x06\x06");
            out.extend([0; 28]);
            out.extend([count, size, offset].iter().flat_map(|n| n.to_le_bytes()));
            out.extend(b"PK\x06\x07\0\0\0\0");
            out.extend(at.to_le_bytes());
            out.extend([1, 0, 0, 0]);
        }
        out.extend(b"PK\x05\x06\0\0\0\0");
        let n = if long { u16::MAX } else { count as u16 };
        out.extend([n.to_le_bytes(), n.to_le_bytes()].concat());
        let [size, offset] = if long { [u32::MAX; 2] } else { [size as u32, offset as u32] };
        out.extend([size.to_le_bytes(), offset.to_le_bytes()].concat());
        out.extend([4, 0]);
        out.extend(b"what");
        out
    }

    fn open(bytes: &[u8]) -> Result<ZipStore, IoError> {
        let store = MemoryStore::new("memory");
        store.put("a.zip", bytes).unwrap();
        let path = PathBuf::from("memory/a.zip");
        let file = ByteFile::of(Arc::new(store), "a.zip", &path)?.unwrap();
        ZipStore::open(file, path)
    }

    #[test]
    fn a_zip_keeps_the_contract_of_what_is_read() {
        let long: Vec<u8> = (0..400_000u32).map(|i| (i / 3) as u8).collect();
        let objects: [(&str, &[u8]); 4] =
            [("zarr.json", b"{}"), ("0/c/0/1", &long), ("0/c/0/10", b"0123456789"), ("empty", b"")];
        for (deflated, large) in [(false, false), (true, false), (false, true), (true, true)] {
            let store = open(&zip(&objects, deflated, large)).unwrap();
            contract::check_bytes_read(&store, &objects);
            contract::check_bytes_listed(&store, &objects);
            assert!(matches!(store.put("x", b""), Err(IoError::ReadOnly { .. })));
        }
    }

    #[test]
    fn the_one_folder_is_the_root() {
        let store =
            open(&zip(&[("scan.zarr/zarr.json", b"{}"), ("scan.zarr/c/0", b"1")], false, false)).unwrap();
        assert_eq!(store.get("c/0", 1).unwrap().unwrap(), b"1");
        let store = open(&zip(&[("zarr.json", b"{}")], false, false)).unwrap();
        assert!(store.get("zarr.json", 2).unwrap().is_some());
    }

    #[test]
    fn hostile_zips_are_refused() {
        let good = zip(&[("a", b"0123456789"), ("b/c", b"x")], true, true);
        for cut in 0..good.len() {
            assert!(open(&good[..cut]).is_err(), "cut at {cut}");
        }
        // Whatever bytes there are, nothing panics and nothing absurd is allocated.
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                if let Ok(store) = open(&bad) {
                    for key in ["a", "b/c"] {
                        let _ = store.get(key, 1 << 20);
                    }
                }
            }
        }
        for names in [["../a", "b"], ["/a", "b"], ["a\\b", "c"], ["a", "a"], ["a//b", "c"]] {
            let entries = names.map(|name| (name, &b"x"[..]));
            assert!(matches!(open(&zip(&entries, false, false)), Err(IoError::Header { .. })), "{names:?}");
        }
        let mut bomb = zip(&[("a", b"0123456789")], true, false);
        let at = bomb.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        bomb[at + 24..at + 28].copy_from_slice(&0x7000_0000u32.to_le_bytes());
        assert!(open(&bomb).unwrap().get("a", u64::MAX).is_err());
        let mut secret = zip(&[("a", b"0123456789")], false, false);
        let at = secret.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        secret[at + 8] |= 1;
        assert!(matches!(open(&secret).unwrap().get("a", 10), Err(IoError::Unsupported { .. })));
        assert!(open(b"x").is_err());
    }
}

//! What the sources must not contain, and which crate may know which.

use super::{files, metadata, text};
use std::collections::{BTreeMap, BTreeSet};
use voxtile_kernels::ops::TABLE;

/// Files that may contain `unsafe`: allocation, system calls, libraries that are opened at run time, and vector instructions.
const UNSAFE: [&str; 15] = [
    "crates/app/machine.rs",
    "crates/io/src/jpeg/",
    "crates/io/src/output.rs",
    "crates/io/src/work/durability.rs",
    "crates/io/src/tiff/split.rs",
    "crates/io/src/zarr/blosc/ffi.rs",
    "crates/io/src/zarr/blosc/vector.rs",
    "crates/kernels/src/cpu.rs",
    "crates/kernels/src/device/driver.rs",
    "crates/kernels/src/device/card.rs",
    "crates/kernels/src/device/lane.rs",
    "crates/kernels/src/device/nvrtc.rs",
    "crates/kernels/src/rank/vector/",
    "crates/kernels/src/simd/",
    "crates/sched/src/engine/pool.rs",
];

/// A source's lines without comments, and without the module of tests at its end.
fn code(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = source.find("#[cfg(test)]\nmod tests {").unwrap_or(source.len());
    let lines = source[..end].lines().enumerate().map(|(n, line)| (n + 1, line));
    lines.map(|(n, line)| (n, line.split("//").next().unwrap_or_default()))
}

/// Identifiers and the words within them: `open_zarr`, `OpenZarr` → `open`, `zarr`.
fn words(line: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for identifier in line.split(|c: char| !c.is_alphanumeric() && c != '_') {
        let mut word = String::new();
        for c in identifier.chars().chain(['_']) {
            if (c == '_' || c.is_uppercase()) && !word.is_empty() {
                out.insert(std::mem::take(&mut word));
            }
            if c != '_' {
                word.extend(c.to_lowercase());
            }
        }
    }
    out
}

#[test]
fn the_scheduler_names_no_operation_format_or_device() {
    const FORMATS: [&str; 9] = ["zarr", "tiff", "ome", "zstd", "blosc", "gzip", "deflate", "png", "czi"];
    const DEVICES: [&str; 6] = ["cuda", "gpu", "nvidia", "wgpu", "vulkan", "avx2"];
    // Also names of plain methods and of general notions; they count only as a text of their own.
    #[rustfmt::skip]
    const COMMON: &[&str] = &[
        "min", "max", "open", "close", "clamp", "cast", "mean", "crop", "invert", "project", "threshold", "std", "expr", "mask",
        "label", "rank", "pad", "channel", "keep",
    ];
    let rare = TABLE.iter().map(|s| s.name).filter(|name| !COMMON.contains(name));
    let banned: Vec<&str> = rare.chain(FORMATS).chain(DEVICES).collect();
    let mut wrong = Vec::new();
    for (path, file) in files(&["rs"]).into_iter().filter(|(p, _)| p.starts_with("crates/sched/src/")) {
        for (n, line) in code(&text(&file)) {
            let words = words(line);
            let quoted = TABLE.iter().map(|s| s.name).filter(|name| line.contains(&format!("\"{name}\"")));
            let named: BTreeSet<&str> =
                banned.iter().copied().filter(|b| words.contains(*b)).chain(quoted).collect();
            wrong.extend(named.into_iter().map(|name| format!("{path}:{n} names `{name}`: {}", line.trim())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_form_a_star() {
    let metadata = metadata();
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let ours = package["dependencies"].as_array().unwrap().iter();
        let ours = ours.filter(|d| d["kind"].is_null()).filter_map(|d| d["name"].as_str());
        let name = package["name"].as_str().unwrap();
        found.insert(name, ours.filter(|n| n.starts_with("voxtile")).collect());
    }
    let all = BTreeSet::from(["voxtile-sched", "voxtile-io", "voxtile-kernels", "voxtile-merge"]);
    assert_eq!(found.remove("voxtile"), Some(all.clone()));
    assert_eq!(found.remove("voxtile-sched"), Some(BTreeSet::new()));
    assert_eq!(found.len(), 3, "{found:?}");
    let sched = BTreeSet::from(["voxtile-sched"]);
    for (name, knows) in found {
        assert!(all.contains(name) && knows.is_subset(&sched), "{name} knows {knows:?}");
    }
}

#[test]
fn unsafe_lives_in_listed_files() {
    let mut seen = BTreeSet::new();
    for (path, file) in files(&["rs"]).into_iter().filter(|(p, _)| p.starts_with("crates/")) {
        for (n, line) in code(&text(&file)) {
            if !line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe") {
                continue;
            }
            let listed = UNSAFE.iter().find(|u| path.starts_with(*u));
            seen.insert(
                *listed.unwrap_or_else(|| panic!("{path}:{n} is not a file for `unsafe`: {}", line.trim())),
            );
        }
    }
    assert_eq!(seen, BTreeSet::from(UNSAFE), "every file listed for `unsafe` needs it");
}

#[test]
fn nothing_is_left_undone() {
    let undone = ["todo!", "unimplemented!", "dbg!", "#[ignore", "FIXME", "XXX"];
    for (path, file) in files(&["rs", "py", "sh", "cu"]) {
        if path == "tests/tidy/code.rs" {
            continue;
        }
        for (n, line) in text(&file).lines().enumerate() {
            let found = undone.iter().find(|word| line.contains(*word));
            assert!(found.is_none(), "{path}:{} has `{}`", n + 1, found.unwrap_or(&""));
        }
    }
}

#[test]
fn files_have_a_readable_size() {
    for (path, file) in files(&["rs", "py", "cu"]) {
        let lines = text(&file).lines().count();
        assert!(lines <= 700, "{path} has {lines} lines: look for a seam");
    }
}

#[test]
fn every_operation_is_complete() {
    let page = text(&crate::house::root().join("docs/ops.md"));
    for spec in TABLE {
        let name = spec.name;
        let module = name.replace('-', "_");
        let file = crate::house::root().join(format!("crates/kernels/src/ops/{module}.rs"));
        let source = text(&file);
        assert!(source.starts_with("//! "), "`{name}` begins with what it does");
        assert!(source.contains("    conforms"), "`{name}` runs the harness");
        assert!(page.contains(&format!("\n## {name}\n")), "docs/ops.md explains `{name}`");
        assert!(!spec.about.is_empty() && !spec.about.ends_with('.'), "`{name}`: one line for lists");
        let last = spec.example.rsplit(" | ").next().unwrap();
        assert_eq!(last.split(' ').next(), Some(name), "the example of `{name}` ends with it");
        voxtile::Recipe::parse(spec.example).unwrap_or_else(|error| panic!("example of `{name}`: {error}"));
    }
}

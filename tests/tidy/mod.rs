//! Rules of the house that no compiler checks. Most are about what must be absent.
//!
//! Pages that are made from the code (`docs/ops.md`, the figures in `README.md`) are compared with what they should be;
//! `UPDATE_DOCS=1 cargo test --test main tidy` rewrites them.

mod code;
mod figures;
mod links;
mod ops_page;
mod pictures;
mod readme;

use crate::house::root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of the repository with one of these extensions, by their path from its root, sorted.
fn files(extensions: &[&str]) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut open = vec![root().to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap().map(|e| e.unwrap().path()) {
            let name = entry.file_name().unwrap().to_str().unwrap();
            if entry.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    open.push(entry);
                }
            } else if extensions.iter().any(|e| name.ends_with(&format!(".{e}"))) {
                let path = entry.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((path, entry));
            }
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a page with what it should be, or rewrites it.
#[track_caller]
fn is_fresh(path: &str, want: &str) {
    let file = root().join(path);
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    if found == want {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, want).unwrap();
        return;
    }
    let line = found.lines().zip(want.lines()).take_while(|(a, b)| a == b).count();
    let of = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
    panic!(
        "`{path}` is out of date from line {}:\n  is        {}\n  should be {}\n\
         `UPDATE_DOCS=1 cargo test --test main tidy` rewrites it",
        line + 1,
        of(&found),
        of(want)
    );
}

/// `cargo metadata` of the workspace alone.
fn metadata() -> serde_json::Value {
    let done = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

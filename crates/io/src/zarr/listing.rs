//! The list of the label images of an image: `labels` in the group of that name.

use super::open::{MAX_DOCUMENT, UNFINISHED};
use crate::{ByteStore, IoError, LocalStore, OmeVersion};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::path::Path;

/// Makes the group of label images at `dir`, if it is not there yet.
pub(crate) fn begin(dir: &Path, version: OmeVersion) -> Result<(), IoError> {
    std::fs::create_dir_all(dir).map_err(IoError::io("create", dir))?;
    change(dir, version, |_| {})
}

/// Puts a name on the list, if it is not on it: whole or not at all, and one process after the other.
pub(crate) fn add(dir: &Path, version: OmeVersion, name: &str) -> Result<(), IoError> {
    change(dir, version, |list| {
        if !list.iter().any(|listed| listed == name) {
            list.push(name.into());
        }
    })
}

/// Takes the group away again, if it lists nothing and holds nothing.
pub(crate) fn abandon(dir: &Path, version: OmeVersion) {
    let mut empty = false;
    let _ = change(dir, version, |list| empty = list.is_empty());
    let files = ["zarr.json", ".zgroup", ".zattrs"];
    let others = std::fs::read_dir(dir)
        .map(|entries| entries.flatten().any(|e| !files.iter().any(|file| e.file_name() == *file)));
    if empty && matches!(others, Ok(false)) {
        files.iter().for_each(|file| drop(std::fs::remove_file(dir.join(file))));
        let _ = std::fs::remove_dir(dir);
    }
}

fn change(dir: &Path, version: OmeVersion, edit: impl FnOnce(&mut Vec<Value>)) -> Result<(), IoError> {
    let guard = File::open(dir).map_err(IoError::io("open", dir))?;
    guard.lock().map_err(IoError::io("lock", dir))?;
    let store = LocalStore::new(dir);
    let key = if version == OmeVersion::V04 { ".zattrs" } else { "zarr.json" };
    let bad = |problem: String| IoError::Header {
        store: dir.display().to_string(),
        field: key.to_owned(),
        problem,
    };
    let mut document: Map<String, Value> = match store.get(key, MAX_DOCUMENT)? {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|e| bad(format!("is not valid JSON: {e}")))?,
        None if version == OmeVersion::V04 => Map::new(),
        None => Map::from_iter([
            ("zarr_format".to_owned(), json!(3)),
            ("node_type".to_owned(), json!("group")),
            ("attributes".to_owned(), json!({"ome": {"version": version.name()}})),
        ]),
    };
    let place: Option<&mut Map<String, Value>> = match version {
        OmeVersion::V04 => Some(&mut document),
        OmeVersion::V05 | OmeVersion::V06 => {
            document.get_mut("attributes").and_then(Value::as_object_mut).and_then(|attributes| {
                attributes.remove(UNFINISHED);
                attributes.entry("ome").or_insert_with(|| json!({"version": version.name()})).as_object_mut()
            })
        }
    };
    let place = place.ok_or_else(|| bad("has no attributes".to_owned()))?;
    let list = place.entry("labels").or_insert_with(|| json!([]));
    let list = list.as_array_mut().ok_or_else(|| bad("has `labels` that are no list".to_owned()))?;
    edit(list);
    let mut text = format!("{:#}", Value::Object(document));
    text.push('\n');
    if version == OmeVersion::V04 && store.size(".zgroup")?.is_none() {
        store.put(".zgroup", format!("{:#}\n", json!({"zarr_format": 2})).as_bytes())?;
    }
    store.put(key, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(dir: &Path) -> Vec<String> {
        let v3 = std::fs::read(dir.join("zarr.json")).ok();
        let bytes = v3.unwrap_or_else(|| std::fs::read(dir.join(".zattrs")).unwrap());
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let ome = value.get("attributes").map_or(&value, |a| &a["ome"]);
        ome["labels"].as_array().unwrap().iter().map(|l| l.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn names_are_added_once_from_many_threads() {
        for version in OmeVersion::ALL {
            let place = tempfile::tempdir().unwrap();
            let dir = place.path().join("labels");
            begin(&dir, version).unwrap();
            std::thread::scope(|scope| {
                for n in 0..8 {
                    let dir = &dir;
                    scope.spawn(move || add(dir, version, &format!("cells{}", n / 2)).unwrap());
                }
            });
            let mut names = listed(&dir);
            names.sort();
            assert_eq!(names, ["cells0", "cells1", "cells2", "cells3"]);
            abandon(&dir, version);
            assert!(dir.exists());
        }
    }

    #[test]
    fn what_else_the_group_holds_stays() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path();
        std::fs::write(dir.join(".zattrs"), r#"{"labels": ["old"], "mine": 3}"#).unwrap();
        add(dir, OmeVersion::V04, "new").unwrap();
        assert_eq!(listed(dir), ["old", "new"]);
        assert!(std::fs::read_to_string(dir.join(".zattrs")).unwrap().contains("mine"));
        std::fs::write(dir.join(".zattrs"), r#"{"labels": 3}"#).unwrap();
        assert!(matches!(add(dir, OmeVersion::V04, "new"), Err(IoError::Header { .. })));
        let empty = place.path().join("empty");
        begin(&empty, OmeVersion::V05).unwrap();
        abandon(&empty, OmeVersion::V05);
        assert!(!empty.exists());
    }
}

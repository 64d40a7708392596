//! The list of the label images of an image: `labels` in the group of that name.

use super::open::{MAX_DOCUMENT, ROOT, UNFINISHED};
use crate::info::store_at;
use crate::{ByteStore, IoError, OmeVersion, Remote, Url};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A group of label images. On this disk it is changed by one process after the other; on the network, where nothing can be
/// locked, of two that change it at once one may be lost.
#[derive(Clone)]
pub(crate) struct Listing {
    store: Arc<dyn ByteStore>,
    /// Its directory, if it lies on this disk.
    dir: Option<PathBuf>,
    version: OmeVersion,
}

impl Listing {
    /// The group at a path, which need not exist.
    pub(crate) fn at(path: &Path, remote: &Remote, version: OmeVersion) -> Result<Self, IoError> {
        let dir = Url::of(path)?.is_none().then(|| path.to_path_buf());
        Ok(Self { store: store_at(path, remote)?, dir, version })
    }

    /// Makes the group, if it is not there yet.
    pub(crate) fn begin(&self) -> Result<(), IoError> {
        if let Some(dir) = &self.dir {
            std::fs::create_dir_all(dir).map_err(IoError::io("create", dir))?;
        }
        self.change(|_| {})
    }

    /// Puts a name on the list, if it is not on it: whole or not at all.
    pub(crate) fn add(&self, name: &str) -> Result<(), IoError> {
        self.change(|list| {
            if !list.iter().any(|listed| listed == name) {
                list.push(name.into());
            }
        })
    }

    /// Takes the group away again, if it lists nothing and holds nothing.
    pub(crate) fn abandon(&self) {
        let mut empty = false;
        let _ = self.change(|list| empty = list.is_empty());
        let alone = |names: Vec<String>| names.iter().all(|name| ROOT.contains(&name.as_str()));
        if empty && self.store.list("").is_ok_and(alone) {
            ROOT.iter().for_each(|key| drop(self.store.delete(key)));
            if let Some(dir) = &self.dir {
                let _ = std::fs::remove_dir(dir);
            }
        }
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Value>)) -> Result<(), IoError> {
        let (store, version) = (&self.store, self.version);
        let lock = |dir: &PathBuf| {
            let file = File::open(dir).map_err(IoError::io("open", dir))?;
            file.lock().map_err(IoError::io("lock", dir))?;
            Ok::<File, IoError>(file)
        };
        let _locked = self.dir.as_ref().map(lock).transpose()?;
        let key = if version == OmeVersion::V04 { ".zattrs" } else { "zarr.json" };
        let bad = |problem: String| IoError::Header { store: store.name(), field: key.to_owned(), problem };
        let before = store.get(key, MAX_DOCUMENT)?;
        let mut document: Map<String, Value> = match before.clone() {
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|e| bad(format!("is not valid JSON: {e}")))?
            }
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
                    attributes
                        .entry("ome")
                        .or_insert_with(|| json!({"version": version.name()}))
                        .as_object_mut()
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
        // Where nothing changes, what another run writes meanwhile is not undone.
        if before.as_deref() == Some(text.as_bytes()) { Ok(()) } else { store.put(key, text.as_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

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
            let group = Listing::at(&dir, &Remote::new(), version).unwrap();
            group.begin().unwrap();
            std::thread::scope(|scope| {
                for n in 0..8 {
                    let group = &group;
                    scope.spawn(move || group.add(&format!("cells{}", n / 2)).unwrap());
                }
            });
            let mut names = listed(&dir);
            names.sort();
            assert_eq!(names, ["cells0", "cells1", "cells2", "cells3"]);
            group.abandon();
            assert!(dir.exists());
        }
    }

    #[test]
    fn objects_are_listed_too() {
        for version in OmeVersion::ALL {
            let store: Arc<dyn ByteStore> = Arc::new(MemoryStore::new("memory"));
            let group = Listing { store: store.clone(), dir: None, version };
            group.begin().unwrap();
            group.add("cells").unwrap();
            group.abandon();
            let keys = ["zarr.json", ".zattrs"];
            let text = keys.iter().find_map(|key| store.get(key, MAX_DOCUMENT).unwrap()).unwrap();
            assert!(String::from_utf8(text).unwrap().contains("cells"));
            store.delete_prefix("").unwrap();
            group.begin().unwrap();
            group.abandon();
            assert_eq!(store.list("").unwrap(), [""; 0]);
        }
    }

    #[test]
    fn what_else_the_group_holds_stays() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path();
        std::fs::write(dir.join(".zattrs"), r#"{"labels": ["old"], "mine": 3}"#).unwrap();
        let group = Listing::at(dir, &Remote::new(), OmeVersion::V04).unwrap();
        group.add("new").unwrap();
        assert_eq!(listed(dir), ["old", "new"]);
        assert!(std::fs::read_to_string(dir.join(".zattrs")).unwrap().contains("mine"));
        std::fs::write(dir.join(".zattrs"), r#"{"labels": 3}"#).unwrap();
        assert!(matches!(group.add("new"), Err(IoError::Header { .. })));
        let empty = place.path().join("empty");
        let group = Listing::at(&empty, &Remote::new(), OmeVersion::V05).unwrap();
        group.begin().unwrap();
        group.abandon();
        assert!(!empty.exists());
    }
}

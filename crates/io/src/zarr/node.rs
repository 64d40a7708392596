//! Groups, as plates read and write them.

use super::open::{Finder, Node, UNFINISHED};
use crate::{ByteStore, IoError, OmeVersion, OpenOptions};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The OME-Zarr attributes of a group, in the form of 0.5 and later; `None` if there is no group, or one that is not
/// complete.
pub(crate) fn ome(
    store: &Arc<dyn ByteStore>,
    name: &str,
    at: &str,
) -> Result<Option<Map<String, Value>>, IoError> {
    let options = OpenOptions::default();
    let finder = Finder { name: name.to_owned(), ..Finder::new(store.clone(), &options) };
    let Some(Node::Group { mut attributes }) = finder.node(at)? else { return Ok(None) };
    if attributes.contains_key(UNFINISHED) {
        return Ok(None);
    }
    Ok(Some(match attributes.remove("ome") {
        Some(Value::Object(ome)) => ome,
        _ => attributes,
    }))
}

/// The attributes of an output that is not complete.
pub(crate) fn unfinished() -> Map<String, Value> {
    Map::from_iter([(UNFINISHED.to_owned(), Value::from(true))])
}

/// The files of a group with these attributes.
pub(crate) fn group(version: OmeVersion, attributes: Map<String, Value>) -> Vec<(String, Value)> {
    if version > OmeVersion::V04 {
        let document = json!({"zarr_format": 3, "node_type": "group", "attributes": attributes});
        return vec![("zarr.json".to_owned(), document)];
    }
    let mut files = vec![(".zgroup".to_owned(), json!({"zarr_format": 2}))];
    files.push((".zattrs".to_owned(), attributes.into()));
    files
}

//! Chunks that an earlier run wrote to an array that is not complete, and so has no metadata yet.

use super::describe;
use super::metadata::Reader;
use super::source::ZarrSource;
use crate::{ByteStore, Codec, Format, IoError};
use serde_json::Map;
use std::sync::Arc;
use voxtile_sched::contract::Layout;
use voxtile_sched::model::Meta;

/// Reads the chunks of an array, as it will be described.
pub(super) fn reader(
    store: &Arc<dyn ByteStore>,
    prefix: &str,
    (meta, layout): (&Meta, &Layout),
    (format, codec): (Format, Codec),
) -> Result<ZarrSource, IoError> {
    let name = format!("{}/{prefix}", store.name());
    let reader = Reader { store: &name };
    let document = describe::array(format, meta, layout, codec).to_string();
    let document = reader.object("zarr.json", document.as_bytes())?;
    let head = match format {
        Format::ZarrV2 => reader.v2(&document, Map::new())?,
        _ => reader.v3(&document)?,
    };
    Ok(ZarrSource::new(store.clone(), prefix, name, &head, meta.clone())?.in_chunks())
}

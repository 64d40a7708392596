//! The metadata of an output.

use super::blosc::zstd_block;
use super::open::UNFINISHED;
use crate::tiff::units;
use crate::{About, Codec, Format, OmeVersion, ome};
use serde_json::{Map, Value, json};
use voxtile_sched::contract::Layout;
use voxtile_sched::model::{Dtype, Meta};

/// A file of metadata: key in the store, and content.
pub(super) type Document = (String, Value);

/// What stands at the root until the output is complete: a group without arrays.
pub(super) fn unfinished(format: Format) -> Vec<Document> {
    let mark = json!({UNFINISHED: true});
    if format == Format::ZarrV2 {
        return vec![(".zgroup".to_owned(), json!({"zarr_format": 2})), (".zattrs".to_owned(), mark)];
    }
    vec![("zarr.json".to_owned(), json!({"zarr_format": 3, "node_type": "group", "attributes": mark}))]
}

/// An array that is complete.
pub(super) struct Array<'a> {
    /// Its path; empty for a bare one.
    pub(super) path: &'a str,
    pub(super) meta: &'a Meta,
    pub(super) layout: &'a Layout,
}

impl Array<'_> {
    fn is_bare(&self) -> bool {
        self.path.is_empty()
    }

    fn at(&self, name: &str) -> String {
        if self.is_bare() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }

    fn documents(&self, format: Format, codec: Codec) -> Vec<Document> {
        let Self { meta, layout, .. } = self;
        let own = || units(meta).into_iter().chain(made(meta)).filter(|_| self.is_bare());
        if format == Format::ZarrV2 {
            let names: Vec<&str> = meta.axes.iter().map(voxtile_sched::model::Axis::name).collect();
            let mut attributes = Map::from_iter([("_ARRAY_DIMENSIONS".to_owned(), json!(names))]);
            attributes.extend(own());
            return vec![
                (self.at(".zattrs"), Value::Object(attributes)),
                (self.at(".zarray"), array_v2(meta, layout, codec)),
            ];
        }
        vec![(self.at("zarr.json"), array_v3(meta, layout, codec, &Map::from_iter(own())))]
    }
}

/// The complete metadata, the root's last: of a bare array, or of a group with the levels of an image. `shown` is how it is shown.
pub(super) fn finished(
    format: Format,
    arrays: &[Array<'_>],
    shown: &ome::Shown<'_>,
    codec: Codec,
    (version, about): (OmeVersion, &About),
) -> Vec<Document> {
    let mut out: Vec<Document> = arrays.iter().flat_map(|a| a.documents(format, codec)).collect();
    let made = arrays.first().and_then(|a| made(a.meta));
    if arrays.iter().all(|a| !a.is_bare()) {
        let v2 = format == Format::ZarrV2;
        let levels: Vec<(&str, &Meta)> = arrays.iter().map(|a| (a.path, a.meta)).collect();
        let mut attributes = ome::attributes(&levels, shown, version, about);
        attributes.extend(made);
        out.push(if v2 {
            (".zattrs".to_owned(), Value::Object(attributes))
        } else {
            let root = json!({"zarr_format": 3, "node_type": "group", "attributes": attributes});
            ("zarr.json".to_owned(), root)
        });
    }
    out
}

/// The attribute that says how an image was made.
pub(super) const MADE: &str = "voxtile";

fn made(meta: &Meta) -> Option<(String, Value)> {
    let text = meta.made.as_deref()?;
    // What is no JSON is kept as the text that it is.
    Some((MADE.to_owned(), serde_json::from_str(text).unwrap_or_else(|_| text.into())))
}

/// Voxel size in the form that tensorstore and Neuroglancer read: `["0.5 um", null]`.
fn units(meta: &Meta) -> Option<(String, Value)> {
    let one = |a: voxtile_sched::model::Axis| match &meta.spacing[a.index()] {
        None => Value::Null,
        Some(s) => Value::String(match &s.unit {
            None => s.scale.to_string(),
            Some(unit) => format!("{} {}", s.scale, ascii(unit)),
        }),
    };
    let list: Vec<Value> = meta.axes.iter().map(one).collect();
    list.iter().any(|v| !v.is_null()).then(|| ("dimension_units".to_owned(), list.into()))
}

/// The symbol of a unit in plain letters, as these readers want it: `um`.
fn ascii(unit: &str) -> String {
    units::symbol(unit).map_or_else(|| unit.to_owned(), |s| s.replace('µ', "u").replace('Å', "angstrom"))
}

fn zero(dtype: Dtype) -> Value {
    if dtype.is_float() { json!(0.0) } else { json!(0) }
}

/// The description of one array that holds no attributes.
pub(super) fn array(format: Format, meta: &Meta, layout: &Layout, codec: Codec) -> Value {
    match format {
        Format::ZarrV2 => array_v2(meta, layout, codec),
        _ => array_v3(meta, layout, codec, &Map::new()),
    }
}

fn array_v3(meta: &Meta, layout: &Layout, codec: Codec, attributes: &Map<String, Value>) -> Value {
    let endian = if cfg!(target_endian = "big") { "big" } else { "little" };
    let mut codecs = vec![json!({"name": "bytes", "configuration": {"endian": endian}})];
    let blosc = |cname: &str, level: u8, shuffle: crate::Shuffle, block: usize| {
        json!({"name": "blosc", "configuration": {"cname": cname, "clevel": level, "shuffle": shuffle.name(),
            "typesize": meta.dtype.size(), "blocksize": block}})
    };
    codecs.extend(match codec {
        Codec::Zstd { level } => {
            Some(json!({"name": "zstd", "configuration": {"level": level, "checksum": false}}))
        }
        Codec::Gzip { level } => Some(json!({"name": "gzip", "configuration": {"level": level}})),
        Codec::BloscLz4 { level, shuffle } => Some(blosc("lz4", level, shuffle, 0)),
        Codec::BloscZstd { level, shuffle } => {
            Some(blosc("zstd", level, shuffle, zstd_block(level, shuffle, meta.dtype.size())))
        }
        Codec::None | Codec::Lzw | Codec::Deflate { .. } | Codec::Jpeg { .. } => None,
    });
    let chunk = meta.axes.pick(&layout.chunk);
    let object = layout.shard.as_ref().map(|s| meta.axes.pick(s));
    if object.is_some() {
        codecs = vec![json!({"name": "sharding_indexed", "configuration": {
            "chunk_shape": chunk,
            "codecs": codecs,
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
            "index_location": "end",
        }})];
    }
    let names: Vec<&str> = meta.axes.iter().map(voxtile_sched::model::Axis::name).collect();
    json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": meta.dims(),
        "data_type": meta.dtype.numpy_name(),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": object.unwrap_or(chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": zero(meta.dtype),
        "codecs": codecs,
        "dimension_names": names,
        "attributes": attributes,
    })
}

fn array_v2(meta: &Meta, layout: &Layout, codec: Codec) -> Value {
    let kind = match meta.dtype {
        d if d.is_float() => 'f',
        d if d.is_signed_integer() => 'i',
        _ => 'u',
    };
    let order = match meta.dtype.size() {
        1 => '|',
        _ if cfg!(target_endian = "big") => '>',
        _ => '<',
    };
    let blosc = |cname: &str, level: u8, shuffle: crate::Shuffle, block: usize| {
        let shuffle = match shuffle {
            crate::Shuffle::None => 0,
            crate::Shuffle::Byte => 1,
            crate::Shuffle::Bit => 2,
        };
        json!({"id": "blosc", "cname": cname, "clevel": level, "shuffle": shuffle, "blocksize": block})
    };
    let compressor = match codec {
        Codec::Zstd { level } => json!({"id": "zstd", "level": level}),
        Codec::Gzip { level } => json!({"id": "gzip", "level": level}),
        Codec::BloscLz4 { level, shuffle } => blosc("lz4", level, shuffle, 0),
        Codec::BloscZstd { level, shuffle } => {
            blosc("zstd", level, shuffle, zstd_block(level, shuffle, meta.dtype.size()))
        }
        Codec::None | Codec::Lzw | Codec::Deflate { .. } | Codec::Jpeg { .. } => Value::Null,
    };
    json!({
        "zarr_format": 2,
        "shape": meta.dims(),
        "chunks": meta.axes.pick(&layout.chunk),
        "dtype": format!("{order}{kind}{}", meta.dtype.size()),
        "compressor": compressor,
        "fill_value": zero(meta.dtype),
        "order": "C",
        "filters": null,
        "dimension_separator": "/",
    })
}

//! The metadata of Zarr v2 said in v3, and the other way, where the chunks stay as they are.

use super::hierarchy::Member;
use crate::{Feature, Format};
use serde_json::{Map, Value, json};

/// Attributes of OME-Zarr; in Zarr v3 they lie below `ome`.
const OME: [&str; 8] =
    ["multiscales", "omero", "labels", "image-label", "plate", "well", "bioformats2raw.layout", "series"];
/// Those of them that carry a version of their own in 0.4.
const VERSIONED: [&str; 4] = ["multiscales", "image-label", "plate", "well"];

fn version(format: Format) -> u8 {
    if format == Format::ZarrV2 { 2 } else { 3 }
}

/// The attributes of a node in a version of Zarr: those of OME-Zarr in their place, all others as they are.
pub(super) fn attributes(member: &Member, to: Format) -> Result<Map<String, Value>, Feature> {
    let from = &member.attributes;
    match (member.version, version(to)) {
        (2, 3) => Ok(nested(from)),
        (3, 2) => flat(from),
        _ => Ok(from.clone()),
    }
}

/// OME-Zarr 0.4 as 0.5.
fn nested(from: &Map<String, Value>) -> Map<String, Value> {
    let is_ome = VERSIONED.iter().chain(&["bioformats2raw.layout"]).any(|key| from.contains_key(*key))
        || from.get("labels").is_some_and(Value::is_array);
    let has_axes = from.get("multiscales").is_none_or(|m| m.pointer("/0/axes/0/name").is_some());
    if !is_ome || !has_axes {
        return from.clone();
    }
    let mut ome = Map::from_iter([("version".to_owned(), json!("0.5"))]);
    let mut rest = Map::new();
    for (key, value) in from {
        let mut value = value.clone();
        if OME.contains(&key.as_str()) {
            for_each_versioned(key, &mut value, |object| {
                object.remove("version");
            });
            ome.insert(key.clone(), value);
        } else {
            rest.insert(key.clone(), value);
        }
    }
    rest.insert("ome".to_owned(), ome.into());
    rest
}

/// OME-Zarr 0.5 as 0.4.
fn flat(from: &Map<String, Value>) -> Result<Map<String, Value>, Feature> {
    let mut rest = from.clone();
    let Some(Value::Object(ome)) = rest.remove("ome") else { return Ok(from.clone()) };
    let known = ome.get("version").and_then(Value::as_str).unwrap_or("0.5");
    if known != "0.5" && !known.starts_with("0.5.") {
        return Err(Feature::Other(format!("OME-Zarr {known} in Zarr v2")));
    }
    for (key, mut value) in ome {
        if key != "version" {
            for_each_versioned(&key, &mut value, |object| {
                object.insert("version".to_owned(), json!("0.4"));
            });
            rest.insert(key, value);
        }
    }
    Ok(rest)
}

fn for_each_versioned(key: &str, value: &mut Value, change: impl Fn(&mut Map<String, Value>)) {
    if !VERSIONED.contains(&key) {
        return;
    }
    match value {
        Value::Array(list) => list.iter_mut().filter_map(Value::as_object_mut).for_each(change),
        Value::Object(object) => change(object),
        _ => {}
    }
}

/// The names of the axes of an array that a pyramid of a group names by this path.
pub(super) fn axes_of(group: &Map<String, Value>, path: &str) -> Option<Vec<Value>> {
    let ome = group.get("ome").and_then(Value::as_object).unwrap_or(group);
    let named = |m: &&Value| {
        let datasets = m.get("datasets").and_then(Value::as_array).into_iter().flatten();
        datasets.filter_map(|d| d.get("path")?.as_str()).any(|p| p.trim_matches('/') == path)
    };
    let image = ome.get("multiscales")?.as_array()?.iter().find(named)?;
    let axes = image.get("axes").or_else(|| image.pointer("/coordinateSystems/0/axes"))?.as_array()?;
    Some(axes.iter().map(|axis| axis.get("name").unwrap_or(axis).clone()).collect())
}

/// Attributes and axis names of an array in a version of Zarr.
fn named(member: &Member, to: Format, names: Option<Vec<Value>>) -> (Map<String, Value>, Option<Vec<Value>>) {
    let mut attributes = member.attributes.clone();
    let own = match member.version {
        2 => attributes.get("_ARRAY_DIMENSIONS"),
        _ => member.document.get("dimension_names"),
    };
    let names = own.and_then(Value::as_array).cloned().or(names);
    if member.version == 2 && version(to) == 3 {
        attributes.remove("_ARRAY_DIMENSIONS");
    }
    if let (3, 2, Some(names)) = (member.version, version(to), &names)
        && names.iter().all(Value::is_string)
    {
        attributes.insert("_ARRAY_DIMENSIONS".to_owned(), names.clone().into());
    }
    (attributes, names)
}

/// The documents of an array with the same chunks; `None` where the other version has no word for its codecs.
pub(super) fn array(
    member: &Member,
    to: Format,
    names: Option<Vec<Value>>,
) -> Option<Vec<(&'static str, Value)>> {
    let document = &member.document;
    let (attributes, names) = named(member, to, names);
    match (member.version, version(to)) {
        (3, 3) => Some(vec![("zarr.json", document.clone().into())]),
        (2, 2) => {
            let mut out = vec![(".zarray", document.clone().into())];
            if !attributes.is_empty() {
                out.insert(0, (".zattrs", attributes.into()));
            }
            Some(out)
        }
        (2, _) => {
            let (data_type, size) = v3_type(document.get("dtype")?.as_str()?)?;
            let shape = document.get("shape")?.as_array()?;
            let mut codecs = Vec::new();
            if document.get("order").and_then(Value::as_str) == Some("F") && shape.len() > 1 {
                let order: Vec<usize> = (0..shape.len()).rev().collect();
                codecs.push(json!({"name": "transpose", "configuration": {"order": order}}));
            }
            codecs.push(match document.get("dtype")?.as_str()?.chars().next()? {
                _ if size == 1 => json!({"name": "bytes"}),
                '>' => json!({"name": "bytes", "configuration": {"endian": "big"}}),
                _ => json!({"name": "bytes", "configuration": {"endian": "little"}}),
            });
            let filters = document.get("filters").filter(|f| !f.is_null());
            if filters.is_some_and(|f| f.as_array().is_none_or(|list| !list.is_empty())) {
                return None;
            }
            if let Some(compressor) = document.get("compressor").filter(|c| !c.is_null()) {
                codecs.push(v3_codec(compressor.as_object()?, size)?);
            }
            let fill = document.get("fill_value").filter(|f| !f.is_null()).cloned();
            let zero = if data_type == "bool" { json!(false) } else { json!(0) };
            let mut out = Map::from_iter([
                ("zarr_format".to_owned(), json!(3)),
                ("node_type".to_owned(), json!("array")),
                ("shape".to_owned(), shape.clone().into()),
                ("data_type".to_owned(), data_type.into()),
                (
                    "chunk_grid".to_owned(),
                    json!({"name": "regular", "configuration": {"chunk_shape": document.get("chunks")?}}),
                ),
                (
                    "chunk_key_encoding".to_owned(),
                    json!({"name": "default", "configuration": {"separator": "/"}}),
                ),
                ("fill_value".to_owned(), fill.unwrap_or(zero)),
                ("codecs".to_owned(), codecs.into()),
                ("attributes".to_owned(), attributes.into()),
            ]);
            if let Some(names) = names.filter(|names| names.len() == shape.len()) {
                out.insert("dimension_names".to_owned(), names.into());
            }
            Some(vec![("zarr.json", out.into())])
        }
        _ => {
            let (document, grid) = (v2_document(document)?, attributes);
            let mut out = vec![(".zarray", document)];
            if !grid.is_empty() {
                out.insert(0, (".zattrs", grid.into()));
            }
            Some(out)
        }
    }
}

/// `.zarray` of an array of v3.
fn v2_document(document: &Map<String, Value>) -> Option<Value> {
    let shape = document.get("shape")?.as_array()?;
    let mut codecs = document.get("codecs")?.as_array()?.as_slice();
    let name = |codec: &Value| codec.get("name").or(Some(codec))?.as_str().map(str::to_owned);
    let mut order = "C";
    if let [first, rest @ ..] = codecs
        && name(first)? == "transpose"
    {
        let asked = first.pointer("/configuration/order")?.as_array()?;
        let reversed = asked.iter().rev().enumerate().all(|(n, v)| v.as_u64() == Some(n as u64));
        (order, codecs) = (reversed.then_some("F")?, rest);
    }
    let [bytes, rest @ ..] = codecs else { return None };
    if name(bytes)? != "bytes" || rest.len() > 1 {
        return None;
    }
    let endian =
        if bytes.pointer("/configuration/endian").and_then(Value::as_str) == Some("big") { '>' } else { '<' };
    let (dtype, size) = v2_type(document.get("data_type")?.as_str()?, endian)?;
    let compressor = match rest.first() {
        None => Value::Null,
        Some(codec) => v2_codec(&name(codec)?, codec.get("configuration")?, size)?,
    };
    if document.get("chunk_grid")?.get("name")?.as_str()? != "regular" {
        return None;
    }
    Some(json!({
        "zarr_format": 2,
        "shape": shape,
        "chunks": document.get("chunk_grid")?.pointer("/configuration/chunk_shape")?,
        "dtype": dtype,
        "compressor": compressor,
        "fill_value": document.get("fill_value")?,
        "order": order,
        "filters": null,
        "dimension_separator": "/",
    }))
}

/// Attributes, names and fill value for an array that was encoded anew and described as `document`.
pub(super) fn dress(
    member: &Member,
    document: &mut Map<String, Value>,
    to: Format,
    names: Option<Vec<Value>>,
) -> Vec<(&'static str, Value)> {
    let (attributes, names) = named(member, to, names);
    if let Some(fill) = member.document.get("fill_value").filter(|f| f.is_number() || f.is_string()) {
        document.insert("fill_value".to_owned(), fill.clone());
    }
    if to == Format::ZarrV2 {
        return vec![(".zattrs", attributes.into()), (".zarray", document.clone().into())];
    }
    document.remove("dimension_names");
    if let Some(names) = names {
        document.insert("dimension_names".to_owned(), names.into());
    }
    document.insert("attributes".to_owned(), attributes.into());
    vec![("zarr.json", document.clone().into())]
}

/// Sample types in both versions, and bytes of one.
const TYPES: [(&str, &str, usize); 12] = [
    ("b1", "bool", 1),
    ("u1", "uint8", 1),
    ("i1", "int8", 1),
    ("u2", "uint16", 2),
    ("i2", "int16", 2),
    ("u4", "uint32", 4),
    ("i4", "int32", 4),
    ("u8", "uint64", 8),
    ("i8", "int64", 8),
    ("f2", "float16", 2),
    ("f4", "float32", 4),
    ("f8", "float64", 8),
];

fn v3_type(dtype: &str) -> Option<(&'static str, usize)> {
    let (_, kind) = dtype.split_at_checked(1)?;
    TYPES.iter().find(|(v2, ..)| *v2 == kind).map(|(_, v3, size)| (*v3, *size))
}

fn v2_type(data_type: &str, endian: char) -> Option<(String, usize)> {
    let (v2, _, size) = TYPES.iter().find(|(_, v3, _)| *v3 == data_type)?;
    Some((format!("{}{v2}", if *size == 1 { '|' } else { endian }), *size))
}

const SHUFFLES: [&str; 3] = ["noshuffle", "shuffle", "bitshuffle"];

fn v3_codec(codec: &Map<String, Value>, size: usize) -> Option<Value> {
    Some(match codec.get("id")?.as_str()? {
        "blosc" => {
            let shuffle = match codec.get("shuffle").and_then(Value::as_i64).unwrap_or(1) {
                -1 => SHUFFLES[if size == 1 { 2 } else { 1 }],
                n => SHUFFLES.get(usize::try_from(n).ok()?)?,
            };
            json!({"name": "blosc", "configuration": {"cname": codec.get("cname")?, "clevel": codec.get("clevel")?,
                "shuffle": shuffle, "typesize": size, "blocksize": codec.get("blocksize").unwrap_or(&json!(0))}})
        }
        "zstd" => {
            let checksum = codec.get("checksum").and_then(Value::as_bool).unwrap_or(false);
            json!({"name": "zstd", "configuration": {"level": codec.get("level")?, "checksum": checksum}})
        }
        "gzip" => json!({"name": "gzip", "configuration": {"level": codec.get("level")?}}),
        _ => return None,
    })
}

fn v2_codec(name: &str, config: &Value, size: usize) -> Option<Value> {
    Some(match name {
        "blosc" => {
            // In v2 the size is that of the sample.
            if config.get("typesize").and_then(Value::as_u64).is_some_and(|n| n != size as u64) {
                return None;
            }
            let shuffle = config.get("shuffle")?.as_str()?;
            let shuffle = SHUFFLES.iter().position(|s| *s == shuffle)?;
            json!({"id": "blosc", "cname": config.get("cname")?, "clevel": config.get("clevel")?,
                "shuffle": shuffle, "blocksize": config.get("blocksize").unwrap_or(&json!(0))})
        }
        "zstd" => json!({"id": "zstd", "level": config.get("level")?}),
        "gzip" => json!({"id": "gzip", "level": config.get("level")?}),
        _ => return None,
    })
}

/// Where the chunks or shards of an array lie, in its own version and in another one.
pub(super) struct Grid {
    counts: Vec<u64>,
    from: Keys,
    to: Keys,
}

#[derive(Clone, Copy)]
struct Keys {
    c: bool,
    separator: char,
}

impl Keys {
    fn of(member: &Member) -> Option<Self> {
        let document = &member.document;
        let separator = |value: Option<&Value>, default: char| {
            value.and_then(Value::as_str).map_or(Some(default), |s| s.chars().next())
        };
        if member.version == 2 {
            return Some(Self { c: false, separator: separator(document.get("dimension_separator"), '.')? });
        }
        let encoding = document.get("chunk_key_encoding")?;
        let name = encoding.get("name").unwrap_or(encoding).as_str()?;
        let given = encoding.pointer("/configuration/separator");
        match name {
            "default" => Some(Self { c: true, separator: separator(given, '/')? }),
            "v2" => Some(Self { c: false, separator: separator(given, '.')? }),
            _ => None,
        }
    }

    fn key(self, index: &[u64]) -> String {
        let parts: Vec<String> = index.iter().map(u64::to_string).collect();
        let joined = parts.join(self.separator.encode_utf8(&mut [0; 4]));
        match (self.c, parts.is_empty()) {
            (true, true) => "c".to_owned(),
            (true, false) => format!("c{}{joined}", self.separator),
            (false, true) => "0".to_owned(),
            (false, false) => joined,
        }
    }
}

impl Grid {
    /// `None` for a grid or keys of another kind.
    pub(super) fn of(member: &Member, to: Format) -> Option<Self> {
        let document = &member.document;
        let chunk = match member.version {
            2 => document.get("chunks")?,
            _ => document.get("chunk_grid")?.pointer("/configuration/chunk_shape")?,
        };
        let numbers = |v: &Value| v.as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>();
        let (shape, chunk) = (numbers(document.get("shape")?)?, numbers(chunk)?);
        if shape.len() != chunk.len() || chunk.contains(&0) {
            return None;
        }
        let counts: Vec<u64> = shape.iter().zip(&chunk).map(|(s, c)| s.div_ceil(*c)).collect();
        counts.iter().try_fold(1u64, |n, c| n.checked_mul(*c))?;
        let from = Keys::of(member)?;
        let to = match (member.version, version(to)) {
            (2, 3) => Keys { c: true, separator: '/' },
            (3, 2) => Keys { c: false, separator: '/' },
            _ => from,
        };
        Some(Self { counts, from, to })
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.counts.iter().product()
    }

    /// The keys of one of them.
    pub(super) fn keys(&self, mut n: u64) -> (String, String) {
        let mut index = vec![0; self.counts.len()];
        for (i, count) in index.iter_mut().zip(&self.counts).rev() {
            (*i, n) = (n % count, n / count);
        }
        (self.from.key(&index), self.to.key(&index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(version: u8, document: Value, attributes: Value) -> Member {
        let (Value::Object(document), Value::Object(attributes)) = (document, attributes) else { panic!() };
        Member { version, document, attributes }
    }

    fn v2(change: impl FnOnce(&mut Map<String, Value>)) -> Member {
        let document = json!({"zarr_format": 2, "shape": [10, 20], "chunks": [4, 8], "dtype": ">u2", "order": "F",
            "compressor": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
            "fill_value": 7, "filters": null});
        let mut member = member(2, document, json!({"mine": [1], "_ARRAY_DIMENSIONS": ["y", "x"]}));
        change(&mut member.document);
        member
    }

    #[test]
    fn an_array_goes_there_and_back() {
        let there = array(&v2(|_| ()), Format::ZarrV3, None).unwrap();
        let [("zarr.json", Value::Object(document))] = &there[..] else { panic!("{there:?}") };
        assert_eq!(document["dimension_names"], json!(["y", "x"]));
        assert_eq!(document["attributes"], json!({"mine": [1]}));
        assert_eq!(document["codecs"][0], json!({"name": "transpose", "configuration": {"order": [1, 0]}}));
        let attributes = document["attributes"].as_object().unwrap().clone();
        let there = Member { version: 3, document: document.clone(), attributes };
        let back = array(&there, Format::ZarrV2, None).unwrap();
        let [(".zattrs", attributes), (".zarray", document)] = &back[..] else { panic!("{back:?}") };
        assert_eq!(*attributes, json!({"mine": [1], "_ARRAY_DIMENSIONS": ["y", "x"]}));
        let mut want = v2(|_| ()).document;
        want.insert("dimension_separator".to_owned(), json!("/"));
        assert_eq!(*document, Value::Object(want));
    }

    #[test]
    fn what_the_other_version_has_no_word_for_is_encoded_anew() {
        let way = |m: Member, to| array(&m, to, None).is_some();
        let with = |key: &'static str, value: Value| v2(|d| drop(d.insert(key.to_owned(), value)));
        assert!(way(with("compressor", Value::Null), Format::ZarrV3));
        assert!(!way(with("compressor", json!({"id": "lzma"})), Format::ZarrV3));
        assert!(!way(with("filters", json!([{"id": "delta"}])), Format::ZarrV3));
        assert!(!way(with("dtype", json!("<M8[ns]")), Format::ZarrV3));
        // As it is, anything goes.
        assert!(way(with("dtype", json!("<M8[ns]")), Format::ZarrV2));
        let sharded = json!({"shape": [4], "data_type": "uint8", "fill_value": 0, "codecs": [{"name": "sharding_indexed"}],
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}}});
        assert!(!way(member(3, sharded, json!({})), Format::ZarrV2));
    }

    #[test]
    fn ome_metadata_move_and_all_else_stays() {
        let old = json!({"multiscales": [{"version": "0.4", "axes": [{"name": "y"}], "datasets": [{"path": "0"}], "extra": 1}],
            "omero": {"channels": []}, "mine": {"a": 1}});
        let m = member(2, json!({}), old.clone());
        let new = attributes(&m, Format::ZarrV3).unwrap();
        assert_eq!(
            Value::Object(new.clone()),
            json!({"mine": {"a": 1}, "ome": {"version": "0.5", "omero": {"channels": []},
                "multiscales": [{"axes": [{"name": "y"}], "datasets": [{"path": "0"}], "extra": 1}]}})
        );
        let back = Member { version: 3, document: Map::new(), attributes: new };
        assert_eq!(Value::Object(attributes(&back, Format::ZarrV2).unwrap()), old);
        assert_eq!(axes_of(&back.attributes, "0"), Some(vec![json!("y")]));
        let later = member(3, json!({}), json!({"ome": {"version": "0.6", "multiscales": []}}));
        assert!(attributes(&later, Format::ZarrV2).is_err());
        let other = member(2, json!({}), json!({"labels": "my own"}));
        assert_eq!(attributes(&other, Format::ZarrV3).unwrap(), other.attributes);
    }

    #[test]
    fn keys_are_those_of_each_version() {
        let grid = Grid::of(&v2(|_| ()), Format::ZarrV3).unwrap();
        assert_eq!(grid.len(), 9);
        assert_eq!(grid.keys(5), ("1.2".to_owned(), "c/1/2".to_owned()));
        let scalar = v2(|d| {
            d.insert("shape".to_owned(), json!([]));
            d.insert("chunks".to_owned(), json!([]));
        });
        assert_eq!(Grid::of(&scalar, Format::ZarrV3).unwrap().keys(0), ("0".to_owned(), "c".to_owned()));
    }
}

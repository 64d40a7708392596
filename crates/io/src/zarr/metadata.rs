//! The metadata of one array, v2 or v3, brought to one form; everything is checked before anything is allocated.

use super::fill;
use crate::{Feature, IoError};
use serde_json::{Map, Value};
use voxtile_sched::model::Dtype;

/// The largest chunk that is decoded, in bytes.
pub(super) const MAX_CHUNK_BYTES: u64 = 2 << 30;
/// The most inner chunks of one shard: an index of 256 MiB.
pub(super) const MAX_INNER_CHUNKS: u64 = 1 << 24;
/// The largest extent of an axis: coordinates are signed, and sums of some of them must fit.
const MAX_EXTENT: u64 = 1 << 48;

/// The most chunks of an array: beyond, nobody lives to see the last one.
const MAX_CHUNKS: u64 = 1 << 48;

/// One codec as Zarr v3 writes it, its name without namespace.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CodecSpec {
    pub(super) name: String,
    /// The name as it stands in the file.
    pub(super) full_name: String,
    pub(super) config: Map<String, Value>,
}

impl CodecSpec {
    fn new(full_name: &str, config: Map<String, Value>) -> Self {
        let name = full_name.rsplit(['.', '/']).next().unwrap_or(full_name);
        Self { name: name.to_owned(), full_name: full_name.to_owned(), config }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key)?.as_str()
    }

    pub(super) fn number(&self, key: &str) -> Option<i64> {
        self.config.get(key)?.as_i64()
    }
}

/// How the key of a chunk is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// Whether keys start with `c`.
    pub(super) c: bool,
    pub(super) separator: char,
}

impl Keys {
    /// Key of a chunk, relative to the array.
    pub(super) fn key(&self, index: &[u64]) -> String {
        use std::fmt::Write as _;
        let mut key = String::with_capacity(24);
        if self.c {
            key.push('c');
        }
        for i in index {
            if !key.is_empty() {
                key.push(self.separator);
            }
            // Writing to a string cannot fail.
            let _ = write!(key, "{i}");
        }
        key
    }
}

/// An array's metadata.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ArrayHead {
    pub(super) version: u8,
    pub(super) shape: Vec<u64>,
    /// Shape of what lies in one object: a chunk or a shard.
    pub(super) chunk: Vec<u64>,
    pub(super) dtype: Dtype,
    /// Stored as `bool`, read as `u8`.
    pub(super) is_bool: bool,
    /// In the order of encoding.
    pub(super) codecs: Vec<CodecSpec>,
    /// One sample, in the byte order of the machine.
    pub(super) fill: Vec<u8>,
    pub(super) keys: Keys,
    /// Names of the axes, if the file has them.
    pub(super) names: Option<Vec<String>>,
    pub(super) attributes: Map<String, Value>,
}

/// Reads one metadata document, and names it in errors.
pub(super) struct Reader<'a> {
    pub(super) store: &'a str,
}

impl Reader<'_> {
    pub(super) fn header(&self, field: &str, problem: impl Into<String>) -> IoError {
        IoError::Header { store: self.store.to_owned(), field: field.to_owned(), problem: problem.into() }
    }

    pub(super) fn unsupported(&self, feature: Feature) -> IoError {
        IoError::Unsupported { store: self.store.to_owned(), feature }
    }

    pub(super) fn object(&self, document: &str, bytes: &[u8]) -> Result<Map<String, Value>, IoError> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(self.header(document, "is not a JSON object")),
            Err(e) => Err(self.header(document, format!("is not valid JSON: {e}"))),
        }
    }

    fn numbers(&self, field: &str, value: Option<&Value>) -> Result<Vec<u64>, IoError> {
        let list = value.and_then(Value::as_array).ok_or_else(|| self.header(field, "is missing"))?;
        list.iter()
            .map(|v| {
                v.as_u64().filter(|&n| n <= MAX_EXTENT).ok_or_else(|| {
                    self.header(field, format!("has an entry {v}; whole numbers up to {MAX_EXTENT} are read"))
                })
            })
            .collect()
    }

    /// A list of chunk extents that fits an array of that rank.
    pub(super) fn chunk(&self, field: &str, value: Option<&Value>, rank: usize) -> Result<Vec<u64>, IoError> {
        let chunk = self.numbers(field, value)?;
        if chunk.len() != rank {
            return Err(self.header(field, format!("has {} entries, shape has {rank}", chunk.len())));
        }
        if chunk.contains(&0) {
            return Err(self.header(field, format!("has an extent of 0: {chunk:?}")));
        }
        Ok(chunk)
    }

    fn shape(&self, value: Option<&Value>) -> Result<Vec<u64>, IoError> {
        let shape = self.numbers("shape", value)?;
        if !(1..=5).contains(&shape.len()) {
            return Err(self.unsupported(Feature::Rank(shape.len())));
        }
        // No real image has 2^60 voxels, and below that no product of extents wraps.
        let voxels = shape.iter().fold(1u64, |n, &s| n.saturating_mul(s.max(1)));
        if voxels > 1 << 60 {
            return Err(self.header("shape", format!("{shape:?} has {voxels} voxels")));
        }
        Ok(shape)
    }

    /// Refuses a grid that cannot be meant.
    fn grid(&self, field: &str, shape: &[u64], chunk: &[u64]) -> Result<(), IoError> {
        let chunks = shape.iter().zip(chunk).fold(1u64, |n, (s, c)| n.saturating_mul(s.div_ceil(*c)));
        if chunks > MAX_CHUNKS {
            let problem =
                format!("{chunk:?} cuts {shape:?} into {chunks} chunks; up to {MAX_CHUNKS} are read");
            return Err(self.header(field, problem));
        }
        Ok(())
    }

    /// Reads `zarr.json` of an array.
    pub(super) fn v3(&self, doc: &Map<String, Value>) -> Result<ArrayHead, IoError> {
        let shape = self.shape(doc.get("shape"))?;
        let (type_name, _) =
            named(doc.get("data_type")).ok_or_else(|| self.header("data_type", "is missing"))?;
        let (dtype, is_bool) = match type_name {
            "bool" => (Dtype::U8, true),
            name => match Dtype::from_name(name).filter(|d| d.numpy_name() == name) {
                Some(dtype) => (dtype, false),
                None => return Err(self.unsupported(Feature::Dtype(name.to_owned()))),
            },
        };
        let (grid, grid_config) =
            named(doc.get("chunk_grid")).ok_or_else(|| self.header("chunk_grid", "is missing"))?;
        if grid != "regular" {
            return Err(self.unsupported(Feature::ChunkGrid(grid.to_owned())));
        }
        let chunk = self.chunk("chunk_shape", grid_config.get("chunk_shape"), shape.len())?;
        self.grid("chunk_shape", &shape, &chunk)?;
        if doc.get("storage_transformers").and_then(Value::as_array).is_some_and(|t| !t.is_empty()) {
            return Err(self.unsupported(Feature::Other("storage transformers".to_owned())));
        }
        let (encoding, config) = named(doc.get("chunk_key_encoding")).unwrap_or(("default", Map::default()));
        let default = match encoding {
            "default" => '/',
            "v2" => '.',
            other => return Err(self.unsupported(Feature::Other(format!("chunk key encoding {other}")))),
        };
        let keys =
            Keys { c: encoding == "default", separator: self.separator(config.get("separator"), default)? };
        let codecs = self.codecs("codecs", doc.get("codecs"))?;
        let fill = fill::parse(doc.get("fill_value").unwrap_or(&Value::Null), dtype).ok_or_else(|| {
            self.header("fill_value", format!("{:?} is no {type_name}", doc.get("fill_value")))
        })?;
        let names = self.names("dimension_names", doc.get("dimension_names"), shape.len())?;
        Ok(ArrayHead {
            version: 3,
            shape,
            chunk,
            dtype,
            is_bool,
            codecs,
            fill,
            keys,
            names,
            attributes: doc.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default(),
        })
    }

    /// A list of codecs as v3 writes it.
    pub(super) fn codecs(&self, field: &str, value: Option<&Value>) -> Result<Vec<CodecSpec>, IoError> {
        let list = value.and_then(Value::as_array).ok_or_else(|| self.header(field, "is missing"))?;
        list.iter()
            .map(|v| match named(Some(v)) {
                Some((name, config)) => Ok(CodecSpec::new(name, config)),
                None => Err(self.header(field, format!("has an entry {v}"))),
            })
            .collect()
    }

    /// Reads `.zarray`, and `.zattrs` where there is one.
    pub(super) fn v2(
        &self,
        doc: &Map<String, Value>,
        attributes: Map<String, Value>,
    ) -> Result<ArrayHead, IoError> {
        let shape = self.shape(doc.get("shape"))?;
        let chunk = self.chunk("chunks", doc.get("chunks"), shape.len())?;
        self.grid("chunks", &shape, &chunk)?;
        let type_name = match doc.get("dtype") {
            Some(Value::String(name)) => name.as_str(),
            Some(Value::Array(_)) => return Err(self.unsupported(Feature::Dtype("structured".to_owned()))),
            _ => return Err(self.header("dtype", "is missing")),
        };
        let (order, kind) = type_name.split_at_checked(1).unwrap_or(("", ""));
        let dtype = match kind {
            "b1" | "u1" => Dtype::U8,
            "i1" => Dtype::I8,
            "u2" => Dtype::U16,
            "i2" => Dtype::I16,
            "u4" => Dtype::U32,
            "i4" => Dtype::I32,
            "u8" => Dtype::U64,
            "i8" => Dtype::I64,
            "f4" => Dtype::F32,
            "f8" => Dtype::F64,
            _ => return Err(self.unsupported(Feature::Dtype(type_name.to_owned()))),
        };
        let endian = match order {
            "<" => "little",
            ">" => "big",
            "|" if dtype.size() == 1 => "little",
            _ => return Err(self.header("dtype", format!("`{type_name}` names no byte order"))),
        };
        let mut codecs = Vec::new();
        match doc.get("order").and_then(Value::as_str) {
            Some("C") => {}
            Some("F") => {
                let order: Vec<Value> = (0..shape.len()).rev().map(Value::from).collect();
                codecs
                    .push(CodecSpec::new("transpose", Map::from_iter([("order".to_owned(), order.into())])));
            }
            other => return Err(self.header("order", format!("is {other:?} instead of C or F"))),
        }
        let mut filters = Vec::new();
        for filter in doc.get("filters").and_then(Value::as_array).into_iter().flatten() {
            filters.push(self.v2_codec("filters", filter)?);
        }
        let bytes = Map::from_iter([("endian".to_owned(), endian.into())]);
        // Filters on samples come before those on bytes, as in v3.
        let (on_bytes, on_samples): (Vec<_>, Vec<_>) =
            filters.into_iter().partition(|f| !matches!(super::step::Step::of(f), Ok(None)));
        codecs.extend(on_samples);
        codecs.push(CodecSpec::new("bytes", bytes));
        codecs.extend(on_bytes);
        if let Some(compressor) = doc.get("compressor").filter(|c| !c.is_null()) {
            codecs.push(self.v2_codec("compressor", compressor)?);
        }
        let fill = fill::parse(doc.get("fill_value").unwrap_or(&Value::Null), dtype).ok_or_else(|| {
            self.header("fill_value", format!("{:?} is no {type_name}", doc.get("fill_value")))
        })?;
        let names = self.names("_ARRAY_DIMENSIONS", attributes.get("_ARRAY_DIMENSIONS"), shape.len())?;
        Ok(ArrayHead {
            version: 2,
            shape,
            chunk,
            dtype,
            is_bool: kind == "b1",
            codecs,
            fill,
            keys: Keys { c: false, separator: self.separator(doc.get("dimension_separator"), '.')? },
            names,
            attributes,
        })
    }

    fn v2_codec(&self, field: &str, value: &Value) -> Result<CodecSpec, IoError> {
        let Some((object, id)) = value.as_object().and_then(|o| Some((o, o.get("id")?.as_str()?))) else {
            return Err(self.header(field, format!("names no codec: {value}")));
        };
        let mut config = object.clone();
        config.remove("id");
        let mut spec = CodecSpec::new(id, config);
        spec.full_name = format!("numcodecs.{id}");
        Ok(spec)
    }

    fn separator(&self, value: Option<&Value>, default: char) -> Result<char, IoError> {
        match value.and_then(Value::as_str) {
            None => Ok(default),
            Some("/") => Ok('/'),
            Some(".") => Ok('.'),
            Some(other) => Err(self.header("separator", format!("is `{other}` instead of `/` or `.`"))),
        }
    }

    fn names(&self, field: &str, value: Option<&Value>, rank: usize) -> Result<Option<Vec<String>>, IoError> {
        let Some(list) = value.and_then(Value::as_array) else {
            return Ok(None);
        };
        if list.len() != rank {
            return Err(self.header(field, format!("has {} entries, shape has {rank}", list.len())));
        }
        Ok(list.iter().map(|v| v.as_str().map(str::to_owned)).collect())
    }
}

/// The name and configuration of an extension, which may be a bare string.
fn named(value: Option<&Value>) -> Option<(&str, Map<String, Value>)> {
    match value? {
        Value::String(name) => Some((name, Map::default())),
        Value::Object(o) => {
            let config = o.get("configuration").and_then(Value::as_object).cloned().unwrap_or_default();
            Some((o.get("name")?.as_str()?, config))
        }
        _ => None,
    }
}

//! Finding the array that is meant, and what is known about it.

use super::chain;
use super::describe::MADE;
use super::metadata::{ArrayHead, Reader};
use super::source::ZarrSource;
use crate::codec::{Codec, Shuffle};
use crate::ome::{self, Multiscale};
use crate::tiff::units;
use crate::{
    ByteStore, Feature, Info, IoError, LevelInfo, LocalStore, OmeVersion, OpenOptions, Opened, RemoteProblem,
};
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use voxtile_sched::contract::Source as _;
use voxtile_sched::model::{Axis, AxisSet, Kind, Meta, Spacing};

/// Metadata documents larger than this are not read.
pub(super) const MAX_DOCUMENT: u64 = 64 << 20;
/// How deep groups are searched for arrays, and how many are listed.
const MAX_DEPTH: usize = 5;
const MAX_LISTED: usize = 1000;
/// How many names are looked at on the way.
const MAX_NAMES: usize = 100_000;

/// The attribute of an output that is not complete.
pub(super) const UNFINISHED: &str = "voxtile-unfinished";

/// A node of the hierarchy.
pub(super) enum Node {
    Array(Box<ArrayHead>),
    Group { attributes: Map<String, Value> },
}

/// Names of metadata, one of which lies at the root.
pub(crate) const ROOT: [&str; 4] = ["zarr.json", ".zarray", ".zgroup", ".zattrs"];

/// Whether a directory holds Zarr metadata.
pub(crate) fn looks_like(path: &Path) -> bool {
    ROOT.iter().any(|f| path.join(f).is_file())
}

/// Opens an array, a group with one array, or a level of a pyramid.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Opened, IoError> {
    open_in(Arc::new(LocalStore::new(path)), options)
}

/// As [`open`], of any store of bytes.
pub(crate) fn open_in(store: Arc<dyn ByteStore>, options: &OpenOptions) -> Result<Opened, IoError> {
    let name = store.name();
    let nothing =
        || IoError::NotAnImage { store: name.clone(), why: "a directory without Zarr metadata".to_owned() };
    find(store, options)?.ok_or_else(nothing)
}

/// As [`open_in`]; `None` if nothing of Zarr is there.
pub(crate) fn find(store: Arc<dyn ByteStore>, options: &OpenOptions) -> Result<Option<Opened>, IoError> {
    Finder::new(store, options).open()
}

/// Whether an output was begun there that is not complete.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    let marked = |file: &str| {
        let bytes = LocalStore::new(path).get(file, MAX_DOCUMENT).ok()??;
        let document: Value = serde_json::from_slice(&bytes).ok()?;
        let attributes = if file == ".zattrs" { &document } else { document.get("attributes")? };
        attributes.get(UNFINISHED).map(|_| ())
    };
    marked("zarr.json").or_else(|| marked(".zattrs")).is_some()
}

pub(super) struct Finder<'a> {
    pub(super) store: Arc<dyn ByteStore>,
    pub(super) name: String,
    pub(super) options: &'a OpenOptions,
    /// The first refusal to read metadata. Some stores deny what is not there.
    pub(super) denied: OnceCell<IoError>,
    /// Paths of all nodes, as the root lists them.
    pub(super) nodes: OnceCell<Vec<String>>,
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

impl<'a> Finder<'a> {
    pub(super) fn new(store: Arc<dyn ByteStore>, options: &'a OpenOptions) -> Self {
        let (denied, nodes) = (OnceCell::new(), OnceCell::new());
        Self { name: store.name(), store, options, denied, nodes }
    }

    /// Name of a node in messages.
    fn full(&self, path: &str) -> String {
        join(&self.name, path).trim_end_matches('/').to_owned()
    }

    pub(super) fn document(&self, path: &str, file: &str) -> Result<Option<Map<String, Value>>, IoError> {
        let name = self.full(path);
        let bytes = match self.store.get(&join(path, file), MAX_DOCUMENT) {
            Err(denied @ IoError::Remote { problem: RemoteProblem::Denied { .. }, .. }) => {
                let _ = self.denied.set(denied);
                None
            }
            other => other?,
        };
        bytes.map(|b| Reader { store: &name }.object(file, &b)).transpose()
    }

    /// Whether there are metadata of a node, which may be damaged.
    pub(super) fn is_node(&self, path: &str) -> Result<bool, IoError> {
        for file in ["zarr.json", ".zarray", ".zgroup", ".zattrs"] {
            if self.store.size(&join(path, file))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn node(&self, path: &str) -> Result<Option<Node>, IoError> {
        let name = self.full(path);
        let reader = Reader { store: &name };
        if let Some(doc) = self.document(path, "zarr.json")? {
            match doc.get("zarr_format").and_then(Value::as_u64) {
                Some(3) => {}
                other => return Err(reader.header("zarr_format", format!("is {other:?} instead of 3"))),
            }
            return match doc.get("node_type").and_then(Value::as_str) {
                Some("array") => Ok(Some(Node::Array(Box::new(reader.v3(&doc)?)))),
                Some("group") => {
                    let attributes = doc.get("attributes").and_then(Value::as_object).cloned();
                    Ok(Some(Node::Group { attributes: attributes.unwrap_or_default() }))
                }
                other => Err(reader.header("node_type", format!("is {other:?} instead of array or group"))),
            };
        }
        let array = self.document(path, ".zarray")?;
        let attributes = self.document(path, ".zattrs")?;
        if let Some(doc) = array {
            return Ok(Some(Node::Array(Box::new(reader.v2(&doc, attributes.unwrap_or_default())?))));
        }
        // Some writers of v2 leave `.zgroup` out.
        if attributes.is_some() || self.document(path, ".zgroup")?.is_some() {
            return Ok(Some(Node::Group { attributes: attributes.unwrap_or_default() }));
        }
        Ok(None)
    }

    fn open(mut self) -> Result<Option<Opened>, IoError> {
        let asked = self.options.array.as_deref().unwrap_or_default().trim_matches('/');
        if asked.split('/').any(|p| p == "..") {
            return Err(IoError::Option { option: "--array", why: format!("`{asked}` leaves the image") });
        }
        match self.node(asked)? {
            Some(Node::Array(head)) => self.array(asked, &head).map(Some),
            Some(Node::Group { attributes }) => self.group(asked, &attributes).map(Some),
            None if asked.is_empty() => self.denied.take().map_or(Ok(None), Err),
            None => Err(IoError::NoSuch {
                store: self.name.clone(),
                what: "array",
                asked: asked.to_owned(),
                found: self.arrays("")?,
            }),
        }
    }

    fn group(&self, path: &str, attributes: &Map<String, Value>) -> Result<Opened, IoError> {
        let store = self.full(path);
        if attributes.contains_key(UNFINISHED) {
            let why = "an output of voxtile that was not finished".to_owned();
            return Err(IoError::NotAnImage { store, why });
        }
        let multiscale = ome::multiscale(attributes)
            .map_err(|problem| Reader { store: &store }.header("multiscales", problem))?;
        if let Some(multiscale) = multiscale {
            return self.pyramid(path, &multiscale, attributes);
        }
        let mut found = self.arrays(path)?;
        match found.len() {
            0 => Err(IoError::NotAnImage { store, why: "a Zarr group without arrays".to_owned() }),
            1 => {
                let only = found.remove(0);
                match self.node(&only)? {
                    Some(Node::Array(head)) => self.array(&only, &head),
                    Some(Node::Group { attributes }) => self.group(&only, &attributes),
                    None => Err(IoError::NotAnImage { store, why: format!("`{only}` has gone") }),
                }
            }
            _ => Err(IoError::Choose { store, what: "array", found }),
        }
    }

    /// Paths of the arrays below a group; a pyramid counts as one.
    fn arrays(&self, path: &str) -> Result<Vec<String>, IoError> {
        let mut found = Vec::new();
        self.search(path, 0, &mut 0, &mut found)?;
        Ok(found)
    }

    fn search(
        &self,
        path: &str,
        depth: usize,
        looked: &mut usize,
        found: &mut Vec<String>,
    ) -> Result<(), IoError> {
        for name in self.names(path)? {
            *looked += 1;
            if found.len() >= MAX_LISTED || *looked > MAX_NAMES {
                break;
            }
            let below = join(path, &name);
            match self.node(&below) {
                Ok(Some(Node::Group { attributes })) => {
                    if matches!(ome::multiscale(&attributes), Ok(Some(_))) {
                        found.push(below);
                    } else if depth < MAX_DEPTH {
                        self.search(&below, depth + 1, looked, found)?;
                    }
                }
                // An array that cannot be read is an array; opening it will say why.
                Ok(Some(Node::Array(_))) | Err(IoError::Unsupported { .. } | IoError::Header { .. }) => {
                    found.push(below);
                }
                Ok(None) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Names directly below a group: as the store lists them, else those of nodes that the root names itself.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, IoError> {
        match self.store.list(path) {
            Err(IoError::Remote { problem: RemoteProblem::NoLists, .. }) => {}
            other => return other,
        }
        if self.nodes.get().is_none() {
            let _ = self.nodes.set(self.consolidated()?);
        }
        let start = crate::bytes::below(path);
        let nodes = self.nodes.get().into_iter().flatten();
        let below = nodes.filter_map(|node| node.strip_prefix(&start)?.split('/').next());
        Ok(below.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Paths of all nodes by the consolidated metadata of the root, if it has such.
    fn consolidated(&self) -> Result<Vec<String>, IoError> {
        let v3 = self.document("", "zarr.json")?.and_then(|mut doc| doc.remove("consolidated_metadata"));
        let doc = match v3 {
            Some(inside) => inside.as_object().cloned(),
            None => self.document("", ".zmetadata")?,
        };
        let nodes = doc.as_ref().and_then(|doc| doc.get("metadata")?.as_object());
        let node = |key: &String| match key.rsplit_once('/') {
            Some((path, ".zarray" | ".zgroup" | ".zattrs" | "zarr.json")) => path.to_owned(),
            _ => key.clone(),
        };
        Ok(nodes.into_iter().flat_map(Map::keys).map(node).filter(|path| !path.starts_with('.')).collect())
    }

    fn level(&self, found: impl Iterator<Item = usize>) -> IoError {
        IoError::NoSuch {
            store: self.name.clone(),
            what: "level",
            asked: self.options.level.to_string(),
            found: found.map(|l| l.to_string()).collect(),
        }
    }

    fn array(&self, path: &str, head: &ArrayHead) -> Result<Opened, IoError> {
        if self.options.level != 0 {
            return Err(self.level(0..1));
        }
        let name = self.full(path);
        let axes = self.axes(&name, head, head.names.as_deref())?;
        let mut meta = Meta::new(axes.spread(&head.shape, 1), axes, head.dtype);
        for (axis, spacing) in axes.iter().zip(dimension_units(&head.attributes, head.shape.len())) {
            meta.spacing[axis.index()] = spacing;
        }
        meta.made = made(&head.attributes);
        let scale = axes.iter().map(|a| meta.spacing[a.index()].as_ref().map_or(1.0, |s| s.scale)).collect();
        let levels = vec![LevelInfo { path: path.to_owned(), shape: head.shape.clone(), scale }];
        let format = format!("Zarr v{} array", head.version);
        self.opened(path, head, meta, Info { format, bare: true, levels, ..Info::default() })
    }

    fn pyramid(
        &self,
        path: &str,
        ome: &Multiscale,
        attributes: &Map<String, Value>,
    ) -> Result<Opened, IoError> {
        let group = self.full(path);
        let reader = Reader { store: &group };
        let mut heads = Vec::new();
        let mut levels = Vec::new();
        for level in &ome.levels {
            let at = join(path, &level.path);
            let Some(Node::Array(head)) = self.node(&at)? else {
                return Err(
                    reader.header("multiscales", format!("names `{}`, which is no array", level.path))
                );
            };
            let rank = head.shape.len();
            for (what, n) in [("axes", ome.axes.as_ref().map_or(0, Vec::len)), ("scale", level.scale.len())] {
                if n != 0 && n != rank {
                    let problem = format!("has {n} {what}, the array `{}` has {rank}", level.path);
                    return Err(reader.header("multiscales", problem));
                }
            }
            let scale = if level.scale.is_empty() { vec![1.0; rank] } else { level.scale.clone() };
            levels.push(LevelInfo { path: level.path.clone(), shape: head.shape.clone(), scale });
            heads.push((at, head));
        }
        let chosen = self.options.level;
        let Some((at, head)) = heads.get(chosen) else {
            return Err(self.level(0..heads.len()));
        };
        let names: Option<Vec<String>> =
            ome.axes.as_ref().map(|axes| axes.iter().map(|a| a.name.clone()).collect());
        let axes = self.axes(&group, head, names.as_deref())?;
        let mut meta = Meta::new(axes.spread(&head.shape, 1), axes, head.dtype);
        meta.kind = ome.kind;
        meta.name.clone_from(&ome.name);
        meta.made = made(attributes);
        meta.channels.clone_from(&ome.channels);
        let level = &ome.levels[chosen];
        for (i, axis) in axes.iter().enumerate() {
            let unit = ome.axes.as_ref().and_then(|a| a[i].unit.clone());
            if level.scale.is_empty() && unit.is_none() {
                continue;
            }
            let scale = level.scale.get(i).copied().filter(|&s| is_size(s)).unwrap_or(1.0);
            let origin = level.translation.get(i).copied().filter(|o| o.is_finite()).unwrap_or(0.0);
            if unit.is_some() || scale != 1.0 || origin != 0.0 {
                meta.spacing[axis.index()] = Some(Spacing { scale, origin, unit });
            }
        }
        let format = format!("OME-Zarr {}", ome.version);
        let attributes = attributes.clone();
        let info = Info { format, levels, attributes, ..Info::default() };
        self.opened(at, head, meta, Info { ome: OmeVersion::from_name(&ome.version), bare: false, ..info })
    }

    /// Which axes an array has: those asked for, those named, or the last ones of t, c, z, y, x.
    fn axes(&self, store: &str, head: &ArrayHead, names: Option<&[String]>) -> Result<AxisSet, IoError> {
        let rank = head.shape.len();
        if let Some(axes) = self.options.axes {
            if axes.len() != rank {
                let why =
                    format!("`{axes}` names {} axes, the array has {rank}: {:?}", axes.len(), head.shape);
                return Err(IoError::Option { option: "--axes", why });
            }
            return Ok(axes);
        }
        let reader = Reader { store };
        let by_rank = AxisSet::of_rank(rank).ok_or_else(|| reader.unsupported(Feature::Rank(rank)))?;
        let Some(names) = names else {
            return Ok(by_rank);
        };
        let known: Option<Vec<Axis>> = names.iter().map(|n| Axis::from_name(n)).collect();
        match known {
            None => Ok(by_rank),
            Some(known) if known.is_sorted_by(|a, b| a < b) => Ok(AxisSet::of(&known)),
            Some(_) => Err(reader.unsupported(Feature::AxisOrder(names.join(", ")))),
        }
    }

    fn opened(&self, path: &str, head: &ArrayHead, mut meta: Meta, info: Info) -> Result<Opened, IoError> {
        if head.is_bool && meta.kind == Kind::Image {
            meta.kind = Kind::Mask;
        }
        let source = ZarrSource::new(self.store.clone(), path, self.full(path), head, meta)?;
        let meta = source.meta();
        let chunk5 = source.stored();
        let mut details = vec![("sample type".to_owned(), meta.dtype.to_string())];
        if head.is_bool {
            details[0].1.push_str(" (stored as bool)");
        }
        details.extend(head.names.as_ref().map(|n| ("dimension names".to_owned(), n.join(", "))));
        let separator = head.keys.separator.to_string();
        details.push(("chunk key separator".to_owned(), separator));
        let info = Info {
            path: self.name.clone(),
            chunk: meta.axes.pick(&chunk5),
            shard: source.shard(),
            codec: chain::describe(&head.codecs),
            zarr_format: Some(head.version),
            details,
            output_codec: writable(head),
            fill: head.fill.clone(),
            chunk5,
            ..info
        };
        Ok(Opened { source: Arc::new(source), info })
    }
}

/// How the image was made, as its attributes say.
fn made(attributes: &Map<String, Value>) -> Option<String> {
    attributes.get(MADE).map(|made| made.as_str().map_or_else(|| made.to_string(), str::to_owned))
}

fn is_size(scale: f64) -> bool {
    scale.is_finite() && scale > 0.0
}

/// The attribute that tensorstore and Neuroglancer read: `["4 nm", null]`.
fn dimension_units(attributes: &Map<String, Value>, rank: usize) -> Vec<Option<Spacing>> {
    let one = |v: &Value| {
        let text = v.as_str()?.trim();
        let at = text.find(|c: char| c != '.' && c != '-' && c != '+' && !c.is_ascii_digit() && c != 'e');
        let (number, unit) = text.split_at(at.unwrap_or(text.len()));
        let scale = if number.is_empty() { 1.0 } else { number.parse().ok()? };
        let unit = Some(unit.trim()).filter(|u| !u.is_empty());
        let unit = unit.map(|u| units::word(u).unwrap_or(u).to_owned());
        is_size(scale).then_some(Spacing { scale, origin: 0.0, unit })
    };
    match attributes.get("dimension_units").and_then(Value::as_array) {
        Some(list) if list.len() == rank => list.iter().map(one).collect(),
        _ => vec![None; rank],
    }
}

/// The codec of an array, if it is one that we write.
fn writable(head: &ArrayHead) -> Option<Codec> {
    let nested;
    let mut codecs = &head.codecs[..];
    if let [shard] = codecs
        && shard.name == "sharding_indexed"
    {
        nested = Reader { store: "" }.codecs("codecs", shard.config.get("codecs")).ok()?;
        codecs = &nested;
    }
    let [.., bytes, last] = codecs else {
        return (codecs.len() == 1 && codecs[0].name == "bytes").then_some(Codec::None);
    };
    if bytes.name != "bytes" {
        return (last.name == "bytes").then_some(Codec::None);
    }
    match last.name.as_str() {
        // Level 0 of zstd and −1 of gzip are their defaults.
        "zstd" => match last.number("level").unwrap_or(0) {
            0 => Some(Codec::Zstd { level: 3 }),
            level => Some(Codec::Zstd { level: level.clamp(-7, 22) as i32 }),
        },
        "gzip" => match last.number("level").unwrap_or(-1) {
            level @ 0..=9 => Some(Codec::Gzip { level: level as u32 }),
            _ => Some(Codec::Gzip { level: 6 }),
        },
        "blosc" => {
            let level = last.number("clevel").unwrap_or(5).clamp(0, 9) as u8;
            let shuffle = match (last.text("shuffle"), last.number("shuffle")) {
                (Some("noshuffle"), _) | (_, Some(0)) => Shuffle::None,
                (Some("bitshuffle"), _) | (_, Some(2)) => Shuffle::Bit,
                (_, Some(-1)) if head.dtype.size() == 1 => Shuffle::Bit,
                _ => Shuffle::Byte,
            };
            match last.text("cname") {
                Some("lz4") => Some(Codec::BloscLz4 { level, shuffle }),
                Some("zstd") => Some(Codec::BloscZstd { level, shuffle }),
                _ => None,
            }
        }
        _ => None,
    }
}

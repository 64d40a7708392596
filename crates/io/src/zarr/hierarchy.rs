//! A whole hierarchy: its groups, arrays and other files, copied byte for byte where their codecs stay.

use super::convert;
use super::open::{Finder, ROOT, UNFINISHED};
use crate::bytes::below;
use crate::{ByteRange, ByteStore, Format, IoError, OpenOptions, Remote};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How deep and how large a hierarchy may be.
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 1 << 20;
/// Bytes of an object that are held at once.
const PIECE: u64 = 8 << 20;

/// A Zarr hierarchy that is copied.
pub struct Hierarchy {
    store: Arc<dyn ByteStore>,
    name: String,
    nodes: Vec<Node>,
}

/// A group, an array, or a place of other files.
pub(super) struct Node {
    /// Path from the root.
    path: String,
    pub(super) kind: Kind,
    /// Objects below it that are none of Zarr's.
    files: Vec<String>,
}

pub(super) enum Kind {
    Plain,
    Group(Member),
    Array(Member),
}

/// What the metadata of a node say.
pub(super) struct Member {
    /// 2 or 3.
    pub(super) version: u8,
    /// `zarr.json`, `.zgroup` or `.zarray`.
    pub(super) document: Map<String, Value>,
    pub(super) attributes: Map<String, Value>,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Chunks or shards that exist.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What an array needs to come along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its chunks are copied as they are.
    Bytes,
    /// Its codecs cannot be said in the other version of Zarr: its chunks are decoded and encoded anew.
    Anew,
}

fn join(path: &str, name: &str) -> String {
    format!("{}{name}", below(path))
}

impl Hierarchy {
    /// Finds all nodes below a path: a directory, a zip, or a place on the network.
    ///
    /// # Errors
    /// [`IoError::NotAnImage`] where there is no Zarr, or one that is not finished; those of reading.
    pub fn open(path: &Path, remote: &Remote) -> Result<Self, IoError> {
        let store = crate::info::read_store(path, remote)?;
        let options = OpenOptions::default();
        let finder = Finder::new(store.clone(), &options);
        let mut nodes = Vec::new();
        walk(&finder, &*store, "", 0, &mut nodes)?;
        let name = store.name();
        let bad = |why: &str| IoError::NotAnImage { store: name.clone(), why: why.to_owned() };
        match nodes.first() {
            Some(Node { kind: Kind::Group(root), .. }) if root.attributes.contains_key(UNFINISHED) => {
                Err(bad("an output of voxtile that was not finished"))
            }
            Some(Node { kind: Kind::Group(_) | Kind::Array(_), .. }) => Ok(Self { store, name, nodes }),
            _ => Err(bad("a directory without Zarr metadata")),
        }
    }

    /// How it is named in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of its root.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.nodes[0].kind {
            Kind::Group(Member { version: 2, .. }) | Kind::Array(Member { version: 2, .. }) => Format::ZarrV2,
            _ => Format::ZarrV3,
        }
    }

    /// Paths of its arrays; `""` where the root is one.
    pub fn arrays(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|n| matches!(n.kind, Kind::Array(_))).map(|n| n.path.as_str())
    }

    /// How many groups it has.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.nodes.iter().filter(|n| matches!(n.kind, Kind::Group(_))).count()
    }

    fn member(&self, path: &str) -> Option<&Member> {
        self.nodes.iter().find_map(|node| match &node.kind {
            Kind::Array(member) | Kind::Group(member) if node.path == path => Some(member),
            _ => None,
        })
    }

    fn parent(&self, path: &str) -> Option<(&Member, String)> {
        // A level of a pyramid may lie deeper than its group.
        path.char_indices().rev().filter(|(_, c)| *c == '/').map(|(at, _)| at).chain([0]).find_map(|at| {
            let member = self.member(&path[..at])?;
            Some((member, path[at..].trim_start_matches('/').to_owned()))
        })
    }

    /// How an array can come along to that version.
    #[must_use]
    pub fn way(&self, array: &str, to: Format) -> Way {
        match self.member(array).and_then(|member| self.array_documents(array, member, to)) {
            Some(_) => Way::Bytes,
            None => Way::Anew,
        }
    }

    /// The documents of an array whose chunks stay as they are.
    fn array_documents(&self, path: &str, member: &Member, to: Format) -> Option<Vec<(&'static str, Value)>> {
        let names = self.parent(path).and_then(|(group, rest)| convert::axes_of(&group.attributes, &rest));
        convert::array(member, to, names)
    }

    /// Copies the chunks of an array as they are, so many at once, and its metadata. `wanted` says whether to go on.
    ///
    /// # Errors
    /// Those of reading and writing; [`IoError::Unsupported`] if its way is not [`Way::Bytes`].
    pub fn copy_array(
        &self,
        array: &str,
        out: &dyn ByteStore,
        to: Format,
        workers: usize,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Copied, IoError> {
        let unsupported = || {
            let feature = crate::Feature::Other("codecs that the other version of Zarr has not".to_owned());
            IoError::Unsupported { store: format!("{}/{array}", self.name), feature }
        };
        let member = self.member(array).ok_or_else(unsupported)?;
        let documents = self.array_documents(array, member, to).ok_or_else(unsupported)?;
        let grid = convert::Grid::of(member, to).ok_or_else(unsupported)?;
        let (next, objects, bytes) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let (stop, failed) = (AtomicBool::new(false), Mutex::new(None));
        let one = |n: u64| -> Result<(), IoError> {
            let (from, into) = grid.keys(n);
            if let Some(len) = copy(&*self.store, &join(array, &from), out, &join(array, &into))? {
                objects.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(len, Ordering::Relaxed);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            for _ in 0..workers.max(1) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) && wanted() {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= grid.len() {
                            return;
                        }
                        if let Err(error) = one(n) {
                            stop.store(true, Ordering::Relaxed);
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        for (name, document) in documents {
            put(out, array, name, &document)?;
        }
        Ok(Copied { objects: objects.into_inner(), bytes: bytes.into_inner() })
    }

    /// Gives an array that was encoded anew the attributes, names and fill value of the one that it comes from.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn dress(&self, array: &str, out: &dyn ByteStore, to: Format) -> Result<(), IoError> {
        let Some(member) = self.member(array) else { return Ok(()) };
        let names = self.parent(array).and_then(|(group, rest)| convert::axes_of(&group.attributes, &rest));
        let name = if to == Format::ZarrV2 { ".zarray" } else { "zarr.json" };
        let bytes = out.get(&join(array, name), 64 << 20)?.unwrap_or_default();
        let Ok(Value::Object(mut document)) = serde_json::from_slice(&bytes) else { return Ok(()) };
        for (name, document) in convert::dress(member, &mut document, to, names) {
            put(out, array, name, &document)?;
        }
        Ok(())
    }

    /// Copies what is neither array nor group, and writes the metadata of the groups, the root's last.
    ///
    /// # Errors
    /// Those of reading and writing; [`IoError::Unsupported`] for metadata that the other version cannot hold.
    pub fn finish(&self, out: &dyn ByteStore, to: Format) -> Result<(), IoError> {
        for node in &self.nodes {
            for file in &node.files {
                let key = join(&node.path, file);
                copy(&*self.store, &key, out, &key)?;
            }
        }
        // The mark of an output that is not complete, where nothing stands in its place.
        let attributes = out.get(".zattrs", 64 << 20)?;
        if attributes.is_some_and(|bytes| {
            serde_json::from_slice::<Map<String, Value>>(&bytes).is_ok_and(|map| map.contains_key(UNFINISHED))
        }) {
            out.delete(".zattrs")?;
        }
        if to == Format::ZarrV2 && matches!(self.nodes[0].kind, Kind::Array(_)) {
            out.delete(".zgroup")?;
        }
        for node in self.nodes.iter().rev() {
            let Kind::Group(member) = &node.kind else { continue };
            for (name, document) in self.group_documents(&node.path, member, to)? {
                put(out, &node.path, name, &document)?;
            }
        }
        Ok(())
    }

    /// Refuses what cannot be said in that version, before anything is written.
    ///
    /// # Errors
    /// [`IoError::Unsupported`].
    pub fn check(&self, to: Format) -> Result<(), IoError> {
        self.nodes.iter().try_for_each(|node| match &node.kind {
            Kind::Group(member) => self.group_documents(&node.path, member, to).map(|_| ()),
            _ => Ok(()),
        })
    }

    fn group_documents(
        &self,
        path: &str,
        member: &Member,
        to: Format,
    ) -> Result<Vec<(&'static str, Value)>, IoError> {
        let attributes = convert::attributes(member, to).map_err(|feature| IoError::Unsupported {
            store: format!("{}{}{path}", self.name, if path.is_empty() { "" } else { "/" }),
            feature,
        })?;
        Ok(if to == Format::ZarrV2 {
            let mut documents = vec![(".zgroup", json!({"zarr_format": 2}))];
            if !attributes.is_empty() {
                documents.push((".zattrs", attributes.into()));
            }
            documents
        } else {
            let mut document = match member.version {
                3 => member.document.clone(),
                _ => Map::from_iter([("zarr_format".into(), 3.into()), ("node_type".into(), "group".into())]),
            };
            // It may name what has another form now.
            document.remove("consolidated_metadata");
            document.insert("attributes".to_owned(), attributes.into());
            vec![("zarr.json", document.into())]
        })
    }

    /// Marks a place as an output that is not complete.
    ///
    /// # Errors
    /// Those of writing; [`IoError::Exists`] if somebody else was faster.
    pub fn begin(out: &dyn ByteStore, to: Format) -> Result<(), IoError> {
        for (n, (name, document)) in super::describe::unfinished(to).into_iter().enumerate() {
            let bytes = text(&document);
            if n > 0 {
                out.put(&name, &bytes)?;
            } else if !out.put_new(&name, &bytes)? {
                return Err(IoError::Exists { path: out.name().into() });
            }
        }
        Ok(())
    }
}

fn text(document: &Value) -> Vec<u8> {
    format!("{document:#}\n").into_bytes()
}

fn put(out: &dyn ByteStore, path: &str, name: &str, document: &Value) -> Result<(), IoError> {
    out.put(&join(path, name), &text(document))
}

/// Copies an object, if it is there, and says how many bytes it has.
fn copy(from: &dyn ByteStore, key: &str, out: &dyn ByteStore, to: &str) -> Result<Option<u64>, IoError> {
    let mut buffer = crate::Buffer::default();
    let mut piece = |offset: u64| {
        let got = from.get_range(key, ByteRange::Part { offset, len: PIECE }, PIECE, &mut buffer)?;
        Ok::<_, IoError>(got.map(|n| buffer.filled(n).to_vec()))
    };
    let Some(first) = piece(0)? else { return Ok(None) };
    if (first.len() as u64) < PIECE {
        out.put(to, &first)?;
        return Ok(Some(first.len() as u64));
    }
    let mut writer = out.begin(to)?;
    let (mut next, mut done) = (first, 0);
    loop {
        writer.append(&next)?;
        done += next.len() as u64;
        if (next.len() as u64) < PIECE {
            break;
        }
        next = piece(done)?.unwrap_or_default();
    }
    writer.commit()?;
    Ok(Some(done))
}

/// Finds the nodes below a path, itself first.
fn walk(
    finder: &Finder<'_>,
    store: &dyn ByteStore,
    path: &str,
    depth: usize,
    nodes: &mut Vec<Node>,
) -> Result<(), IoError> {
    if nodes.len() >= MAX_NODES || depth > MAX_DEPTH {
        let feature = crate::Feature::Other(format!("more than {MAX_NODES} nodes or {MAX_DEPTH} levels"));
        return Err(IoError::Unsupported { store: store.name(), feature });
    }
    let kind = kind(finder, path)?;
    let own = nodes.len();
    let is_array = matches!(kind, Kind::Array(_));
    nodes.push(Node { path: path.to_owned(), kind, files: Vec::new() });
    if is_array {
        return Ok(());
    }
    for name in finder.names(path)? {
        if ROOT.contains(&name.as_str()) || name == ".zmetadata" {
            continue;
        }
        let below = join(path, &name);
        if store.size(&below)?.is_some() {
            nodes[own].files.push(name);
        } else {
            walk(finder, store, &below, depth + 1, nodes)?;
        }
    }
    Ok(())
}

fn kind(finder: &Finder<'_>, path: &str) -> Result<Kind, IoError> {
    if let Some(document) = finder.document(path, "zarr.json")? {
        let attributes = document.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
        let is_array = document.get("node_type").and_then(Value::as_str) == Some("array");
        let member = Member { version: 3, document, attributes };
        return Ok(if is_array { Kind::Array(member) } else { Kind::Group(member) });
    }
    let array = finder.document(path, ".zarray")?;
    let attributes = finder.document(path, ".zattrs")?;
    let group = if array.is_none() { finder.document(path, ".zgroup")? } else { None };
    let known = attributes.is_some();
    let attributes = attributes.unwrap_or_default();
    Ok(match (array, group) {
        (Some(document), _) => Kind::Array(Member { version: 2, document, attributes }),
        (None, Some(document)) => Kind::Group(Member { version: 2, document, attributes }),
        (None, None) if known => Kind::Group(Member { version: 2, document: Map::default(), attributes }),
        (None, None) => Kind::Plain,
    })
}

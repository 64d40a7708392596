//! A look at all of a Zarr's metadata: which images are in it, and what is wrong with their structure. No voxel is read.

mod image;
mod labels;
mod plate;
#[cfg(test)]
mod tests;

use super::open::{Finder, Node, UNFINISHED, join};
use crate::info::zarr_at;
use crate::ome::rules::{self, Breach, OmeVersion};
use crate::{IoError, OpenOptions, Remote, Url};
use serde_json::{Map, Value};
use std::path::Path;

/// What is in a Zarr, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Survey {
    /// Images, label images, and arrays that belong to none.
    pub images: Vec<Surveyed>,
    /// What is wrong, in the order of the hierarchy.
    pub findings: Vec<Finding>,
}

/// An image of a Zarr.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surveyed {
    /// Path of its group, or of a bare array; empty for the root.
    pub path: String,
    /// How many resolution levels can be read.
    pub levels: usize,
    /// How each level is made of the one before, in the file's own words.
    pub method: Option<String>,
    /// Version of OME-Zarr; `None` for a bare array.
    pub version: Option<String>,
}

/// Something that is wrong with the structure, and where.
#[derive(Debug)]
pub struct Finding {
    /// Path of the group or array; empty for the root.
    pub place: String,
    /// What is wrong.
    pub fault: StructureFault,
}

/// What can be wrong with the structure of a Zarr.
#[derive(Debug, thiserror::Error)]
pub enum StructureFault {
    /// A rule of OME-Zarr.
    #[error("{0}")]
    Rule(Breach),
    /// Metadata that cannot be read.
    #[error(transparent)]
    Unreadable(Box<IoError>),
    /// An output that was not finished.
    #[error("an output of voxtile that was not finished")]
    Unfinished,
    /// A level that is not there.
    #[error("level {level} is `{path}`, where no array is")]
    NoLevel {
        /// Number of the level.
        level: usize,
        /// Its path.
        path: String,
    },
    /// Another number of axes.
    #[error("the array has {rank} axes, the image {axes}")]
    Rank {
        /// Axes of the array.
        rank: usize,
        /// Axes of the image.
        axes: usize,
    },
    /// Other names of axes.
    #[error("dimension_names are {names}, the image's axes {axes}")]
    Names {
        /// Of the array.
        names: String,
        /// Of the image.
        axes: String,
    },
    /// Another sample type than that of level 0.
    #[error("the sample type is {is}, that of level 0 {first}")]
    Dtype {
        /// Of this level.
        is: &'static str,
        /// Of level 0.
        first: &'static str,
    },
    /// A level that is larger than the one before.
    #[error("the shape is {is:?}, larger than the {above:?} of the level before")]
    Grows {
        /// Of this level.
        is: Vec<u64>,
        /// Of the level before.
        above: Vec<u64>,
    },
    /// A scale that does not fit the shape.
    #[error("axis {axis} has {len} voxels of scale {scale}, level 0 has {first_len} of {first_scale}")]
    ScaleOff {
        /// Name of the axis.
        axis: String,
        /// Voxels of this level.
        len: u64,
        /// Their size.
        scale: f64,
        /// Voxels of level 0.
        first_len: u64,
        /// Their size.
        first_scale: f64,
    },
    /// A version of OME-Zarr in the other Zarr format.
    #[error("OME-Zarr {version} is written in Zarr v{wants}, and this is v{is}")]
    ZarrFormat {
        /// Of OME-Zarr.
        version: String,
        /// Format that it wants.
        wants: u8,
        /// Format that it has.
        is: u8,
    },
    /// Channels that are described are not those that are there.
    #[error("omero describes {described}, the image has {present} channels")]
    Channels {
        /// How many are described.
        described: usize,
        /// How many there are.
        present: u64,
    },
    /// A label image, field or well that is listed and not there.
    #[error("`{path}` is listed, and is no {what}")]
    NotThere {
        /// What it should be.
        what: &'static str,
        /// Its path.
        path: String,
    },
    /// A label image that is not listed.
    #[error("`{name}` is not listed in `labels`")]
    NotListed {
        /// Its name.
        name: String,
    },
    /// Labels that are no integers.
    #[error("labels are whole numbers, and these are {is}")]
    LabelType {
        /// The sample type.
        is: &'static str,
    },
    /// Labels of another shape than the image.
    #[error("the labels are {labels}, the image is {image}")]
    LabelShape {
        /// Axes and sizes.
        labels: String,
        /// Axes and sizes.
        image: String,
    },
    /// Labels of another number of levels than the image.
    #[error("the labels have {labels} levels, the image has {image}")]
    LabelLevels {
        /// Of the labels.
        labels: usize,
        /// Of the image.
        image: usize,
    },
    /// A field of a plate with several acquisitions that says none, or one that the plate does not list.
    #[error("field `{field}` has the acquisition {is}, the plate lists {listed:?}")]
    Acquisition {
        /// Path of the field.
        field: String,
        /// What it says.
        is: String,
        /// What the plate lists.
        listed: Vec<u64>,
    },
    /// More fields in a well than the plate says.
    #[error("the well has {fields} fields, field_count of the plate is {count}")]
    FieldCount {
        /// Of the well.
        fields: usize,
        /// Of the plate.
        count: u64,
    },
}

impl StructureFault {
    /// Whether the specification says *should* instead of *must*.
    #[must_use]
    pub fn is_advice(&self) -> bool {
        match self {
            Self::Rule(breach) => breach.rule.is_advice(),
            Self::NotListed { .. } | Self::LabelLevels { .. } | Self::FieldCount { .. } => true,
            _ => false,
        }
    }
}

/// How deep groups are followed.
const MAX_DEPTH: usize = 8;
/// Children of a group that are looked at.
const MAX_LISTED: usize = 100_000;

/// Looks at the metadata of a Zarr below `array`, the root if that is empty. `None` if there is no Zarr at the path, or
/// one on a web server, which lists nothing.
///
/// # Errors
/// [`IoError::Io`], [`IoError::Remote`].
pub fn survey(path: &Path, array: &str, remote: &Remote) -> Result<Option<Survey>, IoError> {
    if Url::of(path)?.is_some_and(|url| !url.scheme().writes()) {
        return Ok(None);
    }
    let Some(store) = zarr_at(path, remote)? else { return Ok(None) };
    let options = OpenOptions::default();
    let finder = Finder { name: path.display().to_string(), ..Finder::new(store, &options) };
    let mut surveyor = Surveyor { finder, out: Survey::default() };
    surveyor.visit(array.trim_matches('/'), 0)?;
    Ok(Some(surveyor.out))
}

/// Names of the label images that an image lists, as `--array` takes them; none where they cannot be read.
#[must_use]
pub fn labels(path: &Path, array: &str, remote: &Remote) -> Vec<String> {
    let Ok(Some(store)) = zarr_at(path, remote) else { return Vec::new() };
    let options = OpenOptions::default();
    let finder = Finder { name: path.display().to_string(), ..Finder::new(store, &options) };
    let below = join(array.trim_matches('/'), "labels");
    let Ok(Some(Node::Group { attributes })) = finder.node(&below) else { return Vec::new() };
    let list = ome(&attributes).get("labels").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|name| join(&below, name.trim_matches('/')))
        .collect()
}

struct Surveyor<'a> {
    finder: Finder<'a>,
    out: Survey,
}

/// A group's metadata, in the form of 0.5 and later.
fn ome(attributes: &Map<String, Value>) -> &Map<String, Value> {
    attributes.get("ome").and_then(Value::as_object).unwrap_or(attributes)
}

/// Texts of a list of objects: `path` of `images`.
fn texts<'v>(list: Option<&'v Value>, key: &'v str) -> impl Iterator<Item = (&'v Value, &'v str)> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(move |one| Some((one, one.get(key)?.as_str()?)))
}

impl Surveyor<'_> {
    fn found(&mut self, place: &str, fault: StructureFault) {
        self.out.findings.push(Finding { place: place.to_owned(), fault });
    }

    /// A node, if it can be read; what is wrong with it is noted.
    fn node(&mut self, path: &str) -> Result<Option<Node>, IoError> {
        match self.finder.node(path) {
            Ok(node) => Ok(node),
            Err(error @ (IoError::Header { .. } | IoError::Unsupported { .. })) => {
                self.found(path, StructureFault::Unreadable(Box::new(error)));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Attributes of a group of which more is known than that it is there.
    fn group(&mut self, path: &str) -> Result<Option<Map<String, Value>>, IoError> {
        Ok(match self.node(path)? {
            Some(Node::Group { attributes }) => Some(attributes),
            _ => None,
        })
    }

    fn visit(&mut self, path: &str, depth: usize) -> Result<(), IoError> {
        match self.node(path)? {
            Some(Node::Array(_)) => {
                self.out.images.push(Surveyed { path: path.to_owned(), levels: 1, ..Surveyed::default() });
                Ok(())
            }
            Some(Node::Group { attributes }) => self.enter(path, &attributes, depth),
            None => Ok(()),
        }
    }

    fn enter(&mut self, path: &str, attributes: &Map<String, Value>, depth: usize) -> Result<(), IoError> {
        if attributes.contains_key(UNFINISHED) {
            self.found(path, StructureFault::Unfinished);
            return Ok(());
        }
        for breach in rules::check(attributes, None) {
            self.found(path, StructureFault::Rule(breach));
        }
        self.format(path, attributes)?;
        let ome = ome(attributes);
        if ome.contains_key("plate") {
            return self.plate(path, attributes, depth);
        }
        if ome.contains_key("multiscales") {
            return self.image(path, attributes);
        }
        if depth < MAX_DEPTH {
            for name in self.finder.store.list(path)?.into_iter().take(MAX_LISTED) {
                let below = join(path, &name);
                if self.finder.is_node(&below)? {
                    self.visit(&below, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// 0.4 is Zarr v2, later versions are v3.
    fn format(&mut self, path: &str, attributes: &Map<String, Value>) -> Result<(), IoError> {
        let inner = ome(attributes);
        let is_ome =
            ["multiscales", "plate", "well", "labels", "image-label"].iter().any(|k| inner.contains_key(*k));
        if !is_ome {
            return Ok(());
        }
        let nested = attributes.contains_key("ome");
        let is = if self.finder.store.size(&join(path, "zarr.json"))?.is_some() { 3 } else { 2 };
        let wants = if nested { 3 } else { 2 };
        if is != wants {
            let named = inner.get("version").and_then(Value::as_str);
            let version =
                named.unwrap_or(if nested { OmeVersion::V05 } else { OmeVersion::V04 }.name()).to_owned();
            self.found(path, StructureFault::ZarrFormat { version, wants, is });
        }
        Ok(())
    }
}

//! An image: its levels, channels and labels.

use super::{StructureFault, Surveyed, Surveyor, ome};
use crate::IoError;
use crate::ome::{Multiscale, multiscale};
use crate::zarr::metadata::ArrayHead;
use crate::zarr::open::{Node, join};
use serde_json::{Map, Value};

/// Halving the longest axis there may be ends before so many.
const MOST_LEVELS: usize = 64;

impl Surveyor<'_> {
    pub(super) fn image(&mut self, path: &str, attributes: &Map<String, Value>) -> Result<(), IoError> {
        // What cannot be read breaks a rule that was noted.
        let Ok(Some(found)) = multiscale(attributes) else { return Ok(()) };
        let levels = self.levels(path, &found)?;
        let inner = ome(attributes);
        let first = inner.get("multiscales").and_then(|m| m.get(0));
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let method = text(first.and_then(|m| m.get("type")));
        let version = Some(found.version.clone());
        self.out.images.push(Surveyed { path: path.to_owned(), levels: levels.len(), method, version });
        self.channels(path, inner, &found, levels.first());
        if inner.contains_key("image-label")
            && let Some(head) = levels.first()
            && head.dtype.is_float()
        {
            self.found(path, StructureFault::LabelType { is: head.dtype.numpy_name() });
        }
        self.labels(path, &found, &levels)
    }

    /// The levels that can be read, up to the first that cannot, and no more than any image has.
    fn levels(&mut self, path: &str, image: &Multiscale) -> Result<Vec<ArrayHead>, IoError> {
        let mut heads: Vec<ArrayHead> = Vec::new();
        let mut whole = true;
        for (n, level) in image.levels.iter().enumerate().take(MOST_LEVELS) {
            let at = join(path, &level.path);
            let before = self.out.findings.len();
            let Some(Node::Array(head)) = self.node(&at)? else {
                if self.out.findings.len() == before {
                    self.found(path, StructureFault::NoLevel { level: n, path: level.path.clone() });
                }
                whole = false;
                continue;
            };
            let fits = self.level(&at, image, n, &head, &heads);
            if whole && fits {
                heads.push(*head);
            } else {
                whole = false;
            }
        }
        Ok(heads)
    }

    /// Whether a level can be read with those before it.
    fn level(
        &mut self,
        at: &str,
        image: &Multiscale,
        n: usize,
        head: &ArrayHead,
        before: &[ArrayHead],
    ) -> bool {
        let rank = head.shape.len();
        if let Some(axes) = &image.axes {
            if axes.len() != rank {
                self.found(at, StructureFault::Rank { rank, axes: axes.len() });
                return false;
            }
            let axes: Vec<&str> = axes.iter().map(|a| a.name.as_str()).collect();
            let named = head.names.as_ref().filter(|_| head.version == 3);
            if head.version == 3 && named.is_none_or(|names| *names != axes) {
                let names = named.map_or_else(|| "not there".to_owned(), |names| names.join(", "));
                self.found(at, StructureFault::Names { names, axes: axes.join(", ") });
            }
        }
        let (Some(first), Some(above)) = (before.first(), before.last()) else { return true };
        if first.dtype != head.dtype {
            let (is, first) = (head.dtype.numpy_name(), first.dtype.numpy_name());
            self.found(at, StructureFault::Dtype { is, first });
        }
        if above.shape.len() != rank {
            self.found(at, StructureFault::Rank { rank, axes: above.shape.len() });
            return false;
        }
        if head.shape.iter().zip(&above.shape).any(|(here, above)| here > above) {
            let (is, above) = (head.shape.clone(), above.shape.clone());
            self.found(at, StructureFault::Grows { is, above });
        }
        let (fine, coarse) = (&image.levels[0].scale, &image.levels[n].scale);
        if fine.len() == rank && coarse.len() == rank {
            for a in 0..rank {
                let (len, first_len) = (head.shape[a], first.shape[a]);
                let (scale, first_scale) = (coarse[a], fine[a]);
                // A level is cut or rounded up at its far edge, once for each step that leads to it.
                let want = first_len as f64 * first_scale / scale;
                let off = (want - len as f64).abs();
                if off.is_nan() || off > 1.0 + n as f64 * 0.5 {
                    let axis = image.axes.as_ref().map_or_else(|| a.to_string(), |axes| axes[a].name.clone());
                    self.found(at, StructureFault::ScaleOff { axis, len, scale, first_len, first_scale });
                }
            }
        }
        true
    }

    /// Whether the channels that are described are those that are there.
    fn channels(
        &mut self,
        path: &str,
        inner: &Map<String, Value>,
        image: &Multiscale,
        first: Option<&ArrayHead>,
    ) {
        let listed = inner.get("omero").and_then(|o| o.get("channels")).and_then(Value::as_array);
        let (Some(listed), Some(head), Some(axes)) = (listed, first, &image.axes) else { return };
        let c = axes.iter().position(|a| a.name == "c");
        let present = c.map_or(1, |c| head.shape[c]);
        if listed.len() as u64 != present {
            self.found(path, StructureFault::Channels { described: listed.len(), present });
        }
    }
}

//! The label images below an image.

use super::{StructureFault, Surveyor, ome};
use crate::IoError;
use crate::ome::{Multiscale, multiscale};
use crate::zarr::metadata::ArrayHead;
use crate::zarr::open::{Node, join};
use serde_json::Value;

impl Surveyor<'_> {
    pub(super) fn labels(
        &mut self,
        path: &str,
        image: &Multiscale,
        levels: &[ArrayHead],
    ) -> Result<(), IoError> {
        let below = join(path, "labels");
        if !self.finder.is_node(&below)? {
            return Ok(());
        }
        let Some(attributes) = self.group(&below)? else { return Ok(()) };
        for breach in crate::ome::rules::check(&attributes, None) {
            self.found(&below, StructureFault::Rule(breach));
        }
        let list = ome(&attributes).get("labels").and_then(Value::as_array);
        let listed: Vec<String> = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|l| l.trim_matches('/').to_owned())
            .collect();
        for name in &listed {
            let at = join(&below, name);
            let Some(attributes) = self.group(&at)? else {
                self.found(&below, StructureFault::NotThere { what: "label image", path: name.clone() });
                continue;
            };
            if !matches!(multiscale(&attributes), Ok(Some(_))) {
                self.found(&below, StructureFault::NotThere { what: "label image", path: name.clone() });
            }
            self.fit(&at, &attributes, image, levels)?;
            self.enter(&at, &attributes, 0)?;
        }
        for name in self.finder.store.list(&below)? {
            if !listed.contains(&name) && self.finder.is_node(&join(&below, &name))? {
                self.found(&below, StructureFault::NotListed { name });
            }
        }
        Ok(())
    }

    /// Whether labels lie on their image.
    fn fit(
        &mut self,
        at: &str,
        attributes: &serde_json::Map<String, Value>,
        image: &Multiscale,
        levels: &[ArrayHead],
    ) -> Result<(), IoError> {
        let Ok(Some(labels)) = multiscale(attributes) else { return Ok(()) };
        let Some(first) = levels.first() else { return Ok(()) };
        let head = match self.finder.node(&join(at, &labels.levels[0].path)) {
            Ok(Some(Node::Array(head))) => head,
            Ok(_) | Err(IoError::Header { .. } | IoError::Unsupported { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if !ome(attributes).contains_key("image-label") && head.dtype.is_float() {
            self.found(at, StructureFault::LabelType { is: head.dtype.numpy_name() });
        }
        let named = |ome: &Multiscale, head: &ArrayHead| -> Vec<(String, u64)> {
            let axes = ome.axes.iter().flatten().map(|a| a.name.clone());
            axes.zip(head.shape.iter().copied()).filter(|(name, _)| name != "c").collect()
        };
        let (mine, its) = (named(&labels, &head), named(image, first));
        // Axes that one of them lacks are of one voxel.
        let size = |list: &[(String, u64)], name: &str| {
            list.iter().find(|(n, _)| n == name).map_or(1, |(_, len)| *len)
        };
        let names: Vec<&String> = mine.iter().chain(&its).map(|(name, _)| name).collect();
        if names.iter().any(|name| size(&mine, name) != size(&its, name)) {
            let text = |list: &[(String, u64)]| {
                list.iter().map(|(name, len)| format!("{name} {len}")).collect::<Vec<_>>().join(", ")
            };
            self.found(at, StructureFault::LabelShape { labels: text(&mine), image: text(&its) });
        }
        if labels.levels.len() != image.levels.len() {
            let (labels, image) = (labels.levels.len(), image.levels.len());
            self.found(at, StructureFault::LabelLevels { labels, image });
        }
        Ok(())
    }
}

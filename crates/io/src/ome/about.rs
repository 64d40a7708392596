//! What is written about an image besides its voxels and what [`Meta`](voxtile_sched::model::Meta) holds.

use super::rules::OmeVersion;
use serde_json::{Map, Value};

/// What is written about an image besides its voxels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Version of OME-Zarr; by default 0.4 for Zarr v2, 0.5 for v3.
    pub ome: Option<OmeVersion>,
    /// How smaller levels are made, in a word: `mean`.
    pub method: Option<&'static str>,
    /// Attributes of the input's group. What voxtile writes itself replaces what stands there; the rest is kept.
    pub carried: Map<String, Value>,
    /// Whether the values are those of the input, so that windows of contrast still hold.
    pub same_values: bool,
    /// Whether the smaller levels are those of the input too, and are made as it says.
    pub same_levels: bool,
    /// Of a label image: where its image lies, from the label image's group.
    pub labels_of: Option<String>,
}

/// Keys that describe what lies in a group, and are never carried to another one.
const STRUCTURE: [&str; 10] = [
    "ome",
    "version",
    "multiscales",
    "image-label",
    "omero",
    "labels",
    "plate",
    "well",
    "series",
    "bioformats2raw.layout",
];

impl About {
    /// Attributes of a group, in the form of 0.5 and later.
    fn ome(&self) -> &Map<String, Value> {
        self.carried.get("ome").and_then(Value::as_object).unwrap_or(&self.carried)
    }

    /// Puts what is carried beside what is written: at the top, and in the group's description of its image.
    pub(super) fn add(&self, top: &mut Map<String, Value>, ome: &mut Map<String, Value>) {
        let nested = self.carried.contains_key("ome");
        let keep = |from: &Map<String, Value>, to: &mut Map<String, Value>| {
            for (key, value) in from.iter().filter(|(key, _)| !STRUCTURE.contains(&key.as_str())) {
                to.entry(key.clone()).or_insert_with(|| value.clone());
            }
        };
        keep(&self.carried, top);
        if nested {
            keep(self.ome(), ome);
        }
        let image = self.ome().get("multiscales").and_then(|m| m.get(0)).and_then(Value::as_object);
        if let (Some(from), Some(to)) = (image, ome.get_mut("multiscales").and_then(|m| m.get_mut(0))) {
            const OURS: [&str; 8] = [
                "version",
                "name",
                "axes",
                "datasets",
                "coordinateTransformations",
                "coordinateSystems",
                "type",
                "metadata",
            ];
            let how = |key: &str| self.same_levels && matches!(key, "type" | "metadata");
            for (key, value) in from.iter().filter(|(key, _)| how(key) || !OURS.contains(&key.as_str())) {
                to[key] = value.clone();
            }
        }
        if let Some(label) = self.ome().get("image-label").and_then(Value::as_object)
            && let Some(to) = ome.get_mut("image-label").filter(|_| self.same_values)
        {
            for (key, value) in label.iter().filter(|(key, _)| !matches!(key.as_str(), "version" | "source"))
            {
                to[key] = value.clone();
            }
        }
    }

    /// Keys of `omero` beside its channels, and those of each channel that still hold.
    pub(super) fn omero(&self) -> (Map<String, Value>, Vec<Map<String, Value>>) {
        let mut omero = self.ome().get("omero").and_then(Value::as_object).cloned().unwrap_or_default();
        omero.remove("version");
        let channels = omero.remove("channels");
        let channels = channels.as_ref().and_then(Value::as_array).into_iter().flatten();
        let channel = |value: &Value| {
            let mut channel = value.as_object().cloned().unwrap_or_default();
            for key in ["label", "color"] {
                channel.remove(key);
            }
            let is_window = |w: &Value| {
                ["min", "max", "start", "end"].iter().all(|k| w.get(k).is_some_and(Value::is_number))
            };
            if !self.same_values || !channel.get("window").is_some_and(is_window) {
                channel.remove("window");
            }
            channel
        };
        (omero, channels.map(channel).collect())
    }
}

//! A plate: its wells, and the fields in them.

use super::{StructureFault, Surveyor, ome, texts};
use crate::IoError;
use crate::zarr::open::join;
use serde_json::{Map, Value};

impl Surveyor<'_> {
    pub(super) fn plate(
        &mut self,
        path: &str,
        attributes: &Map<String, Value>,
        depth: usize,
    ) -> Result<(), IoError> {
        let plate = &ome(attributes)["plate"];
        let acquisitions: Vec<u64> = plate
            .get("acquisitions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|a| a.get("id")?.as_u64())
            .collect();
        let count = plate.get("field_count").and_then(Value::as_u64);
        for (_, well) in texts(plate.get("wells"), "path") {
            let at = join(path, well.trim_matches('/'));
            let attributes = self.group(&at)?;
            let Some(attributes) = attributes.filter(|a| ome(a).contains_key("well")) else {
                self.found(path, StructureFault::NotThere { what: "well", path: well.to_owned() });
                continue;
            };
            for breach in crate::ome::rules::check(&attributes, None) {
                self.found(&at, StructureFault::Rule(breach));
            }
            let images = ome(&attributes)["well"].get("images");
            let mut fields = 0;
            for (image, field) in texts(images, "path") {
                fields += 1;
                let acquisition = image.get("acquisition").and_then(Value::as_u64);
                let is_wrong = match acquisition {
                    Some(id) => !acquisitions.is_empty() && !acquisitions.contains(&id),
                    None => acquisitions.len() > 1,
                };
                if is_wrong {
                    let is = image.get("acquisition").map_or_else(|| "none".to_owned(), Value::to_string);
                    let (field, listed) = (field.to_owned(), acquisitions.clone());
                    self.found(&at, StructureFault::Acquisition { field, is, listed });
                }
                let below = join(&at, field);
                let Some(attributes) = self.group(&below)? else {
                    self.found(&at, StructureFault::NotThere { what: "image", path: field.to_owned() });
                    continue;
                };
                if !ome(&attributes).contains_key("multiscales") {
                    self.found(&at, StructureFault::NotThere { what: "image", path: field.to_owned() });
                }
                self.enter(&below, &attributes, depth + 2)?;
            }
            if let Some(count) = count.filter(|&n| fields as u64 > n) {
                self.found(&at, StructureFault::FieldCount { fields, count });
            }
        }
        Ok(())
    }
}

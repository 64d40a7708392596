//! Images of MetaMorph and ImageXpress (MetaXpress): properties in XML, on every page.

use super::xml::elements;
use crate::tiff::series::Series;
use crate::tiff::units;
use std::collections::HashMap;
use voxtile_sched::model::{Axis, Channel};

/// The properties of a description, if MetaMorph wrote it.
fn properties(text: &str) -> Option<HashMap<String, String>> {
    let text = text.trim_start();
    if !text.starts_with("<MetaData>") || !text.contains("\"MetaMorph\"") {
        return None;
    }
    let named =
        |mut e: super::xml::Element| Some((e.attributes.remove("id")?, e.attributes.remove("value")?));
    let kinds = ["prop", "custom-prop"];
    Some(elements(text).into_iter().filter(|e| kinds.contains(&e.name.as_str())).filter_map(named).collect())
}

/// Gives an image the sizes and names that the descriptions of its first two pages tell. Says whether MetaMorph wrote
/// them.
pub(in crate::tiff) fn apply(first: &str, second: Option<&str>, series: &mut Series) -> bool {
    let Some(properties) = properties(first) else { return false };
    series.format = "MetaSeries TIFF";
    let text = |key: &str| properties.get(key).map(|v| v.trim()).filter(|v| !v.is_empty());
    let number = |key: &str| text(key).and_then(|v| v.parse::<f64>().ok());
    let unit = text("spatial-calibration-units").and_then(units::word);
    if text("spatial-calibration-state") == Some("on") && unit.is_some() {
        let axes = [(Axis::X, "spatial-calibration-x"), (Axis::Y, "spatial-calibration-y")];
        for (axis, key) in axes {
            series.spacing[axis.index()] = number(key).and_then(|v| units::spacing(v, unit));
        }
    }
    if series.counts[2] > 1 {
        let z = |text: &str| self::properties(text)?.get("z-position")?.trim().parse::<f64>().ok();
        let step = second.and_then(z).zip(z(first)).map(|(b, a)| (b - a).abs());
        series.spacing[Axis::Z.index()] = step.and_then(|s| units::spacing(s, Some("micrometer")));
    }
    // The light that was chosen, for what one channel is.
    if let Some(name) = text("_IllumSetting_").filter(|_| series.counts[1] == 1) {
        series.channels = vec![Channel { name: Some(name.to_owned()), color: None }];
    }
    series.name = text("stage-label").or(text("image-name")).map(str::to_owned);
    series.details.extend(text("_MagSetting_").map(|o| ("objective", o.to_owned())));
    true
}

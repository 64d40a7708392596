//! Writing OME-Zarr metadata: 0.5 for Zarr v3, 0.4 for v2.

use serde_json::{Map, Value, json};
use voxtile_sched::model::{Axis, Dtype, Kind, Meta};

/// Whether OME-Zarr has words for the image: it wants two or three space axes.
pub(crate) fn can_describe(meta: &Meta) -> bool {
    meta.axes.space().len() >= 2
}

/// The attributes of a group with these levels of an image, the finest first: paths, and what they hold. `windows` are the
/// values that each channel is shown from and to, where they are known.
pub(crate) fn attributes(
    levels: &[(&str, &Meta)],
    windows: Option<&[(f64, f64)]>,
    v2: bool,
) -> Map<String, Value> {
    let meta = levels[0].1;
    let axes: Vec<Value> = meta.axes.iter().map(|a| axis(meta, a)).collect();
    let datasets: Vec<Value> = levels
        .iter()
        .map(|(path, level)| json!({"path": path, "coordinateTransformations": transforms(level)}))
        .collect();
    let mut multiscale = Map::new();
    if v2 {
        multiscale.insert("version".into(), "0.4".into());
    }
    if let Some(name) = &meta.name {
        multiscale.insert("name".into(), name.as_str().into());
    }
    multiscale.insert("axes".into(), axes.into());
    multiscale.insert("datasets".into(), datasets.into());
    let mut ome = Map::new();
    if !v2 {
        ome.insert("version".into(), "0.5".into());
    }
    ome.insert("multiscales".into(), json!([multiscale]));
    if meta.kind == Kind::Labels {
        let label = if v2 { json!({"version": "0.4"}) } else { json!({}) };
        ome.insert("image-label".into(), label);
    }
    if windows.is_some() || meta.channels.iter().any(|c| c.name.is_some() || c.color.is_some()) {
        ome.insert("omero".into(), omero(meta, windows, v2));
    }
    if v2 { ome } else { Map::from_iter([("ome".to_owned(), Value::Object(ome))]) }
}

/// Size and place of a level's voxels.
fn transforms(meta: &Meta) -> Vec<Value> {
    let spacing = |of: fn(&voxtile_sched::model::Spacing) -> f64, absent: f64| -> Vec<f64> {
        meta.axes.iter().map(|a| meta.spacing[a.index()].as_ref().map_or(absent, of)).collect()
    };
    let mut transforms = vec![json!({"type": "scale", "scale": spacing(|s| s.scale, 1.0)})];
    let translation = spacing(|s| s.origin, 0.0);
    if translation.iter().any(|&t| t != 0.0) {
        transforms.push(json!({"type": "translation", "translation": translation}));
    }
    transforms
}

fn axis(meta: &Meta, axis: Axis) -> Value {
    let kind = match axis {
        Axis::T => "time",
        Axis::C => "channel",
        Axis::Z | Axis::Y | Axis::X => "space",
    };
    let mut out = Map::from_iter([("name".to_owned(), axis.name().into()), ("type".to_owned(), kind.into())]);
    let spacing = meta.spacing[axis.index()].as_ref();
    if let Some(unit) = spacing.and_then(|s| s.unit.as_deref()).filter(|_| axis != Axis::C) {
        let unit = crate::tiff::units::word(unit).unwrap_or(unit);
        out.insert("unit".into(), unit.into());
    }
    out.into()
}

fn omero(meta: &Meta, windows: Option<&[(f64, f64)]>, v2: bool) -> Value {
    let (low, high) = match meta.dtype {
        Dtype::F32 | Dtype::F64 => (0.0, 1.0),
        Dtype::U8 => (0.0, 255.0),
        Dtype::I8 => (-128.0, 127.0),
        Dtype::U16 => (0.0, 65_535.0),
        Dtype::I16 => (-32_768.0, 32_767.0),
        Dtype::U32 => (0.0, f64::from(u32::MAX)),
        Dtype::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        Dtype::U64 => (0.0, u64::MAX as f64),
        Dtype::I64 => (i64::MIN as f64, i64::MAX as f64),
    };
    let one = |n: usize| {
        let known = meta.channels.get(n);
        let mut out = Map::new();
        if let Some(name) = known.and_then(|c| c.name.as_deref()) {
            out.insert("label".into(), name.into());
        }
        out.insert("color".into(), known.and_then(|c| c.color.as_deref()).unwrap_or("FFFFFF").into());
        out.insert("active".into(), true.into());
        let (start, end) = windows.and_then(|w| w.get(n)).copied().unwrap_or((low, high));
        let (min, max) = (start.min(low), end.max(high));
        out.insert("window".into(), json!({"min": min, "max": max, "start": start, "end": end}));
        Value::Object(out)
    };
    let count = meta.channels.len().max(windows.map_or(0, <[_]>::len));
    let channels: Vec<Value> = (0..count).map(one).collect();
    if v2 { json!({"version": "0.4", "channels": channels}) } else { json!({"channels": channels}) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ome::multiscale;
    use voxtile_sched::model::{AxisSet, Channel, Spacing};

    #[test]
    fn what_is_written_is_read_back() {
        let mut meta = Meta::new([1, 2, 3, 4, 5], AxisSet::parse("czyx").unwrap(), Dtype::U16);
        meta.spacing[2] = Some(Spacing { scale: 0.29, origin: 1.5, unit: Some("micrometer".into()) });
        meta.channels = vec![Channel { name: Some("a".into()), color: None }, Channel::default()];
        meta.name = Some("cells".into());
        meta.kind = Kind::Labels;
        for v2 in [true, false] {
            let back = multiscale(&attributes(&[("0", &meta)], None, v2)).unwrap().unwrap();
            assert_eq!(back.version, if v2 { "0.4" } else { "0.5" });
            assert_eq!(back.levels[0].scale, [1.0, 0.29, 1.0, 1.0]);
            assert_eq!(back.levels[0].translation, [0.0, 1.5, 0.0, 0.0]);
            assert_eq!(back.axes.unwrap()[1].unit.as_deref(), Some("micrometer"));
            assert_eq!((back.kind, back.name.as_deref()), (Kind::Labels, Some("cells")));
            assert_eq!(back.channels[0].name.as_deref(), Some("a"));
        }
    }

    #[test]
    fn channels_are_shown_in_their_windows() {
        let meta = Meta::new([1, 2, 1, 4, 5], AxisSet::parse("cyx").unwrap(), Dtype::F32);
        let of = |windows| attributes(&[("0", &meta)], windows, true)["omero"]["channels"].clone();
        let channels = of(Some(&[(0.25, 0.5), (-3.0, 900.0)][..]));
        assert_eq!(channels[0]["window"], json!({"min": 0.0, "max": 1.0, "start": 0.25, "end": 0.5}));
        assert_eq!(channels[1]["window"], json!({"min": -3.0, "max": 900.0, "start": -3.0, "end": 900.0}));
        assert!(attributes(&[("0", &meta)], None, true).get("omero").is_none());
    }
}

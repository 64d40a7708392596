//! Writing OME-Zarr metadata: 0.4, 0.5 and 0.6.

use super::about::About;
use super::rules::OmeVersion;
use serde_json::{Map, Value, json};
use voxtile_sched::model::{Axis, Dtype, Kind, Meta};

/// Name of the coordinate system of 0.6 in which voxels have their physical size.
const SYSTEM: &str = "physical";

/// Whether OME-Zarr has words for the image: it wants two or three space axes.
pub(crate) fn can_describe(meta: &Meta) -> bool {
    meta.axes.space().len() >= 2
}

/// How an image is shown, where that is known.
#[derive(Default)]
pub(crate) struct Shown<'a> {
    /// The values that each channel is shown from and to.
    pub(crate) windows: Option<&'a [(f64, f64)]>,
    /// Colours of the objects of a label image, as they are written.
    pub(crate) colors: Option<Value>,
}

/// The attributes of a group with these levels of an image, the finest first: paths, and what they hold.
pub(crate) fn attributes(
    levels: &[(&str, &Meta)],
    shown: &Shown<'_>,
    version: OmeVersion,
    about: &About,
) -> Map<String, Value> {
    let (meta, windows) = (levels[0].1, shown.windows);
    let axes: Vec<Value> = meta.axes.iter().map(|a| axis(meta, a)).collect();
    let dataset = |(path, level): &(&str, &Meta)| {
        let mut steps = transforms(level);
        if version == OmeVersion::V06 {
            let mut step = match steps.len() {
                1 => steps.remove(0),
                _ => json!({"type": "sequence", "transformations": steps}),
            };
            step["input"] = json!({"path": path});
            step["output"] = json!({"name": SYSTEM});
            steps = vec![step];
        }
        json!({"path": path, "coordinateTransformations": steps})
    };
    let datasets: Vec<Value> = levels.iter().map(dataset).collect();
    let mut multiscale = Map::new();
    if version == OmeVersion::V04 {
        multiscale.insert("version".into(), version.name().into());
    }
    if let Some(name) = &meta.name {
        multiscale.insert("name".into(), name.as_str().into());
    }
    if let Some(method) = about.method.filter(|_| levels.len() > 1) {
        multiscale.insert("type".into(), method.into());
        let description = "each level is made of the one before, block by block";
        let how =
            json!({"method": format!("voxtile downsample method={method}"), "description": description});
        multiscale.insert("metadata".into(), how);
    }
    if version == OmeVersion::V06 {
        multiscale.insert("coordinateSystems".into(), json!([{"name": SYSTEM, "axes": axes}]));
    } else {
        multiscale.insert("axes".into(), axes.into());
    }
    multiscale.insert("datasets".into(), datasets.into());
    let mut ome = Map::new();
    if version > OmeVersion::V04 {
        ome.insert("version".into(), version.name().into());
    }
    ome.insert("multiscales".into(), json!([multiscale]));
    let is_labels = meta.kind == Kind::Labels || about.labels_of.is_some();
    if is_labels {
        let mut label = Map::new();
        if version == OmeVersion::V04 {
            label.insert("version".into(), version.name().into());
        }
        if let Some(colors) = &shown.colors {
            label.insert("colors".into(), colors.clone());
        }
        if let Some(image) = &about.labels_of {
            label.insert("source".into(), json!({ "image": image }));
        }
        ome.insert("image-label".into(), label.into());
    }
    let (beside, carried) = about.omero();
    let fits = carried.len() as u64 == meta.shape[Axis::C.index()] && meta.kind == Kind::Image && !is_labels;
    let carried = if fits { &carried[..] } else { &[] };
    let named = meta.channels.iter().any(|c| c.name.is_some() || c.color.is_some());
    if !is_labels && (windows.is_some() || named || !carried.is_empty()) {
        let mut omero = if fits { beside } else { Map::new() };
        if version == OmeVersion::V04 {
            omero.insert("version".into(), version.name().into());
        }
        omero.insert("channels".into(), channels(meta, windows, carried));
        ome.insert("omero".into(), omero.into());
    }
    let mut top = Map::new();
    about.add(&mut top, &mut ome);
    if version == OmeVersion::V04 {
        top.append(&mut ome);
    } else {
        top.insert("ome".to_owned(), Value::Object(ome));
    }
    top
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

/// How each channel is shown. `carried` is what is kept of the input's, if it has as many.
fn channels(meta: &Meta, windows: Option<&[(f64, f64)]>, carried: &[Map<String, Value>]) -> Value {
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
        let mut out = carried.get(n).cloned().unwrap_or_default();
        if let Some(name) = known.and_then(|c| c.name.as_deref()) {
            out.insert("label".into(), name.into());
        }
        out.insert("color".into(), known.and_then(|c| c.color.as_deref()).unwrap_or("FFFFFF").into());
        out.entry("active").or_insert(true.into());
        let (start, end) = windows.and_then(|w| w.get(n)).copied().unwrap_or((low, high));
        let (min, max) = (start.min(low), end.max(high));
        out.entry("window").or_insert_with(|| json!({"min": min, "max": max, "start": start, "end": end}));
        Value::Object(out)
    };
    // One for each channel that is there, whatever is known of how many.
    (0..meta.shape[Axis::C.index()] as usize).map(one).collect()
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
        for version in OmeVersion::ALL {
            let written = attributes(&[("0", &meta)], &Shown::default(), version, &About::default());
            assert_eq!(
                crate::ome::rules::check(&written, Some(version)).iter().find(|b| !b.rule.is_advice()),
                None
            );
            let back = multiscale(&written).unwrap().unwrap();
            assert_eq!(back.version, version.name());
            assert_eq!(back.levels[0].scale, [1.0, 0.29, 1.0, 1.0]);
            assert_eq!(back.levels[0].translation, [0.0, 1.5, 0.0, 0.0]);
            assert_eq!(back.axes.unwrap()[1].unit.as_deref(), Some("micrometer"));
            assert_eq!((back.kind, back.name.as_deref()), (Kind::Labels, Some("cells")));
            // Labels are shown by their colours.
            assert!(back.channels.is_empty());
            let image = attributes(
                &[("0", &meta.with_kind(Kind::Image))],
                &Shown::default(),
                version,
                &About::default(),
            );
            let back = multiscale(&image).unwrap().unwrap();
            assert_eq!((back.kind, back.channels[0].name.as_deref()), (Kind::Image, Some("a")));
        }
    }

    #[test]
    fn channels_are_shown_in_their_windows() {
        let meta = Meta::new([1, 2, 1, 4, 5], AxisSet::parse("cyx").unwrap(), Dtype::F32);
        let written = |windows| {
            let shown = Shown { windows, colors: None };
            attributes(&[("0", &meta)], &shown, OmeVersion::V04, &About::default())
        };
        let of = |windows| written(windows)["omero"]["channels"].clone();
        let channels = of(Some(&[(0.25, 0.5), (-3.0, 900.0)][..]));
        assert_eq!(channels[0]["window"], json!({"min": 0.0, "max": 1.0, "start": 0.25, "end": 0.5}));
        assert_eq!(channels[1]["window"], json!({"min": -3.0, "max": 900.0, "start": -3.0, "end": 900.0}));
        assert!(written(None).get("omero").is_none());
    }

    #[test]
    fn what_is_not_known_is_carried_over() {
        let mut meta = Meta::new([1, 2, 1, 4, 5], AxisSet::parse("cyx").unwrap(), Dtype::U16);
        meta.channels =
            vec![Channel { name: Some("DAPI".into()), color: Some("0000FF".into()) }, Channel::default()];
        let window = json!({"min": 0, "max": 900, "start": 3, "end": 70});
        let input = json!({"ours": {"a": 1}, "plate": {}, "ome": {"version": "0.5", "_creator": "x", "labels": ["cells"],
            "multiscales": [{"@type": "y", "axes": [], "datasets": [], "type": "gaussian"}],
            "omero": {"id": 7, "channels": [{"label": "old", "family": "linear", "window": window}, {"color": "00FF00"}]}}});
        let Value::Object(carried) = input else { unreachable!() };
        let mut about = About { carried, same_values: true, ..About::default() };
        let out = Value::Object(attributes(&[("0", &meta)], &Shown::default(), OmeVersion::V05, &about));
        assert_eq!(out["ours"], json!({"a": 1}));
        let ome = &out["ome"];
        assert_eq!(
            (&ome["_creator"], &ome["omero"]["id"], &ome["multiscales"][0]["@type"]),
            (&json!("x"), &json!(7), &json!("y"))
        );
        assert!(
            [&out["plate"], &ome["labels"], &ome["multiscales"][0]["type"]].into_iter().all(Value::is_null)
        );
        let first = &ome["omero"]["channels"][0];
        assert_eq!(
            (&first["label"], &first["family"], &first["window"]),
            (&json!("DAPI"), &json!("linear"), &window)
        );
        about.same_values = false;
        let out = Value::Object(attributes(&[("0", &meta)], &Shown::default(), OmeVersion::V04, &about));
        assert_eq!(out["omero"]["channels"][0]["window"]["end"], json!(65_535.0));
        assert_eq!((&out["ours"], &out["_creator"]), (&json!({"a": 1}), &json!("x")));
        // Of another number of channels nothing holds.
        meta.shape[1] = 1;
        meta.channels.truncate(1);
        let out = Value::Object(attributes(&[("0", &meta)], &Shown::default(), OmeVersion::V04, &about));
        assert!(out["omero"]["channels"][0]["family"].is_null());
    }
}

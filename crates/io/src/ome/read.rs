//! Reading OME-Zarr metadata: versions 0.1 to 0.6. Of several coordinate systems of 0.6, the one that the levels lead to.

use serde_json::{Map, Value};
use voxtile_sched::model::{Channel, Kind};

/// A pyramid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Multiscale {
    /// Version of the specification.
    pub(crate) version: String,
    /// Name of the image.
    pub(crate) name: Option<String>,
    /// Axes, as many as the arrays have; `None` before version 0.3.
    pub(crate) axes: Option<Vec<OmeAxis>>,
    /// Resolution levels, finest first.
    pub(crate) levels: Vec<Level>,
    /// Channel names and colours.
    pub(crate) channels: Vec<Channel>,
    /// Whether these are labels.
    pub(crate) kind: Kind,
}

/// One axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OmeAxis {
    pub(crate) name: String,
    pub(crate) unit: Option<String>,
}

/// One resolution level.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Level {
    /// Path of the array in the group.
    pub(crate) path: String,
    /// Voxel size per axis; empty if the file says nothing.
    pub(crate) scale: Vec<f64>,
    /// Position of the first voxel per axis; empty if the file says nothing.
    pub(crate) translation: Vec<f64>,
}

/// The first pyramid in the attributes of a group. `Ok(None)` if there is none; the error says what is wrong.
pub(crate) fn multiscale(attributes: &Map<String, Value>) -> Result<Option<Multiscale>, String> {
    let nested = attributes.get("ome").and_then(Value::as_object);
    let ome = nested.unwrap_or(attributes);
    let Some(first) = ome.get("multiscales").and_then(Value::as_array).and_then(|m| m.first()) else {
        return Ok(None);
    };
    let version = ome.get("version").or_else(|| first.get("version")).and_then(Value::as_str);
    let axes = first.get("axes").or_else(|| system(first)?.get("axes")).and_then(Value::as_array);
    let axes = axes.map(|list| list.iter().map(axis).collect::<Result<Vec<_>, _>>()).transpose()?;
    // Those of 0.6 lead from one coordinate system to another.
    let outer = transform(first.get("coordinateTransformations").filter(|_| first.get("axes").is_some()));
    let datasets = first.get("datasets").and_then(Value::as_array).ok_or("datasets is missing")?;
    let mut levels = Vec::new();
    for dataset in datasets {
        let path = dataset.get("path").and_then(Value::as_str).ok_or("datasets has an entry without path")?;
        if path.split('/').any(|p| p == "..") || path.starts_with('/') {
            return Err(format!("datasets has the path `{path}`, which leaves the group"));
        }
        let (scale, translation) = then(transform(dataset.get("coordinateTransformations")), &outer);
        levels.push(Level { path: path.trim_matches('/').to_owned(), scale, translation });
    }
    if levels.is_empty() {
        return Err("datasets is empty".to_owned());
    }
    Ok(Some(Multiscale {
        version: version.unwrap_or(if nested.is_some() { "0.5" } else { "0.4" }).to_owned(),
        name: first.get("name").and_then(Value::as_str).filter(|n| !n.is_empty()).map(str::to_owned),
        axes,
        levels,
        channels: channels(ome.get("omero")),
        kind: if ome.contains_key("image-label") { Kind::Labels } else { Kind::Image },
    }))
}

/// The coordinate system of 0.6 that the finest level leads to, else the first one.
fn system(image: &Value) -> Option<&Value> {
    let systems = image.get("coordinateSystems")?.as_array()?;
    let step = image.get("datasets").and_then(|d| d.get(0)?.get("coordinateTransformations")?.get(0));
    let name = step.and_then(|s| s.get("output")?.get("name"));
    systems.iter().find(|s| name.is_some() && s.get("name") == name).or(systems.first())
}

fn axis(value: &Value) -> Result<OmeAxis, String> {
    // Version 0.3 has names only.
    let name = value.as_str().or_else(|| value.get("name")?.as_str());
    let name = name.ok_or_else(|| format!("axes has an entry {value}"))?.to_owned();
    let unit = value.get("unit").and_then(Value::as_str).filter(|u| !u.is_empty()).map(str::to_owned);
    Ok(OmeAxis { name, unit })
}

/// Scale and translation; each empty where there is none.
type Transform = (Vec<f64>, Vec<f64>);

fn numbers(value: Option<&Value>) -> Vec<f64> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.map(Value::as_f64).collect::<Option<_>>().unwrap_or_default()
}

/// A list of transformations, applied one after another; other kinds than scale and translation are passed over.
fn transform(value: Option<&Value>) -> Transform {
    let mut out = Transform::default();
    for step in value.and_then(Value::as_array).into_iter().flatten() {
        let next = match step.get("type").and_then(Value::as_str) {
            Some("scale") => (numbers(step.get("scale")), Vec::new()),
            Some("translation") => (Vec::new(), numbers(step.get("translation"))),
            Some("sequence") => transform(step.get("transformations")),
            _ => continue,
        };
        out = then(out, &next);
    }
    out
}

/// `first`, then `second`.
fn then((scale, translation): Transform, (by, offset): &Transform) -> Transform {
    let times = |a: Vec<f64>| match (a.len(), by.len()) {
        (n, m) if n == m => a.iter().zip(by).map(|(a, b)| a * b).collect(),
        _ => a,
    };
    let scale = if scale.is_empty() { by.clone() } else { times(scale) };
    let mut translation = times(translation);
    if translation.is_empty() {
        translation.clone_from(offset);
    } else if translation.len() == offset.len() {
        translation.iter_mut().zip(offset).for_each(|(t, o)| *t += o);
    }
    (scale, translation)
}

fn channels(omero: Option<&Value>) -> Vec<Channel> {
    let list = omero.and_then(|o| o.get("channels")).and_then(Value::as_array);
    let text = |c: &Value, key: &str| c.get(key).and_then(Value::as_str).map(str::to_owned);
    let color = |c: &Value| {
        text(c, "color")
            .map(|s| s.trim_start_matches('#').to_ascii_uppercase())
            .filter(|s| s.len() == 6 && s.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    list.into_iter().flatten().map(|c| Channel { name: text(c, "label"), color: color(c) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<Option<Multiscale>, String> {
        multiscale(value.as_object().unwrap())
    }

    #[test]
    fn scales_of_level_and_image_multiply() {
        let m = read(&json!({"ome": {"version": "0.5", "multiscales": [{
            "axes": [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space"}],
            "datasets": [{"path": "s0", "coordinateTransformations": [
                {"type": "scale", "scale": [2.0, 3.0]}, {"type": "translation", "translation": [0.5, 1.0]}]}],
            "coordinateTransformations": [{"type": "scale", "scale": [10.0, 100.0]}]
        }], "omero": {"channels": [{"label": "DAPI", "color": "00ff00"}, {"color": "red"}]}}}))
        .unwrap()
        .unwrap();
        assert_eq!(m.version, "0.5");
        assert_eq!(
            m.levels[0],
            Level { path: "s0".into(), scale: vec![20.0, 300.0], translation: vec![5.0, 100.0] }
        );
        assert_eq!(m.axes.unwrap()[0].unit.as_deref(), Some("micrometer"));
        assert_eq!(m.channels[0], Channel { name: Some("DAPI".into()), color: Some("00FF00".into()) });
        assert_eq!(m.channels[1].color, None);
    }

    #[test]
    fn version_0_6_with_one_coordinate_system() {
        let m = read(&json!({"ome": {"version": "0.6", "multiscales": [{
            "coordinateSystems": [{"name": "physical", "axes": [{"name": "z", "unit": "micrometer"}, {"name": "y"}, {"name": "x"}]}],
            "datasets": [{"path": "0", "coordinateTransformations": [{"type": "sequence", "input": {"path": "0"},
                "output": {"name": "physical"}, "transformations": [
                {"type": "scale", "scale": [1.0, 2.0, 3.0]}, {"type": "translation", "translation": [4.0, 5.0, 6.0]}]}]}]
        }]}}))
        .unwrap()
        .unwrap();
        assert_eq!(m.axes.unwrap().len(), 3);
        assert_eq!(
            (&m.levels[0].scale[..], &m.levels[0].translation[..]),
            (&[1., 2., 3.][..], &[4., 5., 6.][..])
        );
    }

    #[test]
    fn version_0_6_with_several_coordinate_systems() {
        let axes = |unit: &str| json!([{"name": "y", "unit": unit}, {"name": "x", "unit": unit}]);
        let m = read(&json!({"ome": {"version": "0.6", "multiscales": [{
            "coordinateSystems": [{"name": "world", "axes": axes("meter")}, {"name": "physical", "axes": axes("micrometer")}],
            "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [2.0, 3.0],
                "input": {"path": "0"}, "output": {"name": "physical"}}]},
                {"path": "1", "coordinateTransformations": [{"type": "identity"}]}],
            "coordinateTransformations": [{"type": "scale", "scale": [1e-6, 1e-6],
                "input": {"name": "physical"}, "output": {"name": "world"}}]
        }]}}))
        .unwrap()
        .unwrap();
        assert_eq!(m.axes.unwrap()[0].unit.as_deref(), Some("micrometer"));
        assert_eq!(m.levels[0].scale, [2.0, 3.0]);
        assert_eq!(m.levels[1].scale, [] as [f64; 0]);
    }

    #[test]
    fn damaged_metadata_say_what_is_missing() {
        assert_eq!(read(&json!({"other": 1})), Ok(None));
        assert!(read(&json!({"multiscales": [{}]})).unwrap_err().contains("datasets"));
        assert!(read(&json!({"multiscales": [{"datasets": []}]})).unwrap_err().contains("empty"));
        assert!(
            read(&json!({"multiscales": [{"datasets": [{"path": "../x"}]}]})).unwrap_err().contains("leaves")
        );
        assert!(
            read(&json!({"multiscales": [{"datasets": [{"path": "0"}], "axes": [3]}]}))
                .unwrap_err()
                .contains("axes")
        );
    }

    #[test]
    fn axes_may_be_bare_names() {
        let m = read(
            &json!({"multiscales": [{"version": "0.3", "axes": ["y", "x"], "datasets": [{"path": "0"}]}]}),
        );
        assert_eq!(m.unwrap().unwrap().axes.unwrap()[1], OmeAxis { name: "x".into(), unit: None });
    }
}

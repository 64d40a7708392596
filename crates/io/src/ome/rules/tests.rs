//! The suites of the specification, real metadata, and cases of our own.

use super::*;
use serde_json::json;
use std::collections::BTreeMap;

fn data(name: &str) -> BTreeMap<String, Value> {
    let path = format!("{}/../../tests/data/ngff/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What must be mended, and with `strict` what should.
fn breaches(attributes: &Value, version: Option<OmeVersion>, strict: bool) -> Vec<Breach> {
    let all = check(attributes.as_object().unwrap(), version);
    all.into_iter().filter(|b| strict || !b.rule.is_advice()).collect()
}

/// The rule that each invalid case breaks, and where.
const BROKEN: &[(&str, Rule, &str)] = &[
    ("image_suite/invalid/duplicate_axes", Rule::Unique, "multiscales[0].axes[1].name"),
    (
        "image_suite/invalid/duplicate_scale",
        Rule::Transforms,
        "multiscales[0].datasets[0].coordinateTransformations",
    ),
    (
        "image_suite/invalid/empty_transformations",
        Rule::Empty,
        "multiscales[0].datasets[0].coordinateTransformations",
    ),
    ("image_suite/invalid/invalid_axes_count", Rule::AxesCount, "multiscales[0].axes"),
    ("image_suite/invalid/invalid_axis_type", Rule::SpaceAxes, "multiscales[0].axes"),
    ("image_suite/invalid/invalid_channels_color", Rule::Text, "omero.channels[0].color"),
    ("image_suite/invalid/invalid_channels_window", Rule::Number, "omero.channels[0].window.end"),
    (
        "image_suite/invalid/invalid_multiscales_transformations",
        Rule::Numbers,
        "multiscales[0].coordinateTransformations[0].scale",
    ),
    ("image_suite/invalid/invalid_path", Rule::Text, "multiscales[0].datasets[0].path"),
    (
        "image_suite/invalid/invalid_transformation_type",
        Rule::Missing,
        "multiscales[0].datasets[0].coordinateTransformations[0].translation",
    ),
    ("image_suite/invalid/invalid_version", Rule::Version, "multiscales[0].version"),
    ("image_suite/invalid/missing_axes", Rule::Missing, "multiscales[0].axes"),
    ("image_suite/invalid/missing_axes_name", Rule::Missing, "multiscales[0].axes[0].name"),
    ("image_suite/invalid/missing_datasets", Rule::Missing, "multiscales[0].datasets"),
    ("image_suite/invalid/missing_path", Rule::Missing, "multiscales[0].datasets[0].path"),
    (
        "image_suite/invalid/missing_scale",
        Rule::Transforms,
        "multiscales[0].datasets[0].coordinateTransformations",
    ),
    ("image_suite/invalid/missing_space_axes", Rule::SpaceAxes, "multiscales[0].axes"),
    (
        "image_suite/invalid/missing_transformations",
        Rule::Missing,
        "multiscales[0].datasets[0].coordinateTransformations",
    ),
    ("image_suite/invalid/no_axes", Rule::AxesCount, "multiscales[0].axes"),
    ("image_suite/invalid/no_datasets", Rule::Empty, "multiscales[0].datasets"),
    ("image_suite/invalid/no_multiscales", Rule::Empty, "multiscales"),
    ("image_suite/invalid/one_space_axes", Rule::SpaceAxes, "multiscales[0].axes"),
    ("image_suite/invalid/too_many_axes", Rule::AxesCount, "multiscales[0].axes"),
    ("image_suite/invalid/too_many_space_axes", Rule::SpaceAxes, "multiscales[0].axes"),
    ("label_suite/image-label/colors_duplicate", Rule::Unique, "image-label.colors[1].label-value"),
    ("label_suite/image-label/colors_no_label_value", Rule::Missing, "image-label.colors[0].label-value"),
    ("label_suite/image-label/colors_rgba_length", Rule::Rgba, "image-label.colors[0].rgba"),
    ("label_suite/image-label/colors_rgba_type", Rule::Rgba, "image-label.colors[0].rgba"),
    ("label_suite/image-label/empty_colors", Rule::Empty, "image-label.colors"),
    ("label_suite/image-label/empty_properties", Rule::Empty, "image-label.properties"),
    (
        "label_suite/image-label/properties_no_label_value",
        Rule::Missing,
        "image-label.properties[0].label-value",
    ),
    ("plate_suite/plate/acquisition_negative_starttime", Rule::Whole, "plate.acquisitions[0].starttime"),
    ("plate_suite/plate/acquisition_noninteger_endtime", Rule::Whole, "plate.acquisitions[0].endtime"),
    ("plate_suite/plate/acquisition_noninteger_starttime", Rule::Whole, "plate.acquisitions[0].starttime"),
    (
        "plate_suite/plate/acquisition_zero_maximumfieldcount",
        Rule::Positive,
        "plate.acquisitions[0].maximumfieldcount",
    ),
    ("plate_suite/plate/duplicate_columns", Rule::Unique, "plate.columns[1]"),
    ("plate_suite/plate/duplicate_rows", Rule::Unique, "plate.columns[1]"),
    ("plate_suite/plate/empty_columns", Rule::Empty, "plate.columns"),
    ("plate_suite/plate/empty_rows", Rule::Empty, "plate.rows"),
    ("plate_suite/plate/empty_wells", Rule::List, "plate.wells"),
    ("plate_suite/plate/invalid_version", Rule::Version, "plate.version"),
    ("plate_suite/plate/missing_acquisition_id", Rule::Missing, "plate.acquisitions[0].id"),
    ("plate_suite/plate/missing_column_name", Rule::Missing, "plate.columns[0].name"),
    ("plate_suite/plate/missing_columns", Rule::Missing, "plate.columns"),
    ("plate_suite/plate/missing_row_name", Rule::Missing, "plate.rows[0].name"),
    ("plate_suite/plate/missing_rows", Rule::Missing, "plate.rows"),
    ("plate_suite/plate/missing_well_columnIndex", Rule::Missing, "plate.wells[0].columnIndex"),
    ("plate_suite/plate/missing_well_path", Rule::Missing, "plate.wells[0].path"),
    ("plate_suite/plate/missing_well_rowIndex", Rule::Missing, "plate.wells[0].rowIndex"),
    ("plate_suite/plate/missing_wells", Rule::Missing, "plate.wells"),
    ("plate_suite/plate/negative_acquisition_id", Rule::Whole, "plate.acquisitions[0].id"),
    ("plate_suite/plate/negative_endtime", Rule::Whole, "plate.acquisitions[0].endtime"),
    ("plate_suite/plate/non_alphanumeric_column", Rule::Alphanumeric, "plate.columns[0].name"),
    ("plate_suite/plate/non_integer_acquisition_id", Rule::Whole, "plate.acquisitions[0].id"),
    (
        "plate_suite/plate/non_integer_acquisition_maximumfieldcount",
        Rule::Positive,
        "plate.acquisitions[0].maximumfieldcount",
    ),
    ("plate_suite/plate/well_1group", Rule::WellPath, "plate.wells[0].path"),
    ("plate_suite/plate/well_3groups", Rule::WellPath, "plate.wells[0].path"),
    ("plate_suite/plate/zero_field_count", Rule::Positive, "plate.field_count"),
    ("strict_label_suite/image-label/no_colors", Rule::Advised, "image-label.colors"),
    ("strict_label_suite/image-label/no_version", Rule::Advised, "image-label.version"),
    (
        "strict_plate_suite/plate/missing_acquisition_maximumfieldcount",
        Rule::Advised,
        "plate.acquisitions[0].maximumfieldcount",
    ),
    ("strict_plate_suite/plate/missing_acquisition_name", Rule::Advised, "plate.acquisitions[0].name"),
    ("strict_plate_suite/plate/missing_name", Rule::Advised, "plate.name"),
    ("strict_plate_suite/plate/missing_version", Rule::Advised, "plate.version"),
    ("strict_well_suite/plate/missing_version", Rule::Advised, "well.version"),
    ("well_suite/well/duplicate_images", Rule::Unique, "well.images[1]"),
    ("well_suite/well/empty_images", Rule::Empty, "well.images"),
    ("well_suite/well/invalid_version", Rule::Version, "well.version"),
    ("well_suite/well/non_integer_acquisition_id", Rule::Whole, "well.images[0].acquisition"),
];

#[test]
fn the_suites_of_0_4_are_judged_as_they_say() {
    let mut invalid = Vec::new();
    for (name, case) in data("suite_0.4.json") {
        let strict = name.starts_with("strict");
        let mut found = breaches(&case["data"], Some(OmeVersion::V04), strict);
        // Rows and columns of the plates are named the other way round than their paths: advice that the suites do not give.
        found.retain(|b| b.rule != Rule::WellName);
        if case["valid"] == json!(true) {
            assert_eq!(found, [], "{name}");
            continue;
        }
        let first = found.first().unwrap_or_else(|| panic!("{name} breaks no rule"));
        invalid.push((name, first.rule, first.at.clone()));
    }
    let want: Vec<_> = BROKEN.iter().map(|(n, r, at)| ((*n).to_owned(), *r, (*at).to_owned())).collect();
    assert_eq!(invalid, want);
}

#[test]
fn real_metadata_are_accepted() {
    let all = data("idr_0.4.json");
    assert_eq!(all.len(), 10);
    for (name, attributes) in all {
        assert_eq!(breaches(&attributes, None, false), [], "{name}");
    }
}

/// A valid image of a version, changed.
fn first(version: OmeVersion, change: fn(&mut Value)) -> Option<(Rule, String)> {
    let axes = json!([{"name": "c", "type": "channel"}, {"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space"}]);
    let scale = json!({"type": "scale", "scale": [1, 0.5, 0.5]});
    let shift = json!({"type": "translation", "translation": [0, 1.5, 0]});
    let mut ome = match version {
        OmeVersion::V04 | OmeVersion::V05 => json!({"multiscales": [{"axes": axes, "datasets": [
            {"path": "0", "coordinateTransformations": [scale, shift]}]}]}),
        OmeVersion::V06 => {
            json!({"multiscales": [{"coordinateSystems": [{"name": "physical", "axes": axes}], "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "sequence", "transformations": [scale, shift],
                "input": {"path": "0"}, "output": {"name": "physical"}}]}]}]})
        }
    };
    ome["version"] = json!(version.name());
    ome["omero"] =
        json!({"channels": [{"color": "FF0000", "window": {"min": 0, "max": 1, "start": 0, "end": 1}}]});
    change(&mut ome);
    let attributes = if version == OmeVersion::V04 { ome } else { json!({ "ome": ome }) };
    breaches(&attributes, None, false).into_iter().next().map(|b| (b.rule, b.at))
}

#[test]
fn every_version_has_its_rules() {
    for version in OmeVersion::ALL {
        assert_eq!(first(version, |_| {}), None, "{version}");
    }
    let broken = |version, change, rule, at: &str| {
        assert_eq!(first(version, change), Some((rule, at.to_owned())));
    };
    use OmeVersion::{V04, V05, V06};
    let axes = "multiscales[0].axes";
    let steps = "multiscales[0].datasets[0].coordinateTransformations";
    broken(V05, |o| drop(o.as_object_mut().unwrap().remove("version")), Rule::Missing, "version");
    broken(V05, |o| o["version"] = json!("0.7"), Rule::Version, "version");
    broken(V05, |o| o["version"] = json!(5), Rule::Version, "version");
    broken(V04, |o| o["multiscales"][0]["axes"][1]["type"] = json!("channel"), Rule::SpaceAxes, axes);
    broken(
        V05,
        |o| o["multiscales"][0]["axes"][0]["name"] = json!("x"),
        Rule::Unique,
        &format!("{axes}[2].name"),
    );
    broken(
        V05,
        |o| o["multiscales"][0]["axes"].as_array_mut().unwrap().rotate_left(1),
        Rule::AxesOrder,
        axes,
    );
    broken(V05, |o| o["multiscales"][0]["axes"][0] = json!("c"), Rule::Object, &format!("{axes}[0]"));
    fn level(ome: &mut Value) -> &mut Value {
        &mut ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    }
    broken(V05, |o| level(o)[0]["scale"] = json!(["1", 1, 1]), Rule::Numbers, &format!("{steps}[0].scale"));
    broken(V05, |o| level(o)[0]["scale"] = json!([1, 1, 0]), Rule::Scale, &format!("{steps}[0].scale"));
    broken(V05, |o| level(o).as_array_mut().unwrap().reverse(), Rule::Transforms, steps);
    broken(
        V05,
        |o| o["multiscales"][0]["datasets"][0]["path"] = json!("../0"),
        Rule::Path,
        "multiscales[0].datasets[0].path",
    );
    broken(
        V05,
        |o| o["omero"]["channels"][0]["color"] = json!("red"),
        Rule::Color,
        "omero.channels[0].color",
    );
    broken(V05, |o| o["labels"] = json!(["/cells"]), Rule::Path, "labels[0]");
    let systems = "multiscales[0].coordinateSystems";
    broken(V06, |o| o["multiscales"][0]["coordinateSystems"] = json!([]), Rule::Empty, systems);
    broken(V06, |o| level(o)[0]["type"] = json!("affine"), Rule::Transforms, &format!("{steps}[0]"));
    broken(V06, |o| level(o)[0]["input"]["path"] = json!("1"), Rule::Ends, &format!("{steps}[0].input.path"));
    broken(V06, |o| level(o)[0]["output"] = json!({}), Rule::Missing, &format!("{steps}[0].output.name"));
    broken(
        V06,
        |o| level(o)[0]["transformations"].as_array_mut().unwrap().truncate(0),
        Rule::Empty,
        &format!("{steps}[0].transformations"),
    );
}

#[test]
fn advice_is_told_apart() {
    let old = json!({"multiscales": [{"version": "0.3", "axes": ["y", "x"], "datasets": [{"path": "0"}]}]});
    assert_eq!(breaches(&old, None, false), []);
    assert_eq!(breaches(&old, None, true)[0].rule, Rule::OldVersion);
    let swapped = json!({"plate": {"version": "0.4", "name": "p", "rows": [{"name": "A"}], "columns": [{"name": "1"}],
        "wells": [{"path": "1/A", "rowIndex": 0, "columnIndex": 0}]}});
    assert_eq!(breaches(&swapped, None, true)[0].rule, Rule::WellName);
    let short = json!({"multiscales": [{"version": "0.4", "name": "a", "type": "b", "metadata": {},
        "axes": [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0]}]}]}]});
    assert_eq!(breaches(&short, None, false), []);
    assert_eq!(breaches(&short, None, true)[0].rule, Rule::PerAxis);
    let outside = json!({"plate": {"rows": [{"name": "A"}], "columns": [{"name": "1"}],
        "wells": [{"path": "A/1", "rowIndex": 1, "columnIndex": 0}]}});
    assert_eq!(breaches(&outside, None, false)[0].rule, Rule::WellIndex);
}

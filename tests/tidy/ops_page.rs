//! `docs/ops.md`, made from the table of operations.

use super::is_fresh;
use std::fmt::Write;
use voxtile_kernels::ops::{OWN, all};
use voxtile_kernels::spec::{Param, Spec, Value};

fn takes(value: Value) -> String {
    match value {
        Value::Length => "length: `2`, `2px`, `0.5um`, or one per axis `1,2,2`".to_owned(),
        Value::Size => "whole voxels: `15`, or one per axis `3,15,15`".to_owned(),
        Value::Number => "number".to_owned(),
        Value::NumberOr(words) => {
            format!("number, or {}", words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "))
        }
        Value::Numbers => "numbers with commas".to_owned(),
        Value::Choice(words) => words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        Value::Dtype => "sample type: `u8`, `f32`".to_owned(),
        Value::Axis => "axis: `t`, `c`, `z`, `y`, `x`".to_owned(),
        Value::Axes => "axes: `x`, `yx`".to_owned(),
        Value::Positions => "positions: `2`, `0,3`, `10:20`".to_owned(),
        Value::Ranges => "ranges over the last axes: `0:100,:,50:150`".to_owned(),
        Value::Condition => "a condition such as `\"area > 50 and eccentricity < 0.9\"`".to_owned(),
        Value::Text => "text".to_owned(),
        Value::Names => "names of results (`as NAME`, `input`), with commas between them".to_owned(),
        Value::Footprint => "rows of 0 and 1: `010/111/010`, planes with `//` between them".to_owned(),
        Value::Formula => "formula: `(a-b)/(a+b+1)`, its names are results (`as NAME`, `input`)".to_owned(),
    }
}

fn row(param: &Param) -> String {
    let default = match param.default {
        None => "required".to_owned(),
        Some("") => "not given".to_owned(),
        Some(text) => format!("`{text}`"),
    };
    format!(
        "| `{}` | {} | {} | {default} |\n",
        param.name,
        param.about.replace('|', "\\|"),
        takes(param.value)
    )
}

fn section(spec: &Spec) -> String {
    let mut out = format!("\n## {}\n\n{}.\n", spec.name, spec.about);
    if spec.name == OWN.name {
        out.push_str("\nThe arithmetic is yours: [own-kernels.md](own-kernels.md).\n");
    } else if !spec.makes_table() {
        let _ = write!(out, "\n![before and after](pictures/{}.png)\n", spec.name);
    }
    if spec.inputs == voxtile_kernels::spec::SEVERAL {
        out.push_str("\nReads two images or more: `on=A,B` names them.\n");
    } else if spec.inputs > 1 {
        let _ = write!(out, "\nReads {} images: `on=A,B` names them.\n", spec.inputs);
    }
    if !spec.params.is_empty() {
        out += "\n| parameter | what | takes | default |\n|--|--|--|--|\n";
        spec.params.iter().for_each(|p| out += &row(p));
    }
    let _ = write!(out, "\n```sh\nvoxtile run in.zarr out.zarr '{}'\n```\n", spec.example);
    out
}

fn page() -> String {
    let mut out = "# Operations\n\n\
        <!-- Made from the table of operations; `UPDATE_DOCS=1 cargo test --test main tidy` rewrites it. -->\n\n\
        What `voxtile ops` lists. The first parameter of an operation may stand without its name: `gaussian 2`. Sizes \
        and lengths are one number for all space axes, or a list for the last ones. Where results differ from scipy's \
        or scikit-image's, [correctness.md](correctness.md) says so and why.\n\n\
        The pictures show a part of one of the images of the tests before and after: its darkest voxels black, its \
        brightest white, of a volume the brightest along z.\n\n"
        .to_owned();
    for spec in all() {
        let _ = writeln!(out, "* [{0}](#{0}): {1}", spec.name, spec.about);
    }
    all().for_each(|spec| out += &section(spec));
    out
}

#[test]
fn the_page_of_operations_is_fresh() {
    is_fresh("docs/ops.md", &page());
}

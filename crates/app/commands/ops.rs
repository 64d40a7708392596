//! `ops`: the table of operations, as text and JSON.

use super::{Done, Outcome, print, print_json};
use crate::args::{Global, Ops};
use serde_json::{Value as Json, json};
use std::fmt::Write;
use voxtile::{Error, Recipe};
use voxtile_kernels::ops;
use voxtile_kernels::spec::{Param, SEVERAL, Spec, Value};

pub(super) fn ops(args: &Ops, global: Global) -> Done {
    let Some(name) = &args.name else {
        if global.json {
            print_json(&Json::Array(ops::all().map(as_json).collect()))?;
        } else {
            print(&list())?;
        }
        return Ok(Outcome::Done);
    };
    let Some(spec) = ops::find(name) else {
        // The recipe parser knows how to say what is wrong with a name.
        return match Recipe::parse(name) {
            Err(error) => Err(Error::from(error).into()),
            Ok(_) => Ok(Outcome::Done),
        };
    };
    if global.json { print_json(&as_json(spec)) } else { print(&explain(spec)) }?;
    Ok(Outcome::Done)
}

fn list() -> String {
    let width = ops::all().map(|s| s.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for spec in ops::all() {
        // What is the user's own stands apart.
        let apart = if is_own(spec) { "\n" } else { "" };
        let _ = writeln!(out, "{apart}{:width$}  {}", spec.name, spec.about);
    }
    out + "\n`voxtile ops NAME` shows the parameters of one.\n"
}

/// Whether its arithmetic is the user's.
fn is_own(spec: &Spec) -> bool {
    spec.name == ops::OWN.name
}

fn explain(spec: &Spec) -> String {
    let mut out = format!("{}: {}\n", spec.name, spec.about);
    if is_own(spec) {
        out += "The arithmetic is yours, the tiles, their seams and the edge of the image are voxtile's: docs/own-kernels.md.\n";
    }
    if spec.inputs == SEVERAL {
        out += "Reads two images or more: name them with on=A,B.\n";
    } else if spec.inputs > 1 {
        let _ = writeln!(out, "Reads {} images: name them with on=A,B.", spec.inputs);
    }
    if !spec.params.is_empty() {
        out += "\nParameters (the first may stand without its name):\n";
        let width = spec.params.iter().map(|p| p.name.len()).max().unwrap_or(0);
        for param in spec.params {
            let _ = writeln!(
                out,
                "  {:width$}  {} [{}; {}]",
                param.name,
                param.about,
                value(param),
                default(param)
            );
        }
    }
    let _ = write!(out, "\nExample:\n  voxtile run in.zarr out.zarr '{}'\n", spec.example);
    out
}

/// What a parameter takes, in words.
fn value(param: &Param) -> String {
    match param.value {
        Value::Length => "lengths such as 2, 0.5um or 1,2,2".to_owned(),
        Value::Size => "whole voxels such as 15 or 3,15,15".to_owned(),
        Value::Number => "a number".to_owned(),
        Value::NumberOr(words) => format!("a number, or {}", words.join(" | ")),
        Value::Numbers => "numbers with commas".to_owned(),
        Value::Choice(words) => words.join(" | "),
        Value::Dtype => "a sample type such as u8 or f32".to_owned(),
        Value::Axis => "an axis: t, c, z, y or x".to_owned(),
        Value::Axes => "axes such as x or yx".to_owned(),
        Value::Positions => "positions such as 2, 0,3 or 10:20".to_owned(),
        Value::Ranges => "ranges such as 0:100,:,50:150".to_owned(),
        Value::Names => "names of results, with commas between them".to_owned(),
        Value::Text => "text".to_owned(),
        Value::Footprint => "rows of 0 and 1 such as 010/111/010".to_owned(),
        Value::Condition => "a condition such as \"area > 50 and eccentricity < 0.9\"".to_owned(),
        Value::Formula => "a formula such as \"(a-b)/(a+b+1)\"; its names are results".to_owned(),
    }
}

fn default(param: &Param) -> String {
    match param.default {
        None => "required".to_owned(),
        Some("") => "optional".to_owned(),
        Some(text) => format!("default {text}"),
    }
}

fn as_json(spec: &Spec) -> Json {
    let param = |p: &Param| json!({ "name": p.name, "about": p.about, "takes": value(p), "default": p.default, "required": p.default.is_none() });
    json!({
        "name": spec.name,
        "about": spec.about,
        "own": is_own(spec),
        "inputs": if spec.inputs == SEVERAL { json!("2 or more") } else { json!(spec.inputs) },
        "example": spec.example,
        "params": spec.params.iter().map(param).collect::<Vec<_>>(),
    })
}

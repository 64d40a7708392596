//! `info --devices`: what there is to compute on.

use super::{Done, Outcome, print, print_json};
use crate::args::Global;
use crate::text;
use serde_json::json;
use std::fmt::Write;
use voxtile::machine;
use voxtile_kernels::device::{self, DeviceError, Found};

pub(super) fn devices(global: Global) -> Done {
    let found = device::find();
    // Whether a GPU is there but cannot be used is part of the answer.
    let usable = found.clone().and_then(|_| device::first().map(|_| ()));
    match global.json {
        true => print_json(&as_json(&found, &usable))?,
        false => print(&as_text(&found, &usable))?,
    }
    Ok(Outcome::Done)
}

fn as_json(found: &Result<Found, DeviceError>, usable: &Result<(), DeviceError>) -> serde_json::Value {
    let devices: Vec<_> = found.iter().flat_map(|found| &found.devices).collect();
    let devices: Vec<_> = devices
        .iter()
        .map(|d| {
            let capability = format!("{}.{}", d.capability.0, d.capability.1);
            json!({ "name": d.name, "compute_capability": capability, "memory_bytes": d.memory })
        })
        .collect();
    json!({
        "cpu": { "workers": machine::default_workers() },
        "cuda": {
            "usable": usable.is_ok(),
            "because": usable.as_ref().err().map(ToString::to_string),
            "driver": found.as_ref().ok().map(|f| format!("{}.{}", f.driver.0, f.driver.1)),
            "kernels": found.as_ref().ok().map(|f| f.kernels.clone()),
            "devices": devices,
        },
    })
}

fn as_text(found: &Result<Found, DeviceError>, usable: &Result<(), DeviceError>) -> String {
    let mut out = format!("cpu      {}\n", text::counted(machine::default_workers() as u64, "worker"));
    if let Ok(found) = found {
        for d in &found.devices {
            let (major, minor) = d.capability;
            let memory = text::bytes(d.memory);
            let _ = writeln!(out, "cuda     {}, {memory}, compute capability {major}.{minor}", d.name);
        }
        let _ = writeln!(out, "driver   CUDA {}.{}", found.driver.0, found.driver.1);
        let _ = writeln!(out, "kernels  {}", found.kernels);
    }
    let _ = match usable {
        Ok(()) => writeln!(out, "a run takes the first GPU where it has kernels for every step of a stage"),
        Err(why) => writeln!(out, "no GPU   {why}"),
    };
    out
}

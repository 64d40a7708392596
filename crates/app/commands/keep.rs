//! `convert --keep-jpeg`: the tiles of a slide in an OME-TIFF, as they are.

use super::{Done, Failure, Outcome, print_json};
use crate::args::{Convert, Global};
use crate::{progress, report, text};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;
use voxtile::Images;
use voxtile::error::IoError;
use voxtile_io::{KeepJpeg, Opened, open};
use voxtile_kernels::ops;
use voxtile_kernels::spec::Args;
use voxtile_sched::model::{Meta, Region};

pub(super) fn keep(args: &Convert, global: Global) -> Done {
    let started = Instant::now();
    if let Images::Many(_) = Images::of(&args.input, &super::remote())? {
        let why = "one slide at a time".to_owned();
        return Err(IoError::Option { option: "--keep-jpeg", why }.into());
    }
    let options = args.read.options();
    let region = match &args.change.crop {
        Some(ranges) => {
            let Opened { source, .. } = open(&args.input, &options)?;
            Some(region(ranges, source.meta())?)
        }
        None => None,
    };
    let job = KeepJpeg {
        input: args.input.clone(),
        open: options,
        output: args.output.clone(),
        overwrite: args.write.overwrite,
        region,
    };
    let (bar, token) = (progress::bar(global), progress::interrupt());
    let kept = job.run(&mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
        !token.is_cancelled()
    });
    bar.finish_and_clear();
    let Some(kept) = kept? else { return Err(Failure::Interrupted) };
    let seconds = started.elapsed().as_secs_f64();
    if global.json {
        print_json(&json!({ "kept": {
            "shape": kept.meta.dims(), "dtype": kept.meta.dtype.numpy_name(), "levels": kept.levels,
            "left_out": kept.left_out, "tiles": kept.tiles, "bytes": kept.bytes, "seconds": seconds } }))?;
    } else if !global.quiet {
        let mut line = format!(
            "{} → {}: {} {}, {} of JPEG in {}, copied as they are, {}, {}",
            args.input.display(),
            args.output.display(),
            text::sizes(&kept.meta.dims()),
            kept.meta.dtype,
            text::counted(kept.tiles, "tile"),
            text::counted(kept.levels as u64, "level"),
            text::bytes(kept.bytes),
            text::seconds(seconds),
        );
        if !kept.left_out.is_empty() {
            let sizes: Vec<String> = kept.left_out.iter().map(|s| text::sizes(s)).collect();
            line += &format!("; left out, since the part begins between their tiles: {}", sizes.join(", "));
        }
        report::say(&line);
    }
    Ok(Outcome::Done)
}

/// The part that ranges name, as the step `crop` takes them.
fn region(ranges: &str, meta: &Meta) -> Result<Region, Failure> {
    let spec = ops::find("crop").expect("in the table");
    let inputs = [meta.clone()];
    let given = BTreeMap::from([("ranges", ranges)]);
    let ranges = Args::new(spec, given, &inputs, None).ranges_px("ranges");
    let ranges = ranges.map_err(|error| IoError::Option { option: "--crop", why: error.to_string() })?;
    let start = ranges.map(|(low, _)| low as i64);
    Ok(Region::new(start, ranges.map(|(low, high)| high - low)))
}

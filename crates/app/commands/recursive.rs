//! `convert --recursive`: a whole Zarr hierarchy.

use super::{Done, Failure, Outcome, print_json, remote, whole};
use crate::args::{Convert, Global};
use crate::{progress, report, text};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use voxtile::error::{IoError, RunError};
use voxtile::op::AxisSet;
use voxtile::{Error, OpenOptions, Output, Pipeline};
use voxtile_io::{Copied, Format, Hierarchy, Placed, Way, check_apart, store_at};

/// What became of the arrays.
#[derive(Default)]
struct Sum {
    copied: Vec<String>,
    anew: Vec<String>,
    bytes: Copied,
    read: u64,
    written: u64,
}

pub(super) fn convert(args: &Convert, global: Global) -> Done {
    let started = Instant::now();
    let (input, output, write) = (&args.input, &args.output, &args.write);
    let from = Hierarchy::open(input, &remote())?;
    let to = match write.zarr_format.as_deref() {
        Some("2") => Format::ZarrV2,
        Some(_) => Format::ZarrV3,
        None => from.format(),
    };
    check_apart(input, output)?;
    from.check(to)?;
    let keeps = write.chunk.is_none() && write.shard.is_none() && write.codec.is_none();
    let arrays: Vec<(String, Way)> = from
        .arrays()
        .map(|path| (path.to_owned(), if keeps { from.way(path, to) } else { Way::Anew }))
        .collect();
    // What cannot be read is refused before anything is written.
    for (path, _) in arrays.iter().filter(|(_, way)| *way == Way::Anew) {
        drop(open(args, path)?);
    }
    let options = whole(output, to, write);
    let placed = options.place()?;
    // An array that is alone and encoded anew marks its place itself.
    if !matches!(&arrays[..], [(path, Way::Anew)] if path.is_empty()) {
        Hierarchy::begin(&**placed.store(), to)?;
    }
    let bar = progress::bar(global);
    bar.set_length(arrays.len() as u64);
    progress::listen();
    let mut done = Sum::default();
    for (path, way) in arrays {
        let all = All { args, from: &from, to, placed: &placed };
        all.one(&path, way, &mut done)?;
        bar.inc(1);
    }
    from.finish(&**placed.store(), to)?;
    placed.finish()?;
    bar.finish_and_clear();
    let (groups, seconds) = (from.groups() as u64, started.elapsed().as_secs_f64());
    if global.json {
        print_json(&json!({
            "groups": groups, "copied": done.copied, "anew": done.anew, "objects_copied": done.bytes.objects,
            "bytes_copied": done.bytes.bytes, "bytes_read": done.read, "bytes_written": done.written,
            "seconds": seconds, "remote": super::run::traffic(),
        }))?;
    } else if !global.quiet {
        let mut line =
            format!("{} → {}: {}", input.display(), output.display(), text::counted(groups, "group"));
        if !done.copied.is_empty() {
            line += &format!(
                ", {} copied byte for byte, nothing decoded ({} in {})",
                text::counted(done.copied.len() as u64, "array"),
                text::bytes(done.bytes.bytes),
                text::counted(done.bytes.objects, "object")
            );
        }
        if !done.anew.is_empty() {
            line += &format!(
                ", {} encoded anew (read {}, wrote {})",
                text::counted(done.anew.len() as u64, "array"),
                text::bytes(done.read),
                text::bytes(done.written)
            );
        }
        line += &format!(", in {}", text::seconds(seconds));
        line += &super::run::traffic_line();
        report::say(&line);
    }
    Ok(Outcome::Done)
}

/// One array of the hierarchy. Axes in an order that we do not have are taken by their number.
fn open(args: &Convert, path: &str) -> Result<Pipeline, Failure> {
    let array = Some(path.to_owned()).filter(|p| !p.is_empty());
    let options = OpenOptions { array, remote: remote(), ..OpenOptions::default() };
    let opened = match Pipeline::open_with(&args.input, &options) {
        Err(Error::Io(error)) if matches!(*error, IoError::Unsupported { .. }) => {
            let ranks = (1..=5).filter_map(AxisSet::of_rank);
            let by_number = |axes| OpenOptions { axes: Some(axes), ..options.clone() };
            ranks
                .filter_map(|axes| Pipeline::open_with(&args.input, &by_number(axes)).ok())
                .next()
                .ok_or(Error::Io(error))
        }
        other => other,
    };
    Ok(args.engine.apply(opened?))
}

struct All<'a> {
    args: &'a Convert,
    from: &'a Hierarchy,
    to: Format,
    placed: &'a Placed,
}

impl All<'_> {
    fn one(&self, path: &str, way: Way, done: &mut Sum) -> Result<(), Failure> {
        let Self { args, from, to, placed } = *self;
        let (workers, store) = (args.engine.limits.workers(), &**placed.store());
        if way == Way::Bytes {
            let wanted = || !progress::interrupt().is_cancelled();
            let copied = from.copy_array(path, store, to, workers, &wanted)?;
            if !wanted() {
                return Err(Failure::Interrupted);
            }
            done.bytes.objects += copied.objects;
            done.bytes.bytes += copied.bytes;
            done.copied.push(path.to_owned());
            return Ok(());
        }
        let pipeline = open(args, path)?;
        let meta = pipeline.meta().clone();
        let output = args.write.apply(Output::to(&args.output)).zarr_v2(to == Format::ZarrV2);
        let options = output.options_for(pipeline.info(), &meta)?;
        let at: PathBuf = if path.is_empty() { args.output.clone() } else { args.output.join(path) };
        let sink = options.create_in(store_at(&at, &remote())?, &meta, &[])?;
        let report =
            pipeline.write_sink(sink).cancel_with(progress::interrupt()).run().map_err(|e| match e {
                Error::Run(RunError::Cancelled { .. }) => Failure::Interrupted,
                other => Failure::Library(other),
            })?;
        from.dress(path, store, to)?;
        done.read += report.bytes_read;
        done.written += report.bytes_written;
        done.anew.push(path.to_owned());
        Ok(())
    }
}

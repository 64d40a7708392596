//! Every chunk of one array.

use super::super::{Failure, scan};
use super::bytes;
use super::report::Report;
use crate::args::{Global, Verify};
use crate::progress;
use voxtile_io::Opened;
use voxtile_sched::contract::StoreError;
use voxtile_sched::model::Grid;

/// Decodes all chunks; notes those that are damaged, and counts those that are not stored.
pub(super) fn decode(
    opened: &Opened,
    place: &str,
    args: &Verify,
    global: Global,
    report: &mut Report,
) -> Result<(), Failure> {
    let source = &*opened.source;
    let grid = Grid::new(source.meta().shape, source.chunk());
    // A source may present a stored chunk in parts: it is damaged if one of them is.
    let stored = Grid::new(source.meta().shape, opened.info.chunk5);
    let chunk = |n: u64| {
        let start = grid.region(&grid.index(n)).start;
        stored.linear(&std::array::from_fn(|a| start[a] as u64 / stored.chunk[a]))
    };
    let workers = scan::workers(&args.limits, bytes(&grid.chunk, source).saturating_add(source.scratch()))?;
    let states = scan::parallel(
        workers,
        grid.len(),
        &progress::bar(global),
        || (scan::Buffer::default(), Vec::new(), Vec::new()),
        |(buffer, damaged, missing), n| {
            match scan::read_counted(source, &grid, &grid.index(n), buffer) {
                Ok((_, 0)) if opened.info.zarr_format.is_some() => missing.push(chunk(n)),
                Ok(_) => {}
                Err(error) => damaged.push((chunk(n), error)),
            }
            true
        },
    )?;
    let (mut damaged, mut missing): (Vec<(u64, StoreError)>, Vec<u64>) = Default::default();
    for (_, d, m) in states {
        damaged.extend(d);
        missing.extend(m);
    }
    damaged.sort_by_key(|(n, _)| *n);
    damaged.dedup_by_key(|(n, _)| *n);
    missing.sort_unstable();
    missing.dedup();
    let damaged = damaged.into_iter().map(|(n, error)| (stored.region(&stored.index(n)), error)).collect();
    report.chunks(place, stored.len(), damaged, missing.len() as u64);
    Ok(())
}

//! Whether each level of a pyramid is made of the one before: samples of it are computed anew.

use super::super::{Failure, scan};
use super::report::Report;
use super::{bytes, store_failure};
use crate::args::{Global, Verify};
use crate::progress;
use voxtile::Reduction;
use voxtile_io::Opened;
use voxtile_io::survey::Surveyed;
use voxtile_sched::contract::Source;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Element, Grid, Meta, NDIM, Region, Shape, Tile, voxels};

/// Blocks of each level that are computed anew, and their largest edges.
const SAMPLES: u64 = 64;
const EDGES: Shape = [1, 4, 16, 64, 64];

/// What a sample says of one way to make it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fit {
    Fits,
    /// Where the first voxel differs, what is stored and what was computed.
    Differs([u64; NDIM], f64, f64),
}

/// One block of a level: whether it fits, for every way; and whether the ways differ at all.
struct Sample {
    number: u64,
    fits: Vec<Fit>,
    telling: bool,
}

/// Ways to make levels that can be computed, and the one among them that the metadata name, which comes first.
/// Gaussians of that name are many: that a level is made by ours is seen only where most of it is.
fn ways(method: Option<&str>) -> (Option<Reduction>, Vec<Reduction>) {
    let named = method.and_then(|word| match word {
        "average" | "local_mean" => Some(Reduction::Mean),
        "nearest" | "simple" | "subsample" | "decimate" => Some(Reduction::Stride),
        "maximum" => Some(Reduction::Max),
        word => word.parse().ok(),
    });
    let others = Reduction::ALL.into_iter().filter(|r| Some(*r) != named);
    let ways = named.into_iter().chain(others).collect();
    (named.filter(|way| *way != Reduction::Gaussian), ways)
}

/// Voxels of a level per voxel of the next one, along the space axes; `None` if they are not whole.
fn factor(above: &Meta, here: &Meta) -> Option<Shape> {
    let mut factor = [1; NDIM];
    for axis in Axis::ALL {
        let a = axis.index();
        let (long, short) = (above.shape[a], here.shape[a]);
        if long == short {
            continue;
        }
        let by_scale = match (&above.spacing[a], &here.spacing[a]) {
            (Some(fine), Some(coarse)) => (coarse.scale / fine.scale).round() as u64,
            _ => 0,
        };
        let fits = |f: u64| f > 0 && (long.div_ceil(f) == short || long / f == short);
        let by_shape = (long as f64 / short as f64).round() as u64;
        factor[a] = [by_scale, by_shape, long.div_ceil(short)].into_iter().find(|&f| fits(f))?;
        if !axis.is_space() {
            return None;
        }
    }
    Some(factor)
}

pub(super) fn compare(
    image: &Surveyed,
    levels: &[Opened],
    args: &Verify,
    global: Global,
    report: &mut Report,
) -> Result<(), Failure> {
    let (named, ways) = ways(image.method.as_deref());
    for n in 1..levels.len() {
        let (above, here) = (&*levels[n - 1].source, &*levels[n].source);
        let place = [image.path.as_str(), &levels[n].info.levels[n].path].join("/");
        let place = place.trim_matches('/');
        let same = above.meta().axes == here.meta().axes && above.meta().dtype == here.meta().dtype;
        let Some(factor) =
            factor(above.meta(), here.meta()).filter(|_| same && voxels(&here.meta().shape) > 0)
        else {
            report.note(place, format!("level {n} is no whole fraction of level {}: not compared", n - 1));
            continue;
        };
        let samples = samples(above, here, &factor, &ways, args, global)?;
        judge(n, place, (named, &ways), &samples, report);
    }
    Ok(())
}

/// Chooses the way by which a level was made, and notes what was not.
fn judge(
    n: usize,
    place: &str,
    (named, ways): (Option<Reduction>, &[Reduction]),
    samples: &[Sample],
    report: &mut Report,
) {
    let telling: Vec<&Sample> = samples.iter().filter(|s| s.telling).collect();
    let wrong = |way: usize| samples.iter().filter(move |s| s.fits[way] != Fit::Fits);
    if let Some(way) = (0..ways.len()).find(|&way| wrong(way).next().is_none()) {
        report.level(place, ways[way].name());
        return;
    }
    let best = (0..ways.len()).min_by_key(|&way| wrong(way).count()).unwrap_or(0);
    let most = telling.iter().filter(|s| s.fits[best] == Fit::Fits).count() * 2 > telling.len();
    let way = if most { best } else { 0 };
    if !most && named.is_none() {
        report.note(
            place,
            format!("level {n} is made of level {} in a way that is not known: not compared", n - 1),
        );
        return;
    }
    let differ = wrong(way).count();
    let first = wrong(way).min_by_key(|s| s.number).map(|s| s.fits[way]);
    if let Some(Fit::Differs(at, stored, computed)) = first {
        let at: Vec<String> = Axis::ALL.iter().zip(at).map(|(axis, at)| format!("{axis} {at}")).collect();
        report.found(
            place,
            format!(
                "level {n} is not the {} of level {}: {differ} of {} blocks differ, first at {}: {stored} is stored, {computed} \
                 computed",
                ways[way].name(),
                n - 1,
                samples.len(),
                at.join(", "),
            ),
        );
    }
}

fn samples(
    above: &dyn Source,
    here: &dyn Source,
    factor: &Shape,
    ways: &[Reduction],
    args: &Verify,
    global: Global,
) -> Result<Vec<Sample>, Failure> {
    let image = here.meta().shape;
    // Blocks begin with a chunk, where writers that work chunk by chunk would err.
    let chunks = Grid::new(image, here.chunk());
    let count = chunks.len().min(SAMPLES);
    let region = |k: u64| {
        let number = if count > 1 { (chunks.len() - 1) / (count - 1) * k } else { 0 };
        let number = if k + 1 == count { chunks.len() - 1 } else { number };
        let mut region = chunks.region(&chunks.index(number));
        for a in 0..NDIM {
            let len = region.shape[a].min(EDGES[a]);
            // Of every second one, the far end.
            let far = region.shape[a] - len;
            region.start[a] += if k % 2 == 1 { far as i64 } else { 0 };
            region.shape[a] = len;
        }
        region
    };
    // With what lies around blocks, where they have more than one voxel.
    let wide = |a: usize| if factor[a] > 1 { (EDGES[a] + 4) * factor[a] } else { EDGES[a] };
    let widest: Shape = std::array::from_fn(|a| wide(a).min(above.meta().shape[a]));
    let each = bytes(&widest, above)
        .saturating_mul(4)
        .saturating_add(bytes(&above.chunk(), above))
        .saturating_add(bytes(&here.chunk(), here))
        .saturating_add(above.scratch().max(here.scratch()));
    let workers = scan::workers(&args.limits, each)?;
    let failed = std::sync::Mutex::new(None);
    let (ga, gh) = (Grid::new(above.meta().shape, above.chunk()), chunks);
    let states = scan::parallel(
        workers,
        count,
        &progress::bar(global),
        || (<[scan::Buffer; 4]>::default(), Vec::new()),
        |([chunk, fine, coarse, _], out), k| {
            let at = region(k);
            let parts = ways.iter().map(|way| way.made_of(above.meta(), factor, &at));
            let from = parts.reduce(|all, part| all.hull(&part)).expect("some ways");
            let read = scan::read_region(above, &ga, &from, chunk, fine);
            let fine = match read {
                Ok(tile) => tile,
                // A damaged chunk was told already.
                Err(error) => return damaged(error, above, &failed),
            };
            let coarse = match scan::read_region(here, &gh, &at, chunk, coarse) {
                Ok(tile) => tile,
                Err(error) => return damaged(error, here, &failed),
            };
            out.push(sample(k, (&from, &fine, above.meta()), (&coarse, &at), factor, ways));
            true
        },
    )?;
    match failed.into_inner().expect("no panic while held") {
        Some(error) => Err(error),
        None => Ok(states.into_iter().flat_map(|(_, samples)| samples).collect()),
    }
}

/// Whether to go on after a block that cannot be read.
fn damaged(
    error: voxtile_sched::contract::StoreError,
    source: &dyn Source,
    failed: &std::sync::Mutex<Option<Failure>>,
) -> bool {
    match store_failure(error, source) {
        Failure::Library(error) if matches!(error.store(), Some(voxtile::error::IoError::Damaged { .. })) => {
            true
        }
        other => {
            failed.lock().expect("no panic while held").get_or_insert(other);
            false
        }
    }
}

fn sample(
    number: u64,
    (from, fine, above): (&Region, &Tile<'_>, &Meta),
    (coarse, at): (&Tile<'_>, &Region),
    factor: &Shape,
    ways: &[Reduction],
) -> Sample {
    let make = |way: &Reduction| values(&way.reduce(above, factor, at, (from, fine)));
    let made: Vec<Vec<f64>> = ways.iter().map(make).collect();
    let stored = values_of(coarse);
    let whole = !coarse.dtype().is_float();
    let grid = Grid::new(at.shape, [1; NDIM]);
    let fit = |(way, made): (&Reduction, &Vec<f64>)| {
        let mean = *way == Reduction::Mean;
        for n in 0..grid.len() {
            let place = grid.index(n);
            let (is, want) = (stored[n as usize], made[n as usize]);
            let near = match (mean, whole) {
                // Others round means another way.
                (true, true) => (is - want).abs() <= 1.0,
                (true, false) => is == want || (is - want).abs() <= 1e-5 * want.abs().max(f64::MIN_POSITIVE),
                (false, _) => is == want,
            };
            let both_nan = is.is_nan() && want.is_nan();
            if !(near || both_nan) {
                let at = std::array::from_fn(|a| at.start[a] as u64 + place[a]);
                return Fit::Differs(at, is, want);
            }
        }
        Fit::Fits
    };
    let fits = ways.iter().zip(&made).map(fit).collect();
    let telling = made.iter().any(|other| other != &made[0]);
    Sample { number, fits, telling }
}

fn values_of(tile: &Tile<'_>) -> Vec<f64> {
    let [nt, nc, nz, ny, _] = tile.shape();
    let mut out = Vec::with_capacity(tile.len());
    dispatch!(tile.dtype(), T => {
        let view = tile.view::<T>();
        for row in 0..nt * nc * nz * ny {
            let (at, y) = (row / ny, row % ny);
            out.extend(view.row(at / nz / nc, at / nz % nc, at % nz, y).iter().map(|v| v.to_f64()));
        }
    });
    out
}

fn values((dtype, shape, data): &(voxtile_sched::model::Dtype, [usize; NDIM], Vec<u64>)) -> Vec<f64> {
    let bytes = shape.iter().product::<usize>() * dtype.size();
    values_of(&Tile::new(*dtype, *shape, &bytemuck::cast_slice::<u64, u8>(data)[..bytes]))
}

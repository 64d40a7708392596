//! Two images, voxel by voxel.

use super::super::{Done, Failure, Outcome, print, print_json, scan};
use super::{bytes, store_failure};
use crate::args::{Global, Verify};
use crate::{progress, text};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use voxtile_sched::contract::Source;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Element, Grid, NDIM, PerAxis, Region, Shape, Tile, voxels};

/// What two images have in common.
#[derive(Debug, Default)]
pub(in crate::commands) struct Difference {
    pub(in crate::commands) voxels: u64,
    /// Largest |a − b|; NaN where one of the two is NaN.
    pub(in crate::commands) largest: f64,
    /// Number in the raster, place and values of the first one.
    first: Option<(u64, PerAxis<u64>, f64, f64)>,
}

impl Difference {
    fn merge(mut self, other: &Self) -> Self {
        self.voxels += other.voxels;
        self.largest = larger(self.largest, other.largest);
        self.first = match (self.first, other.first) {
            (Some(a), Some(b)) => Some(if a.0 <= b.0 { a } else { b }),
            (a, b) => a.or(b),
        };
        self
    }

    pub(in crate::commands) fn observe(&mut self, a: &Tile<'_>, b: &Tile<'_>, region: &Region, image: &Grid) {
        // Every bit counts: also the sign of zero and the payload of NaN.
        if a.bytes() == b.bytes() {
            return;
        }
        dispatch!(a.dtype(), T => self.observe_as::<T>(a, b, region, image));
    }

    fn observe_as<T: Element>(&mut self, a: &Tile<'_>, b: &Tile<'_>, region: &Region, image: &Grid) {
        let [nt, nc, nz, ny, nx] = a.shape();
        let (va, vb) = (a.view::<T>(), b.view::<T>());
        for t in 0..nt {
            for c in 0..nc {
                for z in 0..nz {
                    for y in 0..ny {
                        let (ra, rb) = (va.row(t, c, z, y), vb.row(t, c, z, y));
                        if bytemuck::cast_slice::<T, u8>(ra) == bytemuck::cast_slice::<T, u8>(rb) {
                            continue;
                        }
                        for x in 0..nx {
                            if bytemuck::bytes_of(&ra[x]) == bytemuck::bytes_of(&rb[x]) {
                                continue;
                            }
                            let (fa, fb) = (ra[x].to_f64(), rb[x].to_f64());
                            self.voxels += 1;
                            self.largest = larger(self.largest, (fa - fb).abs());
                            let at = [t, c, z, y, x];
                            let at = std::array::from_fn(|i| region.start[i] as u64 + at[i] as u64);
                            let number = image.linear(&at);
                            if self.first.is_none_or(|(n, ..)| number < n) {
                                self.first = Some((number, at, fa, fb));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The larger one; NaN, if either is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

pub(super) fn compare(a: &Arc<dyn Source>, b: &Arc<dyn Source>, args: &Verify, global: Global) -> Done {
    let (ma, mb) = (a.meta(), b.meta());
    let path_b = args.b.as_deref().unwrap_or(Path::new(""));
    let names = (args.a.display(), path_b.display());
    let shape = |m: &voxtile_sched::model::Meta| format!("{} ({})", text::sizes(&m.dims()), m.axes);
    let unlike = if ma.shape != mb.shape || ma.axes != mb.axes {
        Some(("shape", shape(ma), shape(mb)))
    } else if ma.dtype != mb.dtype {
        Some(("type", ma.dtype.to_string(), mb.dtype.to_string()))
    } else {
        None
    };
    if let Some((what, of_a, of_b)) = unlike {
        if global.json {
            print_json(&json!({ "equal": false, "differs": what, "a": of_a, "b": of_b }))?;
        } else {
            print(&format!("{} and {} differ in {what}: {of_a} and {of_b}\n", names.0, names.1))?;
        }
        return Ok(Outcome::Damaged);
    }

    let difference = differences(&**a, &**b, args, global)?;
    let Some((_, at, va, vb)) = difference.first else {
        if global.json {
            print_json(&json!({ "equal": true, "voxels": voxels(&ma.shape) }))?;
        } else if !global.quiet {
            let n = text::counted(voxels(&ma.shape), "voxel");
            print(&format!("{} and {} are equal: all {n}\n", names.0, names.1))?;
        }
        return Ok(Outcome::Done);
    };
    if global.json {
        let place: serde_json::Map<String, serde_json::Value> =
            ma.axes.iter().map(|axis| (axis.to_string(), json!(at[axis.index()]))).collect();
        print_json(&json!({ "equal": false, "differs": "voxels", "voxels": difference.voxels,
            "largest": difference.largest, "first": { "at": place, "a": va, "b": vb } }))?;
    } else {
        let place: Vec<String> = ma.axes.iter().map(|x: Axis| format!("{x} {}", at[x.index()])).collect();
        print(&format!(
            "{} and {} differ in {} of {}\n  first at {}: {va} and {vb}; largest difference {}\n",
            names.0,
            names.1,
            text::count(difference.voxels),
            text::counted(voxels(&ma.shape), "voxel"),
            place.join(", "),
            difference.largest,
        ))?;
    }
    Ok(Outcome::Damaged)
}

/// Compares region by region; each is a whole number of chunks of both, where the budget allows that.
fn differences(a: &dyn Source, b: &dyn Source, args: &Verify, global: Global) -> Result<Difference, Failure> {
    let image = a.meta().shape;
    let (ga, gb) = (Grid::new(image, a.chunk()), Grid::new(image, b.chunk()));
    let fixed =
        bytes(&ga.chunk, a).saturating_add(bytes(&gb.chunk, b)).saturating_add(a.scratch().max(b.scratch()));
    let each = |r: &Shape| bytes(r, a).saturating_mul(2).saturating_add(fixed);
    let joint: Shape = std::array::from_fn(|i| ga.chunk[i].max(gb.chunk[i]).min(image[i].max(1)));
    let enough = scan::workers(&args.limits, each(&joint));
    let region: Shape = match enough {
        Ok(_) => joint,
        Err(_) => std::array::from_fn(|i: usize| ga.chunk[i].min(image[i].max(1))),
    };
    debug_assert_eq!(region.len(), NDIM);
    let workers = scan::workers(&args.limits, each(&region))?;
    let grid = Grid::new(image, region);
    let voxel_grid = Grid::new(image, [1; NDIM]);
    let failed = std::sync::Mutex::new(None);
    let states = scan::parallel(
        workers,
        grid.len(),
        &progress::bar(global),
        || (<[scan::Buffer; 3]>::default(), Difference::default()),
        |(buffers, found), n| {
            let at = grid.region(&grid.index(n));
            let [chunk, whole_a, whole_b] = buffers;
            let tiles = scan::read_region(a, &ga, &at, chunk, whole_a)
                .map_err(|e| store_failure(e, a))
                .and_then(|ta| {
                    let tb =
                        scan::read_region(b, &gb, &at, chunk, whole_b).map_err(|e| store_failure(e, b))?;
                    Ok((ta, tb))
                });
            match tiles {
                Ok((ta, tb)) => found.observe(&ta, &tb, &at, &voxel_grid),
                Err(error) => {
                    failed.lock().expect("no panic while held").get_or_insert(error);
                    return false;
                }
            }
            true
        },
    )?;
    match failed.into_inner().expect("no panic while held") {
        Some(error) => Err(error),
        None => Ok(states.into_iter().fold(Difference::default(), |all, (_, d)| all.merge(&d))),
    }
}

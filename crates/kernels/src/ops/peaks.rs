//! Table of local maxima.
//!
//! Any type → a table, one row per peak: `t` and `c` where the image has them, `z_px`, `y_px`, `x_px` (and `z_um …` where
//! the pixel size is known), `value`; the highest first within each t and c, equal ones in raster order. A peak is the
//! largest voxel within `min-distance` along every space axis, and greater than `threshold` (by default the smallest
//! voxel) and than `threshold-rel` times the largest; of peaks nearer to each other than `min-distance`, which are equally
//! high, the first stays. Voxels nearer than `exclude-border` to the edge of the image are none, nor is any of an image of
//! one value. Equal to `skimage.feature.peak_local_max` in points and order, of each t and c as an image of its own.
//! Peaks are chosen when the whole image has been seen, so none is lost or counted twice where tiles meet.
//! Cost: 0.4 ns a voxel, and a look at its window (2d+1 voxels along each axis) for the few that have no greater direct
//! neighbour; plateaus that are not the highest cost a look per voxel. Memory besides the tiles: 40 bytes per run of
//! largest voxels.

use crate::maxima::Maxima;
use crate::pointwise::Sample;
use crate::spec::{ArgError, Args, Build, From, Param, Spec, Stage, Value};
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Op, Pass, Refused, Table, Tabulator, Tally, Values};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Border, Dtype, Halo, Meta, PerAxis, Region, Tile, TileMut, View};

/// `peaks min-distance=6 threshold=1000`.
pub(super) static SPEC: Spec = Spec {
    name: "peaks",
    about: "table of local maxima",
    params: &[
        Param {
            name: "min-distance",
            value: Value::Number,
            default: Some("1"),
            about: "in voxels: how far around it a peak is the largest, and from the next one",
        },
        Param {
            name: "threshold",
            value: Value::Number,
            default: Some(""),
            about: "peaks are greater; by default than the smallest voxel",
        },
        Param {
            name: "threshold-rel",
            value: Value::Number,
            default: Some(""),
            about: "peaks are greater than this share of the largest voxel",
        },
        Param {
            name: "exclude-border",
            value: Value::Number,
            default: Some(""),
            about: "in voxels: no peak so near to the edge of the image; by default min-distance",
        },
        Param {
            name: "num-peaks",
            value: Value::Number,
            default: Some(""),
            about: "at most so many, the highest, of each t and c",
        },
    ],
    inputs: 1,
    example: "gaussian sigma=2 | peaks min-distance=5",
    build: Build::Table(|args| {
        let peaks = Peaks::new(args)?;
        Ok(vec![Stage { op: Arc::new(peaks), inputs: vec![From::Input(0)] }])
    }),
};

/// What makes a peak.
#[derive(Clone, Copy, Debug)]
struct Rule {
    distance: u64,
    above: Option<f64>,
    above_share: Option<f64>,
    border: u64,
    most: u64,
}

struct Peaks {
    rule: Rule,
    image: Meta,
}

impl Peaks {
    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        let optional = |name| args.text(name).map(|_| args.finite(name)).transpose();
        let distance = args.whole("min-distance", 1..=1 << 20)?;
        let count = |name, otherwise| match args.text(name) {
            Some(_) => args.whole(name, 0..=u64::MAX),
            None => Ok(otherwise),
        };
        let rule = Rule {
            distance,
            above: optional("threshold")?,
            above_share: optional("threshold-rel")?,
            border: count("exclude-border", distance)?,
            most: count("num-peaks", u64::MAX)?,
        };
        Ok(Self { rule, image: args.input().clone() })
    }
}

impl Op for Peaks {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        let [z, y, x] = self.reach();
        Footprint::Halo(Halo::symmetric([0, 0, z, y, x]))
    }

    fn border(&self) -> Border {
        Border::Nearest
    }

    fn ns_per_voxel(&self) -> f64 {
        0.4
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Tally(self)
    }

    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("a table has no voxels")
    }
}

impl Tally for Peaks {
    fn local(&self, inputs: &[Tile<'_>], region: &Region) -> Box<dyn Any + Send> {
        let mut found = Planes::new();
        dispatch!(inputs[0].dtype(), T => self.search(inputs[0].view::<T>(), region, &mut found));
        Box::new(found)
    }

    fn tabulator(&self, _: &Meta) -> Box<dyn Tabulator> {
        Box::new(Rows { planes: Planes::new(), rule: self.rule, image: self.image.clone() })
    }
}

/// What is known of each t and c.
type Planes = BTreeMap<(i64, i64), Plane>;

struct Plane {
    min: f64,
    max: f64,
    /// A voxel that is no number.
    nan: bool,
    runs: Vec<Run>,
}

/// Neighbours along x of one value, each the largest around it.
struct Run {
    at: [i64; 3],
    len: i64,
    value: f64,
}

impl Default for Plane {
    fn default() -> Self {
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, nan: false, runs: Vec::new() }
    }
}

impl Peaks {
    /// Voxels of the window along z, y, x, to either side.
    fn reach(&self) -> [u64; 3] {
        [Axis::Z, Axis::Y, Axis::X]
            .map(|axis| if self.image.axes.contains(axis) { self.rule.distance } else { 0 })
    }

    fn search<T: Sample>(&self, image: View<'_, T>, region: &Region, planes: &mut Planes) {
        let reach = self.reach().map(|n| n as usize);
        let mut maxima = Maxima::new(image, reach);
        let above = self.rule.above.map_or(f64::NEG_INFINITY, |v| rounded::<T>(v));
        let float = matches!(T::DTYPE, Dtype::F32 | Dtype::F64);
        let bound = T::from_f64(if float { above } else { above.floor() });
        // A threshold below all values of the type is none.
        let bound = Some(bound).filter(|bound| *bound > T::LOWEST || above >= bound.to_f64());
        let [nt, nc, nz, ny, _] = region.shape.map(|n| n as usize);
        for (t, c) in (0..nt).flat_map(|t| (0..nc).map(move |c| (t, c))) {
            let plane = planes.entry((region.start[0] + t as i64, region.start[1] + c as i64)).or_default();
            for row in maxima.plane(t, c) {
                plane.min = plane.min.min(row.min.to_f64());
                plane.max = plane.max.max(row.max.to_f64());
                plane.nan |= row.nan;
            }
            for (z, y) in (0..nz).flat_map(|z| (0..ny).map(move |y| (z, y))) {
                let place = [region.start[2] + z as i64, region.start[3] + y as i64];
                if !self.inside(Axis::Z, place[0]) || !self.inside(Axis::Y, place[1]) {
                    continue;
                }
                maxima.of_row([t, c, z, y], bound, |x, value| {
                    let (x, value) = (region.start[4] + x as i64, value.to_f64());
                    if value <= above || !self.inside(Axis::X, x) {
                        return;
                    }
                    match plane.runs.last_mut() {
                        Some(last)
                            if last.at == [place[0], place[1], x - last.len] && last.value == value =>
                        {
                            last.len += 1;
                        }
                        _ => plane.runs.push(Run { at: [place[0], place[1], x], len: 1, value }),
                    }
                });
            }
        }
    }

    /// Whether a place along an axis is far enough from the edge of the image.
    fn inside(&self, axis: Axis, at: i64) -> bool {
        let (a, width) = (axis.index(), self.rule.border as i64);
        !self.image.axes.contains(axis) || (at >= width && at < self.image.shape[a] as i64 - width)
    }
}

/// A threshold as numpy compares it: with f32 as f32.
fn rounded<T: Sample>(value: f64) -> f64 {
    if T::DTYPE == Dtype::F32 { f64::from(value as f32) } else { value }
}

/// The table as it grows.
struct Rows {
    planes: Planes,
    rule: Rule,
    image: Meta,
}

impl Tabulator for Rows {
    fn absorb(&mut self, part: Box<dyn Any + Send>) {
        let part: Planes = *part.downcast().expect("peaks of a tile");
        for (key, plane) in part {
            let known = self.planes.entry(key).or_default();
            known.min = known.min.min(plane.min);
            known.max = known.max.max(plane.max);
            known.nan |= plane.nan;
            known.runs.extend(plane.runs);
        }
    }

    fn bytes(&self) -> u64 {
        self.planes.values().map(|plane| plane.runs.len() * size_of::<Run>()).sum::<usize>() as u64
    }

    fn finish(self: Box<Self>) -> Result<Table, Refused> {
        let mut rows: Vec<(PerAxis<u64>, f64)> = Vec::new();
        for (&(t, c), plane) in &self.planes {
            let peaks = self.of_plane(plane).into_iter();
            rows.extend(peaks.map(|([z, y, x], value)| ([t, c, z, y, x].map(|n| n as u64), value)));
        }
        let mut table = Table::default();
        for axis in self.image.axes.iter() {
            let a = axis.index();
            let name = if axis.is_space() { format!("{axis}_px") } else { axis.to_string() };
            table.push(name, Values::Whole(rows.iter().map(|(at, _)| at[a]).collect()));
        }
        for axis in self.image.axes.space().iter() {
            let Some(spacing) = &self.image.spacing[axis.index()] else { continue };
            let Some(scale) = spacing.micrometers() else { continue };
            let origin = spacing.origin * (scale / spacing.scale);
            let place = |(at, _): &(PerAxis<u64>, f64)| origin + at[axis.index()] as f64 * scale;
            table.push(format!("{axis}_um"), Values::Real(rows.iter().map(place).collect()));
        }
        table.push("value", Values::Real(rows.iter().map(|(_, value)| *value).collect()));
        Ok(table)
    }
}

impl Rows {
    fn of_plane(&self, plane: &Plane) -> Vec<([i64; 3], f64)> {
        let voxels: u64 = self.image.axes.space().iter().map(|axis| self.image.shape[axis.index()]).product();
        let trivial = plane.min == plane.max && !plane.nan && voxels > 1;
        // Where a voxel is no number, nothing is known to be the smallest or the largest.
        let unknown = plane.nan && (self.rule.above.is_none() || self.rule.above_share.is_some());
        if trivial || unknown {
            return Vec::new();
        }
        let single = self.image.dtype == Dtype::F32;
        let round = |v: f64| if single { f64::from(v as f32) } else { v };
        let share = self.rule.above_share.map(|s| round(round(s) * plane.max));
        let above = round(self.rule.above.unwrap_or(plane.min)).max(share.unwrap_or(f64::NEG_INFINITY));
        let runs = plane.runs.iter().filter(|run| run.value > above);
        let each = |run: &Run| {
            let ([z, y, x], value) = (run.at, run.value);
            (0..run.len).map(move |n| ([z, y, x + n], value))
        };
        let mut points: Vec<([i64; 3], f64)> = runs.flat_map(each).collect();
        points.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        self.apart(points)
    }

    /// The points that are not too near to one before them.
    fn apart(&self, points: Vec<([i64; 3], f64)>) -> Vec<([i64; 3], f64)> {
        let (distance, most) =
            (self.rule.distance as i64, usize::try_from(self.rule.most).unwrap_or(usize::MAX));
        if distance <= 1 {
            return points.into_iter().take(most).collect();
        }
        let cell = |at: [i64; 3]| at.map(|v| v.div_euclid(distance));
        let mut grid: HashMap<[i64; 3], Vec<[i64; 3]>> = HashMap::new();
        let mut out = Vec::new();
        for (at, value) in points {
            if out.len() == most {
                break;
            }
            let near = |other: &[i64; 3]| (0..3).all(|a| (at[a] - other[a]).abs() < distance);
            let here = cell(at);
            let around = (0..27).map(|n| [here[0] + n / 9 - 1, here[1] + n / 3 % 3 - 1, here[2] + n % 3 - 1]);
            if around.filter_map(|cell| grid.get(&cell)).flatten().any(near) {
                continue;
            }
            grid.entry(here).or_default().push(at);
            out.push((at, value));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms_table;
    use crate::testing::Image;
    use voxtile_sched::contract::{Table, Values};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Element, PerAxis, voxels};

    /// As `peak_local_max` says it, voxel by voxel.
    struct Wanted {
        distance: i64,
        border: i64,
        above: Option<f64>,
        share: Option<f64>,
        most: usize,
    }

    fn oracle(image: &Image, wanted: &Wanted) -> Table {
        let meta = image.meta();
        let [nt, nc, nz, ny, nx] = meta.shape;
        let value = |at: PerAxis<u64>| dispatch!(meta.dtype, T => image.at::<T>(at).to_f64());
        let mut rows: Vec<(PerAxis<u64>, f64)> = Vec::new();
        for (t, c) in (0..nt).flat_map(|t| (0..nc).map(move |c| (t, c))) {
            let all = || {
                (0..nz).flat_map(move |z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [t, c, z, y, x])))
            };
            let highest = |at: PerAxis<u64>| {
                let near = |other: &PerAxis<u64>| {
                    (2..5).all(|a| (at[a] as i64 - other[a] as i64).abs() <= wanted.distance)
                };
                all().filter(near).all(|other| value(other) <= value(at))
            };
            let (min, max) =
                all().map(value).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            if voxels(&meta.shape) / nt / nc > 1 && all().all(highest) {
                continue;
            }
            let above = wanted.above.unwrap_or(min).max(wanted.share.map_or(f64::NEG_INFINITY, |s| s * max));
            let inside = |at: &PerAxis<u64>| {
                meta.axes.space().iter().map(Axis::index).all(|a| {
                    let (at, n) = (at[a] as i64, meta.shape[a] as i64);
                    at >= wanted.border && at < n - wanted.border
                })
            };
            let mut points: Vec<PerAxis<u64>> =
                all().filter(|at| highest(*at) && value(*at) > above && inside(at)).collect();
            points.sort_by(|a, b| value(*b).total_cmp(&value(*a)));
            let mut kept: Vec<PerAxis<u64>> = Vec::new();
            for at in points {
                let far =
                    |k: &PerAxis<u64>| (2..5).any(|a| (at[a] as i64 - k[a] as i64).abs() >= wanted.distance);
                if wanted.distance <= 1 || kept.iter().all(far) {
                    kept.push(at);
                }
            }
            rows.extend(kept.into_iter().take(wanted.most).map(|at| (at, value(at))));
        }
        let mut table = Table::default();
        for axis in meta.axes.iter() {
            let name = if axis.is_space() { format!("{axis}_px") } else { axis.to_string() };
            table.push(name, Values::Whole(rows.iter().map(|r| r.0[axis.index()]).collect()));
        }
        table.push("value", Values::Real(rows.iter().map(|r| r.1).collect()));
        table
    }

    fn wanted(distance: i64) -> Wanted {
        Wanted { distance, border: distance, above: None, share: None, most: usize::MAX }
    }

    conforms_table!(
        by_default: &SPEC, "peaks", [U8, U16, I32, F32],
        |meta| !meta.axes.is_empty(), |images| oracle(&images[0], &wanted(1)),
    );
    conforms_table!(
        to_the_edge: &SPEC, "peaks min-distance=2 exclude-border=0 threshold=1", [U8, U16, F32],
        |meta| !meta.axes.is_empty(),
        |images| oracle(&images[0], &Wanted { border: 0, above: Some(1.0), ..wanted(2) }),
    );
    conforms_table!(
        a_few: &SPEC, "peaks min-distance=3 exclude-border=1 threshold-rel=0.5 num-peaks=3", [U8, U16],
        |meta| !meta.axes.is_empty(),
        |images| oracle(&images[0], &Wanted { border: 1, share: Some(0.5), most: 3, ..wanted(3) }),
    );
}

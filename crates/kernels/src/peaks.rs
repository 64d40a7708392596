//! Peaks of a whole image, chosen when all of it has been seen: for tables of them and for images that mark them.

use crate::device::numbers;
use crate::maxima::Maxima;
use crate::pack::packed_fields;
use crate::pointwise::Sample;
use crate::spec::{ArgError, Args, Param, Value};
use std::collections::{BTreeMap, HashMap};
use voxtile_sched::contract::device::{Argument, Buffer, Given, Slot, Sweep, Threads};
use voxtile_sched::contract::{Footprint, Kernels};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Halo, Meta, PerAxis, Region, Shape, Tile, View, voxels};

/// What makes a peak, as parameters.
pub(crate) const MIN_DISTANCE: Param = Param {
    name: "min-distance",
    value: Value::Number,
    default: Some("1"),
    about: "in voxels: how far around it a peak is the largest, and from the next one",
};
pub(crate) const THRESHOLD: Param = Param {
    name: "threshold",
    value: Value::Number,
    default: Some(""),
    about: "peaks are greater; by default than the smallest voxel",
};
pub(crate) const THRESHOLD_REL: Param = Param {
    name: "threshold-rel",
    value: Value::Number,
    default: Some(""),
    about: "peaks are greater than this share of the largest voxel",
};
pub(crate) const EXCLUDE_BORDER: Param = Param {
    name: "exclude-border",
    value: Value::Number,
    default: Some(""),
    about: "in voxels: no peak so near to the edge of the image; by default min-distance",
};
pub(crate) const NUM_PEAKS: Param = Param {
    name: "num-peaks",
    value: Value::Number,
    default: Some(""),
    about: "at most so many, the highest, of each t and c",
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

/// The search for peaks in an image.
#[derive(Clone)]
pub(crate) struct Search {
    rule: Rule,
    pub(crate) image: Meta,
    /// Whether places between the voxels are looked for.
    pub(crate) refined: bool,
}

/// A peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) at: PerAxis<u64>,
    pub(crate) value: f64,
    /// How far the vertex lies from the voxel, along z, y and x; 0 where peaks are not refined.
    pub(crate) shift: [f64; 3],
}

/// A peak of a plane.
type Spot = ([i64; 3], f64, [f64; 3]);

impl Search {
    pub(crate) fn new(args: &Args<'_>, refined: bool) -> Result<Self, ArgError> {
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
        Ok(Self { rule, image: args.input().clone(), refined })
    }
}

/// What is known of each t and c.
pub(crate) type Planes = BTreeMap<(i64, i64), Plane>;

pub(crate) struct Plane {
    min: f64,
    max: f64,
    /// A voxel that is no number.
    nan: bool,
    runs: Vec<Run>,
    /// Of each run, where peaks are refined; each is one voxel then.
    shifts: Vec<[f64; 3]>,
}

/// Neighbours along x of one value, each the largest around it.
struct Run {
    at: [i64; 3],
    len: i64,
    value: f64,
}

packed_fields!(Plane { min, max, nan, runs, shifts });
packed_fields!(Run { at, len, value });

impl Default for Plane {
    fn default() -> Self {
        let (runs, shifts) = (Vec::new(), Vec::new());
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, nan: false, runs, shifts }
    }
}

impl Plane {
    /// The next voxel that is the largest around it, in raster order.
    fn push(&mut self, [z, y, x]: [i64; 3], value: f64) {
        match self.runs.last_mut() {
            Some(last) if last.at == [z, y, x - last.len] && last.value == value => last.len += 1,
            _ => self.runs.push(Run { at: [z, y, x], len: 1, value }),
        }
    }
}

/// Takes in what another tile holds.
pub(crate) fn merge(planes: &mut Planes, other: Planes) {
    for (key, plane) in other {
        let known = planes.entry(key).or_default();
        known.min = known.min.min(plane.min);
        known.max = known.max.max(plane.max);
        known.nan |= plane.nan;
        known.runs.extend(plane.runs);
        known.shifts.extend(plane.shifts);
    }
}

/// Bytes of what is held.
pub(crate) fn bytes(planes: &Planes) -> u64 {
    let each =
        |plane: &Plane| plane.runs.len() * size_of::<Run>() + plane.shifts.len() * size_of::<[f64; 3]>();
    planes.values().map(each).sum::<usize>() as u64
}

impl Search {
    pub(crate) fn footprint(&self) -> Footprint {
        let [z, y, x] = self.reach();
        Footprint::Halo(Halo::symmetric([0, 0, z, y, x]))
    }

    /// Voxels of the window along z, y, x, to either side: the halo that a tile needs.
    fn reach(&self) -> [u64; 3] {
        [Axis::Z, Axis::Y, Axis::X]
            .map(|axis| if self.image.axes.contains(axis) { self.rule.distance } else { 0 })
    }

    /// What a tile with its halo holds, whose output is at `region`.
    pub(crate) fn tile(&self, image: &Tile<'_>, region: &Region) -> Planes {
        let mut found = Planes::new();
        dispatch!(image.dtype(), T => self.typed(image.view::<T>(), region, &mut found));
        found
    }

    /// Kernels that find the largest voxels of a tile's windows: how many, their places in the tile without its halo and
    /// their keys, then the ends of each t and c, and whether a voxel of it is no number. Places between voxels need more.
    pub(crate) fn kernels(&self, dtype: Dtype, shape: &Shape) -> Option<Kernels> {
        if self.refined || !matches!(dtype, Dtype::U8 | Dtype::U16 | Dtype::F32) {
            return None;
        }
        let (word, any) = dispatch!(dtype, T => match self.bound::<T>().1 {
            Some(bound) => (bound.to_word(), 0),
            None => (0, 1),
        });
        let [z, y, x] = self.reach().map(|n| Argument::U32(n as u32));
        let arguments = vec![z, y, x, Argument::U64(word), Argument::U32(any)];
        let planes = shape[0] * shape[1];
        let room = voxels(shape) / 16 + 256;
        let row = |len: u64| Buffer::row(Dtype::U32, len);
        let some = |len: u64| Given { buffer: row(len), counted: Some((0, 0)) };
        let results = vec![
            row(1).zeroed().into(),
            some(room),
            some(room),
            Buffer { fill: Some(0xff), ..row(planes) }.into(),
            row(planes).zeroed().into(),
            row(planes).zeroed().into(),
        ];
        let to = (0..results.len()).map(Slot::Result).collect();
        let threads = Threads::Processors { blocks: 4, threads: 256, shared: 0 };
        let sweep = Sweep::new(format!("peaks_{dtype}"), vec![Slot::Input(0)], to, arguments);
        Some(Kernels { results, ..sweep.by(threads).weighing(4.0).into() })
    }

    /// What [`tile`](Self::tile) would find, from what kernels found; `None` if there was no room for all.
    pub(crate) fn found(&self, results: &[&[u8]], region: &Region) -> Option<Planes> {
        let [count, places, keys, low, high, missing] =
            <[&[u8]; 6]>::try_from(results).ok()?.map(numbers::<u32>);
        let dtype = self.image.dtype;
        let above = dispatch!(dtype, T => self.bound::<T>().0);
        let mut found: Vec<(u32, u32)> = places.into_iter().zip(keys).collect();
        if found.len() != count[0] as usize {
            return None;
        }
        found.sort_unstable();
        let mut planes = Planes::new();
        let value = |key: u32| match dtype {
            Dtype::F32 => f64::from(f32::from_bits(if key >> 31 == 1 { key & 0x7fff_ffff } else { !key })),
            _ => f64::from(key),
        };
        let [_, nc, nz, ny, nx] = region.shape;
        let key = |tc: usize| {
            (region.start[0] + (tc as u64 / nc) as i64, region.start[1] + (tc as u64 % nc) as i64)
        };
        for (tc, ((low, high), missing)) in low.into_iter().zip(high).zip(missing).enumerate() {
            let plane = planes.entry(key(tc)).or_default();
            if low <= high {
                (plane.min, plane.max) = (value(low), value(high));
            }
            plane.nan = missing != 0;
        }
        for (place, of) in found {
            let place = u64::from(place);
            let (tc, z, y, x) = (place / nx / ny / nz, place / nx / ny % nz, place / nx % ny, place % nx);
            let at: [i64; 3] = std::array::from_fn(|a| region.start[2 + a] + [z, y, x][a] as i64);
            let inside = Axis::ALL[2..].iter().zip(at).all(|(axis, at)| self.inside(*axis, at));
            if inside && value(of) > above {
                planes.entry(key(tc as usize)).or_default().push(at, value(of));
            }
        }
        Some(planes)
    }

    /// What peaks are above, and the same as a sample, unless every sample is.
    fn bound<T: Sample>(&self) -> (f64, Option<T>) {
        let above = self.rule.above.map_or(f64::NEG_INFINITY, |v| rounded::<T>(v));
        let float = matches!(T::DTYPE, Dtype::F32 | Dtype::F64);
        let bound = T::from_f64(if float { above } else { above.floor() });
        // A threshold below all values of the type is none.
        (above, Some(bound).filter(|bound| *bound > T::LOWEST || above >= bound.to_f64()))
    }

    fn typed<T: Sample>(&self, image: View<'_, T>, region: &Region, planes: &mut Planes) {
        let reach = self.reach().map(|n| n as usize);
        let mut maxima = Maxima::new(image, reach);
        let (above, bound) = self.bound::<T>();
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
                maxima.of_row([t, c, z, y], bound, |n, value| {
                    let (x, value) = (region.start[4] + n as i64, value.to_f64());
                    if value <= above || !self.inside(Axis::X, x) {
                        return;
                    }
                    if self.refined {
                        let (at, within) = ([place[0], place[1], x], [t, c, z, y, n]);
                        plane.runs.push(Run { at, len: 1, value });
                        plane.shifts.push(self.shift(&image, at, within));
                        return;
                    }
                    plane.push([place[0], place[1], x], value);
                });
            }
        }
    }

    /// How far the vertex of the parabola through a voxel and its two neighbours lies from it, along z, y, x; 0 where there
    /// are not two.
    fn shift<T: Sample>(&self, image: &View<'_, T>, at: [i64; 3], within: [usize; 5]) -> [f64; 3] {
        let [t, c, z, y, x] = within;
        let reach = self.reach().map(|n| n as usize);
        let middle = [z + reach[0], y + reach[1], x + reach[2]];
        let value = |a: usize, step: usize| {
            let mut place = middle;
            place[a] = place[a] + step - 1;
            image.row(t, c, place[0], place[1])[place[2]].to_f64()
        };
        std::array::from_fn(|a| {
            let extent = self.image.shape[a + 2] as i64;
            match at[a] > 0 && at[a] + 1 < extent {
                true => vertex(value(a, 0), value(a, 1), value(a, 2)),
                false => 0.0,
            }
        })
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

/// `(a − c) / 2 (a − 2 b + c)`: of neighbours that are not higher, from −½ to ½; 0 on a line.
fn vertex(a: f64, b: f64, c: f64) -> f64 {
    let shift = (a - c) / (2.0 * ((a - b) + (c - b)));
    if shift.is_nan() { 0.0 } else { shift.clamp(-0.5, 0.5) }
}

impl Search {
    /// The peaks of all planes in order, t and c before the highest.
    pub(crate) fn points(&self, planes: &Planes) -> Vec<Point> {
        let of = |(&(t, c), plane): (&(i64, i64), &Plane)| {
            let place = move |(at, value, shift): Spot| {
                let [z, y, x] = at;
                Point { at: [t, c, z, y, x].map(|n| n as u64), value, shift }
            };
            self.of_plane(plane).into_iter().map(place)
        };
        planes.iter().flat_map(of).collect()
    }

    fn of_plane(&self, plane: &Plane) -> Vec<Spot> {
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
        let runs = plane.runs.iter().enumerate().filter(|(_, run)| run.value > above);
        let each = |(n, run): (usize, &Run)| {
            let ([z, y, x], value) = (run.at, run.value);
            let shift = plane.shifts.get(n).copied().unwrap_or_default();
            (0..run.len).map(move |n| ([z, y, x + n], value, shift))
        };
        let mut points: Vec<Spot> = runs.flat_map(each).collect();
        points.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        self.apart(points)
    }

    /// The points that are not too near to one before them.
    fn apart(&self, points: Vec<Spot>) -> Vec<Spot> {
        let (distance, most) =
            (self.rule.distance as i64, usize::try_from(self.rule.most).unwrap_or(usize::MAX));
        if distance <= 1 {
            return points.into_iter().take(most).collect();
        }
        let cell = |at: [i64; 3]| at.map(|v| v.div_euclid(distance));
        let mut grid: HashMap<[i64; 3], Vec<[i64; 3]>> = HashMap::new();
        let mut out = Vec::new();
        for (at, value, shift) in points {
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
            out.push((at, value, shift));
        }
        out
    }
}

#[cfg(test)]
pub(crate) mod oracle {
    use crate::testing::Image;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Element, PerAxis, voxels};

    /// As `peak_local_max` says it, voxel by voxel.
    pub(crate) struct Wanted {
        pub(crate) distance: i64,
        pub(crate) border: i64,
        pub(crate) above: Option<f64>,
        pub(crate) share: Option<f64>,
        pub(crate) most: usize,
    }

    pub(crate) fn peaks(image: &Image, wanted: &Wanted) -> Vec<(PerAxis<u64>, f64)> {
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
        rows
    }

    pub(crate) fn wanted(distance: i64) -> Wanted {
        Wanted { distance, border: distance, above: None, share: None, most: usize::MAX }
    }
}

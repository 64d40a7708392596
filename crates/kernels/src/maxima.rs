//! Local maxima of a whole image, chosen when all of it has been seen: for tables of them and for images that mark them.

use crate::ops::largest_around;
use crate::pointwise::{Sample, for_rows};
use crate::spec::{ArgError, Args, Param, Stage, Value};
use crate::vectorised;
use std::collections::{BTreeMap, HashMap};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Meta, PerAxis, Region, Tile};

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
pub(crate) struct Rule {
    distance: u64,
    above: Option<f64>,
    above_share: Option<f64>,
    border: u64,
    most: u64,
}

/// The search for peaks in an image.
#[derive(Clone)]
pub(crate) struct Maxima {
    rule: Rule,
    pub(crate) image: Meta,
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

impl Maxima {
    pub(crate) fn new(args: &Args<'_>) -> Result<Self, ArgError> {
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

    /// Stages that end with the largest voxel around each.
    pub(crate) fn stages(&self, args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
        largest_around(2 * self.rule.distance + 1, args.inputs())
    }
}

/// What is known of each t and c.
pub(crate) type Planes = BTreeMap<(i64, i64), Plane>;

pub(crate) struct Plane {
    min: f64,
    max: f64,
    /// A voxel that is no number.
    nan: bool,
    /// A voxel that is not the largest around it.
    uneven: bool,
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

impl Default for Plane {
    fn default() -> Self {
        let (runs, shifts) = (Vec::new(), Vec::new());
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, nan: false, uneven: false, runs, shifts }
    }
}

/// What a row holds.
struct Survey<T> {
    min: T,
    max: T,
    /// A voxel that is not the largest around it.
    uneven: bool,
    /// One that is, above a bound.
    peak: bool,
}

vectorised! {
    /// Looks over a row: whether voxels are the largest around them, and greater than `above`.
    fn survey<T: Sample>(row: &[T], largest: &[T], above: T, found: &mut Survey<T>) {
        let (mut min, mut max, mut uneven, mut peak) = (T::HIGHEST, T::LOWEST, false, false);
        for (&v, &m) in row.iter().zip(largest) {
            min = if v < min { v } else { min };
            max = if v > max { v } else { max };
            uneven |= v != m;
            peak |= (v == m) & (v > above);
        }
        *found = Survey { min, max, uneven, peak };
    }
}

/// Takes in what another tile holds.
pub(crate) fn merge(planes: &mut Planes, other: Planes) {
    for (key, plane) in other {
        let known = planes.entry(key).or_default();
        known.min = known.min.min(plane.min);
        known.max = known.max.max(plane.max);
        known.nan |= plane.nan;
        known.uneven |= plane.uneven;
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

impl Maxima {
    /// What a tile holds, of the image and of the largest voxel around each; `shifts` are how far the vertices lie from the
    /// voxels, along z, y and x, where peaks are refined.
    pub(crate) fn search(
        &self,
        image: &Tile<'_>,
        largest: &Tile<'_>,
        shifts: [Option<&Tile<'_>>; 3],
        region: &Region,
    ) -> Planes {
        let mut found = Planes::new();
        dispatch!(image.dtype(), T => self.search_typed::<T>(image, largest, shifts, region, &mut found));
        found
    }

    fn search_typed<T: Sample>(
        &self,
        image: &Tile<'_>,
        largest: &Tile<'_>,
        shifts: [Option<&Tile<'_>>; 3],
        region: &Region,
        planes: &mut Planes,
    ) {
        let (image, largest) = (image.view::<T>(), largest.view::<T>());
        let refined = shifts.iter().any(Option::is_some);
        let shifts = shifts.map(|shift| shift.map(|tile| tile.view::<f64>()));
        let above = self.rule.above.map_or(f64::NEG_INFINITY, |v| rounded::<T>(v));
        let float = matches!(T::DTYPE, Dtype::F32 | Dtype::F64);
        let bound = T::from_f64(if float { above } else { above.floor() });
        // The smallest value of the type is above a threshold below all of them, and never above the smallest voxel.
        let lowest = self.rule.above.is_some() && bound == T::LOWEST;
        for_rows(image.shape(), |t, c, z, y| {
            let (row, largest) = (image.row(t, c, z, y), largest.row(t, c, z, y));
            let plane = planes.entry((region.start[0] + t as i64, region.start[1] + c as i64)).or_default();
            let mut seen = Survey { min: T::HIGHEST, max: T::LOWEST, uneven: false, peak: false };
            survey(row, largest, bound, &mut seen);
            plane.min = plane.min.min(seen.min.to_f64());
            plane.max = plane.max.max(seen.max.to_f64());
            if float {
                plane.nan |= row.iter().any(|v| v.to_f64().is_nan());
            }
            plane.uneven |= seen.uneven;
            let shifts = shifts.each_ref().map(|shift| shift.as_ref().map(|view| view.row(t, c, z, y)));
            let [z, y] = [region.start[2] + z as i64, region.start[3] + y as i64];
            let any = seen.peak || (lowest && largest.contains(&bound));
            if !any || !self.inside(Axis::Z, z) || !self.inside(Axis::Y, y) {
                return;
            }
            for (n, (&v, &m)) in row.iter().zip(largest).enumerate() {
                let x = region.start[4] + n as i64;
                if v != m || v.to_f64() <= above || !self.inside(Axis::X, x) {
                    continue;
                }
                let value = v.to_f64();
                if refined {
                    plane.runs.push(Run { at: [z, y, x], len: 1, value });
                    plane.shifts.push(shifts.map(|row| row.map_or(0.0, |row| row[n])));
                    continue;
                }
                match plane.runs.last_mut() {
                    Some(last) if last.at == [z, y, x - last.len] && last.value == value => last.len += 1,
                    _ => plane.runs.push(Run { at: [z, y, x], len: 1, value }),
                }
            }
        });
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

impl Maxima {
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
        let trivial = !plane.uneven && voxels > 1;
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

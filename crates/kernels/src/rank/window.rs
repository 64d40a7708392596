//! The voxels around a voxel that a filter looks at, as the arguments `size`, `shape`, `radius`, `footprint`, `border`
//! and `cval` describe them.

use super::BALL_LIMIT;
use super::runs::Runs;
use super::set::{Drawing, Run, Set, ball, cross, diamond};
use super::steps::Steps;
use crate::device::ROWS;
use crate::spec::{ArgError, Args, Param, Value};
use voxtile_sched::model::{Axis, Border, Dtype, Halo, NDIM, PerAxis, Shape};

/// The parameter `size`, first of most operations over a window.
pub(crate) const SIZE: Param = Param {
    name: "size",
    value: Value::Size,
    default: Some(""),
    about: "edge of the box in voxels, one for all space axes or one per axis; of another shape its width, odd",
};

/// The parameter `shape`.
pub(crate) const SHAPE: Param = Param {
    name: "shape",
    value: Value::Choice(&["box", "ball", "cross", "diamond"]),
    default: Some("box"),
    about: "what lies around a voxel: in the plane a ball is a disk",
};

/// The parameter `radius`, in place of `size`.
pub(crate) const RADIUS: Param = Param {
    name: "radius",
    value: Value::Length,
    default: Some(""),
    about: "in place of `size`: how far the shape reaches from the voxel, one or per axis",
};

/// The parameter `footprint`, in place of a shape.
pub(crate) const FOOTPRINT: Param = Param {
    name: "footprint",
    value: Value::Footprint,
    default: Some(""),
    about: "in place of a shape: its voxels as 1, in rows with / between them and planes with //",
};

/// Where a window of even size lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `size / 2` voxels before the centre, the rest after it.
    Centre,
    /// The same on the other side of the centre: scipy's grey dilation.
    Reflected,
}

/// What a filter looks at, and what stands beyond the image.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Voxels along `z, y, x` of the box around the window and its centre.
    pub(crate) size: [usize; 3],
    /// Its reach.
    pub(crate) halo: Halo,
    /// What the window has of the box, if not all; or what one of several steps has.
    set: Option<Set>,
    /// Steps with that set, one after the other, that the window is the sum of.
    times: usize,
    /// The border rule.
    pub(crate) border: Border,
    /// The sample type of the image that it is laid over.
    pub(crate) dtype: Dtype,
}

impl Window {
    /// The largest edge of a box: far more than any image can use, and no sum of a few overflows.
    const LIMIT: u64 = 1 << 30;

    pub(crate) fn new(size: PerAxis<u64>, origin: Origin, border: Border, dtype: Dtype) -> Self {
        let half = size.map(|n| n / 2);
        let rest = std::array::from_fn(|a| size[a] - 1 - half[a]);
        let (lo, hi) = match origin {
            Origin::Centre => (half, rest),
            Origin::Reflected => (rest, half),
        };
        let size = std::array::from_fn(|a| size[NDIM - 3 + a] as usize);
        Self { size, halo: Halo { lo, hi }, set: None, times: 1, border, dtype }
    }

    /// Over a set of voxels.
    pub(crate) fn of(set: Set, origin: Origin, border: Border, dtype: Dtype) -> Self {
        let set = if origin == Origin::Reflected { set.reflected() } else { set };
        let (lo, hi) = set.reach();
        let all = |[z, y, x]: [u64; 3]| [0, 0, z, y, x];
        let size = std::array::from_fn(|a| (lo[a] + hi[a] + 1) as usize);
        let halo = Halo { lo: all(lo), hi: all(hi) };
        Self { size, halo, set: (!set.is_box()).then_some(set), times: 1, border, dtype }
    }

    /// From the arguments of a step.
    pub(crate) fn from_args(args: &Args<'_>, origin: Origin) -> Result<Self, ArgError> {
        let (border, dtype) = (args.border()?, args.input().dtype);
        let shape = args.choice(SHAPE.name)?;
        if let Some(text) = args.text(FOOTPRINT.name) {
            let others = [SIZE.name, RADIUS.name].into_iter();
            if let Some((other, given)) = others.filter_map(|name| Some((name, args.text(name)?))).next() {
                return Err(args.wrong(other, given, "for a drawn `footprint`"));
            }
            if shape != "box" {
                return Err(args.wrong(SHAPE.name, shape, "for a drawn `footprint`"));
            }
            return Ok(Self::of(drawn(args, text)?, origin, border, dtype));
        }
        if shape == "box" && args.text(RADIUS.name).is_none() {
            return Ok(Self::new(sizes(args)?, origin, border, dtype));
        }
        let radius = radii(args)?;
        if shape == "box" {
            return Ok(Self::new(radius.map(|r| 2 * r as u64 + 1), origin, border, dtype));
        }
        let [.., z, y, x] = radius;
        let set = match shape {
            "ball" => ball([z, y, x]),
            "cross" => cross([z, y, x]),
            _ => diamond([z, y, x]),
        };
        Ok(Self::of(set, origin, border, dtype))
    }

    /// Voxels in the window.
    pub(crate) fn count(&self) -> usize {
        match &self.set {
            Some(set) => set.count(),
            None => self.size.iter().fold(1, |n, &k| n.saturating_mul(k)),
        }
    }

    /// Whether it is a whole box.
    pub(crate) fn is_box(&self) -> bool {
        self.set.is_none()
    }

    /// From the start of the box to the centre, along `z, y, x`.
    fn centre(&self) -> [usize; 3] {
        let [.., z, y, x] = self.halo.lo;
        [z, y, x].map(|n| n as usize)
    }

    /// What a minimum over the window consists of, if it is no box.
    pub(super) fn runs(&self) -> Option<Runs> {
        let flat: Vec<(Run, u64)> = self.set.as_ref()?.runs().iter().map(|&run| (run, 0)).collect();
        Some(Runs::new(self.size, self.centre(), &flat, self.dtype.size()))
    }

    /// The runs of the window: the number of the row in the box, and the columns.
    pub(super) fn rows(&self) -> Vec<(usize, std::ops::Range<usize>)> {
        let [_, ky, kx] = self.size;
        let Some(set) = &self.set else {
            return (0..self.size[0] * ky).map(|row| (row, 0..kx)).collect();
        };
        let lo = self.centre().map(|n| n as i64);
        let row = |run: &Run| {
            let (z, y, x) = (run.z + lo[0], run.y + lo[1], (run.x + lo[2]) as usize);
            (z as usize * ky + y as usize, x..x + run.len as usize)
        };
        set.runs().iter().map(row).collect()
    }

    /// The rows of the window, as kernels take them (`kernels/rank.cu`); none for a box. Of several steps those of one, and
    /// how many there are. `None` if there are too many, or too long ones.
    pub(super) fn packed(&self) -> Option<(Vec<u32>, usize)> {
        let Some(set) = &self.set else { return Some((Vec::new(), 1)) };
        let (lo, _) = set.reach();
        let row = |run: &Run| {
            let place = |a: usize, at: i64| u32::try_from(at + lo[a] as i64).ok().filter(|n| *n < 256);
            let len = u32::try_from(run.len).ok().filter(|n| *n < 256)?;
            Some(place(0, run.z)? | place(1, run.y)? << 8 | place(2, run.x)? << 16 | len << 24)
        };
        let rows: Vec<u32> = set.runs().iter().map(row).collect::<Option<_>>()?;
        (rows.len() <= ROWS).then_some((rows, self.times))
    }

    /// One step of [`packed`](Self::packed): voxels that it reads before and after each, along `z, y, x`.
    pub(super) fn reach(&self) -> [u64; 3] {
        self.set.as_ref().map_or([0; 3], |set| {
            let (lo, hi) = set.reach();
            std::array::from_fn(|a| lo[a] + hi[a])
        })
    }

    /// The small steps that a minimum over the window consists of, if they cost less than its runs.
    pub(super) fn steps(&self) -> Option<Steps> {
        let set = self.set.as_ref()?;
        if self.times > 1 { Steps::new(set, self.times) } else { Steps::of(set, self.runs()?.cost()) }
    }

    /// Windows that give, one after the other, what `times` filters with this one give, at the edge of the image too, and
    /// cost less. Of a box or set that is the same on both sides of its centre, and holds all that is nearer, that is
    /// one, or a few: what two steps reach inside the image can then be reached on a way that does not leave it, and
    /// an image continued by reflection is filtered to one that continues so.
    pub(crate) fn repeated(self, times: usize) -> Vec<Self> {
        if let Some(all) = self.summed(times) {
            return vec![all];
        }
        if self.set.as_ref().is_none_or(|set| Steps::new(set, 1).is_none()) {
            return vec![self; times];
        }
        let most = |n: usize| Steps::MOST.min(times - n);
        (0..times).step_by(Steps::MOST).map(|n| self.in_steps(most(n))).collect()
    }

    /// So many filters with a small set, as the steps of one.
    fn in_steps(&self, times: usize) -> Self {
        let reach = self.halo.lo.map(|n| n * times as u64);
        let size = self.size.map(|n| (n - 1) * times + 1);
        Self { size, halo: Halo { lo: reach, hi: reach }, times, ..self.clone() }
    }

    /// One window for `times` filters, if it costs less than they do.
    fn summed(&self, times: usize) -> Option<Self> {
        let Self { border, dtype, .. } = *self;
        let Some(set) = &self.set else {
            let size: PerAxis<u64> = std::array::from_fn(|a| {
                let reach = self.halo.lo[a].max(self.halo.hi[a]);
                reach.saturating_mul(times as u64).saturating_mul(2).saturating_add(1)
            });
            let fits = self.halo.lo == self.halo.hi && size.iter().all(|&n| n <= Self::LIMIT);
            return fits.then(|| Self::new(size, Origin::Centre, border, dtype));
        };
        if times == 1 {
            return Some(self.clone());
        }
        if !set.is_solid() {
            return None;
        }
        // Chained, each filter costs its comparisons, and reading and writing an image.
        let chained = match Steps::new(set, 1) {
            Some(step) => times as f64 * step.cost(),
            None => times as f64 * (self.runs()?.cost() + Self::IMAGE),
        };
        let mut sum = self.clone();
        for _ in 1..times {
            sum = Self::of(sum.set?.sum(set), Origin::Centre, border, dtype);
            if sum.runs().is_none_or(|runs| runs.cost() > chained) {
                return None;
            }
        }
        Some(sum)
    }

    /// Reading and writing an image in cache, in comparisons.
    const IMAGE: f64 = 10.0;
}

/// The edges of a box.
fn sizes(args: &Args<'_>) -> Result<PerAxis<u64>, ArgError> {
    let size = args.sizes_px(SIZE.name)?;
    if size.iter().any(|&n| n > Window::LIMIT) {
        let text = args.text(SIZE.name).unwrap_or_default();
        return Err(args.wrong(SIZE.name, text, format!("whole numbers from 1 to {}", Window::LIMIT)));
    }
    Ok(size)
}

/// The radii of a shape, from its width or as they are.
fn radii(args: &Args<'_>) -> Result<PerAxis<f64>, ArgError> {
    let (name, radius) = match (args.text(SIZE.name), args.text(RADIUS.name)) {
        (Some(_), Some(text)) => {
            return Err(args.wrong(RADIUS.name, text, "for a step that gives its `size`"));
        }
        (_, Some(_)) => (RADIUS.name, args.lengths_px(RADIUS.name)?),
        _ => {
            let size = sizes(args)?;
            if size.iter().any(|n| n % 2 == 0) {
                let text = args.text(SIZE.name).unwrap_or_default();
                return Err(args.wrong(SIZE.name, text, "odd, as the width of that shape is"));
            }
            (SIZE.name, size.map(|n| ((n - 1) / 2) as f64))
        }
    };
    let text = args.text(name).unwrap_or_default();
    let limit = ((Window::LIMIT - 1) / 2) as f64;
    if radius.iter().any(|&r| r > limit) {
        return Err(args.wrong(name, text, format!("a radius of at most {limit} voxels")));
    }
    let volume: f64 = radius.iter().map(|r| 2.0 * r.floor() + 1.0).product();
    if args.choice(SHAPE.name)? != "box" && volume > BALL_LIMIT {
        return Err(args.wrong(name, text, format!("a shape of at most {BALL_LIMIT} voxels")));
    }
    Ok(radius)
}

/// The set that the text draws, along the last of the image's space axes.
fn drawn(args: &Args<'_>, text: &str) -> Result<Set, ArgError> {
    let wrong = |wanted: String| args.wrong(FOOTPRINT.name, text, wanted);
    let drawing = Drawing::parse(text).ok_or_else(|| {
        wrong("rows of 0 and 1 of one length, with a 1 in them, such as 010/111/010".to_owned())
    })?;
    let axes = args.input().axes.space();
    let along: Vec<usize> = axes.iter().map(|axis| axis.index() + 3 - NDIM).collect();
    drawing.along(&along).ok_or_else(|| wrong(format!("drawn along the space axes of the image ({axes})")))
}

/// Size of an output tile along `z, y, x`.
pub(crate) fn space(shape: &Shape) -> [usize; 3] {
    [Axis::Z, Axis::Y, Axis::X].map(|a| shape[a.index()] as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_boxes_reach_further_before_the_centre_and_reflected_ones_after_it() {
        let of = |origin| Window::new([1, 1, 1, 4, 5], origin, Border::Reflect, Dtype::U8).halo;
        assert_eq!(of(Origin::Centre), Halo { lo: [0, 0, 0, 2, 2], hi: [0, 0, 0, 1, 2] });
        assert_eq!(of(Origin::Reflected), Halo { lo: [0, 0, 0, 1, 2], hi: [0, 0, 0, 2, 2] });
    }
}

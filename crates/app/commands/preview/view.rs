//! What is drawn of an image: which plane, and how many pixels of it.

use crate::args::{Global, Preview};
use crate::commands::Failure;
use crate::progress;
use std::path::Path;
use voxtile::error::PlanError;
use voxtile::op::{Axis, Dtype, Element, Meta};
use voxtile::{Error, Info, Pipeline, Report};

/// A slice or a projection.
pub(super) struct View {
    /// The axis that is not seen.
    pub(super) across: Axis,
    /// Where it is cut; of a projection nothing.
    pub(super) at: Option<u64>,
    /// How it is projected.
    pub(super) method: Option<String>,
    pub(super) t: u64,
    /// Axes downwards and to the right.
    seen: [Axis; 2],
    /// The image whose voxels the positions count.
    counted: Meta,
    /// Sizes along the space axes of all levels.
    extents: Vec<Vec<u64>>,
    /// A level that is coarser than the one that was opened.
    pub(super) level: Option<usize>,
    global: Global,
}

/// Pixels of a picture.
pub(super) struct Frame {
    /// Height and width.
    pub(super) size: [usize; 2],
    /// Of the axes that the view shows.
    seen: [Axis; 2],
    /// Of a pixel, if it is known.
    pub(super) micrometers: Option<f64>,
}

/// A plane of each channel, its rows and columns, and what reading it took.
type Seen<T> = (Vec<Vec<T>>, [usize; 2], Report);

impl View {
    pub(super) fn new(args: &Preview, image: &Pipeline, global: Global) -> Result<Self, Failure> {
        let meta = image.meta();
        let given = [(Axis::Z, args.z, "--z"), (Axis::Y, args.y, "--y"), (Axis::X, args.x, "--x")];
        let cut = given.into_iter().find_map(|(axis, at, option)| at.map(|at| (axis, at, option)));
        let across = cut.map(|(axis, ..)| axis).or(args.along).unwrap_or(Axis::Z);
        let needs = |option, axis| match meta.axes.contains(axis) {
            true => Ok(()),
            false => Err(Failure::NoAxis { option, axis, axes: meta.axes }),
        };
        let check = |option, axis: Axis, at: u64| {
            needs(option, axis)?;
            let len = meta.shape[axis.index()];
            if at < len { Ok(at) } else { Err(Failure::Position { option, at, axis, len }) }
        };
        if meta.shape.contains(&0) {
            return Err(Failure::NoVoxels { input: args.input.clone() });
        }
        let t = args.t.map_or(Ok(0), |t| check("--t", Axis::T, t))?;
        let at = match (cut, &args.project) {
            (Some((axis, at, option)), _) => Some(check(option, axis, at)?),
            (None, None) => Some(meta.shape[across.index()] / 2),
            (None, Some(_)) => needs("--project", across).map(|()| None)?,
        };
        let seen = match across {
            Axis::X => [Axis::Z, Axis::Y],
            Axis::Y => [Axis::Z, Axis::X],
            _ => [Axis::Y, Axis::X],
        };
        let (info, axes) = (image.info(), meta.axes);
        let fits = |shape: &[u64]| shape.len() == axes.len();
        let extents = |level: &voxtile_io::LevelInfo| {
            fits(&level.shape).then(|| axes.space().pick(&axes.spread(&level.shape, 1)))
        };
        let extents: Vec<Vec<u64>> = std::iter::once(axes.space().pick(&meta.shape))
            .chain(info.levels.iter().filter_map(extents))
            .collect();
        let level = if args.read.level.is_none() { coarsest(info, meta, seen, args.size) } else { None };
        Ok(Self {
            across,
            at,
            method: args.project.clone(),
            t,
            seen,
            counted: meta.clone(),
            extents,
            level,
            global,
        })
    }

    /// The slice or the projection, in words; nothing for an image of one plane.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        match (self.at, &self.method) {
            (Some(at), _) if self.counted.axes.contains(self.across) => {
                words.push(format!("{} {at}", self.across));
            }
            (None, Some(method)) => words.push(format!("{method} along {}", self.across)),
            _ => {}
        }
        if self.counted.axes.contains(Axis::T) {
            words.push(format!("t {}", self.t));
        }
        words
    }

    /// Where an image of the same extent is cut, whose voxels may be larger.
    fn at(&self, meta: &Meta) -> Option<u64> {
        let a = self.across.index();
        let (own, other) = (u128::from(self.counted.shape[a].max(1)), u128::from(meta.shape[a].max(1)));
        self.at.map(|at| ((2 * u128::from(at) + 1) * other / (2 * own)) as u64)
    }

    /// The steps that leave one plane of each channel.
    fn steps(&self, meta: &Meta, t: u64, method: Option<&str>) -> Vec<String> {
        let mut steps = Vec::new();
        if meta.axes.contains(Axis::T) {
            steps.push(format!("frame {t}:{}", t + 1));
        }
        match (self.at(meta), method) {
            (Some(at), _) if meta.axes.contains(self.across) => {
                let range = |axis: Axis| match axis == self.across {
                    true => format!("{at}:{}", at + 1),
                    false => ":".to_owned(),
                };
                let ranges: Vec<String> = meta.axes.space().iter().map(range).collect();
                steps.push(format!("crop {}", ranges.join(",")));
            }
            (None, Some(method)) => steps.push(format!("project {} method={method}", self.across)),
            _ => {}
        }
        steps
    }

    /// Cuts the view out of an image, made smaller to at least the picture's size: a plane of each channel, and its rows
    /// and columns.
    pub(super) fn read<T: Element>(
        &self,
        image: Pipeline,
        frame: &Frame,
        select: &[String],
        smaller: &str,
        args: &Preview,
    ) -> Result<Seen<T>, Failure> {
        let steps = [select, &*self.steps(image.meta(), self.t, self.method.as_deref())].concat();
        self.collect(image, frame, steps, smaller, args)
    }

    fn collect<T: Element>(
        &self,
        image: Pipeline,
        frame: &Frame,
        mut steps: Vec<String>,
        smaller: &str,
        args: &Preview,
    ) -> Result<Seen<T>, Failure> {
        let meta = image.meta().clone();
        let left = meta.axes.space().iter().filter(|axis| self.at.is_some() || *axis != self.across);
        let factors: Vec<u64> = left.map(|axis| frame.factor(axis, &meta)).collect();
        if factors.iter().any(|f| *f != 1) {
            let words: Vec<String> = factors.iter().map(u64::to_string).collect();
            steps.push(format!("downsample {} method={smaller}", words.join(",")));
        }
        let image = steps.iter().fold(image, |image, step| image.step(step));
        let grid =
            self.seen.map(|axis| meta.shape[axis.index()].div_ceil(frame.factor(axis, &meta)) as usize);
        // The plane itself, of every channel, is held besides what the plan needs.
        let held = (meta.shape[1] as usize * grid[0] * grid[1] * size_of::<T>()) as u64;
        let bar = progress::bar(self.global);
        let shown = bar.clone();
        let image = image
            .dtype(T::DTYPE)
            .memory(args.limits.memory().saturating_sub(held))
            .workers(args.limits.workers())
            .progress(move |p| progress::show(&shown, p))
            .cancel_with(progress::interrupt());
        let made = image.collect_reported::<T>();
        bar.finish_and_clear();
        let (samples, report) = made.map_err(|error| with_held(error, held))?;
        let samples = samples.into_raw_vec_and_offset().0;
        Ok((samples.chunks(grid[0] * grid[1]).map(<[T]>::to_vec).collect(), grid, report))
    }

    /// The number of the object at each pixel.
    pub(super) fn labels(
        &self,
        path: &Path,
        frame: &Frame,
        args: &Preview,
    ) -> Result<(Vec<u64>, Report), Failure> {
        let labels = Pipeline::open(path)?;
        let meta = labels.meta().clone();
        let [nt, nc, ..] = meta.shape;
        if matches!(meta.dtype, Dtype::F32 | Dtype::F64) {
            return Err(Failure::LabelType { path: path.to_path_buf(), dtype: meta.dtype });
        }
        let fits = self.extents.contains(&meta.axes.space().pick(&meta.shape));
        if !fits || nc != 1 || (nt != 1 && nt != self.counted.shape[0]) {
            let (labels, image) = (meta.dims(), self.counted.dims());
            return Err(Failure::LabelShape { path: path.to_path_buf(), labels, image });
        }
        // Labels of one time point are those of all, and of objects behind each other the last number is seen.
        let method = self.method.as_ref().map(|_| "max");
        let steps = self.steps(&meta, self.t.min(nt - 1), method);
        let (planes, grid, report) = self.collect::<u64>(labels, frame, steps, "stride", args)?;
        Ok((crate::picture::nearest(&planes[0], grid, frame.size), report))
    }
}

impl Frame {
    /// As many pixels as the view has voxels, each as wide as high, and at most `size` along each side.
    pub(super) fn new(view: &View, meta: &Meta, size: u32) -> Self {
        let seen = view.seen;
        let count = seen.map(|axis| meta.shape[axis.index()] as f64);
        let scale = |axis: Axis| meta.micrometers(axis).filter(|um| *um > 0.0 && um.is_finite());
        let apart = match seen.map(scale) {
            [Some(a), Some(b)] => [a, b],
            _ => [1.0, 1.0],
        };
        let unit = apart[0].min(apart[1]);
        let full: [f64; 2] = std::array::from_fn(|a| count[a] * (apart[a] / unit));
        let fit = (f64::from(size) / full[0].max(full[1])).min(1.0);
        let size = full.map(|n| (n * fit).round().clamp(1.0, f64::from(size)) as usize);
        let micrometers = scale(seen[1]).map(|um| um * count[1] / size[1] as f64);
        Self { size, seen, micrometers }
    }

    /// Voxels of an image along an axis that become one before it is drawn.
    fn factor(&self, axis: Axis, meta: &Meta) -> u64 {
        let shown = self.seen.iter().position(|a| *a == axis);
        shown.map_or(1, |n| (meta.shape[axis.index()] / self.size[n] as u64).max(1))
    }
}

/// A budget that is too small, with what is held besides the plan.
fn with_held(error: Error, held: u64) -> Error {
    match error {
        Error::Plan(PlanError::Budget { step, smallest, allowed, tile, input, output }) => {
            let (smallest, allowed) = (smallest.saturating_add(held), allowed.saturating_add(held));
            Error::Plan(PlanError::Budget { step, smallest, allowed, tile, input, output })
        }
        other => other,
    }
}

/// The coarsest level whose longer side has as many voxels as the picture has pixels; `None` for the finest.
fn coarsest(info: &Info, meta: &Meta, seen: [Axis; 2], size: u32) -> Option<usize> {
    let enough = |shape: &Vec<u64>| {
        let shape = meta.axes.spread(shape, 1);
        seen.iter().any(|axis| shape[axis.index()] >= u64::from(size)) && shape.iter().all(|n| *n > 0)
    };
    let level =
        info.levels.iter().rposition(|level| level.shape.len() == meta.axes.len() && enough(&level.shape));
    level.filter(|n| *n > 0)
}

//! What an operation promises, run over many images.

use super::device;
use super::execute::{WHOLE, apply, apply_guarded, call, cut_inputs};
use super::image::{Fill, Float, Image, meta, position};
use crate::cpu;
use crate::spec::{ArgError, Args, From as Reads, Param, SEVERAL, Spec, Stage, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use voxtile_sched::contract::{Footprint, Op, Pass};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Element, Meta, NDIM, Region, Shape, voxels};

/// The stages of a step, from its text: name, at most one bare value for the first parameter, then `key=value`. Of a
/// recipe, the last step counts; what its `on=` names is passed over, since the inputs are given.
///
/// # Errors
/// [`ArgError`], if the arguments are not what the parameters take.
///
/// # Panics
/// If the text names another operation or an unknown parameter.
pub fn stages(spec: &'static Spec, text: &str, inputs: &[Meta]) -> Result<Vec<Stage>, ArgError> {
    spec.stages(&Args::new(spec, given(spec, text), inputs, None))
}

/// The arguments in the text of a step.
fn given<'a>(spec: &'static Spec, text: &'a str) -> BTreeMap<&'a str, &'a str> {
    let text = text.rsplit(" | ").next().unwrap_or(text);
    let (name, arguments) = text.split_once(' ').unwrap_or((text, ""));
    assert_eq!(name, spec.name, "`{text}` is a step of another operation");
    let mut given = BTreeMap::new();
    // A formula may hold spaces, and signs of equality.
    if let [Param { name, value: Value::Formula, .. }] = spec.params {
        given.insert(*name, arguments.trim_matches('"'));
        return given;
    }
    let mut arguments = arguments;
    if let Some((quoted, rest)) = arguments.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        given.insert(spec.params[0].name, quoted);
        arguments = rest;
    }
    for word in arguments.split_whitespace().filter(|word| !word.starts_with("on=")) {
        let (name, value) = word.split_once('=').unwrap_or_else(|| (spec.params[0].name, word));
        assert!(spec.params.iter().any(|p| p.name == name), "`{}` has no parameter `{name}`", spec.name);
        assert!(given.insert(name, value).is_none(), "`{name}` is given twice in `{text}`");
    }
    given
}

/// How many inputs a step reads.
///
/// # Panics
/// As [`stages`], or if a formula is none.
#[must_use]
pub fn inputs(spec: &'static Spec, text: &str) -> usize {
    if spec.inputs == SEVERAL {
        let last = text.rsplit(" | ").next().unwrap_or(text);
        let named = last.split_whitespace().find_map(|word| word.strip_prefix("on="));
        return named.map_or(2, |names| names.split(',').count());
    }
    let given = given(spec, text);
    let names = spec.names(|param| given.get(param).copied()).unwrap_or_else(|refused| panic!("{refused}"));
    spec.inputs + names.len()
}

/// Axes and sizes of the images that every operation meets.
pub(super) const IMAGES: &[(&str, &[u64])] = &[
    ("x", &[1]),
    ("x", &[7]),
    ("x", &[131]),
    ("yx", &[1, 1]),
    ("yx", &[1, 13]),
    ("yx", &[13, 1]),
    ("yx", &[5, 7]),
    ("yx", &[19, 67]),
    ("zyx", &[3, 4, 5]),
    ("zyx", &[1, 9, 11]),
    ("zyx", &[9, 1, 11]),
    ("zyx", &[9, 11, 1]),
    ("zyx", &[7, 13, 37]),
    ("cyx", &[3, 6, 9]),
    ("cyx", &[5, 2, 40]),
    ("tyx", &[2, 5, 6]),
    ("tzyx", &[2, 3, 4, 5]),
    ("tczyx", &[2, 3, 3, 4, 6]),
    ("tcx", &[2, 4, 9]),
    ("x", &[0]),
    ("yx", &[0, 5]),
    ("zyx", &[3, 0, 4]),
];

/// Tile shapes: one voxel, primes, smaller than most halos, flat, long, larger than any image.
pub(super) const TILES: &[Shape] = &[
    [1; NDIM],
    [1, 1, 2, 3, 5],
    [2, 2, 7, 7, 7],
    [1, 2, 1, 64, 17],
    [1, 1, 64, 1, 1],
    [64, 1, 1, 1, 64],
    [64, 64, 3, 64, 1],
    [99; NDIM],
];

/// Voxels of output above which tiles of a few voxels are left out: each of them costs a whole halo.
pub(super) const SMALL: u64 = 700;

/// The oracle: what the step makes of whole images, written as plainly as possible.
type Oracle<'a> = Box<dyn Fn(&[Image]) -> Image + 'a>;

/// An outermost plane of what a stage reads: number of the stage and of its input, axis, first or last.
type Plane = (usize, usize, Axis, &'static str);

/// The promises of one step, checked by [`run`](Self::run).
pub struct Check<'a> {
    spec: &'static Spec,
    step: &'a str,
    oracle: Oracle<'a>,
    float: Float,
    dtypes: Vec<Dtype>,
    accepts: fn(&Meta) -> bool,
    special: bool,
    /// Whether the first and the last plane of what mapping stages read ever mattered, by stage, input and axis.
    mattered: RefCell<BTreeMap<Plane, bool>>,
}

impl<'a> Check<'a> {
    /// A step and its oracle; all sample types, all images, results compared bit by bit.
    #[must_use]
    pub fn new(spec: &'static Spec, step: &'a str, oracle: impl Fn(&[Image]) -> Image + 'a) -> Self {
        Self {
            spec,
            step,
            oracle: Box::new(oracle),
            float: Float::Exact,
            dtypes: Dtype::ALL.to_vec(),
            accepts: |_| true,
            special: true,
            mattered: RefCell::default(),
        }
    }

    /// Only these sample types.
    #[must_use]
    pub fn dtypes(mut self, dtypes: &[Dtype]) -> Self {
        self.dtypes = dtypes.to_vec();
        self
    }

    /// Only the images that the operation takes.
    #[must_use]
    pub fn only(mut self, accepts: fn(&Meta) -> bool) -> Self {
        self.accepts = accepts;
        self
    }

    /// Float results may be that many representable numbers from the oracle's; say why. Tiled and whole, and all
    /// instruction sets, must still agree in every bit.
    #[must_use]
    pub fn ulp(mut self, ulp: u64, why: &str) -> Self {
        assert!(!why.is_empty(), "a tolerance needs a reason");
        self.float = Float::Ulp(ulp);
        self
    }

    /// Leaves out images with NaN and infinities; say why.
    #[must_use]
    pub fn finite(mut self, why: &str) -> Self {
        assert!(!why.is_empty(), "an exception needs a reason");
        self.special = false;
        self
    }

    /// Runs all checks.
    ///
    /// # Panics
    /// With the image, the tile and the first voxel that differs.
    #[track_caller]
    pub fn run(self) {
        let mut met = 0;
        for (d, &dtype) in self.dtypes.iter().enumerate() {
            for (i, (axes, sizes)) in IMAGES.iter().enumerate() {
                let meta = meta(axes, sizes, dtype);
                if !(self.accepts)(&meta) {
                    continue;
                }
                met += 1;
                let fill = self.fill(i + d);
                let image = Image::filled(meta, fill, (100 * d + i) as u64);
                self.image(&image, || format!("`{}` on {dtype} {axes} {sizes:?} of {fill:?}", self.step));
            }
        }
        assert!(met > 0, "`{}` was given no image", self.step);
        for ((stage, input, axis, side), mattered) in &*self.mattered.borrow() {
            assert!(
                mattered,
                "`{}`: stage {stage} reads planes along {axis} of input {input} whose {side} never matters",
                self.step,
            );
        }
    }

    fn fill(&self, n: usize) -> Fill {
        let fills = [Fill::Noise, Fill::Extremes, Fill::Few, Fill::Special, Fill::Ramp];
        match fills[n % fills.len()] {
            Fill::Special if !self.special => Fill::Noise,
            fill => fill,
        }
    }

    /// The further inputs of a step that reads several: other voxels of the same geometry.
    fn inputs(&self, first: &Image) -> Vec<Image> {
        let other = |n: usize| Image::filled(first.meta().clone(), self.fill(n), n as u64);
        std::iter::once(first.clone()).chain((1..inputs(self.spec, self.step)).map(other)).collect()
    }

    /// Oracle, tiles and guarded memory, for one image.
    #[track_caller]
    fn image(&self, image: &Image, context: impl Fn() -> String) {
        let inputs = self.inputs(image);
        let metas: Vec<Meta> = inputs.iter().map(|i| i.meta().clone()).collect();
        let inputs_ref: Vec<&Image> = inputs.iter().collect();
        let stages =
            stages(self.spec, self.step, &metas).unwrap_or_else(|refused| panic!("{}: {refused}", context()));
        if device::only() {
            device::compare(&stages, &inputs_ref, &context);
            return;
        }
        let wanted = (self.oracle)(&inputs);
        let whole = apply(&stages, &inputs_ref, WHOLE);
        whole.assert_same(&wanted, self.float, || format!("{}: not the oracle's", context()));
        for isa in cpu::available() {
            let lowered = cpu::with_isa(isa, || apply(&stages, &inputs_ref, WHOLE));
            lowered.assert_same(&whole, Float::Exact, || format!("{}: {isa:?} has other bits", context()));
        }
        let guarded = apply_guarded(&stages, &inputs_ref, WHOLE, Some(7));
        guarded
            .assert_same(&whole, Float::Exact, || format!("{}: memory around the tile matters", context()));
        device::compare(&stages, &inputs_ref, &context);
        let large = voxels(&wanted.meta().shape) > SMALL;
        for (n, tile) in TILES.iter().enumerate() {
            if large && voxels(tile) < 200 {
                continue;
            }
            let tiled = apply_guarded(&stages, &inputs_ref, *tile, (n % 2 == 0).then_some(n as u64));
            tiled.assert_same(&whole, Float::Exact, || format!("{}: in tiles of {tile:?}", context()));
        }
        self.halos(&metas, &stages);
    }

    /// The outermost planes of every stage's halo must be able to change its result.
    #[track_caller]
    fn halos(&self, metas: &[Meta], stages: &[Stage]) {
        let mut made: Vec<Meta> = Vec::new();
        for (n, stage) in stages.iter().enumerate() {
            let read: Vec<Meta> = stage
                .inputs
                .iter()
                .map(|from| match *from {
                    Reads::Input(n) => metas[n].clone(),
                    Reads::Stage(n) => made[n].clone(),
                })
                .collect();
            let output = stage.op.output(&read).unwrap_or_else(|refused| panic!("`{}` {refused}", self.step));
            if let Pass::Local | Pass::Placed(_) = stage.op.pass() {
                self.planes(n, &*stage.op, &read, &output);
                (0..read.len()).for_each(|input| self.outermost(&*stage.op, &read, &output, input));
            }
            made.push(output);
        }
    }

    /// Notes which outermost planes of what a mapping stage reads matter to one of some voxels.
    fn planes(&self, stage: usize, op: &dyn Op, read: &[Meta], output: &Meta) {
        const VOXELS: usize = 40;
        let mapped = |input: &usize| matches!(op.footprint(*input), Footprint::Mapped { .. });
        let inputs: Vec<usize> = (0..read.len()).filter(mapped).collect();
        let filled = |(n, meta): (usize, &Meta)| Image::filled(meta.clone(), Fill::Noise, n as u64);
        let images: Vec<Image> = read.iter().enumerate().map(filled).collect();
        let images: Vec<&Image> = images.iter().collect();
        let count = if inputs.is_empty() { 0 } else { voxels(&output.shape) as usize };
        for n in (0..count).step_by((count / VOXELS).max(1)) {
            let region = Region::new(position(&output.shape, n).map(|p| p as i64), [1; NDIM]);
            let cut = cut_inputs(op, &images, &region);
            let made = call(op, &cut, &region, &images, output, None);
            for (&input, axis) in inputs.iter().flat_map(|input| Axis::ALL.map(|axis| (input, axis))) {
                let shape = cut[input].meta().shape;
                let extent = shape[axis.index()];
                for (side, at) in [("first", 0), ("last", extent as i64 - 1)] {
                    let mut mattered = self.mattered.borrow_mut();
                    if extent < 2
                        || shape.contains(&0)
                        || mattered.get(&(stage, input, axis, side)) == Some(&true)
                    {
                        continue;
                    }
                    let plane = Region::whole(shape).with_axis(axis, at, 1);
                    let content = Meta { shape: plane.shape, ..read[input].clone() };
                    let mut other = cut.clone();
                    let content = Image::filled(content, Fill::Noise, n as u64 + 100);
                    other[input].tile_mut().part(&plane).copy_from(&content.tile());
                    let changed = call(op, &other, &region, &images, output, None).bytes() != made.bytes();
                    mattered.insert((stage, input, axis, side), changed);
                }
            }
        }
    }

    #[track_caller]
    fn outermost(&self, op: &dyn Op, read: &[Meta], output: &Meta, input: usize) {
        let Footprint::Halo(halo) = op.footprint(input) else { return };
        for axis in Axis::ALL {
            let (lo, hi) = (halo.lo[axis.index()], halo.hi[axis.index()]);
            for (side, reach, plane) in [("before", lo, 0), ("after", hi, lo + hi)] {
                let mut trials = 0..ROUNDS * FILLINGS.len() * FILLINGS.len();
                assert!(
                    reach == 0 || trials.any(|n| changes(op, read, output, input, axis, plane, n)),
                    "`{}` on {} {}: {} declares to read {reach} {side} along {axis}, but the last does not matter",
                    self.step,
                    read[input].dtype,
                    read[input].axes,
                    op.name(),
                );
            }
        }
    }
}

/// What planes are filled with to see whether they matter.
#[derive(Clone, Copy)]
enum Filling {
    Level(f64),
    Random(Fill),
}

/// How often with each pair of fillings, at most: one voxel of a thousand seldom changes their median, and one beside a
/// boundary the length of its line.
const ROUNDS: usize = 500;

const FILLINGS: [Filling; 6] = [
    Filling::Level(-1e30),
    Filling::Level(1e30),
    // Background, also of signed labels.
    Filling::Level(0.0),
    Filling::Random(Fill::Noise),
    Filling::Random(Fill::Few),
    Filling::Random(Fill::Extremes),
];

/// Whether the plane at `far` along an axis of a one-voxel tile's input can change the voxel, in the `n`-th trial.
fn changes(op: &dyn Op, read: &[Meta], output: &Meta, input: usize, axis: Axis, far: u64, n: usize) -> bool {
    let one = Region::new([0; NDIM], [1; NDIM]);
    let filled = |meta: &Meta, shape: Shape, filling: Filling, seed: u64| {
        let meta = Meta { shape, ..meta.clone() };
        match filling {
            Filling::Random(fill) => Image::filled(meta, fill, seed),
            Filling::Level(level) => dispatch!(meta.dtype, T => Image::from_fn(meta, |_| T::from_f64(level))),
        }
    };
    let inputs: Vec<Image> = read
        .iter()
        .enumerate()
        .map(|(i, meta)| {
            let shape = op.reads(i, &one, &one.shape).shape;
            filled(meta, shape, FILLINGS[n / FILLINGS.len() % FILLINGS.len()], 2 * n as u64)
        })
        .collect();
    let mut other = inputs.clone();
    let plane = Region::whole(inputs[input].meta().shape).with_axis(axis, far as i64, 1);
    let content = filled(&read[input], plane.shape, FILLINGS[n % FILLINGS.len()], 2 * n as u64 + 1);
    other[input].tile_mut().part(&plane).copy_from(&content.tile());
    let results = [&inputs, &other].map(|inputs| call(op, inputs, &one, &[], output, None));
    results[0].bytes() != results[1].bytes()
}

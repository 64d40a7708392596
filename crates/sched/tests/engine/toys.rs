//! Toy operations on i32 images, and the naive way to apply them to a whole image.

use crate::stores::Image;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot, Sweep};
use voxtile_sched::contract::{Fold, Footprint, Kernels, Op, Pass, Placed, Refused};
use voxtile_sched::model::{Axis, Border, Dtype, Halo, Meta, NDIM, PerAxis, Region, Shape, Tile, TileMut};

/// A weighted sum over a box of any reach, wrapping; weights depend on the offset, so every voxel of the halo matters.
#[derive(Debug)]
pub(crate) struct Mix {
    pub(crate) halo: Halo,
    pub(crate) border: Border,
}

/// `a · 31 + b`, wrapping, of two inputs; the second with a halo.
pub(crate) struct Join(pub(crate) Mix);

/// A weighted sum of every block and what lies around it, wrapping.
pub(crate) struct Shrink(pub(crate) PerAxis<u64>, pub(crate) Halo);

/// Drops voxels at the start of each space axis.
pub(crate) struct Cut(pub(crate) PerAxis<u64>);

/// Space axes in another order (`from[a]` is the input's axis along the output's axis `z + a`), all reversed.
pub(crate) struct Turn(pub(crate) [usize; 3]);

/// Voxels around the image, by a border rule.
pub(crate) struct Frame(pub(crate) PerAxis<u64>, pub(crate) Border);

/// Two images one after the other along an axis.
pub(crate) struct Beside(pub(crate) Axis, pub(crate) u64);

/// Every voxel and its place, and the voxel at half its place.
pub(crate) struct Halves;

/// A sum along an axis that depends on the order of its terms.
pub(crate) struct Along(pub(crate) Axis);

fn positions(shape: PerAxis<usize>) -> impl Iterator<Item = PerAxis<usize>> {
    let count: usize = shape.iter().product();
    (0..count).map(move |mut n| {
        let mut out = [0; NDIM];
        for a in (0..NDIM).rev() {
            out[a] = n % shape[a];
            n /= shape[a];
        }
        out
    })
}

fn at(tile: &Tile<'_>, p: PerAxis<usize>) -> i32 {
    tile.view::<i32>().row(p[0], p[1], p[2], p[3])[p[4]]
}

fn put(tile: &mut TileMut<'_>, p: PerAxis<usize>, value: i32) {
    tile.view::<i32>().row(p[0], p[1], p[2], p[3])[p[4]] = value;
}

/// The reach of a mix, for its kernel.
fn reach(halo: &Halo) -> Vec<Argument> {
    vec![Argument::I64s(halo.lo.iter().chain(&halo.hi).map(|n| *n as i64).collect())]
}

impl Mix {
    /// From the argument of its kernel.
    pub(crate) fn of(argument: &Argument) -> Self {
        let Argument::I64s(n) = argument else { panic!("{argument:?}") };
        let part = |from: usize| std::array::from_fn(|a| n[from + a] as u64);
        Self { halo: Halo { lo: part(0), hi: part(NDIM) }, border: Border::Reflect }
    }

    pub(crate) fn sum(&self, input: impl Fn(PerAxis<usize>) -> i32, p: PerAxis<usize>) -> i32 {
        let window = std::array::from_fn(|a| (self.halo.lo[a] + self.halo.hi[a] + 1) as usize);
        positions(window)
            .map(|o| {
                let weight = o.iter().fold(1i32, |w, &x| w.wrapping_mul(7).wrapping_add(x as i32));
                input(std::array::from_fn(|a| p[a] + o[a])).wrapping_mul(weight)
            })
            .fold(0i32, i32::wrapping_add)
    }
}

impl Op for Mix {
    fn name(&self) -> &'static str {
        "mix"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Halo(self.halo)
    }
    fn border(&self) -> Border {
        self.border
    }
    fn scratch(&self, output: &Shape) -> u64 {
        assert!(!output.contains(&0), "nothing needs no scratch");
        output[4] * 4
    }
    fn ns_per_voxel(&self) -> f64 {
        5.0
    }
    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        assert_eq!(scratch.len(), output.shape()[4] * 4);
        for p in positions(output.shape()) {
            let v = self.sum(|q| at(&inputs[0], q), p);
            put(&mut output, p, v);
        }
    }
    fn kernels(&self, _: &[Dtype], _: Dtype, _: &Shape) -> Option<Kernels> {
        Some(Sweep::over("mix".to_owned(), reach(&self.halo)).into())
    }
}

impl Op for Join {
    fn name(&self) -> &'static str {
        "join"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        if inputs[0].shape != inputs[1].shape {
            return Err(Refused::Shapes { first: inputs[0].dims(), second: inputs[1].dims() });
        }
        Ok(inputs[0].clone())
    }
    fn footprint(&self, input: usize) -> Footprint {
        if input == 0 { Footprint::Point } else { Footprint::Halo(self.0.halo) }
    }
    fn border(&self) -> Border {
        self.0.border
    }
    fn ns_per_voxel(&self) -> f64 {
        5.0
    }
    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _: &mut [u8]) {
        for p in positions(output.shape()) {
            let around = self.0.sum(|q| at(&inputs[1], q), p);
            put(&mut output, p, at(&inputs[0], p).wrapping_mul(31).wrapping_add(around));
        }
    }
    fn kernels(&self, _: &[Dtype], _: Dtype, _: &Shape) -> Option<Kernels> {
        let from = vec![Slot::Input(0), Slot::Input(1)];
        let (kernel, arguments) = ("join".to_owned(), reach(&self.0.halo));
        Some(Sweep::new(kernel, from, vec![Slot::Output], arguments).into())
    }
}

impl Op for Shrink {
    fn name(&self) -> &'static str {
        "shrink"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let shape = std::array::from_fn(|a| inputs[0].shape[a].div_ceil(self.0[a]));
        Ok(Meta { shape, ..inputs[0].clone() })
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Scale { num: self.0, den: [1; NDIM], offset: [0; NDIM], halo: self.1 }
    }
    fn border(&self) -> Border {
        Border::Mirror
    }
    fn ns_per_voxel(&self) -> f64 {
        1.0
    }
    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _: &mut [u8]) {
        let image = inputs[0].shape();
        let step = self.0.map(|f| f as usize);
        let window = |a: usize| step[a] + (self.1.lo[a] + self.1.hi[a]) as usize;
        for p in positions(output.shape()) {
            let start: PerAxis<usize> = std::array::from_fn(|a| p[a] * step[a]);
            let shape = std::array::from_fn(|a| window(a).min(image[a] - start[a]));
            let sum = positions(shape).fold(0i32, |sum, q| {
                sum.wrapping_mul(3).wrapping_add(at(&inputs[0], std::array::from_fn(|a| start[a] + q[a])))
            });
            put(&mut output, p, sum);
        }
    }
}

impl Op for Cut {
    fn name(&self) -> &'static str {
        "cut"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let shape = std::array::from_fn(|a| inputs[0].shape[a].saturating_sub(self.0[a]));
        Ok(Meta { shape, ..inputs[0].clone() })
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::shift(self.0.map(|n| n as i64))
    }
    fn ns_per_voxel(&self) -> f64 {
        0.1
    }
    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _: &mut [u8]) {
        output.copy_from(&inputs[0]);
    }
    fn kernels(&self, _: &[Dtype], _: Dtype, _: &Shape) -> Option<Kernels> {
        Some(Sweep::over("copy".to_owned(), Vec::new()).into())
    }
}

impl Op for Turn {
    fn name(&self) -> &'static str {
        "turn"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let mut meta = inputs[0].clone();
        (0..3).for_each(|a| meta.shape[2 + a] = inputs[0].shape[2 + self.0[a]]);
        Ok(meta)
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }
    fn reads(&self, _: usize, out: &Region, image: &Shape) -> Region {
        let mut read = *out;
        for a in 0..3 {
            let from = 2 + self.0[a];
            read.start[from] = image[from] as i64 - out.end(2 + a);
            read.shape[from] = out.shape[2 + a];
        }
        read
    }
    fn ns_per_voxel(&self) -> f64 {
        0.1
    }
    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _: &mut [u8]) {
        for p in positions(output.shape()) {
            let mut from = p;
            (0..3).for_each(|a| from[2 + self.0[a]] = output.shape()[2 + a] - 1 - p[2 + a]);
            put(&mut output, p, at(&inputs[0], from));
        }
    }
}

impl Op for Frame {
    fn name(&self) -> &'static str {
        "frame"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let shape = std::array::from_fn(|a| inputs[0].shape[a] + 2 * self.0[a]);
        Ok(Meta { shape, ..inputs[0].clone() })
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Mapped { padded: true }
    }
    fn reads(&self, _: usize, out: &Region, _: &Shape) -> Region {
        out.translate(&self.0.map(|n| -(n as i64)))
    }
    fn border(&self) -> Border {
        self.1
    }
    fn ns_per_voxel(&self) -> f64 {
        0.1
    }
    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _: &mut [u8]) {
        output.copy_from(&inputs[0]);
    }
}

impl Op for Beside {
    fn name(&self) -> &'static str {
        "beside"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let mut meta = inputs[0].clone();
        meta.shape[self.0.index()] += inputs[1].shape[self.0.index()];
        Ok(meta)
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }
    fn reads(&self, input: usize, out: &Region, image: &Shape) -> Region {
        let mut offset = [0; NDIM];
        offset[self.0.index()] = -(input as i64 * self.1 as i64);
        out.translate(&offset).clip(image)
    }
    fn ns_per_voxel(&self) -> f64 {
        0.1
    }
    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _: &mut [u8]) {
        let mut start = 0;
        for input in inputs {
            let extent = input.shape()[self.0.index()] as u64;
            let whole = Region::whole(output.shape().map(|n| n as u64));
            output.part(&whole.with_axis(self.0, start, extent)).copy_from_if_any(input);
            start += extent as i64;
        }
    }
}

/// An input that a tile does not need has no shape.
trait CopyIfAny {
    fn copy_from_if_any(&mut self, from: &Tile<'_>);
}

impl CopyIfAny for TileMut<'_> {
    fn copy_from_if_any(&mut self, from: &Tile<'_>) {
        if !from.is_empty() {
            self.copy_from(from);
        }
    }
}

impl Op for Halves {
    fn name(&self) -> &'static str {
        "halves"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }
    fn reads(&self, _: usize, out: &Region, _: &Shape) -> Region {
        let start = out.start.map(|s| s / 2);
        Region::new(start, std::array::from_fn(|a| (((out.end(a) - 1) / 2) - start[a] + 1) as u64))
    }
    fn ns_per_voxel(&self) -> f64 {
        0.1
    }
    fn pass(&self) -> Pass<'_> {
        Pass::Placed(self)
    }
    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("told where it lies")
    }
}

impl Placed for Halves {
    fn fill(
        &self,
        region: &Region,
        inputs: &[Tile<'_>],
        from: &[Region],
        mut output: TileMut<'_>,
        _: &mut [u8],
    ) {
        for p in positions(output.shape()) {
            let place: PerAxis<i64> = std::array::from_fn(|a| p[a] as i64 + region.start[a]);
            let half = std::array::from_fn(|a| (place[a] / 2 - from[0].start[a]) as usize);
            let number = place.iter().fold(0i32, |n, &k| n.wrapping_mul(31).wrapping_add(k as i32));
            put(&mut output, p, at(&inputs[0], half).wrapping_add(number));
        }
    }
}

impl Op for Along {
    fn name(&self) -> &'static str {
        "along"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let mut meta = inputs[0].clone();
        meta.shape[self.0.index()] = 1;
        meta.axes = meta.axes.without(self.0);
        Ok(meta)
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Along(voxtile_sched::model::AxisSet::of(&[self.0]))
    }
    fn ns_per_voxel(&self) -> f64 {
        0.1
    }
    fn pass(&self) -> Pass<'_> {
        Pass::Fold(self)
    }
    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("folds are fed slab by slab")
    }
}

impl Fold for Along {
    fn axis(&self) -> Axis {
        self.0
    }
    fn state_size(&self) -> usize {
        4
    }
    fn start(&self, state: &mut [u8]) {
        state.fill(0);
    }
    fn add(&self, slab: &Tile<'_>, state: &mut [u8]) {
        let state: &mut [i32] = bytemuck::cast_slice_mut(state);
        let mut shape = slab.shape();
        let n = std::mem::replace(&mut shape[self.0.index()], 1);
        for (i, mut p) in positions(shape).enumerate() {
            for k in 0..n {
                p[self.0.index()] = k;
                state[i] = state[i].wrapping_mul(5).wrapping_add(at(slab, p));
            }
        }
    }
    fn finish(&self, count: u64, state: &[u8], mut output: TileMut<'_>) {
        let state: &[i32] = bytemuck::cast_slice(state);
        for (i, p) in positions(output.shape()).enumerate() {
            put(&mut output, p, state[i].wrapping_add(count as i32));
        }
    }
}

/// Applies a step to whole images: every read is mapped by the border rule, voxel by voxel.
pub(crate) fn whole(op: &Arc<dyn Op>, inputs: &[&Image]) -> Image {
    let metas: Vec<Meta> = inputs.iter().map(|i| i.meta.clone()).collect();
    let mut out = Image::new(op.output(&metas).unwrap());
    let region = Region::whole(out.meta.shape);
    if region.is_empty() {
        return out;
    }
    let padded: Vec<Image> = inputs
        .iter()
        .enumerate()
        .map(|(i, image)| padded(image, &op.reads(i, &region, &image.meta.shape), op.border()))
        .collect();
    let tiles: Vec<Tile<'_>> = padded.iter().map(Image::tile).collect();
    if let Pass::Fold(fold) = op.pass() {
        let mut state = vec![0i32; region.voxels() as usize];
        fold.start(bytemuck::cast_slice_mut(&mut state));
        fold.add(&tiles[0], bytemuck::cast_slice_mut(&mut state));
        fold.finish(inputs[0].meta.shape[fold.axis().index()], bytemuck::cast_slice(&state), out.tile_mut());
    } else if let Pass::Placed(placed) = op.pass() {
        let from: Vec<Region> =
            inputs.iter().enumerate().map(|(i, image)| op.reads(i, &region, &image.meta.shape)).collect();
        placed.fill(&region, &tiles, &from, out.tile_mut(), &mut []);
    } else {
        let mut scratch = vec![0i32; op.scratch(&out.meta.shape) as usize / 4];
        op.cpu(&tiles, out.tile_mut(), bytemuck::cast_slice_mut(&mut scratch));
    }
    out
}

fn padded(image: &Image, region: &Region, border: Border) -> Image {
    let mut out = Image::new(Meta { shape: region.shape, ..image.meta.clone() });
    let source = image.tile();
    for p in positions(region.shape.map(|n| n as usize)) {
        let from: Option<Vec<i64>> =
            (0..NDIM).map(|a| border.map(p[a] as i64 + region.start[a], image.meta.shape[a])).collect();
        let value = match (from, border) {
            (Some(q), _) => at(&source, std::array::from_fn(|a| q[a] as usize)),
            (None, Border::Constant(v)) => v as i32,
            (None, _) => unreachable!("only the constant border asks nothing"),
        };
        put(&mut out.tile_mut(), p, value);
    }
    out
}

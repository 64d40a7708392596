//! A value of given rank in a window: the middle one, or another.

use super::codec::{Either, Sample};
use super::extremum::{Extreme, Extremum, words};
use super::select::{Layout, Select};
use super::sliding::{self, Sliding};
use super::small::{self, Cube3, Cube5, Medians, Small, Square3, Square5};
use super::vector::{self, Key};
use super::window::{Origin, RADIUS, SIZE, Window, space};
use crate::device::why;
use crate::spec::{ArgError, Args};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Border, Dtype, Meta, Shape, Tile, TileMut, View, ViewMut};

/// The value in a window that has a given number of others before it in their order.
pub(crate) struct Ranked {
    name: &'static str,
    window: Window,
    /// How many come before it.
    rank: usize,
    /// The window's rows in its box, and the columns in each.
    rows: Vec<(usize, Range<usize>)>,
}

impl Ranked {
    /// The most voxels of a window: each is looked at for every voxel of the image.
    const LIMIT: usize = 1 << 20;

    /// The operation of that name; `rank` makes of the number of voxels in the window how many come before the wanted
    /// one.
    pub(crate) fn of(
        name: &'static str,
        args: &Args<'_>,
        rank: impl Fn(usize) -> Result<usize, ArgError>,
    ) -> Result<Arc<dyn Op>, ArgError> {
        let window = Window::from_args(args, Origin::Centre)?;
        let count = window.count();
        match rank(count)? {
            0 => Ok(Extremum::of(name, Extreme::Min, window)),
            rank if rank + 1 == count => Ok(Extremum::of(name, Extreme::Max, window)),
            _ if count > Self::LIMIT => {
                let param = if args.text(SIZE.name).is_some() { SIZE.name } else { RADIUS.name };
                let text = args.text(param).unwrap_or_default();
                Err(args.wrong(param, text, format!("a window of at most {} voxels", Self::LIMIT)))
            }
            rank => {
                let rows = window.rows();
                Ok(Arc::new(Self { name, window, rank, rows }))
            }
        }
    }
}

impl Op for Ranked {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Halo(self.window.halo)
    }

    fn border(&self) -> Border {
        self.window.border
    }

    fn scratch(&self, output: &Shape) -> u64 {
        let bytes = dispatch!(self.window.dtype, T => match self.method::<T>(output[4] as usize) {
            Method::Square3 => small::bytes::<Square3>(),
            Method::Square5 => small::bytes::<Square5>(),
            Method::Cube3 => small::bytes::<Cube3>(),
            Method::Cube5 => small::bytes::<Cube5>(),
            Method::Sliding => sliding::bytes::<T>(self.rows.len()),
            Method::Select => self.layout::<T>(space(output)).bytes::<T>(),
        });
        bytes as u64
    }

    fn ns_per_voxel(&self) -> f64 {
        let size = self.window.dtype.size() as f64;
        match dispatch!(self.window.dtype, T => self.method::<T>(usize::MAX)) {
            Method::Square3 => 0.08 * size,
            Method::Square5 => 0.09 * size * size,
            Method::Cube3 => 0.3 * size,
            Method::Cube5 => 4.5 * size,
            Method::Sliding => 10.0 + 1.6 * self.rows.len() as f64,
            Method::Select => 0.06 * size * size * self.window.count() as f64,
        }
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        if output.is_empty() {
            return;
        }
        let width = output.shape()[4];
        dispatch!(output.dtype(), T => {
            let (from, mut to) = (inputs[0].view::<T>(), output.view::<T>());
            if <T as Sample>::Key::NETWORKS {
                match self.method::<T>(width) {
                    Method::Square3 => return networks::<T, Square3>(&from, &mut to, scratch),
                    Method::Square5 => return networks::<T, Square5>(&from, &mut to, scratch),
                    Method::Cube3 => return networks::<T, Cube3>(&from, &mut to, scratch),
                    Method::Cube5 => return networks::<T, Cube5>(&from, &mut to, scratch),
                    Method::Sliding => return self.slide::<T>(&from, &mut to, scratch),
                    Method::Select => {}
                }
            }
            self.select::<T>(&from, &mut to, scratch);
        });
    }

    fn no_kernels(&self) -> Option<&'static str> {
        self.window.packed().is_none().then_some(why::WINDOW)
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let dtype = inputs[0];
        let middle = self.window.is_box() && self.rank == self.window.count() / 2;
        let network = match self.window.size {
            [1, 3, 3] => Some("median_square3"),
            [1, 5, 5] => Some("median_square5"),
            [3, 3, 3] => Some("median_cube3"),
            _ => None,
        };
        if let Some(family) = network.filter(|_| middle) {
            let weight = 0.3 * self.window.count() as f64;
            return Some(Sweep::over(format!("{family}_{dtype}"), Vec::new()).weighing(weight).into());
        }
        let (rows, _) = self.window.packed()?;
        let [z, y, x] = self.window.size;
        let mut arguments = [self.rank, z, y, x, rows.len()].map(|n| Argument::U32(n as u32)).to_vec();
        arguments.push(words(&rows));
        // A look at the whole window for each bit.
        let weight = 1.2 * dtype.size() as f64 * self.window.count() as f64;
        Some(Sweep::over(format!("rank_{dtype}"), arguments).weighing(weight).into())
    }
}

/// How medians are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Square3,
    Square5,
    Cube3,
    Cube5,
    /// Large windows of 8 or 16 bits.
    Sliding,
    /// Any window.
    Select,
}

impl Ranked {
    /// From how many voxels of a run on, on average, counting beats comparing, for one byte and for two.
    const RUN: [usize; 2] = [20, 12];

    /// What two lanes of one byte count.
    const COUNTED_IN_LANES: usize = u16::MAX as usize;

    /// The method for output rows of that many voxels.
    fn method<T: Sample>(&self, width: usize) -> Method {
        if let Some(run) = size_of::<T>().checked_sub(1).and_then(|n| Self::RUN.get(n)) {
            let count = self.window.count();
            if count > self.rows.len() * run || count > Self::COUNTED_IN_LANES {
                return Method::Sliding;
            }
        }
        let middle = self.window.is_box() && self.rank == self.window.count() / 2;
        if !middle || !T::Key::NETWORKS || !vector::is_vector::<T::Key>(width) {
            return Method::Select;
        }
        match self.window.size {
            Square3::SIZE => Method::Square3,
            Square5::SIZE => Method::Square5,
            Cube3::SIZE => Method::Cube3,
            Cube5::SIZE => Method::Cube5,
            _ => Method::Select,
        }
    }

    fn layout<T>(&self, out: [usize; 3]) -> Layout {
        Layout::new(out, self.window.size, size_of::<T>())
    }

    /// Large windows.
    fn slide<T: Sample>(&self, from: &View<'_, T>, to: &mut ViewMut<'_, T>, scratch: &mut [u8]) {
        let ([nt, nc, nz, ny, nx], fs, ts) = (to.shape(), from.strides(), to.strides());
        for t in 0..nt {
            for c in 0..nc {
                let sliding = Sliding {
                    out: [nz, ny, nx],
                    height: self.window.size[1],
                    rows: &self.rows,
                    rank: self.rank,
                    flip: if T::DTYPE.is_signed_integer() { T::Key::TOP } else { T::Key::ZERO },
                    src: T::raw(&from.raw()[t * fs[0] + c * fs[1]..]),
                    src_step: [fs[2], fs[3]],
                    dst: T::raw_mut(&mut to.raw()[t * ts[0] + c * ts[1]..]),
                    dst_step: [ts[2], ts[3]],
                    scratch,
                };
                sliding.run();
            }
        }
    }

    /// Any window.
    fn select<T: Sample>(&self, from: &View<'_, T>, to: &mut ViewMut<'_, T>, scratch: &mut [u8]) {
        let ([nt, nc, nz, ny, nx], fs, ts) = (to.shape(), from.strides(), to.strides());
        for t in 0..nt {
            for c in 0..nc {
                let select = Select {
                    layout: self.layout::<T>([nz, ny, nx]),
                    rows: &self.rows,
                    rank: self.rank,
                    codec: Either::of(T::DTYPE),
                    src: T::raw(&from.raw()[t * fs[0] + c * fs[1]..]),
                    src_step: [fs[2], fs[3]],
                    dst: T::raw_mut(&mut to.raw()[t * ts[0] + c * ts[1]..]),
                    dst_step: [ts[2], ts[3]],
                    scratch,
                };
                vector::run(nx, select);
            }
        }
    }
}

/// A window for which there are networks.
fn networks<T: Sample, S: Small>(from: &View<'_, T>, to: &mut ViewMut<'_, T>, scratch: &mut [u8]) {
    let ([nt, nc, nz, ny, nx], fs, ts) = (to.shape(), from.strides(), to.strides());
    for t in 0..nt {
        for c in 0..nc {
            let medians: Medians<'_, _, S> = Medians {
                window: PhantomData,
                out: [nz, ny, nx],
                codec: Either::of(T::DTYPE),
                src: T::raw(&from.raw()[t * fs[0] + c * fs[1]..]),
                src_step: [fs[2], fs[3]],
                dst: T::raw_mut(&mut to.raw()[t * ts[0] + c * ts[1]..]),
                dst_step: [ts[2], ts[3]],
                scratch,
            };
            vector::run_vectors(nx, medians);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ops;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, oracle};
    use crate::testing::{Fill, Float, Image, meta, stages, steps};
    use voxtile_sched::model::{Border, Dtype};

    #[test]
    fn more_than_two_bytes_count_in_runs_of_one_voxel() {
        let image = Image::filled(meta("zyx", &[2, 3, 2], Dtype::U8), Fill::Noise, 1);
        let wanted = oracle(&image, [300, 300, 1], Origin::Centre, Border::Reflect, Rank::Middle);
        steps("median 300,300,1", &image).assert_same(&wanted, Float::Exact, || "300²".to_owned());
    }

    #[test]
    fn windows_that_are_absurd_are_refused() {
        let image = [meta("yx", &[9, 9], Dtype::U8)];
        let refused =
            |step| stages(ops::find("median").unwrap(), step, &image).map(|_| ()).unwrap_err().to_string();
        assert_eq!(refused("median 1025"), "`median`: `size=1025` is not a window of at most 1048576 voxels");
        assert_eq!(
            refused("median 99999999999"),
            "`median`: `size=99999999999` is not whole numbers from 1 to 1073741824"
        );
        assert!(stages(ops::find("median").unwrap(), "median 1024", &image).is_ok());
    }
}

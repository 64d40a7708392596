//! Extended depth of focus: for each pixel the plane that is sharpest there.
//!
//! The sharpness of a plane at a pixel is the variance, over a box of `size` by `size` pixels, of the Laplacian along y and x
//! (the four neighbours less four times the pixel), the plane continued by reflection at its edges. The first of equally
//! sharp planes is taken, and the pixel's value in it. In f64: exact for integers of up to 16 bits and boxes of up to 13.
//! A tile holds all planes.

use super::reduced;
use crate::pointwise::{Sample, for_rows};
use crate::vectorised;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Halo, Meta, Region, Shape, Tile, TileMut};

pub(crate) struct Focus {
    pub(crate) name: &'static str,
    pub(crate) axis: Axis,
    /// Edge of the box.
    pub(crate) size: u64,
}

vectorised! {
    /// The Laplacian of the inner pixels of a row.
    fn laplacian<T: Sample>(above: &[T], row: &[T], below: &[T], out: &mut [f64]) {
        let n = out.len();
        let (above, below) = (&above[1..][..n], &below[1..][..n]);
        let (left, row, right) = (&row[..n], &row[1..][..n], &row[2..][..n]);
        for i in 0..n {
            let across = above[i].to_f64() + below[i].to_f64();
            let along = left[i].to_f64() + right[i].to_f64();
            out[i] = (across + along) - 4.0 * row[i].to_f64();
        }
    }
}

vectorised! {
    /// Adds a row and its squares to the sums of columns.
    fn down(row: &[f64], begin: bool, sums: &mut [f64], squares: &mut [f64]) {
        let (sums, squares) = (&mut sums[..row.len()], &mut squares[..row.len()]);
        for i in 0..row.len() {
            let value = row[i];
            sums[i] = if begin { value } else { sums[i] + value };
            squares[i] = if begin { value * value } else { squares[i] + value * value };
        }
    }
}

vectorised! {
    /// Sums of as many columns as the box is wide, into the first ones.
    fn across(columns: &[f64], size: usize, out: &mut [f64]) {
        let n = out.len();
        out.copy_from_slice(&columns[..n]);
        for k in 1..size {
            let column = &columns[k..][..n];
            for i in 0..n {
                out[i] += column[i];
            }
        }
    }
}

vectorised! {
    /// Takes the pixels of a plane that is sharper than those before.
    fn sharper<T: Sample>(row: &[T], sums: &[f64], squares: &[f64], count: f64, best: &mut [f64], out: &mut [T]) {
        let n = out.len();
        let (row, sums, squares, best) = (&row[..n], &sums[..n], &squares[..n], &mut best[..n]);
        for i in 0..n {
            let sharpness = count * squares[i] - sums[i] * sums[i];
            let take = sharpness > best[i];
            best[i] = if take { sharpness } else { best[i] };
            out[i] = if take { row[i] } else { out[i] };
        }
    }
}

impl Focus {
    fn halo(&self) -> Halo {
        let (lo, hi) = (self.size / 2 + 1, (self.size - 1) / 2 + 1);
        Halo { lo: [0, 0, 0, lo, lo], hi: [0, 0, 0, hi, hi] }
    }

    fn fill<T: Sample>(&self, input: &Tile<'_>, output: &mut TileMut<'_>, scratch: &mut [u8]) {
        let (rows, mut out) = (input.view::<T>(), output.view::<T>());
        let (size, extent) = (self.size as usize, rows.shape()[self.axis.index()]);
        let [nt, nc, nz, ny, nx] = out.shape();
        let (width, centre) = (nx + size - 1, self.size as usize / 2 + 1);
        let scratch: &mut [f64] = bytemuck::cast_slice_mut(scratch);
        // Laplacians of the last `size` rows; sums of columns, then of boxes; the sharpness of what was taken.
        let (ring, rest) = scratch.split_at_mut(size * width);
        let (column_sums, rest) = rest.split_at_mut(width);
        let (column_squares, rest) = rest.split_at_mut(width);
        let (sums, rest) = rest.split_at_mut(nx);
        let (squares, best) = rest.split_at_mut(nx);
        let best = &mut best[..ny * nx];
        for_rows([nt, nc, nz, 1, 1], |t, c, z, _| {
            let row = |k: usize, y: usize| {
                let mut at = [t, c, z];
                at[self.axis.index()] = k;
                rows.row(at[0], at[1], at[2], y)
            };
            best.fill(f64::NEG_INFINITY);
            for y in 0..ny {
                out.row(t, c, z, y).copy_from_slice(&row(0, y + centre)[centre..][..nx]);
            }
            for k in 0..extent {
                let mut done = 0;
                for y in 0..ny {
                    for r in done..y + size {
                        let into = &mut ring[r % size * width..][..width];
                        laplacian(row(k, r), row(k, r + 1), row(k, r + 2), into);
                    }
                    done = y + size;
                    for r in y..done {
                        down(&ring[r % size * width..][..width], r == y, column_sums, column_squares);
                    }
                    across(column_sums, size, sums);
                    across(column_squares, size, squares);
                    let seen = &row(k, y + centre)[centre..][..nx];
                    let best = &mut best[y * nx..][..nx];
                    sharper(seen, sums, squares, (size * size) as f64, best, out.row(t, c, z, y));
                }
            }
        });
    }
}

impl Op for Focus {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        for axis in [Axis::Y, Axis::X] {
            if !inputs[0].axes.contains(axis) {
                return Err(Refused::Axis { axis, axes: inputs[0].axes });
            }
            if self.axis == axis {
                let why = format!("planes lie along {axis}: sharpness is compared between them");
                return Err(Refused::Param { param: "axis", why });
            }
        }
        let kind = inputs[0].kind;
        Ok(reduced(&inputs[0], self.axis, inputs[0].dtype, false)?.with_kind(kind))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: true }
    }

    fn reads(&self, _input: usize, out: &Region, image: &Shape) -> Region {
        out.grow(&self.halo()).with_axis(self.axis, 0, image[self.axis.index()])
    }

    fn scratch(&self, output: &Shape) -> u64 {
        let width = output[4] + self.size - 1;
        8 * ((self.size + 2) * width + (2 + output[3]) * output[4])
    }

    fn ns_per_voxel(&self) -> f64 {
        1.0 + 0.25 * self.size as f64
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        dispatch!(inputs[0].dtype(), T => self.fill::<T>(&inputs[0], &mut output, scratch));
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let arguments = [self.axis.index() as u32, self.size as u32].map(Argument::U32).to_vec();
        Some(Sweep::over(format!("project_focus_{}", inputs[0]), arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::has;
    use super::*;
    use crate::conforms;
    use crate::ops::PROJECT as SPEC;
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::model::{Border, Dtype, Element};

    /// Every pixel of every plane: the Laplacians of its box, their variance, the first of the largest.
    fn wanted(image: &Image, axis: Axis, size: i64) -> Image {
        let [.., ny, nx] = image.meta().shape;
        let meta = reduced(image.meta(), axis, image.meta().dtype, false).unwrap();
        dispatch!(image.meta().dtype, T => Image::from_fn(meta, |at| {
            let value = |k: u64, y: i64, x: i64| {
                let mut from = at;
                from[axis.index()] = k;
                from[3] = Border::Reflect.map(y, ny).unwrap() as u64;
                from[4] = Border::Reflect.map(x, nx).unwrap() as u64;
                image.at::<T>(from)
            };
            let (y, x) = (at[3] as i64, at[4] as i64);
            let (mut best, mut plane) = (f64::NEG_INFINITY, 0);
            for k in 0..image.meta().shape[axis.index()] {
                let v = |y, x| value(k, y, x).to_f64();
                let laplacian = |y, x| ((v(y - 1, x) + v(y + 1, x)) + (v(y, x - 1) + v(y, x + 1))) - 4.0 * v(y, x);
                let rows = || -(size / 2)..size - size / 2;
                let add = |values: Vec<f64>| values.into_iter().reduce(|a, b| a + b).unwrap();
                let total = |f: &dyn Fn(f64) -> f64| {
                    add(rows().map(|dx| add(rows().map(|dy| f(laplacian(y + dy, x + dx))).collect())).collect())
                };
                let (sum, squares) = (total(&|v| v), total(&|v| v * v));
                let sharpness = (size * size) as f64 * squares - sum * sum;
                if sharpness > best {
                    (best, plane) = (sharpness, k);
                }
            }
            value(plane, y, x)
        }))
    }

    fn stack(m: &Meta) -> bool {
        has(m, Axis::Z) && m.axes.contains(Axis::Y) && !m.shape.contains(&0)
    }

    conforms!(
        planes: &SPEC, "project z method=focus size=3",
        |image| wanted(image, Axis::Z, 3), only(stack),
    );
    conforms!(
        even_boxes: &SPEC, "project c method=focus size=4",
        |image| wanted(image, Axis::C, 4), only(|m| has(m, Axis::C) && m.axes.contains(Axis::Y) && m.shape[4] < 30),
    );

    #[test]
    fn a_sharp_plane_wins_over_blurred_ones() {
        let sharp = Image::noise("yx", &[40, 50], Dtype::U16, 3);
        let blurred = steps("gaussian 2 | cast u16", &sharp);
        let mut image = Image::new(meta("zyx", &[3, 40, 50], Dtype::U16));
        for (k, plane) in [&blurred, &sharp, &blurred].iter().enumerate() {
            image.values_mut::<u16>()[k * 2000..(k + 1) * 2000].copy_from_slice(plane.values());
        }
        assert_eq!(steps("project z method=focus", &image).values::<u16>(), sharp.values::<u16>());
    }

    #[test]
    fn what_has_no_planes_is_refused() {
        let of = |axes: &str, sizes: &[u64], text| {
            let image = [meta(axes, sizes, Dtype::U8)];
            stages(&SPEC, text, &image).map(|s| s[0].op.output(&image).is_ok())
        };
        assert_eq!(of("zyx", &[3, 4, 5], "project z method=focus"), Ok(true));
        assert_eq!(of("zyx", &[3, 4, 5], "project y method=focus"), Ok(false));
        assert_eq!(of("zx", &[3, 5], "project z method=focus"), Ok(false));
        assert!(of("zyx", &[3, 4, 5], "project z method=focus size=1").is_err());
    }
}

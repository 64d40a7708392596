//! Blocks of voxels as single values: sums and extremes, column by column and then along x, and the most frequent value.

use crate::pointwise::Sample;
use crate::totals::{Total, larger, smaller};
use crate::vectorised;
use voxtile_sched::model::{Dtype, View};

/// How the voxels of a block meet: first down the columns, then along x.
pub(crate) trait Join<T>: Copy {
    type Held: bytemuck::Pod;
    fn hold(value: T) -> Self::Held;
    fn join(held: Self::Held, other: Self::Held) -> Self::Held;
}

#[derive(Clone, Copy)]
pub(crate) struct Largest;
#[derive(Clone, Copy)]
pub(crate) struct Smallest;
#[derive(Clone, Copy)]
pub(crate) struct Sum<A>(std::marker::PhantomData<A>);

impl<T: Sample> Join<T> for Largest {
    type Held = T;
    #[inline(always)]
    fn hold(value: T) -> T {
        value
    }
    #[inline(always)]
    fn join(held: T, other: T) -> T {
        larger(held, other)
    }
}

impl<T: Sample> Join<T> for Smallest {
    type Held = T;
    #[inline(always)]
    fn hold(value: T) -> T {
        value
    }
    #[inline(always)]
    fn join(held: T, other: T) -> T {
        smaller(held, other)
    }
}

impl<T: Sample, A: Total> Join<T> for Sum<A> {
    type Held = A;
    #[inline(always)]
    fn hold(value: T) -> A {
        A::of(value)
    }
    #[inline(always)]
    fn join(held: A, other: A) -> A {
        held.plus(other)
    }
}

vectorised! {
    fn first_row<T: Sample, J: Join<T>>(row: &[T], columns: &mut [J::Held]) {
        for (column, &value) in columns.iter_mut().zip(row) {
            *column = J::hold(value);
        }
    }
}

vectorised! {
    fn next_row<T: Sample, J: Join<T>>(row: &[T], columns: &mut [J::Held]) {
        for (column, &value) in columns.iter_mut().zip(row) {
            *column = J::join(*column, J::hold(value));
        }
    }
}

// Loops over indices of slices cut to length: iterators of pairs and blocks are not inlined everywhere, and a call for
// each voxel costs more than the work.

vectorised! {
    /// Columns to blocks; a block has `rows` voxels in each of its columns.
    pub(crate) fn means<A: Total, U: Sample>(columns: &[A], factor: usize, rows: u64, out: &mut [U]) {
        let whole = columns.len() / factor;
        let (out, last) = out.split_at_mut(whole);
        if factor == 2 {
            // Pairs are what pyramids are made of; with a known length they are added in vectors.
            let pairs = &columns.as_chunks::<2>().0[..out.len()];
            for i in 0..out.len() {
                out[i] = pairs[i][0].plus(pairs[i][1]).mean(2 * rows);
            }
        } else {
            for i in 0..out.len() {
                out[i] = total(&columns[i * factor..][..factor]).mean(factor as u64 * rows);
            }
        }
        if let [last] = last {
            let ragged = &columns[whole * factor..];
            *last = total(ragged).mean(ragged.len() as u64 * rows);
        }
    }
}

/// The sum from left to right.
#[inline(always)]
fn total<A: Total>(columns: &[A]) -> A {
    let mut sum = columns[0];
    for k in 1..columns.len() {
        sum = sum.plus(columns[k]);
    }
    sum
}

vectorised! {
    pub(crate) fn extremes<T: Sample, J: Join<T, Held = T>>(columns: &[T], factor: usize, out: &mut [T]) {
        let whole = columns.len() / factor;
        let (out, last) = out.split_at_mut(whole);
        if factor == 2 {
            let pairs = &columns.as_chunks::<2>().0[..out.len()];
            for i in 0..out.len() {
                out[i] = J::join(pairs[i][0], pairs[i][1]);
            }
        } else {
            for i in 0..out.len() {
                out[i] = joined::<T, J>(&columns[i * factor..][..factor]);
            }
        }
        if let [last] = last {
            *last = joined::<T, J>(&columns[whole * factor..]);
        }
    }
}

/// The extreme from left to right.
#[inline(always)]
fn joined<T: Sample, J: Join<T, Held = T>>(columns: &[T]) -> T {
    let mut held = columns[0];
    for k in 1..columns.len() {
        held = J::join(held, columns[k]);
    }
    held
}

/// The input voxels that belong to a row of output voxels: ranges along z and y.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) t: usize,
    pub(crate) c: usize,
    pub(crate) z: (usize, usize),
    pub(crate) y: (usize, usize),
}

impl Rows {
    pub(crate) fn count(&self) -> u64 {
        ((self.z.1 - self.z.0) * (self.y.1 - self.y.0)) as u64
    }

    /// The rows in raster order, with their number.
    pub(crate) fn each<'a, T>(&self, input: &View<'a, T>, mut work: impl FnMut(usize, &'a [T])) {
        let mut n = 0;
        for z in self.z.0..self.z.1 {
            for y in self.y.0..self.y.1 {
                work(n, input.row(self.t, self.c, z, y));
                n += 1;
            }
        }
    }

    /// Joins the rows column by column.
    pub(crate) fn columns<'s, T: Sample, J: Join<T>>(
        &self,
        input: &View<'_, T>,
        scratch: &'s mut [u8],
    ) -> &'s [J::Held] {
        let columns = &mut bytemuck::cast_slice_mut(scratch)[..input.shape()[4]];
        self.each(input, |n, row| match n {
            0 => first_row::<T, J>(row, columns),
            _ => next_row::<T, J>(row, columns),
        });
        columns
    }
}

/// A word that sorts as the value does, and its inverse.
pub(crate) fn key<T: Sample>(value: T) -> u64 {
    let sign = 1u64 << (8 * size_of::<T>() - 1);
    let word = value.to_word();
    match T::DTYPE {
        Dtype::F32 | Dtype::F64 if word & sign == 0 => word | sign,
        Dtype::F32 | Dtype::F64 => !word & (sign | (sign - 1)),
        d if d.is_signed_integer() => word ^ 1 << 63,
        _ => word,
    }
}

pub(crate) fn from_key<T: Sample>(key: u64) -> T {
    let sign = 1u64 << (8 * size_of::<T>() - 1);
    T::from_word(match T::DTYPE {
        Dtype::F32 | Dtype::F64 if key & sign != 0 => key & !sign,
        Dtype::F32 | Dtype::F64 => !key,
        d if d.is_signed_integer() => key ^ 1 << 63,
        _ => key,
    })
}

/// The most frequent key, of several the smallest. May sort the keys.
pub(crate) fn most_frequent(keys: &mut [u64]) -> u64 {
    let (mut best, mut most) = (keys[0], 0);
    if keys.iter().all(|&k| k == best) {
        return best;
    }
    if keys.len() <= 32 {
        // Comparing all with all costs less than sorting so few.
        for &key in &*keys {
            let count = keys.iter().map(|&k| u64::from(k == key)).sum();
            if count > most || (count == most && key < best) {
                (best, most) = (key, count);
            }
        }
        return best;
    }
    keys.sort_unstable();
    for run in keys.chunk_by(|a, b| a == b) {
        if run.len() as u64 > most {
            (best, most) = (run[0], run.len() as u64);
        }
    }
    best
}

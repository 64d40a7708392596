//! Arrays in memory, in and out.

use super::Pipeline;
use crate::{Error, Report};
use ndarray::ArrayD;
use std::sync::Arc;
use voxtile_io::{Info, MemorySink, MemorySource};
use voxtile_sched::model::{AxisSet, Element, NDIM, Shape, voxels};

impl Pipeline {
    /// Reads an array. Its axes are the last ones of `t, c, z, y, x`.
    ///
    /// # Errors
    /// [`Error::Axes`] for a rank that is not 1 to 5.
    pub fn from_array<T: Element>(array: ArrayD<T>) -> Result<Self, Error> {
        let rank = array.ndim();
        let axes = AxisSet::of_rank(rank).ok_or(Error::Axes { rank, axes: String::new() })?;
        Self::with_axes(array, axes)
    }

    /// Reads an array whose axes are named: `"cyx"`, letters of `tczyx` in this order.
    ///
    /// # Errors
    /// [`Error::Axes`] for names that are no axes or not as many as the array has.
    pub fn from_array_axes<T: Element>(array: ArrayD<T>, axes: &str) -> Result<Self, Error> {
        let rank = array.ndim();
        let set = AxisSet::parse(axes).filter(|set| set.len() == rank && rank > 0);
        Self::with_axes(array, set.ok_or_else(|| Error::Axes { rank, axes: axes.to_owned() })?)
    }

    fn with_axes<T: Element>(array: ArrayD<T>, axes: AxisSet) -> Result<Self, Error> {
        let dims: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
        let count = array.len();
        let voxels = if array.is_standard_layout() {
            let (mut voxels, first) = array.into_raw_vec_and_offset();
            // A slice of a larger array keeps all of it.
            voxels.drain(..first.unwrap_or(0));
            voxels.truncate(count);
            voxels
        } else {
            array.iter().copied().collect()
        };
        let source = MemorySource::new(axes.spread(&dims, 1), axes, voxels, read_unit(axes))?;
        let pipeline = Self::from_source(Arc::new(source));
        // Nobody chose the unit: an output has its own default.
        Ok(Self { info: Info { chunk5: [0; NDIM], ..pipeline.info }, ..pipeline })
    }

    /// Plans, runs, and returns the result as an array with the axes that it has, in the order `t, c, z, y, x`.
    ///
    /// # Errors
    /// Those of [`run`](Pipeline::run), and [`Error::Dtype`] if the result has another sample type;
    /// [`dtype`](Pipeline::dtype) converts it.
    pub fn collect<T: Element>(self) -> Result<ArrayD<T>, Error> {
        Ok(self.collect_reported()?.0)
    }

    /// As [`collect`](Pipeline::collect), and what the run took.
    ///
    /// # Errors
    /// Those of [`collect`](Pipeline::collect).
    pub fn collect_reported<T: Element>(self) -> Result<(ArrayD<T>, Report), Error> {
        let plan = self.plan()?;
        let result = plan.result().clone();
        if result.dtype != T::DTYPE {
            return Err(Error::Dtype { is: result.dtype, wanted: T::DTYPE });
        }
        let sink = Arc::new(MemorySink::new(&result, plan.chunk())?);
        let report = plan.run_into(sink.clone())?;
        let dims: Vec<usize> = result.dims().iter().map(|&n| n as usize).collect();
        let taken = sink.take::<T>()?;
        let array = ArrayD::from_shape_vec(dims, taken).expect("a sink holds the voxels of its shape");
        Ok((array, report))
    }
}

impl Pipeline {
    /// Runs into memory that nobody looks at, to be measured: the bytes of the result, and what the run took.
    ///
    /// # Errors
    /// Those of [`run`](Pipeline::run); [`Error::NoOutput`] if the result is a table.
    pub fn discard(self) -> Result<(u64, Report), Error> {
        let plan = self.plan()?;
        if plan.makes_table() {
            return Err(Error::NoOutput);
        }
        let result = plan.result().clone();
        let sink = Arc::new(MemorySink::new(&result, plan.chunk())?);
        Ok((voxels(&result.shape) * result.dtype.size() as u64, plan.run_into(sink)?))
    }
}

/// In what an array is read: small, because nothing is decoded.
fn read_unit(axes: AxisSet) -> Shape {
    let side = match axes.space().len() {
        0 | 1 => 65_536,
        2 => 256,
        _ => 64,
    };
    axes.space().spread(&vec![side; axes.space().len()], 1)
}

//! Statistics of a whole image, and the operations that wait for one.
//!
//! All voxels count together, of every axis and channel; of floats the finite ones: NaN and infinities do not count.
//! Integers of 8 and 16 bits are counted value by value in one pass. Of wider ones the ends are found first, then what
//! lies between is counted value by value, up to 2^20 of them; of floats, and of integers farther apart, in 256 bins.
//! Percentiles are exact in every type, 16 bits in each pass.

mod bins;
mod contextual;
mod counts;
mod distinct;
mod extent;
mod histogram;
mod key;
mod lookup;
mod masses;
mod numbers;
mod ranks;
mod sums;

pub(crate) use contextual::{Boxes, Contextual, LEVELS, Scale};
pub(crate) use extent::Extent;
pub(crate) use histogram::Histogram;
pub(crate) use lookup::Lookup;
pub(crate) use numbers::{Numbers, Step as NumbersStep, Summary};
pub use ranks::{Ranks, Step};

use bins::Bins;
use counts::Counts;
use masses::Masses;
use std::any::Any;
use std::sync::Arc;
use sums::Sums;
use voxtile_sched::contract::device::{Argument, Slot, Sweep, Threads};
use voxtile_sched::contract::{Footprint, Global, Kernels, Op, Pass, Refused, Resolved, Statistic};
use voxtile_sched::model::{Dtype, Meta, Shape, Tile, TileMut};

/// A kernel whose blocks share out a tile among themselves, and count.
fn counting(kernel: String, from: Vec<Slot>, to: Vec<Slot>, arguments: Vec<Argument>) -> Sweep {
    let threads = Threads::Processors { blocks: 4, threads: 256, shared: 0 };
    Sweep::new(kernel, from, to, arguments).by(threads).weighing(2.0)
}

/// Counts of a tile added to those so far.
fn add_counts(counts: &[u8], totals: &mut [u64]) {
    let counts = counts.chunks_exact(4).map(bytemuck::pod_read_unaligned::<u32>);
    totals.iter_mut().zip(counts).for_each(|(total, count)| *total += u64::from(count));
}

/// What an operation must know of the whole image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Needs {
    /// The counts of all values, or of bins.
    Histogram,
    /// The level at which Li's iteration rests; of integers that are counted one by one, their counts.
    Li,
    Mean,
    Percentiles(Vec<f64>),
    /// The lowest and the highest value.
    Ends,
}

/// What was found.
pub(crate) enum Found {
    /// No voxel counts.
    Nothing,
    /// All voxels that count have this value.
    Constant(f64),
    /// More than one counter.
    Histogram(Histogram),
    /// As many as were asked for.
    Numbers(Vec<f64>),
}

impl Needs {
    /// The empty statistic of the first pass over images of that type.
    pub(crate) fn start(&self, dtype: Dtype) -> Box<dyn Statistic> {
        match self {
            Self::Percentiles(percents) if dtype.size() > 2 => Box::new(Ranks::new(dtype, percents.clone())),
            Self::Mean if dtype.size() > 2 => Box::new(Sums::new(dtype)),
            _ if dtype.size() > 2 => Box::new(Extent::new(dtype)),
            _ => Box::new(Counts::new(dtype)),
        }
    }

    /// Passes over images of that type.
    pub(crate) fn passes(&self, dtype: Dtype) -> usize {
        match self {
            _ if dtype.size() <= 2 => 1,
            Self::Mean | Self::Ends => 1,
            Self::Percentiles(_) => Ranks::passes(dtype),
            Self::Li if dtype.is_float() => 3,
            Self::Histogram | Self::Li => 2,
        }
    }

    /// Bytes of one statistic.
    pub(crate) fn bytes(&self, dtype: Dtype) -> u64 {
        match self {
            _ if dtype.size() <= 2 => Counts::bytes(dtype),
            Self::Mean => Sums::bytes(),
            Self::Ends => 64,
            Self::Percentiles(percents) => Ranks::bytes(percents.len()),
            Self::Li if dtype.is_float() => Masses::bytes(),
            Self::Histogram if dtype.is_float() => 8 << 10,
            Self::Histogram | Self::Li => bins::MOST_VALUES * 8,
        }
    }

    /// Another pass, or what was found.
    pub(crate) fn next(&self, statistic: Box<dyn Statistic>) -> Next {
        let any = statistic.into_any();
        let any = match any.downcast::<Counts>() {
            Ok(counts) => return Next::Found(self.of_values(counts.histogram())),
            Err(any) => any,
        };
        let any = match any.downcast::<Ranks>() {
            Ok(ranks) => {
                return match ranks.next() {
                    ranks::Step::Again(next) => Next::Again(Box::new(next)),
                    ranks::Step::Found(values) if values.is_empty() => Next::Found(Found::Nothing),
                    ranks::Step::Found(values) => Next::Found(Found::Numbers(values)),
                };
            }
            Err(any) => any,
        };
        let any = match any.downcast::<Sums>() {
            Ok(sums) => {
                return Next::Found(sums.mean().map_or(Found::Nothing, |mean| Found::Numbers(vec![mean])));
            }
            Err(any) => any,
        };
        let any = match any.downcast::<Extent>() {
            Ok(extent) => return self.within(&extent),
            Err(any) => any,
        };
        let any = match any.downcast::<Masses>() {
            Ok(masses) => {
                return match masses.next() {
                    masses::Step::Again(next) => Next::Again(Box::new(next)),
                    masses::Step::Found(level) => Next::Found(Found::Numbers(vec![level])),
                };
            }
            Err(any) => any,
        };
        let bins = any.downcast::<Bins>().expect("a statistic that this asked for");
        Next::Found(Found::Histogram(bins.histogram()))
    }

    /// What follows from counts of every value.
    fn of_values(&self, histogram: Histogram) -> Found {
        match self {
            _ if histogram.counts.is_empty() => Found::Nothing,
            Self::Mean => Found::Numbers(vec![histogram.mean()]),
            Self::Percentiles(percents) => Found::Numbers(histogram.percentiles(percents)),
            Self::Ends => {
                Found::Numbers(vec![histogram.value(0), histogram.value(histogram.counts.len() - 1)])
            }
            _ if histogram.counts.len() == 1 => Found::Constant(histogram.value(0)),
            Self::Histogram | Self::Li => Found::Histogram(histogram),
        }
    }

    /// What follows from the ends.
    fn within(&self, extent: &Extent) -> Next {
        if extent.ends[0] > extent.ends[1] {
            return Next::Found(Found::Nothing);
        }
        let ends = extent.ends.map(|end| key::value(extent.dtype, end));
        if *self == Self::Ends {
            return Next::Found(Found::Numbers(ends.to_vec()));
        }
        // Zeros of both signs are one value.
        if extent.ends[0] == extent.ends[1] || (extent.dtype.is_float() && ends[0] == ends[1]) {
            return Next::Found(Found::Constant(ends[0]));
        }
        Next::Again(match self {
            Self::Li if Bins::cut(extent) => Box::new(Masses::new(extent)),
            _ => Box::new(Bins::new(extent)),
        })
    }
}

/// After a pass.
pub(crate) enum Next {
    Again(Box<dyn Statistic>),
    Found(Found),
}

/// The local operation that follows from what was found.
type Then = Box<dyn Fn(&Found) -> Arc<dyn Op> + Send + Sync>;

/// An operation that waits for a statistic of its first input. `output` is that of the local operation.
pub(crate) struct Deferred {
    pub(crate) name: &'static str,
    pub(crate) dtype: Dtype,
    pub(crate) needs: Needs,
    pub(crate) output: fn(&Meta) -> Meta,
    pub(crate) then: Then,
}

impl Op for Deferred {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok((self.output)(&inputs[0]))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        if self.dtype.size() <= 2 { 0.6 } else { 2.0 }
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Global(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("a local operation when it runs")
    }

    fn no_kernels(&self) -> Option<&'static str> {
        (self.then)(&Found::Nothing).no_kernels()
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, shape: &Shape) -> Option<Kernels> {
        // What is found decides the arguments only.
        (self.then)(&Found::Nothing).kernels(inputs, output, shape)
    }
}

impl Global for Deferred {
    fn start(&self) -> Box<dyn Statistic> {
        self.needs.start(self.dtype)
    }

    fn bytes(&self) -> u64 {
        self.needs.bytes(self.dtype)
    }

    fn passes(&self, _input: usize) -> usize {
        self.needs.passes(self.dtype)
    }

    fn resolve(&self, statistic: Box<dyn Statistic>) -> Result<Resolved, Refused> {
        Ok(match self.needs.next(statistic) {
            Next::Again(next) => Resolved::Again(next),
            Next::Found(found) => Resolved::Found(Arc::new(found)),
        })
    }

    fn shared(&self) -> Option<String> {
        Some(format!("{:?} of {}", self.needs, self.dtype))
    }

    fn local(&self, found: &(dyn Any + Send + Sync)) -> Arc<dyn Op> {
        (self.then)(found.downcast_ref().expect("what a shared statistic resolves to"))
    }
}

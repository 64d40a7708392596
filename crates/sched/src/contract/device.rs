//! Another place where tiles may be computed: it has memory of its own, and runs kernels that it knows by name.
//!
//! Everything here is plain data. An operation says which kernels do what [`Op::cpu`](super::Op::cpu) does; the engine
//! makes one [`Job`] of all the steps of a tile, so that nothing comes back between the first and the last; a [`Device`]
//! runs jobs and knows no operation.

use crate::model::{Dtype, PerAxis, Shape};
use std::error::Error;
use std::fmt::Debug;

/// What went wrong on a device, in its own words.
pub type DeviceError = Box<dyn Error + Send + Sync>;

/// What a kernel is given besides its tiles, in the order of its parameters. Tables are passed by value too.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A number of 32 bits.
    U32(u32),
    /// A number of 64 bits, or the bits of a sample.
    U64(u64),
    /// A number.
    F64(f64),
    /// Numbers, and how many there is room for.
    F64s(Vec<f64>, usize),
    /// Positions.
    I64s(Vec<i64>),
}

impl Argument {
    /// Bytes that the kernel takes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::U32(_) => 4,
            Self::U64(_) | Self::F64(_) => 8,
            Self::F64s(_, room) => 8 * room,
            Self::I64s(values) => 8 * values.len(),
        }
    }

    /// Its value in words, of which the first [`size`](Self::size) bytes count.
    #[must_use]
    pub fn words(&self) -> Vec<u64> {
        match self {
            Self::U32(value) => vec![u64::from(*value)],
            Self::U64(value) => vec![*value],
            Self::F64(value) => vec![value.to_bits()],
            Self::F64s(values, room) => {
                let mut words: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
                words.resize(*room, 0);
                words
            }
            Self::I64s(values) => values.iter().map(|v| *v as u64).collect(),
        }
    }
}

/// What a pass reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The region of that input that the footprint names, padded.
    Input(usize),
    /// A buffer between two passes.
    Scratch(usize),
    /// The output tile.
    Output,
}

/// One kernel over all voxels of what it writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// The kernel's name.
    pub kernel: String,
    /// What it reads.
    pub from: Vec<Slot>,
    /// What it writes.
    pub to: Slot,
    /// What else it is given.
    pub arguments: Vec<Argument>,
}

impl Sweep {
    /// From the only input to the output.
    #[must_use]
    pub fn over(kernel: String, arguments: Vec<Argument>) -> Self {
        Self { kernel, from: vec![Slot::Input(0)], to: Slot::Output, arguments }
    }
}

/// What an operation does on a device to make one output tile: kernels one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kernels {
    /// Sample type and shape of the buffers between them.
    pub scratch: Vec<(Dtype, Shape)>,
    /// In this order.
    pub sweeps: Vec<Sweep>,
}

impl From<Sweep> for Kernels {
    fn from(sweep: Sweep) -> Self {
        Self { scratch: Vec::new(), sweeps: vec![sweep] }
    }
}

/// A box of voxels in the memory of a job. Rows along x are contiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The sample type.
    pub dtype: Dtype,
    /// Bytes before its first voxel.
    pub at: u64,
    /// Its size in voxels.
    pub shape: Shape,
    /// Voxels from neighbour to neighbour, 1 along x.
    pub strides: PerAxis<u64>,
}

/// One kernel of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The kernel's name.
    pub kernel: String,
    /// The step that it belongs to: its place in the plan.
    pub step: usize,
    /// What it reads.
    pub from: Vec<Place>,
    /// What it writes, one thread for each voxel.
    pub to: Place,
    /// What else it is given, after `from` and `to`.
    pub arguments: Vec<Argument>,
}

/// A run of bytes in the memory of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins; a multiple of 256.
    pub at: u64,
    /// Bytes.
    pub len: u64,
}

/// Everything that is done to one tile: what is copied to the device, which kernels run, what is copied back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// Bytes of memory that it needs there.
    pub bytes: u64,
    /// Where each input goes.
    pub uploads: Vec<Span>,
    /// In this order.
    pub launches: Vec<Launch>,
    /// Where each output is found.
    pub downloads: Vec<Span>,
}

impl Job {
    /// Bytes that are copied to the device and back.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.uploads.iter().chain(&self.downloads).map(|span| span.len).sum()
    }
}

/// Runs jobs. Besides what operations ask for it has kernels `place_1`, `place_2`, `place_4` and `place_8`, which copy
/// samples of so many bytes from one buffer to another and answer what lies outside the image by a border rule.
pub trait Device: Debug + Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;

    /// Whether it has a kernel of that name, with these arguments.
    fn has(&self, sweep: &Sweep) -> bool;

    /// Bytes of its memory that jobs may take, all those together that run at one time.
    fn memory(&self) -> u64;

    /// Most jobs that run at one time; others wait.
    fn jobs(&self) -> usize;

    /// Bytes of this process's memory that using it takes, without jobs.
    fn host_bytes(&self) -> u64;

    /// Runs a job and waits for it. There is an input for each upload and an output for each download, of its bytes.
    ///
    /// # Errors
    /// In the device's words. What was computed is lost.
    fn run(&self, job: &Job, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), DeviceError>;
}

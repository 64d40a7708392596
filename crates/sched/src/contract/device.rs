//! Another place where tiles may be computed: it has memory of its own, and runs kernels that it knows by name.
//!
//! Everything here is plain data. An operation says which kernels do what [`Op::cpu`](super::Op::cpu) does; the engine
//! makes one [`Job`] of all the steps of a tile, so that nothing comes back between the first and the last; a [`Device`]
//! runs jobs and knows no operation.

use crate::model::{Dtype, NDIM, PerAxis, Shape, voxels};
use std::error::Error;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What went wrong on a device, in its own words.
pub type DeviceError = Box<dyn Error + Send + Sync>;

/// Why a device did not do a job.
#[derive(Debug)]
pub enum Stopped {
    /// Its memory did not suffice; a smaller job may succeed.
    NoRoom(DeviceError),
    /// Something else.
    Failed(DeviceError),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NoRoom(why) | Self::Failed(why)) = self;
        write!(f, "{why}")
    }
}

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
    /// Numbers that are the same for all tiles.
    Constants(usize),
    /// The output tile.
    Output,
    /// A buffer that comes back as bytes, where a tile becomes something else than an image.
    Result(usize),
}

/// Memory for a pass to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Its sample type.
    pub dtype: Dtype,
    /// Its shape. Rows along x are contiguous, and nothing lies between them.
    pub shape: Shape,
    /// What every byte of it is before the first pass; `None`: anything.
    pub fill: Option<u8>,
}

impl Buffer {
    /// With any content.
    #[must_use]
    pub const fn any(dtype: Dtype, shape: Shape) -> Self {
        Self { dtype, shape, fill: None }
    }

    /// A row of so many elements, with any content.
    #[must_use]
    pub const fn row(dtype: Dtype, len: u64) -> Self {
        Self::any(dtype, [1, 1, 1, 1, len])
    }

    /// The same, of zeros.
    #[must_use]
    pub const fn zeroed(self) -> Self {
        Self { fill: Some(0), ..self }
    }
}

impl From<(Dtype, Shape)> for Buffer {
    fn from((dtype, shape): (Dtype, Shape)) -> Self {
        Self::any(dtype, shape)
    }
}

/// A buffer whose bytes come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// The buffer.
    pub buffer: Buffer,
    /// Where it says how many of its first elements come back: a result of `u32`, and the element of it. `None`: all.
    /// If it says more than there are, all come back.
    pub counted: Option<(usize, u64)>,
}

impl From<Buffer> for Given {
    fn from(buffer: Buffer) -> Self {
        Self { buffer, counted: None }
    }
}

/// Numbers that are the same for all tiles: footprints, tables, many weights. They are copied to the device once.
#[derive(Clone, PartialEq)]
pub struct Constants {
    /// Their type.
    pub dtype: Dtype,
    /// Their bytes.
    pub bytes: Arc<[u8]>,
}

impl Constants {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        (self.bytes.len() / self.dtype.size()) as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Debug for Constants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.len(), self.dtype)
    }
}

/// How many threads a kernel gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// One for each voxel of what it writes first, in blocks of 128 along x and y. Where these would be too many, threads
    /// go on with later rows and planes.
    #[default]
    Voxels,
    /// Those blocks, counted for this tile.
    Blocks {
        /// Blocks along x, y, z.
        blocks: [u32; 3],
        /// Threads of a block along x, y, z.
        threads: [u32; 3],
        /// Bytes of memory that the threads of a block share, besides what the kernel declares.
        shared: u32,
    },
    /// A block, or several, for each processor of the device; the blocks share out the work among themselves.
    Processors {
        /// Blocks for each.
        blocks: u32,
        /// Threads of a block.
        threads: u32,
        /// As above.
        shared: u32,
    },
}

/// One kernel over what it reads and writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// The kernel's name.
    pub kernel: String,
    /// What it reads.
    pub from: Vec<Slot>,
    /// What it writes. It may read it too: a buffer that was filled, or that an earlier pass wrote.
    pub to: Vec<Slot>,
    /// What else it is given.
    pub arguments: Vec<Argument>,
    /// By how many threads.
    pub threads: Threads,
    /// An estimate of its time: how many times that of a copy of all bytes that it reads and writes.
    pub weight: f64,
}

impl Sweep {
    /// From the only input to the output, one thread for each voxel.
    #[must_use]
    pub fn over(kernel: String, arguments: Vec<Argument>) -> Self {
        Self::new(kernel, vec![Slot::Input(0)], vec![Slot::Output], arguments)
    }

    /// One thread for each voxel of the first that it writes.
    #[must_use]
    pub fn new(kernel: String, from: Vec<Slot>, to: Vec<Slot>, arguments: Vec<Argument>) -> Self {
        Self { kernel, from, to, arguments, threads: Threads::Voxels, weight: 1.0 }
    }

    /// The same by other threads.
    #[must_use]
    pub fn by(self, threads: Threads) -> Self {
        Self { threads, ..self }
    }

    /// The same with another estimate of its time.
    #[must_use]
    pub fn weighing(self, weight: f64) -> Self {
        Self { weight, ..self }
    }
}

/// What an operation does on a device with one tile: kernels one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kernels {
    /// Buffers between them.
    pub scratch: Vec<Buffer>,
    /// What they read besides.
    pub constants: Vec<Constants>,
    /// What comes back as bytes, where the operation makes no image of a tile.
    pub results: Vec<Given>,
    /// In this order.
    pub sweeps: Vec<Sweep>,
}

impl From<Sweep> for Kernels {
    fn from(sweep: Sweep) -> Self {
        Self { sweeps: vec![sweep], ..Self::default() }
    }
}

/// Where a box lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// In the memory of the job.
    Job,
    /// It is those [`Constants`] of the job.
    Constants(usize),
}

/// A box of voxels in the memory of a device. Rows along x are contiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// In which memory.
    pub held: Held,
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
    /// What it writes.
    pub to: Vec<Place>,
    /// What else it is given, after `from` and `to`.
    pub arguments: Vec<Argument>,
    /// By how many threads.
    pub threads: Threads,
    /// As in [`Sweep`].
    pub weight: f64,
}

/// Something that is done in the memory of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Every byte there becomes this one.
    Fill(Span, u8),
    /// A kernel.
    Launch(Launch),
}

/// A run of bytes in the memory of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins; a multiple of 256.
    pub at: u64,
    /// Bytes.
    pub len: u64,
}

/// What is copied back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download {
    /// From where.
    pub span: Span,
    /// Where a `u32` of another download says how many elements it has, and the bytes of one: no more than these are copied.
    pub counted: Option<Counted>,
}

/// How many elements come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The download that says it, which comes before this one and is not counted itself.
    pub by: usize,
    /// Bytes before the number.
    pub at: u64,
    /// Bytes of an element.
    pub size: u64,
}

/// Everything that is done to one tile: what is copied to the device, which kernels run, what is copied back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// Bytes of memory that it needs there.
    pub bytes: u64,
    /// Bytes that are set aside for it: the same for all jobs of a stage, so that none waits for memory.
    pub room: u64,
    /// What kernels read besides the memory of the job.
    pub constants: Vec<Constants>,
    /// Where each input goes.
    pub uploads: Vec<Span>,
    /// In this order.
    pub work: Vec<Work>,
    /// Where each output is found.
    pub downloads: Vec<Download>,
}

impl Job {
    /// Bytes that are copied to the device and back, at most.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.uploads.iter().chain(self.downloads.iter().map(|d| &d.span)).map(|span| span.len).sum()
    }

    /// Its kernels.
    pub fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.work.iter().filter_map(|work| match work {
            Work::Launch(launch) => Some(launch),
            Work::Fill(..) => None,
        })
    }
}

/// Where a pass's buffers were put, to be given back.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    /// Those between its kernels.
    pub scratch: Vec<Place>,
    /// Those that come back, whose downloads were added to the job.
    pub results: Vec<Place>,
}

impl Kernels {
    /// Adds what is done to a tile to a job, for the step of that number: its inputs and its output lie there; `buffer` finds
    /// a place for a buffer. `None` if a kernel reads or writes something that there is not.
    pub fn add(
        &self,
        job: &mut Job,
        step: usize,
        inputs: &[Place],
        output: Option<&Place>,
        mut buffer: impl FnMut(&Buffer) -> Place,
    ) -> Option<Placed> {
        let first = job.constants.len();
        job.constants.extend_from_slice(&self.constants);
        let constants: Vec<Place> =
            self.constants.iter().enumerate().map(|(n, c)| c.place(first + n)).collect();
        let mut take = |wanted: &Buffer, job: &mut Job| {
            let place = buffer(wanted);
            if let Some(byte) = wanted.fill {
                job.work.push(Work::Fill(place.span(), byte));
            }
            place
        };
        let scratch: Vec<Place> = self.scratch.iter().map(|b| take(b, job)).collect();
        let results: Vec<Place> = self.results.iter().map(|given| take(&given.buffer, job)).collect();
        let find = |slot: &Slot| match *slot {
            Slot::Input(n) => inputs.get(n).cloned(),
            Slot::Scratch(n) => scratch.get(n).cloned(),
            Slot::Constants(n) => constants.get(n).cloned(),
            Slot::Output => output.cloned(),
            Slot::Result(n) => results.get(n).cloned(),
        };
        for sweep in &self.sweeps {
            job.work.push(Work::Launch(Launch {
                kernel: sweep.kernel.clone(),
                step,
                from: sweep.from.iter().map(find).collect::<Option<_>>()?,
                to: sweep.to.iter().map(find).collect::<Option<_>>()?,
                arguments: sweep.arguments.clone(),
                threads: sweep.threads,
                weight: sweep.weight,
            }));
        }
        let before = job.downloads.len();
        for (given, place) in self.results.iter().zip(&results) {
            let counted = given.counted.map(|(by, element)| Counted {
                by: before + by,
                at: 4 * element,
                size: place.dtype.size() as u64,
            });
            job.downloads.push(Download { span: place.span(), counted });
        }
        Some(Placed { scratch, results })
    }
}

impl Constants {
    /// All of them, as number `n` of a job.
    fn place(&self, n: usize) -> Place {
        let shape = [1, 1, 1, 1, self.len()];
        Place { held: Held::Constants(n), ..Place::packed(self.dtype, 0, shape) }
    }
}

impl Place {
    /// A box of a job's memory without gaps.
    #[must_use]
    pub fn packed(dtype: Dtype, at: u64, shape: Shape) -> Self {
        let mut strides: PerAxis<u64> = [1; NDIM];
        for a in (0..NDIM - 1).rev() {
            strides[a] = strides[a + 1] * shape[a + 1].max(1);
        }
        Self { held: Held::Job, dtype, at, shape, strides }
    }

    /// The bytes of a box without gaps.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { at: self.at, len: self.voxels() * self.dtype.size() as u64 }
    }

    /// How many voxels it has.
    #[must_use]
    pub fn voxels(&self) -> u64 {
        voxels(&self.shape)
    }
}

/// Something that happened to a job, and when, since its beginning on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// `upload`, `kernels` or `download`.
    pub what: &'static str,
    /// When it began.
    pub from: Duration,
    /// When it ended.
    pub to: Duration,
}

/// A job that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Bytes of each output that were written, from its beginning.
    pub written: Vec<u64>,
    /// When it began on the device, and which of the jobs there at one time it was; `None`: the device does not tell.
    pub began: Option<(Instant, usize)>,
    /// What happened when, where the device tells.
    pub phases: Vec<Phase>,
}

/// How fast a device is: bytes per nanosecond, and what each thing costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Copies to it.
    pub upload: f64,
    /// Copies from it, at the same time.
    pub download: f64,
    /// Its own memory, read and written by a plain copy.
    pub memory: f64,
    /// Nanoseconds to start a kernel.
    pub launch_ns: f64,
    /// Making memory of this process ready for copies.
    pub pin: f64,
}

/// Memory of this process that a device copies to and from without help.
pub trait HostMemory: Debug + Send + Sync {
    /// All of it.
    fn bytes(&self) -> &[u8];

    /// The same, to be written.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// Runs jobs. Besides what operations ask for it has kernels `place_1`, `place_2`, `place_4` and `place_8`, which copy
/// samples of so many bytes from one buffer to another and answer what lies outside the image by a border rule.
pub trait Device: Debug + Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;

    /// Whether it has a kernel of that name, with these arguments.
    fn has(&self, sweep: &Sweep) -> bool;

    /// Bytes of its memory that jobs may take, all those together that run at one time; of each, where it is several.
    fn memory(&self) -> u64;

    /// How many devices it is, which share the jobs among themselves.
    fn cards(&self) -> usize {
        1
    }

    /// Most jobs that run at one time; others wait.
    fn jobs(&self) -> usize;

    /// Bytes of this process's memory that using it takes, without jobs.
    fn host_bytes(&self) -> u64;

    /// How fast it is; of each, where it is several.
    fn rates(&self) -> Rates;

    /// Memory of this process for tiles on their way to the device and back; `None`: it has none, and any will do.
    fn host_memory(&self, _bytes: u64) -> Option<Box<dyn HostMemory>> {
        None
    }

    /// Runs a job and waits for it. There is an input for each upload and an output for each download, of its bytes.
    ///
    /// # Errors
    /// In the device's words. What was computed is lost.
    fn run(&self, job: &Job, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<Ran, Stopped>;
}

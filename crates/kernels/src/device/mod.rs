//! GPUs: what is there, and the one that computes.
//!
//! Nothing of CUDA is needed to build or to run this crate. `driver.rs` looks for the driver, `images.rs` for compiled kernels
//! (`kernels/*.cu`), `gpu.rs` runs the jobs that the scheduler makes, each on a lane of a card, and knows no operation;
//! `table.rs` says what each kernel takes.

mod card;
mod driver;
mod error;
mod gpu;
mod images;
mod lane;
mod nvrtc;
mod sweeps;
mod table;
pub(crate) mod why;

pub use card::Info;
pub use error::{Code, DeviceError};
pub(crate) use sweeps::{Along, constants, copy, numbers, separable, sweep};
pub(crate) use table::{CHANNELS, DISTANCES, IMAGES, MODE, NUMBERS, ROWS, SPACES, STEPS, TAPS, VALUES};

/// Whether there is the kernel that a sweep asks for.
#[cfg(test)]
pub(crate) fn has(sweep: &voxtile_sched::contract::device::Sweep) -> bool {
    table::has(sweep)
}

use self::gpu::{Gpus, Share};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use voxtile_sched::contract::Device;

/// What there is to compute on besides the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The CUDA version that the driver supports.
    pub driver: (i32, i32),
    /// Its GPUs.
    pub devices: Vec<Info>,
    /// Where the kernels come from.
    pub kernels: String,
}

/// Looks what is there; takes nothing of it.
///
/// # Errors
/// [`DeviceError::NoDriver`], [`DeviceError::NotADriver`], [`DeviceError::OldDriver`], [`DeviceError::NoDevice`],
/// [`DeviceError::Driver`]: why there is nothing.
pub fn find() -> Result<Found, DeviceError> {
    let driver = driver::driver()?.version;
    Ok(Found { driver, devices: card::list()?, kernels: images::describe() })
}

/// GPUs by their numbers, opened once for the process; of each at most so many bytes are taken.
///
/// # Errors
/// As [`find`], and [`DeviceError::NoKernels`], [`DeviceError::NoSuchDevice`].
pub fn open(numbers: &[i32], most_memory: Option<u64>) -> Result<Arc<dyn Device>, DeviceError> {
    type Opened = Result<Arc<Gpus>, DeviceError>;
    static OPEN: Mutex<BTreeMap<Vec<i32>, Opened>> = Mutex::new(BTreeMap::new());
    let mut all = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let opened = all.entry(numbers.to_vec()).or_insert_with(|| Gpus::open(numbers).map(Arc::new)).clone();
    Ok(Arc::new(Share::of(opened?, most_memory)))
}

/// The first GPU.
///
/// # Errors
/// As [`open`].
pub fn first() -> Result<Arc<dyn Device>, DeviceError> {
    open(&[0], None)
}

//! GPUs: what is there, and the one that computes.
//!
//! Nothing of CUDA is needed to build or to run this crate. `driver.rs` looks for the driver, `images.rs` for compiled kernels
//! (`kernels/*.cu`), `gpu.rs` runs the jobs that the scheduler makes, and knows no operation; `table.rs` says what each kernel
//! takes.

mod driver;
mod error;
mod gpu;
mod images;
mod nvrtc;
mod sweeps;
mod table;

pub use error::{Code, DeviceError};
pub use gpu::Info;
pub(crate) use sweeps::{Along, copy, separable};
pub(crate) use table::{CHANNELS, TAPS};

use self::gpu::Gpu;
use std::sync::{Arc, OnceLock};
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
    Ok(Found { driver, devices: gpu::list()?, kernels: images::describe() })
}

/// The first GPU, opened once for the process.
///
/// # Errors
/// As [`find`], and [`DeviceError::NoKernels`].
pub fn first() -> Result<Arc<dyn Device>, DeviceError> {
    static GPU: OnceLock<Result<Arc<Gpu>, DeviceError>> = OnceLock::new();
    GPU.get_or_init(|| Gpu::open().map(Arc::new)).clone().map(|gpu| gpu as Arc<dyn Device>)
}

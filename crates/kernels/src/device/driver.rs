//! Finds the driver, without a call that could panic: the library, its version, whether it starts, how many GPUs it has.
//! Only after that are the bindings used, which panic where the library or a function is missing.

#![allow(unsafe_code)]

use super::error::{Code, DeviceError};
use libloading::{Library, Symbol};
use std::error::Error;
use std::ffi::c_int;
use std::sync::OnceLock;

/// The least CUDA version that the driver must support: that of the bindings and of the kernels.
const NEED: (i32, i32) = (12, 0);

/// The names of the library, in the order in which the bindings look for it.
#[cfg(not(windows))]
const NAMES: [&str; 2] = ["libcuda.so", "libcuda.so.1"];
#[cfg(windows)]
const NAMES: [&str; 1] = ["nvcuda.dll"];

/// A driver that has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Driver {
    /// The CUDA version that it supports.
    pub(super) version: (i32, i32),
    /// GPUs.
    pub(super) devices: i32,
}

/// Looks once.
pub(super) fn driver() -> Result<Driver, DeviceError> {
    static FOUND: OnceLock<Result<Driver, DeviceError>> = OnceLock::new();
    FOUND.get_or_init(find).clone()
}

fn find() -> Result<Driver, DeviceError> {
    let mut why = String::new();
    let opened = NAMES.iter().find_map(|name| {
        // SAFETY: loading runs the library's initialisers. It is the system's driver, looked up as every CUDA program
        // does.
        let loaded = unsafe { Library::new(*name) };
        loaded.map(|library| (*name, library)).map_err(|error| why = told(&error)).ok()
    });
    let Some((name, library)) = opened else { return Err(DeviceError::NoDriver { why }) };
    // Kept open for ever: the bindings open it again, and threads of it may run.
    let library: &'static Library = Box::leak(Box::new(library));
    start(name, library)
}

/// What the system said.
fn told(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

fn start(name: &str, library: &'static Library) -> Result<Driver, DeviceError> {
    let lacks = |function| DeviceError::NotADriver { library: name.to_owned(), function };
    // SAFETY: the types are those of the driver's documented interface.
    let (init, version, count) = unsafe {
        let init: Symbol<'_, unsafe extern "C" fn(u32) -> c_int> =
            library.get("cuInit").map_err(|_| lacks("cuInit"))?;
        let version: Symbol<'_, unsafe extern "C" fn(*mut c_int) -> c_int> =
            library.get("cuDriverGetVersion").map_err(|_| lacks("cuDriverGetVersion"))?;
        let count: Symbol<'_, unsafe extern "C" fn(*mut c_int) -> c_int> =
            library.get("cuDeviceGetCount").map_err(|_| lacks("cuDeviceGetCount"))?;
        (init, version, count)
    };
    let check = |action, code| match code {
        0 => Ok(()),
        code => Err(DeviceError::Driver { action, code: Code(code) }),
    };
    let (mut number, mut devices) = (0, 0);
    // SAFETY: the function writes one number, to which it gets a pointer.
    check("tell its version", unsafe { version(&raw mut number) })?;
    let have = (number / 1000, number % 1000 / 10);
    if have < NEED {
        return Err(DeviceError::OldDriver { have, need: NEED });
    }
    // SAFETY: takes flags, which must be 0.
    match unsafe { init(0) } {
        100 => return Err(DeviceError::NoDevice),
        code => check("start", code)?,
    }
    // SAFETY: as for the version.
    check("count its GPUs", unsafe { count(&raw mut devices) })?;
    match devices {
        0 => Err(DeviceError::NoDevice),
        _ => Ok(Driver { version: have, devices }),
    }
}

//! Why there is no device, or what went wrong on it.

use std::fmt;

/// A number that the driver answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub i32);

impl Code {
    /// Whether it is of a kernel that failed, and what every call is answered with from then on: an address, an
    /// instruction, a trap.
    pub(super) fn is_of_a_kernel(self) -> bool {
        matches!(self.0, 700 | 702 | 710 | 714..=719)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "CUDA_ERROR_INVALID_VALUE",
            2 => "CUDA_ERROR_OUT_OF_MEMORY",
            3 => "CUDA_ERROR_NOT_INITIALIZED",
            34 => "CUDA_ERROR_STUB_LIBRARY",
            46 => "CUDA_ERROR_DEVICE_UNAVAILABLE",
            100 => "CUDA_ERROR_NO_DEVICE",
            101 => "CUDA_ERROR_INVALID_DEVICE",
            200 => "CUDA_ERROR_INVALID_IMAGE",
            201 => "CUDA_ERROR_INVALID_CONTEXT",
            209 => "CUDA_ERROR_NO_BINARY_FOR_GPU",
            218 => "CUDA_ERROR_INVALID_PTX",
            222 => "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
            500 => "CUDA_ERROR_NOT_FOUND",
            700 => "CUDA_ERROR_ILLEGAL_ADDRESS",
            701 => "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
            702 => "CUDA_ERROR_LAUNCH_TIMEOUT",
            719 => "CUDA_ERROR_LAUNCH_FAILED",
            803 => "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
            804 => "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
            999 => "CUDA_ERROR_UNKNOWN",
            other => return write!(f, "CUDA error {other}"),
        };
        write!(f, "{name}, {}", self.0)
    }
}

/// Why there is no GPU to compute on, or what went wrong on it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No driver is installed.
    #[error("there is no CUDA driver: {why}")]
    NoDriver {
        /// What the system said.
        why: String,
    },
    /// The file is there, but is no driver.
    #[error("the CUDA driver `{library}` lacks `{function}`")]
    NotADriver {
        /// Its file.
        library: String,
        /// What it lacks.
        function: &'static str,
    },
    /// The driver is older than what our kernels need.
    #[error("the CUDA driver supports CUDA {}.{}, and {}.{} is needed", have.0, have.1, need.0, need.1)]
    OldDriver {
        /// The CUDA version that it supports.
        have: (i32, i32),
        /// The least that works.
        need: (i32, i32),
    },
    /// The driver has no GPU.
    #[error("the CUDA driver finds no GPU")]
    NoDevice,
    /// There are fewer GPUs.
    #[error("there is no GPU {asked}: the CUDA driver finds {found}, counted from 0")]
    NoSuchDevice {
        /// Its number.
        asked: i32,
        /// How many there are.
        found: i32,
    },
    /// The driver does not do what it was asked for.
    #[error("the CUDA driver failed to {action} ({code})")]
    Driver {
        /// What it was to do.
        action: &'static str,
        /// Its answer.
        code: Code,
    },
    /// There are no kernels for this GPU.
    #[error("there are no kernels for compute capability {}.{}: {why}", capability.0, capability.1)]
    NoKernels {
        /// Of the GPU.
        capability: (i32, i32),
        /// What was tried.
        why: String,
    },
    /// A source of the user's own is none.
    #[error("`{file}` does not compile:\n{log}")]
    Source {
        /// The file.
        file: String,
        /// What the compiler says, with lines.
        log: String,
    },
    /// There is no compiler for it.
    #[error("there is no NVRTC to compile `{file}`: {why}")]
    NoCompiler {
        /// The file.
        file: String,
        /// Where it was looked for.
        why: String,
    },
    /// A kernel is missing from what was loaded.
    #[error("the kernels loaded lack `{kernel}` ({code})")]
    NoKernel {
        /// Its name.
        kernel: String,
        /// The driver's answer.
        code: Code,
    },
    /// Too little memory, on the GPU or pinned for it.
    #[error("the GPU has no {asked} bytes of {what} memory left: {free} are free of {total} ({code})")]
    OutOfMemory {
        /// `its own` or `pinned`.
        what: &'static str,
        /// Bytes asked for.
        asked: u64,
        /// Bytes free on the GPU.
        free: u64,
        /// Bytes of the GPU.
        total: u64,
        /// The driver's answer.
        code: Code,
    },
    /// A kernel could not be started.
    #[error("the kernel `{kernel}` was not started ({code})")]
    Launch {
        /// Its name.
        kernel: String,
        /// The driver's answer.
        code: Code,
    },
    /// Kernels that were started did not finish. The GPU gives this process no further answer.
    #[error(
        "a kernel of {kernels} failed, in {bytes} bytes of the GPU's memory, of which {free} are free ({code})"
    )]
    Kernel {
        /// Those that ran, each once.
        kernels: String,
        /// Bytes of its memory that they had.
        bytes: u64,
        /// Bytes free on the GPU.
        free: u64,
        /// The driver's answer.
        code: Code,
    },
    /// A job that no kernel may be given: a mistake in an operation.
    #[error("the kernel `{kernel}` cannot be given that: {why}")]
    Job {
        /// Its name.
        kernel: String,
        /// What is wrong.
        why: &'static str,
    },
}

//! Where a pipeline computes.

use crate::Error;
use std::str::FromStr;
use std::sync::Arc;
use voxtile_sched::contract;

/// Where the steps of a pipeline are computed. The result is the same, bit for bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// On a GPU, if there is one, where it has kernels for every step of a stage; else on the CPU.
    #[default]
    Auto,
    /// On the CPU.
    Cpu,
    /// As `Auto`, but refused where there is no GPU.
    Cuda,
}

impl Device {
    /// The names that `--device` takes.
    pub const NAMES: [&'static str; 3] = ["auto", "cpu", "cuda"];

    /// The GPU, if one is to be used.
    pub(crate) fn find(self) -> Result<Option<Arc<dyn contract::Device>>, Error> {
        match self {
            Self::Cpu => Ok(None),
            Self::Auto => Ok(voxtile_kernels::device::first().ok()),
            Self::Cuda => Ok(Some(voxtile_kernels::device::first()?)),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(format!("devices are {}", Self::NAMES.join(", "))),
        }
    }
}

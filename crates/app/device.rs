//! Where a pipeline computes.

use crate::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use voxtile_sched::contract;

/// Where the steps of a pipeline are computed. The result is the same, bit for bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// On a GPU, if there is one, where it has kernels for every step of a stage and is expected to be faster; else on the
    /// CPU.
    #[default]
    Auto,
    /// On the CPU.
    Cpu,
    /// On the first GPU where it has kernels for every step of a stage, else on the CPU; refused where there is no GPU.
    Cuda,
    /// The same on several GPUs, which share the tiles.
    Gpus(Gpus),
}

/// Numbers of GPUs, from 0 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpus(u64);

impl Gpus {
    /// These; `None` if there are none or one of them is too large.
    #[must_use]
    pub fn new(numbers: &[u32]) -> Option<Self> {
        let set = numbers.iter().try_fold(0u64, |set, n| Some(set | 1u64.checked_shl(*n)?))?;
        (set != 0).then_some(Self(set))
    }

    /// In rising order.
    fn numbers(self) -> Vec<i32> {
        (0..64).filter(|n| self.0 >> n & 1 == 1).collect()
    }
}

impl fmt::Display for Device {
    /// As it is parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda => f.write_str("cuda"),
            Self::Gpus(gpus) => {
                let numbers: Vec<String> = gpus.numbers().iter().map(i32::to_string).collect();
                write!(f, "cuda:{}", numbers.join(","))
            }
        }
    }
}

/// Bytes of an image below which starting a GPU takes longer than the CPU takes for everything.
const WORTH_STARTING: u64 = 32 << 20;

impl Device {
    /// What `--device` takes.
    pub const NAMES: [&'static str; 4] = ["auto", "cpu", "cuda", "cuda:0,1"];

    /// The GPUs, if any are to be used, and at most so many bytes of each, for an image of so many bytes.
    pub(crate) fn find(
        self,
        most_memory: Option<u64>,
        image: u64,
    ) -> Result<Option<Arc<dyn contract::Device>>, Error> {
        let open = |numbers: &[i32]| voxtile_kernels::device::open(numbers, most_memory);
        match self {
            Self::Cpu => Ok(None),
            Self::Auto if image < WORTH_STARTING => Ok(None),
            Self::Auto => Ok(open(&[0]).ok()),
            Self::Cuda => Ok(Some(open(&[0])?)),
            Self::Gpus(gpus) => Ok(Some(open(&gpus.numbers())?)),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let several = |list: &str| {
            let numbers: Option<Vec<u32>> = list.split(',').map(|n| n.trim().parse().ok()).collect();
            numbers.and_then(|numbers| Gpus::new(&numbers)).map(Self::Gpus)
        };
        let found = match text {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda),
            other => other.strip_prefix("cuda:").and_then(several),
        };
        found.ok_or_else(|| format!("devices are {}", Self::NAMES.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_a_list_of_numbers() {
        let two = "cuda:3,0".parse::<Device>().unwrap();
        assert!(matches!(two, Device::Gpus(gpus) if gpus.numbers() == [0, 3]));
        for wrong in ["cuda:", "cuda:64", "cuda:-1", "cuda:0;1", "cuda0", "gpu"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }
}

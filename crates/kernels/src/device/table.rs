//! The kernels that there are, and what each takes: what a job asks for is held against it before anything is started.

use voxtile_sched::contract::device::{Argument, Launch, Place, Sweep};
use voxtile_sched::model::Dtype;

/// One kernel or, of several sample types, a family.
pub(super) struct Kernel {
    /// Its name; `_` and sample types follow, or bytes of a sample.
    family: &'static str,
    takes: Takes,
    /// Sample types of the tiles that it reads besides the first; `None`: the first one's.
    others: &'static [Option<Dtype>],
    /// Bytes of its arguments.
    arguments: &'static [usize],
}

/// What sample types a family has kernels for, and what they write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Samples of 1, 2, 4 or 8 bytes: `copy_2`.
    Bytes,
    /// Any of the native types to itself: `clamp_u16`.
    Same,
    /// Any to that one: `convolve_u16`.
    To(Dtype),
    /// Any to any: `cast_u16_f32`.
    Pair,
}

/// The sample types that kernels are made for.
const NATIVE: [Dtype; 3] = [Dtype::U8, Dtype::U16, Dtype::F32];

/// Weights that `convolve` has room for, centre included.
pub(crate) const TAPS: usize = 256;
/// Weights that `gray` has room for.
pub(crate) const CHANNELS: usize = 16;

const KERNELS: &[Kernel] = &[
    Kernel { family: "place", takes: Takes::Bytes, others: &[], arguments: &[200, 8, 4, 4] },
    Kernel { family: "copy", takes: Takes::Bytes, others: &[], arguments: &[] },
    Kernel { family: "cast", takes: Takes::Pair, others: &[], arguments: &[] },
    Kernel { family: "rescale", takes: Takes::Pair, others: &[], arguments: &[8, 8, 8] },
    Kernel { family: "clamp", takes: Takes::Same, others: &[], arguments: &[8, 8] },
    Kernel { family: "invert", takes: Takes::Same, others: &[], arguments: &[4] },
    Kernel { family: "threshold", takes: Takes::To(Dtype::U8), others: &[], arguments: &[8, 4] },
    Kernel { family: "convolve", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4, 4, 4, 8 * TAPS] },
    Kernel { family: "mean", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4, 4] },
    Kernel { family: "gray", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4, 8 * CHANNELS] },
    Kernel { family: "extreme", takes: Takes::Same, others: &[], arguments: &[4, 4, 4] },
    Kernel { family: "edges", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4, 24] },
    Kernel { family: "subtract", takes: Takes::Same, others: &[None], arguments: &[] },
    Kernel { family: "sharpen", takes: Takes::To(Dtype::F32), others: &[Some(Dtype::F32)], arguments: &[8] },
];

impl Kernel {
    /// The types that a kernel of this family reads and writes, from what follows in its name.
    fn types(&self, rest: &str) -> Option<(Dtype, Dtype)> {
        let native = |name: &str| NATIVE.into_iter().find(|dtype| dtype.name() == name);
        Some(match self.takes {
            Takes::Bytes => {
                let dtype = [Dtype::U8, Dtype::U16, Dtype::U32, Dtype::U64];
                let found = dtype.into_iter().find(|dtype| rest == dtype.size().to_string())?;
                (found, found)
            }
            Takes::Same => (native(rest)?, native(rest)?),
            Takes::To(to) => (native(rest)?, to),
            Takes::Pair => {
                let (from, to) = rest.split_once('_')?;
                (native(from)?, native(to)?)
            }
        })
    }
}

/// The kernel of that name, and the types that it reads and writes.
fn find(name: &str) -> Option<(&'static Kernel, Dtype, Dtype)> {
    KERNELS.iter().find_map(|kernel| {
        let (from, to) = kernel.types(name.strip_prefix(kernel.family)?.strip_prefix('_')?)?;
        Some((kernel, from, to))
    })
}

fn fits(kernel: &Kernel, arguments: &[Argument]) -> bool {
    arguments.iter().map(Argument::size).eq(kernel.arguments.iter().copied())
}

/// Whether there is the kernel that a sweep asks for, with these arguments.
pub(super) fn has(sweep: &Sweep) -> bool {
    find(&sweep.kernel).is_some_and(|(kernel, ..)| {
        sweep.from.len() == 1 + kernel.others.len() && fits(kernel, &sweep.arguments)
    })
}

/// What is wrong with a launch of a job of so many bytes.
pub(super) fn wrong(launch: &Launch, bytes: u64) -> Option<&'static str> {
    let Some((kernel, from, to)) = find(&launch.kernel) else { return Some("there is no such kernel") };
    if !fits(kernel, &launch.arguments) {
        return Some("its arguments are others");
    }
    if launch.from.len() != 1 + kernel.others.len() {
        return Some("it reads another number of tiles");
    }
    let bytes_only = kernel.takes == Takes::Bytes;
    let is = |place: &Place, dtype: Dtype| match bytes_only {
        true => place.dtype.size() == dtype.size(),
        false => place.dtype == dtype,
    };
    let sources = std::iter::once(from).chain(kernel.others.iter().map(|other| other.unwrap_or(from)));
    if !launch.from.iter().zip(sources).all(|(place, dtype)| is(place, dtype)) || !is(&launch.to, to) {
        return Some("its tiles have other sample types");
    }
    if !launch.from.iter().chain([&launch.to]).all(|place| inside(place, bytes)) {
        return Some("a tile lies outside of the job's memory, or has 2^31 voxels or more");
    }
    None
}

/// Whether a box lies in so many bytes, and positions in it fit 31 bits.
fn inside(place: &Place, bytes: u64) -> bool {
    if place.shape.contains(&0) {
        return true;
    }
    let mut last: u64 = 0;
    for (n, stride) in place.shape.iter().zip(&place.strides) {
        let Some(step) = (n - 1).checked_mul(*stride) else { return false };
        last = last.saturating_add(step);
    }
    let size = place.dtype.size() as u64;
    last < 1 << 31
        && place.shape.iter().all(|n| *n < 1 << 31)
        && place.strides[4] == 1
        && place.at.is_multiple_of(size)
        && (last + 1) * size + place.at <= bytes
}

/// The names of all kernels, how many tiles each takes, and the bytes of its arguments after them.
#[cfg(test)]
pub(super) fn all() -> Vec<(String, usize, &'static [usize])> {
    let mut out = Vec::new();
    for kernel in KERNELS {
        let pairs = NATIVE.iter().flat_map(|from| NATIVE.map(|to| format!("{from}_{to}")));
        let rest: Vec<String> = match kernel.takes {
            Takes::Bytes => [1, 2, 4, 8].map(|n| n.to_string()).to_vec(),
            Takes::Same | Takes::To(_) => NATIVE.map(|dtype| dtype.name().to_owned()).to_vec(),
            Takes::Pair => pairs.collect(),
        };
        out.extend(
            rest.iter()
                .map(|rest| (format!("{}_{rest}", kernel.family), 2 + kernel.others.len(), kernel.arguments)),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(kernel: &str, from: Dtype, to: Dtype, arguments: Vec<Argument>) -> Launch {
        let place = |dtype, at| Place { dtype, at, shape: [1, 1, 1, 2, 3], strides: [6, 6, 6, 3, 1] };
        let (from, to) = (vec![place(from, 0)], place(to, 256));
        Launch { kernel: kernel.to_owned(), step: 0, from, to, arguments }
    }

    #[test]
    fn a_launch_must_be_what_the_kernel_takes() {
        let good = launch("cast_u16_f32", Dtype::U16, Dtype::F32, vec![]);
        assert_eq!(wrong(&good, 280), None);
        assert!(wrong(&good, 279).is_some_and(|why| why.contains("outside")));
        let types = launch("cast_u16_f32", Dtype::F32, Dtype::F32, vec![]);
        assert!(wrong(&types, 512).is_some_and(|why| why.contains("sample types")));
        let argument = launch("cast_u16_f32", Dtype::U16, Dtype::F32, vec![Argument::U32(1)]);
        assert!(wrong(&argument, 512).is_some_and(|why| why.contains("arguments")));
        for name in ["cast_u16", "cast_i8_f32", "casts_u16_f32", "place_3", "convolve_u16_f32"] {
            assert!(wrong(&launch(name, Dtype::U16, Dtype::F32, vec![]), 512).is_some(), "{name}");
        }
        let one = launch("subtract_u8", Dtype::U8, Dtype::U8, vec![]);
        assert!(wrong(&one, 512).is_some_and(|why| why.contains("number of tiles")));
        // Bytes are moved whatever they mean.
        assert_eq!(wrong(&launch("copy_4", Dtype::F32, Dtype::F32, vec![]), 512), None);
    }

    #[test]
    fn every_kernel_that_is_listed_is_in_the_sources_and_the_other_way_round() {
        let mut listed: Vec<String> = all().into_iter().map(|(name, ..)| name).collect();
        listed.sort();
        let mut found = names_in(super::super::images::SOURCE);
        found.sort();
        assert_eq!(listed, found);
    }

    /// The kernels of a source, whose families are written as macros over sample types: `KERNEL(cast_##T##_##U, …`.
    fn names_in(source: &str) -> Vec<String> {
        let mut out = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut macro_of = String::new();
        for line in source.lines() {
            if let Some(rest) = line.strip_prefix("#define ")
                && let Some((name, _)) = rest.split_once('(')
                && ["SIZE", "PAIR", "TYPE"].contains(&name)
            {
                (macro_of, names) = (name.to_owned(), Vec::new());
            }
            if let Some((_, rest)) = line.split_once("KERNEL(")
                && let Some((name, _)) = rest.split_once(',')
                && name.contains("##")
            {
                names.push(name.to_owned());
            }
            if !macro_of.is_empty() && line.starts_with(&format!("{macro_of}(")) {
                for call in line.split(&format!("{macro_of}(")).skip(1) {
                    let words: Vec<&str> = call.split([',', ')']).map(str::trim).collect();
                    for name in &names {
                        let parts = name.split("##").map(|part| match part {
                            "T" | "N" => words[0],
                            "U" => words[1],
                            fixed => fixed,
                        });
                        out.push(parts.collect());
                    }
                }
            }
        }
        out
    }
}

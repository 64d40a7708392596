//! The kernels that there are, and what each takes: what a job asks for is held against it before anything is started.

use super::card::{BLOCK, MOST_BLOCKS};
use voxtile_sched::contract::device::{Argument, Held, Job, Launch, Place, Sweep, Threads};
use voxtile_sched::model::Dtype;

/// One kernel or, of several sample types, a family: one thread makes one voxel of the tile that it writes.
struct Kernel {
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
#[allow(dead_code)] // not all of them have kernels yet
enum Takes {
    /// Samples of 1, 2, 4 or 8 bytes: `copy_2`.
    Bytes,
    /// Any of the native types to itself: `clamp_u16`.
    Same,
    /// Any to that one: `convolve_u16`.
    To(Dtype),
    /// Any to any: `cast_u16_f32`.
    Pair,
    /// Samples of 1, 2, 4 or 8 bytes to that type: `truth_2`.
    BytesTo(Dtype),
    /// These to themselves.
    SameOf(&'static [Dtype]),
    /// These to that one.
    ToOf(&'static [Dtype], Dtype),
}

/// The sample types that kernels are made for.
const NATIVE: [Dtype; 3] = [Dtype::U8, Dtype::U16, Dtype::F32];

/// Single types that some kernels are made for.
const FLOAT: &[Dtype] = &[Dtype::F32];
const COUNTED: &[Dtype] = &[Dtype::U8, Dtype::U16];
const DOUBLE: &[Dtype] = &[Dtype::F64];
const MOMENTS: &[Dtype] = &[Dtype::U8, Dtype::U16, Dtype::F32, Dtype::F64];
const MODES: &[Dtype] = &[Dtype::U8, Dtype::U16, Dtype::U32, Dtype::F32];

/// Weights that `convolve` has room for, centre included.
pub(crate) const TAPS: usize = 256;
/// Weights that `gray` has room for.
pub(crate) const CHANNELS: usize = 16;
/// Steps and numbers of a formula, and values in it, that `formula` has room for, and images that it reads.
pub(crate) const STEPS: usize = 64;
pub(crate) const NUMBERS: usize = 24;
pub(crate) const VALUES: usize = 48;
pub(crate) const IMAGES: usize = 4;
/// Rows of a window that `rank` and `extreme_over` have room for, two in each word.
pub(crate) const ROWS: usize = 896;
/// Numbers of colours that `recolour` is given.
pub(crate) const SPACES: usize = 45;
/// Weights of distances that `bilateral` has room for.
pub(crate) const DISTANCES: usize = 448;
/// Voxels of a block up to which `pool_mode`, comparing all with all, finds the most frequent.
pub(crate) const MODE: u64 = 4096;

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
    Kernel {
        family: "convolve_fast",
        takes: Takes::To(Dtype::F32),
        others: &[],
        arguments: &[4, 4, 4, 8 * TAPS],
    },
    Kernel { family: "real", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4, 8, 8, 8] },
    Kernel { family: "abs", takes: Takes::Bytes, others: &[], arguments: &[4] },
    Kernel {
        family: "formula",
        takes: Takes::To(Dtype::F32),
        others: &[None; 3],
        arguments: &[4, 4, 4, 4, 8 * STEPS, 8 * NUMBERS],
    },
    Kernel { family: "truth", takes: Takes::BytesTo(Dtype::U8), others: &[], arguments: &[4] },
    Kernel { family: "choose", takes: Takes::Bytes, others: &[None, Some(Dtype::U8)], arguments: &[] },
    Kernel { family: "keep", takes: Takes::Bytes, others: &[Some(Dtype::U8)], arguments: &[8] },
    Kernel { family: "turn", takes: Takes::Bytes, others: &[], arguments: &[4] },
    Kernel { family: "beside", takes: Takes::Bytes, others: &[None; 3], arguments: &[4, 4] },
    Kernel { family: "part", takes: Takes::Bytes, others: &[], arguments: &[4, 4, 4] },
    Kernel { family: "boundaries", takes: Takes::BytesTo(Dtype::U8), others: &[], arguments: &[4, 4, 4] },
    Kernel { family: "laplace", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4] },
    Kernel { family: "join", takes: Takes::SameOf(FLOAT), others: &[None; 2], arguments: &[4, 4] },
    Kernel { family: "above", takes: Takes::To(Dtype::U8), others: &[Some(Dtype::F32)], arguments: &[8] },
    Kernel { family: "plane", takes: Takes::SameOf(FLOAT), others: &[None; 2], arguments: &[32] },
    Kernel { family: "volume", takes: Takes::SameOf(FLOAT), others: &[None; 5], arguments: &[32] },
    Kernel { family: "vessels", takes: Takes::SameOf(FLOAT), others: &[None; 2], arguments: &[8, 4] },
    Kernel { family: "moments", takes: Takes::ToOf(MOMENTS, Dtype::F64), others: &[], arguments: &[4, 4, 8] },
    Kernel { family: "deviation", takes: Takes::ToOf(DOUBLE, Dtype::F32), others: &[], arguments: &[8, 4] },
    Kernel {
        family: "local",
        takes: Takes::To(Dtype::U8),
        others: &[Some(Dtype::F64)],
        arguments: &[8, 4, 8, 8, 4, 4, 4],
    },
    Kernel { family: "rank", takes: Takes::Same, others: &[], arguments: &[4, 4, 4, 4, 4, 4 * ROWS] },
    Kernel { family: "extreme_over", takes: Takes::Same, others: &[], arguments: &[4, 4, 4 * ROWS] },
    Kernel { family: "median_square3", takes: Takes::Same, others: &[], arguments: &[] },
    Kernel { family: "median_square5", takes: Takes::Same, others: &[], arguments: &[] },
    Kernel { family: "median_cube3", takes: Takes::Same, others: &[], arguments: &[] },
    Kernel {
        family: "bilateral",
        takes: Takes::SameOf(FLOAT),
        others: &[],
        arguments: &[4, 4, 4, 8, 8 * DISTANCES],
    },
    Kernel { family: "descend", takes: Takes::SameOf(FLOAT), others: &[None; 3], arguments: &[4] },
    Kernel { family: "ascend", takes: Takes::SameOf(FLOAT), others: &[None], arguments: &[4, 4, 4, 8, 8] },
    Kernel { family: "pool", takes: Takes::Same, others: &[], arguments: &[4, 4, 4] },
    Kernel { family: "pool_f32", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4, 4, 4] },
    Kernel { family: "pool_extreme", takes: Takes::Same, others: &[], arguments: &[4, 4, 4, 4] },
    Kernel { family: "pool_mode", takes: Takes::SameOf(MODES), others: &[], arguments: &[4, 4, 4] },
    Kernel { family: "absorbance", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4, 8 * CHANNELS] },
    Kernel { family: "unmix", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4, 96] },
    Kernel { family: "recolour", takes: Takes::Same, others: &[], arguments: &[4, 4, 8 * SPACES] },
    Kernel { family: "tissue", takes: Takes::SameOf(FLOAT), others: &[], arguments: &[4, 8, 8, 8] },
    Kernel { family: "resample", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4, 72, 24] },
    Kernel { family: "nearest", takes: Takes::Bytes, others: &[], arguments: &[72, 24] },
    Kernel { family: "affine", takes: Takes::To(Dtype::F32), others: &[], arguments: &[8, 120, 72] },
    Kernel { family: "affine_nearest", takes: Takes::Bytes, others: &[], arguments: &[8, 120, 72] },
    Kernel { family: "lookup", takes: Takes::To(Dtype::F32), others: &[Some(Dtype::F32)], arguments: &[8] },
    Kernel { family: "points", takes: Takes::SameOf(FLOAT), others: &[Some(Dtype::F64)], arguments: &[8] },
    Kernel {
        family: "context",
        takes: Takes::To(Dtype::F32),
        others: &[Some(Dtype::U16)],
        arguments: &[4, 8, 8, 8, 120],
    },
    Kernel { family: "cumsum", takes: Takes::ToOf(COUNTED, Dtype::U64), others: &[], arguments: &[4] },
    Kernel { family: "cumsum", takes: Takes::ToOf(FLOAT, Dtype::F64), others: &[], arguments: &[4] },
    Kernel { family: "rolled", takes: Takes::Same, others: &[Some(Dtype::F64)], arguments: &[4, 4, 4] },
    Kernel { family: "project_extreme", takes: Takes::Same, others: &[], arguments: &[4, 4] },
    Kernel { family: "project_sum", takes: Takes::ToOf(COUNTED, Dtype::U64), others: &[], arguments: &[4] },
    Kernel { family: "project_sum", takes: Takes::ToOf(FLOAT, Dtype::F64), others: &[], arguments: &[4] },
    Kernel {
        family: "project_squares",
        takes: Takes::ToOf(COUNTED, Dtype::U64),
        others: &[],
        arguments: &[4],
    },
    Kernel { family: "project_welford", takes: Takes::ToOf(FLOAT, Dtype::F64), others: &[], arguments: &[4] },
    Kernel { family: "project_place", takes: Takes::To(Dtype::U8), others: &[], arguments: &[4, 4] },
    Kernel { family: "project_median", takes: Takes::To(Dtype::F32), others: &[], arguments: &[4] },
    Kernel { family: "project_focus", takes: Takes::Same, others: &[], arguments: &[4, 4] },
    Kernel { family: "pool_stride", takes: Takes::Bytes, others: &[], arguments: &[4, 4, 4] },
];

/// A kernel, or a family, that writes several tiles, or whose threads work together, in blocks of their own.
struct Together {
    /// Its name; where there are several sample types, `_` and one of them follow.
    family: &'static str,
    /// Those types; none for a single kernel.
    types: &'static [Dtype],
    /// Sample types of what it reads; `None`: the one in its name.
    reads: &'static [Option<Dtype>],
    /// The same of what it writes.
    writes: &'static [Option<Dtype>],
    /// Bytes of its arguments.
    arguments: &'static [usize],
    /// Most threads of a block, as its `KERNEL_OF` says.
    threads: u32,
}

const TOGETHER: &[Together] = &[
    Together {
        family: "peaks",
        types: &NATIVE,
        reads: &[None],
        writes: &[Some(Dtype::U32); 6],
        arguments: &[4, 4, 4, 8, 4],
        threads: 256,
    },
    Together {
        family: "extent",
        types: FLOAT,
        reads: &[None],
        writes: &[Some(Dtype::U32), Some(Dtype::U32)],
        arguments: &[],
        threads: 256,
    },
    Together {
        family: "bins",
        types: FLOAT,
        reads: &[None, Some(Dtype::F64)],
        writes: &[Some(Dtype::U32)],
        arguments: &[8],
        threads: 256,
    },
    Together {
        family: "digits",
        types: FLOAT,
        reads: &[None, Some(Dtype::U64)],
        writes: &[Some(Dtype::U32)],
        arguments: &[4],
        threads: 256,
    },
    Together {
        family: "mantissas",
        types: FLOAT,
        reads: &[None],
        writes: &[Some(Dtype::U64)],
        arguments: &[],
        threads: 256,
    },
    Together {
        family: "counts",
        types: &[Dtype::U8, Dtype::U16],
        reads: &[None],
        writes: &[Some(Dtype::U32)],
        arguments: &[],
        threads: 256,
    },
    Together {
        family: "foreground",
        types: &NATIVE,
        reads: &[None],
        writes: &[Some(Dtype::U32)],
        arguments: &[4],
        threads: 128,
    },
];

/// What a kernel is given.
struct Signature {
    reads: Vec<Dtype>,
    writes: Vec<Dtype>,
    /// Types count by their size only.
    bytes_only: bool,
    arguments: &'static [usize],
    threads: u32,
}

impl Kernel {
    /// The types that a kernel of this family reads and writes, from what follows in its name.
    fn types(&self, rest: &str) -> Option<(Dtype, Dtype)> {
        let native = |name: &str| NATIVE.into_iter().find(|dtype| dtype.name() == name);
        let bytes = || {
            let dtype = [Dtype::U8, Dtype::U16, Dtype::U32, Dtype::U64];
            dtype.into_iter().find(|dtype| rest == dtype.size().to_string())
        };
        let of = |list: &[Dtype]| list.iter().copied().find(|dtype| dtype.name() == rest);
        Some(match self.takes {
            Takes::Bytes => (bytes()?, bytes()?),
            Takes::BytesTo(to) => (bytes()?, to),
            Takes::SameOf(list) => (of(list)?, of(list)?),
            Takes::ToOf(list, to) => (of(list)?, to),
            Takes::Same => (native(rest)?, native(rest)?),
            Takes::To(to) => (native(rest)?, to),
            Takes::Pair => {
                let (from, to) = rest.split_once('_')?;
                (native(from)?, native(to)?)
            }
        })
    }
}

/// What the kernel of that name is given.
fn find(name: &str) -> Option<Signature> {
    let plain = KERNELS.iter().find_map(|kernel| {
        let (from, to) = kernel.types(name.strip_prefix(kernel.family)?.strip_prefix('_')?)?;
        let others = kernel.others.iter().map(|other| other.unwrap_or(from));
        Some(Signature {
            reads: std::iter::once(from).chain(others).collect(),
            writes: vec![to],
            bytes_only: matches!(kernel.takes, Takes::Bytes | Takes::BytesTo(_)),
            arguments: kernel.arguments,
            threads: BLOCK,
        })
    });
    plain.or_else(|| {
        TOGETHER.iter().find_map(|kernel| {
            let rest = name.strip_prefix(kernel.family)?;
            let of = match kernel.types {
                [] => rest.is_empty().then_some(Dtype::U8)?,
                types => {
                    let rest = rest.strip_prefix('_')?;
                    types.iter().copied().find(|dtype| dtype.name() == rest)?
                }
            };
            let list = |list: &[Option<Dtype>]| list.iter().map(|dtype| dtype.unwrap_or(of)).collect();
            let (reads, writes) = (list(kernel.reads), list(kernel.writes));
            let Together { arguments, threads, .. } = *kernel;
            Some(Signature { reads, writes, bytes_only: false, arguments, threads })
        })
    })
}

impl Signature {
    fn takes(&self, arguments: &[Argument]) -> bool {
        arguments.iter().map(Argument::size).eq(self.arguments.iter().copied())
    }

    /// Whether it may be started by these threads.
    fn allows(&self, threads: Threads) -> bool {
        match threads {
            Threads::Voxels => self.threads == BLOCK,
            Threads::Blocks { blocks, threads, .. } => {
                let all = threads.iter().try_fold(1u32, |n, k| n.checked_mul(*k));
                all.is_some_and(|all| (1..=self.threads).contains(&all))
                    && threads[2] <= 64
                    && blocks[1..].iter().all(|n| *n <= MOST_BLOCKS)
                    && blocks[0] < 1 << 31
            }
            Threads::Processors { blocks, threads, .. } => {
                (1..=64).contains(&blocks) && (1..=self.threads).contains(&threads)
            }
        }
    }

    fn is(&self, wanted: Dtype, place: &Place) -> bool {
        if self.bytes_only { place.dtype.size() == wanted.size() } else { place.dtype == wanted }
    }
}

/// Whether there is the kernel that a sweep asks for, with these arguments.
pub(super) fn has(sweep: &Sweep) -> bool {
    find(&sweep.kernel).is_some_and(|kernel| {
        sweep.from.len() == kernel.reads.len()
            && sweep.to.len() == kernel.writes.len()
            && kernel.takes(&sweep.arguments)
            && kernel.allows(sweep.threads)
    })
}

/// What a kernel from a source of the user's own is given: `own.rs` writes its declaration.
fn own(launch: &Launch) -> Option<Signature> {
    let ([from], [to]) = (&launch.from[..], &launch.to[..]) else { return None };
    let (reads, writes) = (vec![from.dtype], vec![to.dtype]);
    Some(Signature { reads, writes, bytes_only: false, arguments: &[24, 128], threads: BLOCK })
}

/// What is wrong with a launch of a job.
pub(super) fn wrong(launch: &Launch, job: &Job) -> Option<&'static str> {
    let found = match launch.program {
        Some(_) => own(launch),
        None => find(&launch.kernel),
    };
    let Some(kernel) = found else { return Some("there is no such kernel") };
    if !kernel.takes(&launch.arguments) {
        return Some("its arguments are others");
    }
    if !kernel.allows(launch.threads) {
        return Some("it cannot have such threads");
    }
    if launch.from.len() != kernel.reads.len() || launch.to.len() != kernel.writes.len() {
        return Some("it reads or writes another number of tiles");
    }
    let reads = launch.from.iter().zip(&kernel.reads);
    if !reads.chain(launch.to.iter().zip(&kernel.writes)).all(|(place, dtype)| kernel.is(*dtype, place)) {
        return Some("its tiles have other sample types");
    }
    if launch.to.iter().any(|place| place.held != Held::Job) {
        return Some("it would write constants");
    }
    let room = |place: &Place| match place.held {
        Held::Job => Some(job.bytes),
        Held::Constants(n) => job.constants.get(n).map(|constants| constants.bytes.len() as u64),
    };
    let mut places = launch.from.iter().chain(&launch.to);
    if !places.all(|place| room(place).is_some_and(|bytes| inside(place, bytes))) {
        return Some("a tile lies outside of its memory");
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
            Takes::Bytes | Takes::BytesTo(_) => [1, 2, 4, 8].map(|n| n.to_string()).to_vec(),
            Takes::SameOf(list) | Takes::ToOf(list, _) => list.iter().map(|d| d.name().to_owned()).collect(),
            Takes::Same | Takes::To(_) => NATIVE.map(|dtype| dtype.name().to_owned()).to_vec(),
            Takes::Pair => pairs.collect(),
        };
        out.extend(
            rest.iter()
                .map(|rest| (format!("{}_{rest}", kernel.family), 2 + kernel.others.len(), kernel.arguments)),
        );
    }
    for kernel in TOGETHER {
        let tiles = kernel.reads.len() + kernel.writes.len();
        let mut push = |name: String| out.push((name, tiles, kernel.arguments));
        match kernel.types {
            [] => push(kernel.family.to_owned()),
            types => types.iter().for_each(|dtype| push(format!("{}_{dtype}", kernel.family))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use voxtile_sched::contract::device::Constants;

    fn launch(kernel: &str, from: Dtype, to: Dtype, arguments: Vec<Argument>) -> Launch {
        let place = |dtype, at| Place::packed(dtype, at, [1, 1, 1, 2, 3]);
        let (from, to) = (vec![place(from, 0)], vec![place(to, 256)]);
        let kernel = kernel.to_owned();
        let (program, threads) = (None, Threads::Voxels);
        Launch { kernel, program, step: 0, from, to, arguments, threads, weight: 1.0 }
    }

    fn refused(launch: &Launch, bytes: u64) -> &'static str {
        let constants = vec![Constants { dtype: Dtype::U16, bytes: Arc::from([0; 12]) }];
        wrong(launch, &Job { bytes, constants, ..Job::default() }).unwrap_or("fine")
    }

    #[test]
    fn a_launch_must_be_what_the_kernel_takes() {
        let good = launch("cast_u16_f32", Dtype::U16, Dtype::F32, vec![]);
        assert_eq!(refused(&good, 280), "fine");
        assert!(refused(&good, 279).contains("outside"));
        let types = launch("cast_u16_f32", Dtype::F32, Dtype::F32, vec![]);
        assert!(refused(&types, 512).contains("sample types"));
        let argument = launch("cast_u16_f32", Dtype::U16, Dtype::F32, vec![Argument::U32(1)]);
        assert!(refused(&argument, 512).contains("arguments"));
        for name in ["cast_u16", "cast_i8_f32", "casts_u16_f32", "place_3", "convolve_u16_f32"] {
            assert!(refused(&launch(name, Dtype::U16, Dtype::F32, vec![]), 512) != "fine", "{name}");
        }
        let one = launch("subtract_u8", Dtype::U8, Dtype::U8, vec![]);
        assert!(refused(&one, 512).contains("number of tiles"));
        // Bytes are moved whatever they mean.
        assert_eq!(refused(&launch("copy_4", Dtype::F32, Dtype::F32, vec![]), 512), "fine");
    }

    #[test]
    fn threads_are_what_the_card_and_the_kernel_allow() {
        let by = |threads| Launch { threads, ..launch("copy_1", Dtype::U8, Dtype::U8, vec![]) };
        let blocks = |blocks, threads| by(Threads::Blocks { blocks, threads, shared: 0 });
        assert_eq!(refused(&blocks([1, 1, 1], [32, 4, 1]), 512), "fine");
        assert!(refused(&blocks([1, 1, 1], [32, 5, 1]), 512).contains("threads"));
        assert!(refused(&blocks([1, 1, 1], [0, 4, 1]), 512).contains("threads"));
        assert!(refused(&blocks([1, 1 << 16, 1], [32, 4, 1]), 512).contains("threads"));
        let everywhere = Threads::Processors { blocks: 1, threads: 129, shared: 0 };
        assert!(refused(&by(everywhere), 512).contains("threads"));
    }

    #[test]
    fn constants_are_read_within_their_bytes_and_never_written() {
        let table =
            |len| Place { held: Held::Constants(0), ..Place::packed(Dtype::U16, 0, [1, 1, 1, 1, len]) };
        let mut reads = launch("copy_2", Dtype::U16, Dtype::U16, vec![]);
        reads.from = vec![table(6)];
        assert_eq!(refused(&reads, 512), "fine");
        reads.from = vec![table(7)];
        assert!(refused(&reads, 512).contains("outside"));
        reads.to = vec![table(6)];
        assert!(refused(&reads, 512).contains("constants"));
    }

    #[test]
    fn the_readme_has_every_kernel() {
        let readme = include_str!("../../cu/README.md");
        let plain = KERNELS.iter().map(|kernel| kernel.family);
        for family in plain.chain(TOGETHER.iter().map(|kernel| kernel.family)) {
            let named = ["_T`", "_N`", "_T_U`"].iter().any(|end| readme.contains(&format!("`{family}{end}")));
            assert!(named, "kernels/README.md does not say what `{family}` is for");
        }
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
            // `KERNEL(name, …` and `KERNEL_OF(threads, resident, name, …`.
            let name = match (line.split_once("KERNEL("), line.split_once("KERNEL_OF(")) {
                (Some((_, rest)), _) => rest.split(',').next(),
                (_, Some((_, rest))) => rest.split(',').nth(2),
                _ => None,
            };
            match name.map(str::trim).filter(|_| !line.starts_with("#define")) {
                Some(name) if name.contains("##") => names.push(name.to_owned()),
                Some(name) => out.push(name.to_owned()),
                None => {}
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

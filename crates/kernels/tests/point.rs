//! Operations against numpy, scipy and scikit-image: the cases that `tests/data/make_ops_*.py` wrote.

use std::path::Path;
use voxtile_kernels::testing::{Float, Image, meta, steps};
use voxtile_sched::model::Dtype;

/// `file dtype axes sizes`, read from the folder.
fn load(folder: &Path, text: &str) -> Image {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [file, dtype, axes, sizes] = words[..] else { panic!("not an image: `{text}`") };
    let sizes: Vec<u64> = sizes.split(',').map(|n| n.parse().expect("a size")).collect();
    let dtype = Dtype::from_name(dtype).expect("a sample type");
    let mut bytes = std::fs::read(folder.join(file)).expect("a file of the list");
    if cfg!(target_endian = "big") {
        bytes.chunks_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
    Image::from_bytes(meta(axes, &sizes, dtype), &bytes)
}

/// Runs the cases of a folder, of which there are more than `least`.
fn compare(folder: &str, least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/ops").join(folder);
    let list = std::fs::read_to_string(folder.join("cases.txt")).expect("the list of cases");
    let mut failed = Vec::new();
    for line in list.lines() {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [step, input, output, ulp] = fields[..] else { panic!("not a case: `{line}`") };
        let (input, wanted) = (load(&folder, input), load(&folder, output));
        let float = match ulp.parse().expect("a number") {
            0 => Float::Exact,
            ulp => Float::Ulp(ulp),
        };
        failed.extend(steps(step, &input).difference(&wanted, float).map(|d| format!("{line}\n    {d}")));
    }
    assert!(list.lines().count() > least, "the list is cut short");
    assert!(failed.is_empty(), "{} cases differ:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn points_blocks_and_projections() {
    compare("point", 50);
}

#[test]
fn convolutions() {
    compare("conv", 150);
}

#[test]
fn values_between_voxels() {
    compare("grid", 30);
}

#[test]
fn rank_filters_and_morphology() {
    compare("rank", 300);
}

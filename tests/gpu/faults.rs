//! A GPU that fails in the middle of a run: the message, and what goes on from there.

use super::{done, emulated, put, refused, text};
use std::collections::BTreeMap;
use std::path::Path;
use voxtile::op::Dtype;
use voxtile_kernels::testing::Image;

/// All files below a folder, with their bytes.
fn files(at: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut open = vec![at.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
            } else {
                let name = entry.strip_prefix(at).unwrap().display().to_string();
                out.insert(name, std::fs::read(&entry).unwrap());
            }
        }
    }
    out
}

/// Runs until the emulated GPU fails as it is set to, then goes on with these options besides. The message of the failure.
#[track_caller]
fn gone_on(recipe: &str, failure: &[(&str, &str)], more: &[&str]) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (input, want, output) = (path("in.zarr"), path("want.zarr"), path("out.zarr"));
    put(&Image::noise("zyx", &[24, 40, 56], Dtype::U16, 4), Path::new(&input));
    let run = |output: &str| {
        ["run", &input, output, recipe, "--chunk", "8,16,16", "--tile", "8,16,16", "--workers", "2"]
            .map(str::to_owned)
    };
    let with = |output: &str, more: &[&str], settings: &[(&str, &str)]| {
        let args = run(output);
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        emulated(&args, settings)
    };
    done(&mut with(&want, &["--device", "cuda"], &[])?);
    let message = refused(&mut with(&output, &["--device", "cuda"], failure).unwrap());
    assert!(message.contains("is kept") && message.contains("--resume` goes on"), "{message}");
    let rest = with(&output, &[more, &["--resume", "--json"]].concat(), &[]).unwrap().output().unwrap();
    assert!(rest.status.success(), "{}", text(&rest));
    let report: serde_json::Value = serde_json::from_slice(&rest.stdout).unwrap();
    let count = |of: &str| report["report"][of].as_u64().unwrap();
    // Some of the 3 × 3 × 4 tiles were done before the failure.
    assert!(count("tiles_skipped") > 0 && count("tiles") + count("tiles_skipped") == 36, "{report}");
    assert!(files(Path::new(&output)) == files(Path::new(&want)), "{recipe}: {failure:?}: other bytes");
    Some(message)
}

#[test]
fn a_kernel_that_fails_in_the_middle_is_named_and_the_run_goes_on() {
    let recipe = "gaussian 1 | threshold 30000";
    let failure = [("EMULATED_FAULT", "threshold_f32"), ("EMULATED_AFTER", "24")];
    for lazy in ["0", "1"] {
        let settings = [&failure[..], &[("EMULATED_LAZY", lazy)]].concat();
        let Some(message) = gone_on(recipe, &settings, &["--device", "cuda"]) else { return };
        assert!(
            message.contains("a kernel of ")
                && message.contains("threshold_f32 failed, in ")
                && message.contains("(CUDA_ERROR_ILLEGAL_ADDRESS, 700)"),
            "{message}"
        );
    }
}

#[test]
fn a_gpu_that_is_gone_is_said_and_the_cpu_goes_on() {
    for (recipe, after) in [("gaussian 1 | threshold 30000", "90"), ("median 3", "24")] {
        let Some(message) = gone_on(recipe, &[("EMULATED_LOST", after)], &["--device", "cpu"]) else {
            return;
        };
        assert!(
            message.contains("(CUDA_ERROR_UNKNOWN, 999)") && message.contains("`--device cpu` needs no GPU"),
            "{message}"
        );
    }
}

//! Steps that are CUDA functions of the user's own.

use super::{done, emulated, put, refused};
use crate::house::{collect, read, voxtile};
use std::path::Path;
use voxtile::op::Dtype;
use voxtile::{Device, Pipeline, Recipe};
use voxtile_kernels::device;
use voxtile_kernels::testing::{Float, Image};

/// The example of docs/own-kernels.md.
fn spread() -> String {
    let page = std::fs::read_to_string("docs/own-kernels.md").unwrap();
    page.split("```cuda\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap().to_owned()
}

/// A folder with an image and a source, and their paths as text.
fn folder(source: &str) -> (tempfile::TempDir, [String; 3]) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let paths = [path("in.zarr"), path("spread.cu"), path("out.zarr")];
    put(&Image::noise("zyx", &[7, 30, 41], Dtype::U16, 2), Path::new(&paths[0]));
    std::fs::write(&paths[1], source).unwrap();
    (dir, paths)
}

#[test]
fn a_function_of_the_users_own_has_no_seams() {
    let (_dir, [input, file, output]) = folder(&spread());
    let chain =
        format!("gaussian 1 | kernel file={file} name=spread halo=0,3,3 out=f32 args=0.5 | threshold 2000");
    for tile in ["3,8,11", "64"] {
        let args = ["run", &input, &output, &chain, "--tile", tile, "--overwrite", "--verbose"];
        let Some(mut command) = emulated(&args, &[]) else { return };
        let said = done(&mut command);
        assert!(said.contains("runs    on Emulated GPU"), "{said}");
        let same = "gaussian 1 as g | max 1,7,7 as high | min 1,7,7 on=g as low | expr (high-low)*0.5 | threshold 2000";
        let steps = Recipe::parse(same).unwrap();
        let wanted = || Pipeline::open(&input).unwrap().recipe(steps.clone()).device(Device::Cpu);
        read(Path::new(&output)).assert_same(&collect(wanted).0, Float::Exact, || tile.to_owned());
    }
    // The library, too.
    let recipe = Recipe::parse(&chain).unwrap();
    assert!(recipe.clone().with_digests().to_string().contains("sha256="), "{}", recipe.with_digests());
}

#[test]
fn what_is_wrong_with_a_function_is_said_before_anything_is_written() {
    let (_dir, [input, file, output]) = folder(&spread().replace("return (float)", "retrun (float)"));
    let step = |more: &str| format!("kernel file={file} name=spread {more}");
    let run = |step: &str| emulated(&["run", &input, &output, step, "--device", "cuda"], &[]);
    let Some(mut command) = run(&step("halo=3 out=f32")) else { return };
    let message = refused(&mut command);
    // The line of the file.
    assert!(message.contains("does not compile") && message.contains("spread.cu:10"), "{message}");
    std::fs::write(&file, spread()).unwrap();
    for (step, wanted) in [
        (step("halo=3 args=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"), "16 numbers at most"),
        (step("halo=3 out=f33"), "out=f33"),
        (step("halo=3 sha256=abc"), "is another source"),
        (format!("kernel file={file}.not name=spread"), "cannot be read"),
        (format!("kernel file={file} name=2spread"), "the name of a function"),
        (format!("kernel file={file} name=spraed halo=3"), "spraed"),
    ] {
        let message = refused(&mut run(&step).unwrap());
        assert!(message.contains(wanted), "{step}: {message}");
        assert!(!Path::new(&output).exists(), "{step}");
    }
    // A function that reaches beyond its halo reads nothing there.
    let message = refused(&mut run(&step("halo=2 out=f32")).unwrap());
    assert!(message.contains("CUDA_ERROR_LAUNCH_FAILED, 719"), "{message}");
}

#[test]
fn without_a_gpu_a_function_is_refused_with_the_reason() {
    let Err(why) = device::first() else { return crate::house::skipped("there is a GPU") };
    let (_dir, [input, file, output]) = folder(&spread());
    let step = format!("kernel file={file} name=spread halo=3");
    let message = refused(&mut voxtile(&["run", &input, &output, &step]));
    assert!(message.contains(&why.to_string()), "{message}");
    let message = refused(&mut voxtile(&["run", &input, &output, &step, "--device", "cpu"]));
    assert!(message.contains("runs on a device only"), "{message}");
    assert!(!Path::new(&output).exists());
}

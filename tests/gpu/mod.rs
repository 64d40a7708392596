//! GPUs. Without one, and without the emulated driver of this folder, only that is checked which needs none; the rest says
//! that it was skipped. `.ci/gpu.sh` builds the driver and runs everything.

use crate::house::{collect, from_memory, read, voxtile};
use std::path::Path;
use std::process::{Command, Output};
use voxtile::op::Dtype;
use voxtile::{Device, Pipeline};
use voxtile_kernels::device;
use voxtile_kernels::testing::{Float, Image};

/// Where `.ci/gpu.sh` put the emulated driver, and a test's own settings for it.
fn emulated(args: &[&str], settings: &[(&str, &str)]) -> Option<Command> {
    let Some(dir) = std::env::var_os("EMULATED_DRIVER") else {
        eprintln!("skipped: no emulated driver; `.ci/gpu.sh` builds one and runs this");
        return None;
    };
    let mut command = voxtile(args);
    command.env("LD_LIBRARY_PATH", dir).envs(settings.iter().copied());
    Some(command)
}

#[track_caller]
fn text(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(all).unwrap()
}

#[track_caller]
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// Exit code and message of a refusal.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    text(&output)
}

fn put(image: &Image, path: &Path) {
    from_memory(image, [1, 1, 5, 12, 14]).device(Device::Cpu).write(path).unwrap().run().unwrap();
}

#[test]
fn without_a_gpu_it_is_refused_with_the_reason_and_auto_runs() {
    let Err(why) = device::first() else {
        return eprintln!("skipped: there is a GPU");
    };
    let image = Image::noise("yx", &[20, 30], Dtype::U8, 1);
    let pipeline = || from_memory(&image, [1, 1, 1, 8, 8]).gaussian(1.0);
    let error = pipeline().device(Device::Cuda).plan().err().expect("refused").to_string();
    assert_eq!(error, why.to_string());
    let auto = pipeline().plan().unwrap();
    assert!(auto.summary().stages.iter().all(|stage| stage.runs_on.is_none()));
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.zarr"), dir.path().join("out.zarr"));
    put(&image, &input);
    let run = ["run", input.to_str().unwrap(), output.to_str().unwrap(), "gaussian 1", "--device", "cuda"];
    let message = refused(&mut voxtile(&run));
    assert!(message.contains(&why.to_string()) && message.contains("--device cpu"), "{message}");
    assert!(!output.exists());
    assert!(done(&mut voxtile(&["info", "--devices"])).contains(&why.to_string()));
}

/// Chains whose steps all have kernels; borders of every kind, steps padded between, results read twice.
const CHAINS: [&str; 13] = [
    "gaussian 1.5",
    "gaussian sigma=0.7,1.2,2 border=constant cval=7 | threshold 900",
    "min 3 | max 1,4,5 border=mirror | invert",
    "open size=4 border=constant cval=3",
    "sobel border=nearest | rescale in=0,900 out=0,255 dtype=u8 | clamp min=3 max=200",
    "gaussian 1 as g | erode size=5 on=g | gaussian 2 border=nearest",
    "crop 1:7,3:20,2:25 | gaussian 0.5 border=wrap",
    "gaussian 1 border=mirror | dilate 3 border=reflect | sobel border=constant cval=-1.5 | cast u16",
    "scharr | prewitt",
    "gaussian 1 | threshold otsu",
    "tophat size=3,5,4 border=mirror | unsharp 1.1 amount=0.7",
    "mean 2,7,12 | mean 5 border=constant cval=2",
    "dog low=0.8 high=1.5 border=reflect",
];

#[test]
fn chains_have_the_same_bits_in_any_tiling() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (axes, sizes) in [("zyx", &[9u64, 23, 31][..]), ("cyx", &[2, 33, 29]), ("zyx", &[1, 40, 37])] {
        for dtype in [Dtype::U8, Dtype::U16, Dtype::F32] {
            let image = Image::noise(axes, sizes, dtype, 5);
            let name = format!("{axes}-{}-{dtype}.zarr", sizes[0]);
            put(&image, dir.path().join(&name).as_path());
            for (n, chain) in CHAINS.iter().enumerate() {
                // Lists are for three axes, and this crop for as many planes.
                if axes == "cyx" && chain.contains(',') || sizes[0] == 1 && chain.starts_with("crop") {
                    continue;
                }
                for tile in ["5,11,13", "64"] {
                    let tile = if axes == "cyx" { tile.trim_start_matches("5,") } else { tile };
                    let (input, output) = (path(&name), path(&format!("out-{n}-{tile}-{name}")));
                    let args =
                        ["run", &input, &output, chain, "--tile", tile, "--device", "cuda", "--verbose"];
                    let Some(mut command) = emulated(&args, &[]) else { return };
                    let said = done(&mut command);
                    assert!(said.contains("runs    on Emulated GPU"), "{chain}: {said}");
                    let steps = voxtile::Recipe::parse(chain).unwrap();
                    let wanted = || Pipeline::open(&input).unwrap().recipe(steps.clone()).device(Device::Cpu);
                    let wanted = collect(wanted).0;
                    read(Path::new(&output))
                        .assert_same(&wanted, Float::Exact, || format!("`{chain}` on {name} in {tile}"));
                }
            }
        }
    }
}

#[test]
fn a_stage_without_all_kernels_runs_on_the_cpu_and_the_plan_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.zarr"), dir.path().join("out.zarr"));
    put(&Image::noise("zyx", &[6, 20, 30], Dtype::U16, 3), &input);
    let [input, output] = [&input, &output].map(|path| path.to_str().unwrap());
    let plan = |recipe: &str| {
        let mut command = emulated(&["plan", input, recipe, "--device", "cuda"], &[])?;
        Some(done(&mut command))
    };
    let Some(said) = plan("gaussian 1 | median 3") else { return };
    assert!(said.contains("runs    on the CPU: `median 3` has no kernel from f32 to f32"), "{said}");
    let said = plan("cast i32 | gaussian 1").unwrap();
    assert!(said.contains("on the CPU: `cast i32` has no kernel from u16 to i32"), "{said}");
    // What is found in the image is not known yet, but what is done with it.
    let said = plan("gaussian 1 | threshold otsu").unwrap();
    assert_eq!(said.matches("runs    on Emulated GPU").count(), 2, "{said}");
    let said = plan("gaussian 1 | normalize").unwrap();
    assert!(said.contains("runs    on Emulated GPU") && said.contains("`normalize` has no kernel"), "{said}");
    let args = ["run", input, output, "gaussian 1 | median 3", "--device", "cuda"];
    done(&mut emulated(&args, &[]).unwrap());
}

#[test]
fn what_the_gpu_lacks_or_does_wrong_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.zarr"), dir.path().join("out.zarr"));
    put(&Image::noise("zyx", &[20, 64, 64], Dtype::F32, 3), &input);
    let [input, output] = [&input, &output].map(|path| path.to_str().unwrap());
    let run = ["run", input, output, "gaussian 1", "--device", "cuda", "--workers", "1"];
    let with = |settings: &[(&str, &str)]| emulated(&run, settings);
    let Some(mut fault) = with(&[("EMULATED_FAULT", "convolve_f32"), ("EMULATED_LAZY", "1")]) else { return };
    let message = refused(&mut fault);
    assert!(
        message.contains("a kernel of convolve_f32 failed (CUDA_ERROR_ILLEGAL_ADDRESS, 700)"),
        "{message}"
    );
    assert!(message.contains("nothing was left") && !Path::new(output).exists(), "{message}");
    let message = refused(&mut with(&[("EMULATED_DEVICES", "0")]).unwrap());
    assert!(message.contains("the CUDA driver finds no GPU"), "{message}");
    let message = refused(&mut with(&[("EMULATED_VERSION", "11040")]).unwrap());
    assert!(message.contains("supports CUDA 11.4, and 12.0 is needed"), "{message}");
    // Too little memory for a tile is known before the run.
    let small = [("EMULATED_MEMORY", "100000")];
    let plan = emulated(&["plan", input, "gaussian 1", "--device", "cuda"], &small);
    let said = done(&mut plan.unwrap());
    assert!(said.contains("of the device's memory, and 0 MiB are free"), "{said}");
    done(&mut with(&small).unwrap());
}

#[test]
fn devices_are_listed() {
    let Some(mut command) = emulated(&["info", "--devices"], &[]) else { return };
    let said = done(&mut command);
    assert!(said.contains("Emulated GPU, 1.0 GiB, compute capability 9.0"), "{said}");
    let mut command = emulated(&["info", "--devices", "--json"], &[("EMULATED_DEVICES", "2")]).unwrap();
    let json: serde_json::Value = serde_json::from_str(&done(&mut command)).unwrap();
    assert_eq!(json["cuda"]["devices"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["cuda"]["usable"], true);
}

#[test]
fn a_job_that_waits_for_nothing_or_runs_backwards_gives_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.zarr");
    put(&Image::noise("zyx", &[11, 37, 41], Dtype::U16, 9), &input);
    let chain = CHAINS[1];
    let recipe = voxtile::Recipe::parse(chain).unwrap();
    let wanted = collect(|| Pipeline::open(&input).unwrap().recipe(recipe.clone()).device(Device::Cpu)).0;
    for settings in [[("EMULATED_LAZY", "1")], [("EMULATED_ORDER", "reverse")]] {
        let output = dir.path().join(format!("{}.zarr", settings[0].0));
        let [from, to] = [&input, &output].map(|path| path.to_str().unwrap());
        let args = ["run", from, to, chain, "--tile", "4,16,16", "--workers", "4", "--device", "cuda"];
        let Some(mut command) = emulated(&args, &settings) else { return };
        done(&mut command);
        read(&output).assert_same(&wanted, Float::Exact, || settings[0].0.to_owned());
    }
}

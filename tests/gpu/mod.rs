//! GPUs. Without one, and without the emulated driver of this folder, only that is checked which needs none; the rest says
//! that it was skipped. `.ci/gpu.sh` builds the driver and runs everything.

mod faults;
mod own;
mod random;

use crate::house::{collect, from_memory, read, skipped, voxtile};
use std::path::Path;
use std::process::{Command, Output};
use voxtile::op::Dtype;
use voxtile::{Device, Pipeline};
use voxtile_kernels::device;
use voxtile_kernels::testing::{Float, Image};

/// Where `.ci/gpu.sh` put the emulated driver, and a test's own settings for it.
fn emulated(args: &[&str], settings: &[(&str, &str)]) -> Option<Command> {
    let Some(dir) = std::env::var_os("EMULATED_DRIVER") else {
        skipped("no emulated driver; `.ci/gpu.sh` builds one and runs this");
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
        return skipped("there is a GPU");
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
    let recursive = "gaussian 1 | gaussian sigma=3 method=recursive";
    let Some(said) = plan(recursive) else { return };
    assert!(
        said.contains("on the CPU: `gaussian sigma=3 method=recursive")
            && said.contains("has no kernel from f32 to f32: each voxel of a line"),
        "{said}"
    );
    let said = plan("cast i32 | gaussian 1").unwrap();
    assert!(said.contains("on the CPU: `cast i32` has no kernel from u16 to i32"), "{said}");
    // What is found in the image is not known yet, but what is done with it.
    let said = plan("gaussian 1 | threshold otsu").unwrap();
    assert_eq!(said.matches("runs    on Emulated GPU").count(), 2, "{said}");
    let said = plan("label | min-size 5").unwrap();
    assert!(said.contains("`min-size 5` has no kernels: objects are found by their values"), "{said}");
    // So is what is larger than a kernel takes.
    for (recipe, why) in [
        ("gaussian 64", "from u16 to f32: its kernel has weights for 255 voxels to either side at most"),
        ("concat x on=input,input,input,input,input", "to u16: its kernel takes 4 images at most"),
        ("peaks refine=yes", "has no kernels: where a peak lies between voxels is found on the CPU"),
    ] {
        let said = plan(recipe).unwrap();
        assert!(said.contains("on the CPU: `") && said.contains(why), "{recipe}: {said}");
    }
    let args = ["run", input, output, recursive, "--device", "cuda"];
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
        message.contains("a kernel of convolve_f32 failed, in ")
            && message.contains("are free (CUDA_ERROR_ILLEGAL_ADDRESS, 700)"),
        "{message}"
    );
    assert!(message.contains("nothing was left") && !Path::new(output).exists(), "{message}");
    let message = refused(&mut with(&[("EMULATED_DEVICES", "0")]).unwrap());
    assert!(message.contains("the CUDA driver finds no GPU"), "{message}");
    let message = refused(&mut with(&[("EMULATED_VERSION", "11040")]).unwrap());
    assert!(message.contains("supports CUDA 11.4, and 12.0 is needed"), "{message}");
    // Too little memory for a tile is known before the run.
    let small = [("EMULATED_MEMORY", "2000")];
    let plan = emulated(&["plan", input, "gaussian 1", "--device", "cuda"], &small);
    let said = done(&mut plan.unwrap());
    assert!(said.contains("of the device's memory, also in parts, and 0 MiB are free"), "{said}");
    done(&mut with(&small).unwrap());
    let message =
        refused(&mut emulated(&["plan", input, "gaussian 1", "--device", "cuda:0,3"], &[]).unwrap());
    assert!(message.contains("there is no GPU 3: the CUDA driver finds 1"), "{message}");
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

/// A run on GPUs whose driver keeps a log, and the plan of it.
struct Logged {
    plan: serde_json::Value,
    /// Of each GPU: the most bytes that were allocated at one time, and launches.
    gpus: Vec<[u64; 2]>,
}

fn logged(image: &Image, recipe: &str, more: &[&str], settings: &[(&str, &str)]) -> Option<Logged> {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (input, output, log) = (path("in.zarr"), path("out.zarr"), path("log"));
    put(image, Path::new(&input));
    let plan = emulated(&[&["plan", &input, recipe, "--json"], more].concat(), settings)?.output().unwrap();
    assert!(plan.status.success(), "{}", text(&plan));
    let settings = [settings, &[("EMULATED_LOG", log.as_str())]].concat();
    done(&mut emulated(&[&["run", &input, &output, recipe], more].concat(), &settings)?);
    let steps = voxtile::Recipe::parse(recipe).unwrap();
    let wanted = || Pipeline::open(&input).unwrap().recipe(steps.clone()).device(Device::Cpu);
    read(Path::new(&output)).assert_same(&collect(wanted).0, Float::Exact, || recipe.to_owned());
    let log = std::fs::read_to_string(log).unwrap();
    let gpu = |line: &str| {
        let numbers: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        [numbers[1], numbers[2]]
    };
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    Some(Logged { plan: plan["plan"].clone(), gpus: log.lines().map(gpu).collect() })
}

/// Bytes of GPUs that the plan says, and parts of a tile.
fn planned(plan: &serde_json::Value) -> (u64, u64) {
    let stages = plan["stages"].as_array().unwrap();
    let of = |key: &str| stages.iter().filter_map(|s| s["runs_on"]["device"][key].as_u64()).max().unwrap();
    (of("bytes"), of("parts"))
}

#[test]
fn the_gpu_has_what_the_plan_says_and_tiles_are_cut_to_fit() {
    let image = Image::noise("zyx", &[48, 64, 64], Dtype::U16, 7);
    let mut seen = Vec::new();
    for limit in [1u64 << 30, 2 << 20, 300 << 10, 100 << 10] {
        let most = &limit.to_string();
        for recipe in [CHAINS[1], "gaussian 1 | threshold otsu"] {
            let more = ["--device", "cuda", "--gpu-memory", most, "--tile", "24,64,64", "--workers", "4"];
            let Some(run) = logged(&image, recipe, &more, &[]) else { return };
            let (bytes, parts) = planned(&run.plan);
            let [[most_held, launches]] = run.gpus[..] else { panic!("one GPU") };
            assert!(launches > 0 && most_held <= bytes && bytes <= limit, "{recipe}: {most_held} of {bytes}");
            seen.push(parts);
        }
    }
    // From whole tiles to small parts.
    let of_the_chain: Vec<u64> = seen.into_iter().step_by(2).collect();
    assert!(of_the_chain[0] == 1 && of_the_chain.is_sorted() && of_the_chain[3] > 4, "{of_the_chain:?}");
}

#[test]
fn small_planes_go_there_together() {
    let image = Image::noise("tyx", &[40, 24, 20], Dtype::U8, 3);
    let Some(run) = logged(&image, "gaussian 1", &["--device", "cuda"], &[]) else { return };
    // Two launches for a tile, which holds many of the 40 planes.
    assert!(run.gpus[0][1] <= 8, "{:?}", run.gpus);
}

#[test]
fn a_volume_of_many_times_the_gpus_memory_runs_there() {
    // In the proportions of 64 GiB in 4 GiB: 16 times what the GPU has.
    let image = Image::noise("zyx", &[64, 64, 64], Dtype::F32, 3);
    let memory = (64u64 * 64 * 64 * 4 / 16).to_string();
    let settings = [("EMULATED_MEMORY", memory.as_str())];
    let Some(run) = logged(&image, "gaussian 1", &["--device", "cuda", "--workers", "3"], &settings) else {
        return;
    };
    let (bytes, _) = planned(&run.plan);
    assert!(run.gpus[0][0] <= bytes && bytes <= memory.parse().unwrap(), "{:?} {bytes}", run.gpus);
}

#[test]
fn memory_that_is_refused_while_running_makes_smaller_parts() {
    let image = Image::noise("zyx", &[20, 64, 64], Dtype::U16, 3);
    let more = ["--device", "cuda", "--tile", "20,64,64"];
    let Some(run) = logged(&image, "gaussian 1", &more, &[("EMULATED_REFUSE", "200000")]) else { return };
    let (bytes, parts) = planned(&run.plan);
    assert!(parts == 1 && bytes > 200_000 && run.gpus[0][0] <= 200_000, "{bytes} {:?}", run.gpus);
}

#[test]
fn several_gpus_share_the_tiles() {
    let image = Image::noise("zyx", &[40, 48, 48], Dtype::U8, 3);
    let more = ["--device", "cuda:0,1", "--tile", "8,16,16", "--workers", "4"];
    let Some(run) = logged(&image, "gaussian 1 | sobel", &more, &[("EMULATED_DEVICES", "2")]) else { return };
    let [[_, first], [_, second]] = run.gpus[..] else { panic!("two GPUs: {:?}", run.gpus) };
    assert!(first > 0 && second > 0, "{first} {second}");
    assert_eq!(run.plan["stages"][0]["runs_on"]["device"]["name"], "2 × Emulated GPU");
}

#[test]
fn what_makes_no_image_of_a_tile_is_done_there_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let image = Image::noise("zyx", &[12, 40, 70], Dtype::U16, 5);
    put(&image, Path::new(&path("in.zarr")));
    for (n, recipe) in ["project z", "threshold otsu", "gaussian 1 | threshold 30000 | label", "fill-holes"]
        .iter()
        .enumerate()
    {
        let (input, output) = (path("in.zarr"), path(&format!("{n}.zarr")));
        // `project` leaves two axes.
        let tile = if recipe.starts_with("project") { "16,33" } else { "5,16,33" };
        let args = ["run", &input, &output, recipe, "--tile", tile, "--device", "cuda", "--verbose"];
        let Some(mut command) = emulated(&args, &[("EMULATED_ORDER", "random")]) else { return };
        let said = done(&mut command);
        assert!(said.contains("runs    on Emulated GPU"), "{recipe}: {said}");
        let steps = voxtile::Recipe::parse(recipe).unwrap();
        let wanted = || Pipeline::open(&input).unwrap().recipe(steps.clone()).device(Device::Cpu);
        read(Path::new(&output)).assert_same(&collect(wanted).0, Float::Exact, || (*recipe).to_owned());
    }
}

#[test]
fn a_trace_has_copies_and_kernels_beside_reads_and_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (input, output, trace) = (path("in.zarr"), path("out.zarr"), path("trace.json"));
    put(&Image::noise("zyx", &[24, 48, 48], Dtype::U16, 5), Path::new(&input));
    let args =
        ["run", &input, &output, "gaussian 1", "--tile", "8,16,16", "--device", "cuda", "--trace", &trace];
    let Some(mut command) = emulated(&args, &[]) else { return };
    done(&mut command);
    let events: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(trace).unwrap()).unwrap();
    let rows = |name: &str| {
        let named = events.iter().filter(|event| event["name"] == name);
        named.map(|event| event["tid"].as_u64().unwrap()).collect::<Vec<u64>>()
    };
    let tiles = rows("upload").len();
    for phase in ["upload", "kernels", "download"] {
        assert!(
            tiles > 1 && rows(phase).len() == tiles && rows(phase).iter().all(|row| *row >= 1000),
            "{phase}: {:?}",
            rows(phase)
        );
    }
    for work in ["read", "write"] {
        assert!(!rows(work).is_empty() && rows(work).iter().all(|row| *row < 1000), "{work}");
    }
}

#[test]
fn a_bench_measures_the_gpu_if_there_is_one_and_says_if_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (csv, plot) = (path("bench.csv"), path("bench.svg"));
    let args = |device| {
        [
            "bench",
            "gaussian 1",
            "--sizes",
            "8,12",
            "--repeat",
            "1",
            "--device",
            device,
            "--csv",
            &csv,
            "--plot",
            &plot,
        ]
        .map(str::to_owned)
    };
    let rows =
        || std::fs::read_to_string(&csv).unwrap().lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let plain: Vec<String> = args("cpu").to_vec();
    let said = done(&mut voxtile(&plain.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(said.contains("no GPU is measured: `--device cpu` asks for none"), "{said}");
    assert!(rows().len() == 2 && rows().iter().all(|row| row.ends_with(",,,,")), "{:?}", rows());
    assert!(std::fs::read_to_string(&plot).unwrap().contains("<polyline"));
    let there: Vec<String> = args("cuda").to_vec();
    let Some(mut command) = emulated(&there.iter().map(String::as_str).collect::<Vec<_>>(), &[]) else {
        return;
    };
    let said = done(&mut command);
    assert!(!said.contains("no GPU"), "{said}");
    assert!(rows().len() == 2 && rows().iter().all(|row| !row.ends_with(',')), "{:?}", rows());
}

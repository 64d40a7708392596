//! Files made to break the program, within 4 GiB of address space: only clear errors.

use crate::cli::Place;
use crate::house;

#[path = "../examples/mutate/mutation.rs"]
mod mutation;
#[path = "../examples/mutate/watch.rs"]
mod watch;

use mutation::{Random, copy, damage, images};
use std::path::Path;
use watch::watched;

const MEMORY_MIB: u64 = 256;

/// Runs the program on an image in each way; says what is wrong with how it ended.
fn faults(image: &Path, output: &Path) -> Vec<String> {
    let path = |p: &Path| p.display().to_string();
    let memory = format!("{MEMORY_MIB}MiB");
    let (zarr, tiff) = (output.join("out.zarr"), output.join("out.tif"));
    let commands = [
        vec!["info".to_owned(), path(image)],
        vec!["convert".to_owned(), path(image), path(&zarr), "--overwrite".to_owned()],
        vec![
            "run".to_owned(),
            path(image),
            path(&tiff),
            "gaussian sigma=1 | threshold otsu".to_owned(),
            "--overwrite".to_owned(),
        ],
        vec!["verify".to_owned(), path(image)],
    ];
    let mut found = Vec::new();
    for mut args in commands {
        args.extend(["--memory".to_owned(), memory.clone(), "--workers".to_owned(), "2".to_owned()]);
        let outcome = watched(Path::new(env!("CARGO_BIN_EXE_voxtile")), &args);
        found.extend(
            outcome.fault(MEMORY_MIB << 20).map(|fault| format!("{args:?}: {fault}\n{}", outcome.words)),
        );
    }
    found
}

#[test]
fn damaged_files_are_refused_or_read_within_the_budget() {
    let place = Place::new();
    let all = images(&house::data("")).unwrap();
    assert!(all.len() > 200, "{} images", all.len());
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let from = &all[random.below(all.len())];
        let image = place.path(&format!("{seed}")).join(from.file_name().unwrap());
        std::fs::create_dir(place.path(&format!("{seed}"))).unwrap();
        copy(from, &image).unwrap();
        let how = damage(&image, &mut random).unwrap();
        let found = faults(&image, &place.path(""));
        assert!(found.is_empty(), "{}, {how} (seed {seed}):\n{}", from.display(), found.join("\n"));
    }
}

#[test]
fn hostile_files_are_refused_within_the_budget() {
    let place = Place::new();
    let mut seen = 0;
    for image in images(&house::data("hostile/files")).unwrap() {
        let found = faults(&image, &place.path(""));
        assert!(found.is_empty(), "{}:\n{}", image.display(), found.join("\n"));
        seen += 1;
    }
    assert!(seen >= 20, "{seen} files");
    let unexpected: Vec<String> =
        place.names().into_iter().filter(|name| !name.starts_with("out.")).collect();
    assert!(unexpected.is_empty(), "written beside the output: {unexpected:?}");
}

#[test]
fn recipes_made_to_explode_are_refused() {
    let place = Place::new();
    place.volume("in.zarr");
    let steps = |n: usize, step: &str| vec![step; n].join(" | ");
    let doubled: Vec<String> =
        (0..60).map(|n| format!("gaussian sigma=1 as a{n} | expr 'a{n} + a{n} * a{n}' as b{n}")).collect();
    let grown: Vec<String> = std::iter::once("invert as s0".to_owned())
        .chain((1..60).map(|n| format!("concat x on=s{p},s{p} as s{n}", p = n - 1)))
        .collect();
    let recipes = [
        steps(100_000, "invert"),
        steps(301, "gaussian sigma=1"),
        doubled.join(" | "),
        grown.join(" | "),
        format!("expr '{}input{}'", "(".repeat(60_000), ")".repeat(60_000)),
        format!("expr '{}input'", "-".repeat(60_000)),
        format!("concat x on={}", vec!["input"; 100_000].join(",")),
        "gaussian sigma=1e300".to_owned(),
        "gaussian sigma=1e18px | gaussian sigma=1e18px".to_owned(),
        "median size=18446744073709551615".to_owned(),
        "max size=4294967297".to_owned(),
        "pad 18446744073709551615".to_owned(),
        "resample 1e-300".to_owned(),
        "resample 1e300".to_owned(),
        "downsample 18446744073709551615".to_owned(),
        "crop 0:18446744073709551615".to_owned(),
        "gaussian sigma=nan".to_owned(),
        "rank size=3 rank=99999999999999999999".to_owned(),
        "expand 1e18".to_owned(),
        "frame 18446744073709551615".to_owned(),
        "peaks min-distance=1e18".to_owned(),
    ];
    for recipe in recipes {
        let file = place.path("recipe.txt");
        std::fs::write(&file, &recipe).unwrap();
        for command in ["plan", "run"] {
            let mut args = vec![command.to_owned(), place.path("in.zarr").display().to_string()];
            if command == "run" {
                args.push(place.path("out.zarr").display().to_string());
            }
            // What a command line may not hold comes as a file.
            if recipe.len() > 100_000 {
                let toml = "[[step]]\nop = \"invert\"\n".repeat(100_000);
                std::fs::write(&file, toml).unwrap();
                args.extend(["--recipe".to_owned(), file.display().to_string()]);
            } else {
                args.push(recipe.clone());
            }
            args.extend(["--memory", "64MiB", "--workers", "2"].map(str::to_owned));
            if command == "run" {
                args.push("--overwrite".to_owned());
            }
            let outcome = watched(Path::new(env!("CARGO_BIN_EXE_voxtile")), &args);
            let shown: String = recipe.chars().take(80).collect();
            assert!(
                outcome.fault(64 << 20).is_none(),
                "{command} {shown}: {:?}\n{}",
                outcome.fault(64 << 20),
                outcome.words
            );
        }
    }
}

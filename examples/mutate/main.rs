//! Damages images by seed and shows that voxtile refuses them, or does what can be done, with a clear message and within
//! its budget: `cargo run --release --example mutate -- FOLDER --count 1000 --seed 1 --csv result.csv`.
//!
//! Every image goes through `info`, `convert` and `run` in processes of their own, with `--memory 256MiB` and an address
//! space of 4 GiB. A panic, a signal, another exit code than 0, 1 and 2, five minutes without an end, more memory than
//! allowed, or a failure without a message is a fault: the image is kept, and the exit code is 1.

mod mutation;
mod watch;

use mutation::{Random, copy, damage, images};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use watch::{Outcome, watched};

/// What `--memory` says, in MiB.
const MEMORY_MIB: u64 = 256;

const COMMANDS: [&str; 3] = ["info", "convert", "run"];

struct Options {
    folder: PathBuf,
    count: u64,
    seed: u64,
    csv: Option<PathBuf>,
    voxtile: PathBuf,
}

fn options() -> Option<Options> {
    // The program lies beside the folder of the examples.
    let beside = std::env::current_exe().ok()?.parent()?.parent()?.join("voxtile");
    let mut out = Options { folder: PathBuf::new(), count: 100, seed: 1, csv: None, voxtile: beside };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--count" => out.count = args.next()?.parse().ok()?,
            "--seed" => out.seed = args.next()?.parse().ok()?,
            "--csv" => out.csv = Some(args.next()?.into()),
            "--voxtile" => out.voxtile = args.next()?.into(),
            _ => out.folder = arg.into(),
        }
    }
    out.folder.is_dir().then_some(out)
}

/// Runs one command on a damaged image.
fn command(voxtile: &Path, what: &str, image: &Path, work: &Path) -> Outcome {
    let memory = format!("{MEMORY_MIB}MiB");
    let (zarr, tiff) = (work.join("out.zarr"), work.join("out.tif"));
    let path = |p: &Path| p.display().to_string();
    let mut args: Vec<String> = vec![what.to_owned(), path(image)];
    match what {
        "convert" => args.push(path(&zarr)),
        "run" => args.extend([path(&tiff), "gaussian sigma=1 | threshold otsu".to_owned()]),
        _ => {}
    }
    args.extend(["--memory".to_owned(), memory, "--workers".to_owned(), "2".to_owned()]);
    if what != "info" {
        args.push("--overwrite".to_owned());
    }
    watched(voxtile, &args)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("mutate FOLDER [--count N] [--seed N] [--csv FILE] [--voxtile PROGRAM]");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Answers with the number of faults.
fn run(options: &Options) -> std::io::Result<u64> {
    let images = images(&options.folder)?;
    if images.is_empty() {
        return Err(std::io::Error::other("no images there"));
    }
    let work = std::env::temp_dir().join(format!("voxtile-mutate-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let mut rows = String::from("number,seed,image,damage,info,convert,run,most_mib,fault\n");
    let (mut faults, mut refused, mut most) = (0, 0, 0);
    for n in 0..options.count {
        let seed = options.seed.wrapping_mul(1_000_003).wrapping_add(n);
        let mut random = Random::new(seed);
        let from = &images[random.below(images.len())];
        let name = from.file_name().unwrap_or_default();
        let image = work.join(name);
        copy(from, &image)?;
        let how = damage(&image, &mut random)?;
        let outcomes = COMMANDS.map(|what| command(&options.voxtile, what, &image, &work));
        let fault = outcomes.iter().zip(COMMANDS).find_map(|(o, c)| {
            let fault = o.fault(MEMORY_MIB << 20)?;
            Some(format!("{c}: {fault}"))
        });
        let codes: Vec<String> =
            outcomes.iter().map(|o| o.code.map_or("-".to_owned(), |c| c.to_string())).collect();
        let memory = outcomes.iter().map(|o| o.peak_bytes).max().unwrap_or(0) >> 20;
        most = most.max(memory);
        refused += u64::from(outcomes.iter().any(|o| o.code != Some(0)));
        let shown = from.strip_prefix(&options.folder).unwrap_or(from).display();
        let _ = writeln!(
            rows,
            "{n},{seed},{shown},\"{}\",{},{memory},\"{}\"",
            how.replace('"', "'"),
            codes.join(","),
            fault.as_deref().unwrap_or_default().replace('"', "'").replace('\n', " ")
        );
        if let Some(fault) = fault {
            faults += 1;
            let kept = work.join(format!("fault-{seed}"));
            std::fs::create_dir_all(&kept)?;
            copy(&image, &kept.join(name))?;
            eprintln!("{shown}, {how}: {fault}\n  kept in {}", kept.display());
        }
        let gone =
            if image.is_dir() { std::fs::remove_dir_all(&image) } else { std::fs::remove_file(&image) };
        gone?;
        for out in ["out.zarr", "out.tif"].map(|o| work.join(o)) {
            if out.is_dir() {
                std::fs::remove_dir_all(out)?;
            } else if out.is_file() {
                std::fs::remove_file(out)?;
            }
        }
        if let Some(csv) = &options.csv {
            std::fs::write(csv, &rows)?;
        }
    }
    println!(
        "{} damaged images, {refused} refused or done in part, {faults} faults, at most {most} MiB of {MEMORY_MIB}",
        options.count
    );
    if faults == 0 {
        std::fs::remove_dir_all(&work)?;
    }
    Ok(faults)
}

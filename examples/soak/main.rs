//! Runs that are killed at random moments, again and again, until each has made its output: which must be, byte for byte,
//! the output of a run that nobody disturbed.
//!
//! ```sh
//! cargo run --release --example soak -- --kills 200 --faulty 100 --seed 1 --csv docs/faults/2026-01-31-soak.csv
//! ```
//!
//! `--power-loss` (as root, on Linux) writes to a file system of its own on a loop device. When a run is killed, all that
//! the kernel has not yet brought to that device is lost too, as when the power fails: the device's content is taken as
//! it is, and mounted anew. Such runs have `--durability data`.
//!
//! A run that ends with another output, that cannot be resumed, or whose unfinished output is taken for an image is a
//! fault; the exit code is then 1, and the work is kept.

mod disk;
mod faulty;
mod jobs;
mod killed;
mod random;

use disk::Disk;
use jobs::{Bench, Row};
use killed::killed;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the command line asks for.
struct Options {
    kills: u64,
    power: u64,
    faulty: u64,
    seed: u64,
    csv: Option<PathBuf>,
    voxtile: PathBuf,
    work: PathBuf,
}

fn options() -> Option<Options> {
    // The program lies beside the folder of the examples.
    let beside = std::env::current_exe().ok()?.parent()?.parent()?.join("voxtile");
    let work = std::env::temp_dir().join(format!("voxtile-soak-{}", std::process::id()));
    let mut out = Options { kills: 12, power: 0, faulty: 12, seed: 1, csv: None, voxtile: beside, work };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--kills" => out.kills = args.next()?.parse().ok()?,
            "--power-loss" => out.power = args.next()?.parse().ok()?,
            "--faulty" => out.faulty = args.next()?.parse().ok()?,
            "--seed" => out.seed = args.next()?.parse().ok()?,
            "--csv" => out.csv = Some(args.next()?.into()),
            "--voxtile" => out.voxtile = args.next()?.into(),
            _ => return None,
        }
    }
    Some(out)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!(
            "soak [--kills N] [--power-loss N] [--faulty N] [--seed N] [--csv FILE] [--voxtile PROGRAM]"
        );
        return ExitCode::from(2);
    };
    match soak(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(faults) => {
            eprintln!("{faults} faults; what was written is in {}", options.work.display());
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn soak(options: &Options) -> std::io::Result<u64> {
    std::fs::create_dir_all(&options.work)?;
    let mut csv = String::from("kind,number,seed,job,stops,after_ms,skipped,fault\n");
    let (mut faults, mut stops, mut resumed) = (0, 0, 0);
    let mut note = |number: u64, seed: u64, row: &Row| -> std::io::Result<()> {
        let after: Vec<String> = row.after.iter().map(u64::to_string).collect();
        let fault = row.fault.replace(['"', '\n'], " ");
        let _ = writeln!(
            csv,
            "{},{number},{seed},{},{},{},{},\"{fault}\"",
            row.kind,
            row.job,
            row.stops,
            after.join(" "),
            row.skipped
        );
        if !row.fault.is_empty() {
            faults += 1;
            eprintln!("{} {number} (seed {seed}), {}: {}", row.kind, row.job, row.fault);
        }
        stops += row.stops;
        resumed += u64::from(row.skipped > 0);
        options.csv.as_ref().map_or(Ok(()), |path| std::fs::write(path, &csv))
    };
    let seeds = |kind: u64, n: u64| options.seed.wrapping_mul(1_000_003).wrapping_add((kind << 40) + n);
    if options.kills + options.power > 0 {
        let bench = Bench::new(&options.work, &options.voxtile)?;
        for n in 0..options.kills {
            let seed = seeds(0, n);
            note(n, seed, &killed(&bench, None, seed)?)?;
        }
        let mut disk = if options.power > 0 { Some(Disk::new(&options.work)?) } else { None };
        for n in 0..options.power {
            let seed = seeds(1, n);
            note(n, seed, &killed(&bench, disk.as_mut(), seed)?)?;
        }
    }
    for n in 0..options.faulty {
        let seed = seeds(2, n);
        note(n, seed, &faulty::run(seed)?)?;
    }
    let runs = options.kills + options.power + options.faulty;
    println!(
        "{runs} runs, stopped {stops} times before their end, {resumed} went on with tiles that were done, {faults} faults"
    );
    if faults == 0 {
        std::fs::remove_dir_all(&options.work)?;
    }
    Ok(faults)
}

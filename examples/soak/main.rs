//! Runs that are killed at random moments, again and again, until each has made its output: which must be, byte for byte,
//! the output of a run that nobody disturbed.
//!
//! ```sh
//! cargo run --release --example soak -- --kills 200 --faulty 100 --seed 1 --csv docs/soak/2026-01-31.csv
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
mod random;

use disk::Disk;
use jobs::{Bench, Job, digest};
use random::Random;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

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

/// What became of one run.
struct Row {
    kind: &'static str,
    job: &'static str,
    /// How often it was stopped before its end.
    stops: u64,
    /// When, in milliseconds from each start.
    after: Vec<u64>,
    /// What is wrong; empty if nothing is.
    fault: String,
}

fn soak(options: &Options) -> std::io::Result<u64> {
    std::fs::create_dir_all(&options.work)?;
    let mut csv = String::from("kind,number,seed,job,stops,after_ms,fault\n");
    let (mut faults, mut stops) = (0, 0);
    let mut note = |number: u64, seed: u64, row: &Row| -> std::io::Result<()> {
        let after: Vec<String> = row.after.iter().map(u64::to_string).collect();
        let fault = row.fault.replace(['"', '\n'], " ");
        let _ = writeln!(
            csv,
            "{},{number},{seed},{},{},{},\"{fault}\"",
            row.kind,
            row.job,
            row.stops,
            after.join(" ")
        );
        if !row.fault.is_empty() {
            faults += 1;
            eprintln!("{} {number} (seed {seed}), {}: {}", row.kind, row.job, row.fault);
        }
        stops += row.stops;
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
        note(n, seed, &faulty::run(&options.work, seed)?)?;
    }
    let runs = options.kills + options.power + options.faulty;
    println!("{runs} runs, stopped {stops} times before their end, {faults} faults");
    if faults == 0 {
        std::fs::remove_dir_all(&options.work)?;
    }
    Ok(faults)
}

/// One run that is killed until it is through.
fn killed(bench: &Bench, mut disk: Option<&mut Disk>, seed: u64) -> std::io::Result<Row> {
    let mut random = Random::new(seed);
    let (job, whole) = &bench.jobs[random.below(bench.jobs.len())];
    let durability = if disk.is_some() || random.below(2) == 0 { "data" } else { "none" };
    let kind = if disk.is_some() { "power" } else { "kill" };
    let mut row = Row { kind, job: job.name, stops: 0, after: Vec::new(), fault: String::new() };
    let place = match &disk {
        Some(disk) => disk.place().to_owned(),
        None => bench.work.join("runs"),
    };
    std::fs::create_dir_all(&place)?;
    let output = place.join(job.output);
    let more = ["--resume", "--durability", durability];
    // Most are killed once or twice; a few so often that they hardly get on.
    let wanted = 1 + random.below(3) as u64;
    while row.stops < wanted {
        let moment = Duration::from_micros(random.below((whole.as_micros() as usize).max(1)) as u64);
        let mut child = start(bench, job, &output, &more)?;
        let started = Instant::now();
        std::thread::sleep(moment);
        // It may have ended in between; then there is nobody to kill.
        let _ = child.kill();
        if child.wait()?.success() {
            break;
        }
        row.stops += 1;
        row.after.push(started.elapsed().as_millis() as u64);
        if let Some(disk) = &mut disk {
            disk.lose_power()?;
        }
        if let Some(fault) = taken_for_an_image(bench, &output, job)? {
            row.fault = fault;
            return Ok(row);
        }
    }
    let done = run(bench, job, &output, &more)?;
    row.fault = match done {
        Err(words) => format!("not resumed: {words}"),
        Ok(()) if digest(&output)? != bench.digests[job.name] => "another output".to_owned(),
        Ok(()) => leftovers(&place, job)?,
    };
    if row.fault.is_empty() {
        jobs::remove(&output)?;
    } else {
        let kept = bench.work.join(format!("fault-{seed}"));
        std::fs::create_dir_all(&kept)?;
        let _ = Command::new("cp").arg("-r").arg(&place).arg(&kept).status()?;
        for entry in std::fs::read_dir(&place)? {
            jobs::remove(&entry?.path())?;
        }
    }
    Ok(row)
}

fn command(bench: &Bench, job: &Job, output: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(&bench.voxtile);
    command.args(job.args(&bench.work, output)).args(more).env("SOURCE_DATE_EPOCH", "1700000000");
    command.stdin(Stdio::null());
    command
}

fn start(bench: &Bench, job: &Job, output: &Path, more: &[&str]) -> std::io::Result<Child> {
    command(bench, job, output, more).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Runs to the end; what it said, if that was not the right one.
fn run(bench: &Bench, job: &Job, output: &Path, more: &[&str]) -> std::io::Result<Result<(), String>> {
    let done = command(bench, job, output, more).output()?;
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    Ok(if done.status.success() { Ok(()) } else { Err(format!("{:?}: {words}", done.status.code())) })
}

/// An output that is not complete must not be opened as an image.
fn taken_for_an_image(bench: &Bench, output: &Path, job: &Job) -> std::io::Result<Option<String>> {
    if job.is_table() || !output.exists() {
        return Ok(None);
    }
    let answer = Command::new(&bench.voxtile).arg("info").arg(output).output()?;
    // Killed between the last write and its end, it is the whole image.
    if answer.status.success() && digest(output)? != bench.digests[job.name] {
        return Ok(Some("an unfinished output is taken for an image".to_owned()));
    }
    Ok(None)
}

/// What lies beside a finished output that should not; empty if nothing does.
fn leftovers(place: &Path, job: &Job) -> std::io::Result<String> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(place)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // A finished output keeps the mark by which `--resume` knows it.
        let own = name
            .strip_prefix(job.output)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(".voxtile-"));
        let own = own || name == "lost+found";
        if !own {
            left.push(name);
        }
    }
    Ok(if left.is_empty() { String::new() } else { format!("left behind: {}", left.join(", ")) })
}

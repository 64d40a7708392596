//! Runs of the command line that are killed until they are through.

use super::disk::Disk;
use super::jobs::{Bench, Job, Row, clear, digest};
use super::random::Random;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One run that is killed until it is through.
pub(crate) fn killed(bench: &Bench, mut disk: Option<&mut Disk>, seed: u64) -> std::io::Result<Row> {
    let mut random = Random::new(seed);
    let (job, whole) = &bench.jobs[random.below(bench.jobs.len())];
    let durability = if disk.is_some() || random.below(2) == 0 { "data" } else { "none" };
    let kind = if disk.is_some() { "power" } else { "kill" };
    let mut row = Row { kind, job: job.name, stops: 0, after: Vec::new(), skipped: 0, fault: String::new() };
    let place = match &disk {
        Some(disk) => disk.place().to_owned(),
        None => bench.work.join("runs"),
    };
    std::fs::create_dir_all(&place)?;
    let output = place.join(job.output);
    let more = ["--resume", "--durability", durability];
    // Most are killed once or twice; a few so often that they hardly get on.
    let wanted = 1 + random.below(3) as u64;
    let mut most = *whole;
    while row.stops < wanted {
        let moment = Duration::from_micros(random.below((most.as_micros() as usize).max(1)) as u64);
        let mut child = start(bench, job, &output, &more)?;
        let started = Instant::now();
        std::thread::sleep(moment);
        // It may have ended in between; then there is nobody to kill.
        let _ = child.kill();
        let status = child.wait()?;
        if status.success() {
            if row.stops > 0 {
                break;
            }
            // Nobody was disturbed: again, and sooner.
            clear(&place)?;
            most /= 2;
            continue;
        }
        if let Some(code) = status.code() {
            row.fault = format!("it ended by itself, with {code}");
            break;
        }
        row.stops += 1;
        row.after.push(started.elapsed().as_millis() as u64);
        if let Some(disk) = &mut disk {
            disk.lose_power()?;
        }
        row.fault = taken_for_an_image(bench, &output, job)?;
        if !row.fault.is_empty() {
            break;
        }
    }
    if row.fault.is_empty() {
        row.fault = match run(bench, job, &output, &more)? {
            Err(words) => format!("not resumed: {words}"),
            Ok(skipped) => {
                row.skipped = skipped;
                let same = digest(&output)? == bench.digests[job.name];
                if same { leftovers(&place, job)? } else { "another output".to_owned() }
            }
        };
    }
    if !row.fault.is_empty() {
        let kept = bench.work.join(format!("fault-{seed}"));
        std::fs::create_dir_all(&kept)?;
        let _ = Command::new("cp").arg("-r").arg(&place).arg(&kept).status()?;
    }
    clear(&place)?;
    // Else the next loss of power would bring it back.
    disk.as_ref().map_or(Ok(()), |disk| disk.sync())?;
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

/// Runs to the end: the tiles that were done before, or what it said if that was not the right one.
fn run(bench: &Bench, job: &Job, output: &Path, more: &[&str]) -> std::io::Result<Result<u64, String>> {
    let done = command(bench, job, output, more).arg("--json").output()?;
    if !done.status.success() {
        let words = String::from_utf8_lossy(&done.stdout);
        return Ok(Err(format!("{:?}: {words}", done.status.code())));
    }
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).map_err(std::io::Error::other)?;
    Ok(Ok(said["report"]["tiles_skipped"].as_u64().unwrap_or(0)))
}

/// An output that is not complete must not be opened as an image, and a table is whole or not there; what is wrong, if it is.
fn taken_for_an_image(bench: &Bench, output: &Path, job: &Job) -> std::io::Result<String> {
    if !output.exists() {
        return Ok(String::new());
    }
    if job.is_table() {
        let whole = digest(output)? == bench.digests[job.name];
        return Ok(if whole { String::new() } else { "an unfinished table is there".to_owned() });
    }
    let answer = Command::new(&bench.voxtile).arg("info").arg(output).output()?;
    // Killed between the last write and its end, it is the whole image.
    if answer.status.success() && digest(output)? != bench.digests[job.name] {
        return Ok("an unfinished output is taken for an image".to_owned());
    }
    Ok(String::new())
}

/// What lies beside a finished output that should not; empty if nothing does.
fn leftovers(place: &Path, job: &Job) -> std::io::Result<String> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(place)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // A finished output keeps the mark by which `--resume` knows it.
        let mark = format!(".{}.voxtile-done", job.output);
        if ![job.output, &mark, "lost+found"].contains(&name.as_str()) {
            left.push(name);
        }
    }
    Ok(if left.is_empty() { String::new() } else { format!("left behind: {}", left.join(", ")) })
}

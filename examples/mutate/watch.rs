//! Runs a program within an address space of 4 GiB, and watches its end, its memory and its words.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// KiB of address space.
const ADDRESS_SPACE_KIB: u64 = 4 << 20;
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a program ended.
pub(crate) struct Outcome {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it said on stderr, and on stdout.
    pub(crate) words: String,
    /// The most memory that it was seen with.
    pub(crate) peak_bytes: u64,
    /// Whether it had to be ended.
    pub(crate) hung: bool,
}

impl Outcome {
    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self, memory: u64) -> Option<String> {
        if self.hung {
            return Some(format!("no end within {} s", PATIENCE.as_secs()));
        }
        let Some(code) = self.code else { return Some("ended by a signal".to_owned()) };
        let panicked = ["panicked", "memory allocation of", "stack overflow"];
        if let Some(word) = panicked.iter().find(|word| self.words.contains(**word)) {
            let line = self.words.lines().find(|l| l.contains(word)).unwrap_or_default();
            return Some(line.to_owned());
        }
        if !(0..=2).contains(&code) {
            return Some(format!("exit code {code}"));
        }
        if code != 0 && self.words.trim().is_empty() {
            return Some(format!("exit code {code} without a word"));
        }
        (self.peak_bytes > memory).then(|| format!("{} MiB of memory", self.peak_bytes >> 20))
    }
}

/// Runs a program to its end.
pub(crate) fn watched(program: &Path, args: &[String]) -> Outcome {
    let script = format!("ulimit -v {ADDRESS_SPACE_KIB}; exec \"$0\" \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let words = scope.spawn(move || {
            let mut words = Vec::new();
            // What is not readable any more was not said.
            let _ = err.read_to_end(&mut words);
            words
        });
        let said = scope.spawn(move || {
            let mut said = Vec::new();
            let _ = out.read_to_end(&mut said);
            said
        });
        let (id, flag) = (child.id(), &done);
        let peak = scope.spawn(move || {
            let mut most = 0;
            while !flag.load(Ordering::Relaxed) {
                most = most.max(high_water(id));
                std::thread::sleep(Duration::from_millis(3));
            }
            most
        });
        let start = Instant::now();
        let mut hung = false;
        let status = loop {
            match child.try_wait().expect("the child is ours") {
                Some(status) => break status,
                None if start.elapsed() > PATIENCE => {
                    hung = true;
                    // It may have ended in between.
                    let _ = child.kill();
                    break child.wait().expect("the child is ours");
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        done.store(true, Ordering::Relaxed);
        let words = [words.join().expect("a reader"), said.join().expect("a reader")].concat();
        Outcome {
            code: status.code(),
            words: String::from_utf8_lossy(&words).into_owned(),
            peak_bytes: peak.join().expect("a watcher"),
            hung,
        }
    })
}

/// The most memory that a process has had so far, where the system tells.
fn high_water(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

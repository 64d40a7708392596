//! What `verify` found, as text and as JSON.

use super::super::{Done, Outcome, print, print_json};
use crate::args::Global;
use crate::text;
use serde_json::{Value as Json, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use voxtile::error::IoError;
use voxtile_io::survey::{Finding, Rule, StructureFault};
use voxtile_sched::contract::StoreError;
use voxtile_sched::model::Region;

/// Findings that are listed; the rest are counted.
const LISTED: usize = 50;

/// What was found so far.
pub(super) struct Report {
    path: PathBuf,
    arrays: usize,
    chunks: u64,
    missing: Vec<(String, u64)>,
    damaged: Vec<(Region, StoreError)>,
    findings: Vec<Found>,
    /// Levels that were computed anew, and how they are made.
    levels: Vec<(String, &'static str)>,
}

/// One finding.
struct Found {
    place: String,
    what: String,
    /// Whether it is only worth knowing.
    advice: bool,
    /// Whether it is a key that is not there and need not be.
    optional: bool,
}

impl Report {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            arrays: 0,
            chunks: 0,
            missing: Vec::new(),
            damaged: Vec::new(),
            findings: Vec::new(),
            levels: Vec::new(),
        }
    }

    fn push(&mut self, place: &str, what: String, advice: bool) {
        self.findings.push(Found { place: place.to_owned(), what, advice, optional: false });
    }

    pub(super) fn structure(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let (what, advice) = (finding.fault.to_string(), finding.fault.is_advice());
            let optional =
                matches!(&finding.fault, StructureFault::Rule(breach) if breach.rule == Rule::Advised);
            self.findings.push(Found { place: finding.place, what, advice, optional });
        }
    }

    pub(super) fn unreadable(&mut self, place: &str, error: &IoError) {
        self.push(place, error.to_string(), false);
    }

    pub(super) fn found(&mut self, place: &str, what: String) {
        self.push(place, what, false);
    }

    pub(super) fn note(&mut self, place: &str, what: String) {
        self.push(place, what, true);
    }

    pub(super) fn level(&mut self, place: &str, method: &'static str) {
        self.levels.push((place.to_owned(), method));
    }

    pub(super) fn chunks(
        &mut self,
        place: &str,
        count: u64,
        damaged: Vec<(Region, StoreError)>,
        missing: u64,
    ) {
        self.arrays += 1;
        self.chunks += count;
        self.damaged.extend(damaged);
        if missing > 0 {
            self.missing.push((place.to_owned(), missing));
            let chunks = text::counted(missing, "chunk");
            self.push(
                place,
                format!("{chunks} of {count} are not stored: they read as the fill value"),
                true,
            );
        }
    }

    pub(super) fn conclude(self, strict: bool, global: Global) -> Done {
        let counts = |found: &Found| strict || !found.advice;
        let wrong = self.findings.iter().filter(|f| counts(f)).count();
        if global.json {
            print_json(&self.json())?;
        } else {
            let text = self.text(wrong, strict);
            if !(global.quiet && wrong == 0 && self.damaged.is_empty()) {
                print(&text)?;
            }
        }
        Ok(if wrong == 0 && self.damaged.is_empty() { Outcome::Done } else { Outcome::Damaged })
    }

    fn json(&self) -> Json {
        let damaged = |(region, error): &(Region, StoreError)| json!({ "voxels": region.to_string(), "error": error.to_string() });
        let found = |f: &Found| json!({ "place": f.place, "what": f.what, "advice": f.advice });
        json!({
            "path": self.path.display().to_string(),
            "arrays": self.arrays,
            "chunks": self.chunks,
            "missing": self.missing.iter().map(|(_, n)| n).sum::<u64>(),
            "damaged": self.damaged.iter().map(damaged).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(found).collect::<Vec<_>>(),
            "levels": self.levels.iter().map(|(place, way)| json!({ "place": place, "method": way })).collect::<Vec<_>>(),
        })
    }

    fn text(&self, wrong: usize, strict: bool) -> String {
        let path = self.path.display();
        let mut out = String::new();
        let chunks = text::counted(self.chunks, "chunk");
        let of = if self.arrays > 1 { format!(" of {} arrays", self.arrays) } else { String::new() };
        if self.damaged.is_empty() {
            let _ = write!(out, "{path}: all {chunks}{of} decode");
            let mut ways: Vec<&str> = self.levels.iter().map(|(_, way)| *way).collect();
            ways.sort_unstable();
            ways.dedup();
            if !ways.is_empty() {
                let (count, ways) = (self.levels.len() as u64, ways.join(" or "));
                let _ = match count {
                    1 => write!(out, "; 1 level is the {ways} of the one before"),
                    _ => write!(out, "; {} levels are the {ways} of the ones before", text::count(count)),
                };
            }
            out.push('\n');
        } else {
            let _ = writeln!(out, "{path}: {} of {chunks}{of} are damaged", self.damaged.len());
            for (_, error) in self.damaged.iter().take(LISTED) {
                let _ = writeln!(out, "  {error}");
            }
            self.rest(&mut out, self.damaged.len());
        }
        let listed: Vec<&Found> = self.findings.iter().filter(|f| strict || !f.advice).collect();
        if wrong > 0 {
            let _ = writeln!(out, "{path}: {}", text::counted(wrong as u64, "finding"));
            for found in listed.iter().take(LISTED) {
                let place = if found.place.is_empty() { "/" } else { &found.place };
                let _ = writeln!(out, "  {place}: {}", found.what);
            }
            self.rest(&mut out, listed.len());
        }
        let advice = self.findings.iter().filter(|f| f.advice && !f.optional && !strict).count();
        if advice > 0 {
            let _ = writeln!(out, "{} more worth knowing: `--strict` lists them", text::count(advice as u64));
        }
        out
    }

    fn rest(&self, out: &mut String, count: usize) {
        if count > LISTED {
            let _ = writeln!(out, "  and {} more (`--json` lists all)", count - LISTED);
        }
    }
}

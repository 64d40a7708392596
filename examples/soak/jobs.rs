//! What is run: filters, labels, a table, pyramids and conversions, to Zarr and to TIFF.

use ndarray::ArrayD;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use voxtile::{Output, Pipeline};

/// One command line.
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) output: &'static str,
    recipe: Option<&'static str>,
    more: &'static [&'static str],
}

const JOBS: [Job; 8] = [
    Job {
        name: "filter to Zarr",
        output: "filter.zarr",
        recipe: Some("gaussian sigma=2"),
        more: &["--chunk", "32", "--tile", "32"],
    },
    Job {
        name: "filter to TIFF",
        output: "filter.tif",
        recipe: Some("median size=3"),
        more: &["--chunk", "64,64", "--tile", "32"],
    },
    Job {
        name: "labels",
        output: "labels.zarr",
        recipe: Some("gaussian sigma=1 | threshold 2040 | label"),
        more: &["--tile", "32"],
    },
    Job {
        name: "objects to CSV",
        output: "objects.csv",
        recipe: Some("gaussian sigma=1 | threshold 2040 | label | measure"),
        more: &["--tile", "32"],
    },
    Job {
        name: "pyramid to Zarr",
        output: "pyramid.zarr",
        recipe: Some("mean size=3"),
        more: &["--chunk", "32", "--pyramid", "--pyramid-until", "32"],
    },
    Job {
        name: "pyramid to TIFF",
        output: "pyramid.tif",
        recipe: Some("mean size=3"),
        more: &["--chunk", "64,64", "--tile", "32", "--pyramid", "--pyramid-until", "64"],
    },
    Job {
        name: "conversion to shards",
        output: "shards.zarr",
        recipe: None,
        more: &["--chunk", "16", "--shard", "64", "--codec", "zstd", "--tile", "16"],
    },
    Job {
        name: "conversion to TIFF",
        output: "converted.tif",
        recipe: None,
        more: &["--chunk", "32,32", "--tile", "32"],
    },
];

impl Job {
    /// The arguments of the command line.
    pub(crate) fn args(&self, work: &Path, output: &Path) -> Vec<String> {
        let path = |p: &Path| p.display().to_string();
        let mut args = vec![if self.recipe.is_some() { "run" } else { "convert" }.to_owned()];
        args.extend([path(&work.join("in.zarr")), path(output)]);
        args.extend(self.recipe.map(str::to_owned));
        args.extend(self.more.iter().map(|&word| word.to_owned()));
        args.extend(["--workers", "2", "--memory", "128MiB"].map(str::to_owned));
        args
    }

    pub(crate) fn is_table(&self) -> bool {
        self.output.ends_with(".csv")
    }
}

/// What became of one run.
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    pub(crate) job: &'static str,
    /// How often it was stopped before its end.
    pub(crate) stops: u64,
    /// When, in milliseconds from each start.
    pub(crate) after: Vec<u64>,
    /// Tiles that the last run did not do again.
    pub(crate) skipped: u64,
    /// What is wrong; empty if nothing is.
    pub(crate) fault: String,
}

/// The input, and what undisturbed runs make of it.
pub(crate) struct Bench {
    pub(crate) work: PathBuf,
    pub(crate) voxtile: PathBuf,
    /// Each with the time that it takes.
    pub(crate) jobs: Vec<(Job, Duration)>,
    /// Digests of the outputs by the names of the jobs.
    pub(crate) digests: HashMap<&'static str, String>,
}

impl Bench {
    pub(crate) fn new(work: &Path, voxtile: &Path) -> io::Result<Self> {
        let mut n = 7u32;
        let image = ArrayD::from_shape_fn(vec![96, 128, 160], |_| {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (n >> 20) as u16
        });
        let output = Output::to(work.join("in.zarr")).chunk(&[32]);
        Pipeline::from_array(image)
            .and_then(|p| p.write_to(output))
            .and_then(Pipeline::run)
            .map_err(io::Error::other)?;
        let mut bench = Self {
            work: work.to_owned(),
            voxtile: voxtile.to_owned(),
            jobs: Vec::new(),
            digests: HashMap::new(),
        };
        let place = work.join("undisturbed");
        fs::create_dir_all(&place)?;
        for job in JOBS {
            let output = place.join(job.output);
            let started = Instant::now();
            let mut command = Command::new(voxtile);
            command.args(job.args(work, &output)).arg("--resume").env("SOURCE_DATE_EPOCH", "1700000000");
            let done = command.output()?;
            if !done.status.success() {
                return Err(io::Error::other(format!(
                    "{}: {}",
                    job.name,
                    String::from_utf8_lossy(&done.stderr)
                )));
            }
            bench.digests.insert(job.name, digest(&output)?);
            bench.jobs.push((job, started.elapsed()));
        }
        Ok(bench)
    }
}

/// The sha256 of a file, or of all files of a directory with their names.
pub(crate) fn digest(path: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(at) = open.pop() {
        if at.is_dir() {
            for entry in fs::read_dir(&at)? {
                open.push(entry?.path());
            }
        } else if at.exists() {
            files.push(at);
        }
    }
    files.sort();
    let mut sha = Sha256::new();
    for file in files {
        sha.update(file.strip_prefix(path).unwrap_or(&file).to_string_lossy().as_bytes());
        sha.update([0]);
        sha.update(Sha256::digest(fs::read(&file)?));
    }
    Ok(sha.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Removes all that a folder holds.
pub(crate) fn clear(place: &Path) -> io::Result<()> {
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("lost+found") {
            fs::remove_dir_all(path)?;
        } else if path.is_file() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

//! What a run counts: for progress, for the report, and for the promises.

use crate::contract::Table;
use crate::contract::device::Phase;
use crate::model::Region;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A snapshot of a running plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Tiles finished, over all stages.
    pub tiles_done: u64,
    /// Tiles in all stages, without those that an earlier run did.
    pub tiles_total: u64,
    /// Stage that runs, from 0.
    pub stage: usize,
    /// Number of stages.
    pub stages: usize,
    /// Encoded bytes read.
    pub bytes_read: u64,
    /// Encoded bytes written.
    pub bytes_written: u64,
    /// Voxels decoded, repeats included.
    pub voxels_decoded: u64,
    /// Time since the start.
    pub elapsed: Duration,
}

/// A chunk that could not be decoded, where the run went on.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DamagedChunk {
    /// Its name in the store.
    pub chunk: String,
    /// Its voxels, or those of them that were read.
    #[serde(serialize_with = "as_text")]
    pub region: Region,
    /// What is wrong with it.
    pub problem: String,
}

fn as_text<S: serde::Serializer>(region: &Region, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(region)
}

/// What a finished run did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Report {
    /// Tiles computed, over all stages.
    pub tiles: u64,
    /// Tiles that an earlier run of the same plan had done.
    pub tiles_skipped: u64,
    /// Whether other runs have their part to do before the output is complete.
    #[serde(skip)]
    pub partial: bool,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Chunks decoded, of sources and of temporary stores.
    pub chunks_decoded: u64,
    /// Voxels decoded, of sources and of temporary stores.
    pub voxels_decoded: u64,
    /// Voxels decoded per voxel of the sources.
    pub read_amplification: f64,
    /// Encoded bytes read.
    pub bytes_read: u64,
    /// Encoded bytes written.
    pub bytes_written: u64,
    /// Highest resident memory of the process so far, as the system counts it; 0 where it does not say.
    pub peak_rss_bytes: u64,
    /// What the plan allowed, without what no plan can know: the objects of the image.
    pub planned_bytes: u64,
    /// Most bytes held for objects that cross tiles, and for the rows of a table.
    pub object_bytes: u64,
    /// What a device did, if one computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceTimes>,
    /// Chunks of the sources that could not be decoded, where the caller chose to go on.
    pub damaged: Vec<DamagedChunk>,
    /// The table, where the graph ends in one.
    #[serde(skip)]
    pub table: Option<Table>,
}

/// How long a device was busy, all its jobs together; they overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct DeviceTimes {
    /// Jobs: tiles, or parts of them.
    pub jobs: u64,
    /// Copying to it.
    pub upload_seconds: f64,
    /// Running kernels.
    pub kernel_seconds: f64,
    /// Copying from it.
    pub download_seconds: f64,
}

pub(super) struct Meters {
    start: Instant,
    tiles_total: u64,
    stages: usize,
    planned: u64,
    stage: AtomicUsize,
    tiles: AtomicU64,
    skipped: AtomicU64,
    foreign: AtomicU64,
    chunks: AtomicU64,
    voxels: AtomicU64,
    read: AtomicU64,
    written: AtomicU64,
    objects: AtomicU64,
    device: Mutex<DeviceTimes>,
}

impl Meters {
    pub(super) fn new(tiles_total: u64, stages: usize, planned: u64) -> Self {
        Self {
            start: Instant::now(),
            tiles_total,
            stages,
            planned,
            stage: AtomicUsize::new(0),
            tiles: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            voxels: AtomicU64::new(0),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            device: Mutex::default(),
        }
    }

    /// A device did a job.
    pub(super) fn device(&self, phases: &[Phase]) {
        let mut times = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        times.jobs += 1;
        for phase in phases {
            let seconds = phase.to.saturating_sub(phase.from).as_secs_f64();
            match phase.what {
                "upload" => times.upload_seconds += seconds,
                "kernels" => times.kernel_seconds += seconds,
                "download" => times.download_seconds += seconds,
                _ => {}
            }
        }
    }

    pub(super) fn stage(&self, n: usize) {
        self.stage.store(n, Relaxed);
    }

    pub(super) fn tile(&self) {
        self.tiles.fetch_add(1, Relaxed);
    }

    /// A tile that an earlier run did.
    pub(super) fn skip(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }

    /// A tile that another run does.
    pub(super) fn leave(&self) {
        self.foreign.fetch_add(1, Relaxed);
    }

    /// Whether tiles are left to other runs.
    pub(super) fn is_partial(&self) -> bool {
        self.foreign.load(Relaxed) > 0
    }

    pub(super) fn decoded(&self, voxels: u64, bytes: u64) {
        self.chunks.fetch_add(1, Relaxed);
        self.voxels.fetch_add(voxels, Relaxed);
        self.read.fetch_add(bytes, Relaxed);
    }

    pub(super) fn wrote(&self, bytes: u64) {
        self.written.fetch_add(bytes, Relaxed);
    }

    /// So much is held for objects now.
    pub(super) fn objects(&self, bytes: u64) {
        self.objects.fetch_max(bytes, Relaxed);
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            tiles_done: self.tiles.load(Relaxed),
            tiles_total: self.tiles_total - self.skipped.load(Relaxed) - self.foreign.load(Relaxed),
            stage: self.stage.load(Relaxed),
            stages: self.stages,
            bytes_read: self.read.load(Relaxed),
            bytes_written: self.written.load(Relaxed),
            voxels_decoded: self.voxels.load(Relaxed),
            elapsed: self.start.elapsed(),
        }
    }

    /// Of a run that had nothing to do.
    pub(super) fn report_of_nothing(&self) -> Report {
        self.skipped.store(self.tiles_total, Relaxed);
        self.report(0)
    }

    pub(super) fn report(&self, source_voxels: u64) -> Report {
        let p = self.progress();
        Report {
            tiles: p.tiles_done,
            tiles_skipped: self.skipped.load(Relaxed),
            partial: self.is_partial(),
            seconds: p.elapsed.as_secs_f64(),
            chunks_decoded: self.chunks.load(Relaxed),
            voxels_decoded: p.voxels_decoded,
            read_amplification: p.voxels_decoded as f64 / source_voxels.max(1) as f64,
            bytes_read: p.bytes_read,
            bytes_written: p.bytes_written,
            peak_rss_bytes: peak_rss(),
            planned_bytes: self.planned,
            object_bytes: self.objects.load(Relaxed),
            device: Some(*self.device.lock().unwrap_or_else(PoisonError::into_inner)).filter(|d| d.jobs > 0),
            damaged: Vec::new(),
            table: None,
        }
    }
}

/// The process's highest resident memory in bytes, where the system tells.
fn peak_rss() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

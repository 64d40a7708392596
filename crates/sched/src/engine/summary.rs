//! A plan in numbers and words.

use super::device_run::Placement;
use super::plan::{Plan, Planned};
use super::stage::{End, Origin};
use crate::contract::Footprint;
use crate::model::{Axis, AxisSet, PerAxis, voxels};
use std::fmt;

/// A plan, for people and for JSON.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Stages in the order in which they run.
    pub stages: Vec<StageSummary>,
    /// Most bytes that the process will hold.
    pub memory_bytes: u64,
    /// Of these, the process itself: code, stacks, runtime.
    pub base_bytes: u64,
    /// Modelled seconds of all stages.
    pub seconds: f64,
    /// Threads that compute.
    pub workers: usize,
}

/// One stage: one read and one write.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StageSummary {
    /// What it reads.
    pub reads: Vec<String>,
    /// Steps computed in one visit of a tile.
    pub steps: Vec<StepSummary>,
    /// What happens to the result.
    pub writes: String,
    /// Axes of `tile`.
    pub axes: String,
    /// Shape of the image that tiles cut.
    pub shape: Vec<u64>,
    /// Tile, in voxels.
    pub tile: Vec<u64>,
    /// Number of tiles.
    pub tiles: u64,
    /// How many times the stage goes over them.
    pub passes: u64,
    /// Order of the tiles.
    pub order: String,
    /// Chunks decoded, repeats included.
    pub chunks_decoded: u64,
    /// Voxels decoded.
    pub voxels_decoded: u64,
    /// Voxels decoded per voxel of what is read.
    pub read_amplification: f64,
    /// Shapes of the smaller versions that are written with the result.
    pub levels: Vec<Vec<u64>>,
    /// Bytes that the stage holds.
    pub bytes: StageBytes,
    /// Modelled seconds.
    pub seconds: f64,
    /// Why this tiling.
    pub why: String,
    /// Where it is computed, if there is another place than the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_on: Option<RunsOn>,
}

/// Where a stage is computed, where there is a choice.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunsOn {
    /// On the CPU.
    Cpu {
        /// Why not on the device.
        because: String,
        /// Modelled seconds on the device, if it could.
        #[serde(skip_serializing_if = "Option::is_none")]
        device_seconds: Option<f64>,
    },
    /// On the device.
    Device {
        /// Its name.
        name: String,
        /// Bytes of its memory that a tile needs, or each of its parts.
        tile_bytes: u64,
        /// Tiles that are there at one time.
        tiles: usize,
        /// Parts that a tile is computed in there; 1 unless its memory is too small.
        parts: u64,
        /// Bytes of its memory that all tiles share.
        shared_bytes: u64,
        /// All bytes of its memory that the stage takes.
        bytes: u64,
        /// Modelled seconds on the CPU.
        cpu_seconds: f64,
    },
}

/// A step and how far it reads.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StepSummary {
    /// The step in the user's words.
    pub label: String,
    /// Voxels before, per axis of the step's first input.
    pub halo_lo: Vec<u64>,
    /// Voxels after.
    pub halo_hi: Vec<u64>,
    /// Sample type of the result.
    pub dtype: &'static str,
}

/// Where the bytes of a stage go.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct StageBytes {
    /// One tile's input with halo.
    pub input: u64,
    /// One tile's result.
    pub output: u64,
    /// One tile at its peak.
    pub tile: u64,
    /// What is assembled until whole chunks can be written, per group.
    pub group: u64,
    /// Tiles in flight.
    pub inflight: u64,
    /// Decoded chunks.
    pub cache: u64,
    /// Parts of smaller versions that wait for the rest of their chunk.
    pub levels: u64,
    /// Codecs and stores, all workers.
    pub scratch: u64,
    /// All of the stage.
    pub total: u64,
}

impl Plan {
    /// The plan in numbers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let stages: Vec<StageSummary> =
            self.stages.iter().enumerate().map(|(n, p)| self.stage_summary(n, p)).collect();
        Summary {
            seconds: stages.iter().map(|s| s.seconds).sum(),
            stages,
            memory_bytes: self.memory_bytes,
            base_bytes: super::plan::base_bytes(self.options.workers) + self.host_bytes,
            workers: self.options.workers,
        }
    }

    fn stage_summary(&self, n: usize, planned: &Planned) -> StageSummary {
        let stage = &planned.stage;
        let label = |step: usize| self.graph.steps[step].label.clone();
        let mut shown: Vec<usize> = stage.nodes.iter().map(|n| n.step).collect();
        let last = n + 1 == self.stages.len();
        let to = if last { "the output" } else { "a temporary store" };
        let writes = match stage.end {
            End::Write => to.to_owned(),
            End::Fold(step) | End::Merge(step) | End::Propagate(step) => {
                shown.push(step);
                to.to_owned()
            }
            End::Tally(step) => {
                shown.push(step);
                "a table".to_owned()
            }
            End::Observe(step, _) => format!("nothing: statistics for `{}`", label(step)),
        };
        let steps = shown.into_iter().map(|step| self.step_summary(step)).collect();
        let read: u64 = stage.feeds.iter().map(|f| voxels(&f.meta.shape)).sum();
        let decoded: u64 = planned.schedule.voxels.iter().sum();
        let reads = stage.feeds.iter().map(|f| match f.origin {
            Origin::Source(i) => format!("input {i}"),
            Origin::Temp(step) => format!("`{}`", label(step)),
        });
        StageSummary {
            reads: reads.collect(),
            steps,
            writes,
            axes: stage.domain.axes.to_string(),
            shape: stage.domain.dims(),
            tile: stage.domain.axes.pick(&planned.tiling.tile),
            tiles: planned.tiling.len(),
            passes: planned.passes(&self.graph),
            order: planned.tiling.order.to_string(),
            chunks_decoded: planned.schedule.decoded,
            voxels_decoded: decoded,
            read_amplification: decoded as f64 / read.max(1) as f64,
            levels: planned.levels.iter().map(|l| l.meta.dims()).collect(),
            bytes: StageBytes {
                input: planned.bytes.input,
                output: planned.bytes.output,
                tile: planned.bytes.total,
                group: planned.bytes.group,
                inflight: planned.inflight as u64,
                cache: planned.schedule.peak_bytes,
                levels: planned.level_bytes,
                scratch: planned.scratch,
                total: planned.pool_bytes + planned.scratch,
            },
            seconds: planned.seconds,
            why: planned.why.clone(),
            runs_on: self.runs_on(planned),
        }
    }

    fn runs_on(&self, planned: &Planned) -> Option<RunsOn> {
        match (&planned.placement, &self.options.device) {
            (Placement::Cpu(because), _) => {
                Some(RunsOn::Cpu { because: because.clone(), device_seconds: planned.compared })
            }
            (Placement::Device { bytes, jobs, parts, constants }, Some(device)) => Some(RunsOn::Device {
                name: device.name().to_owned(),
                tile_bytes: *bytes,
                tiles: *jobs,
                parts: *parts,
                shared_bytes: *constants,
                bytes: bytes * *jobs as u64 + constants * device.cards() as u64,
                cpu_seconds: planned.compared.unwrap_or_default(),
            }),
            _ => None,
        }
    }

    fn step_summary(&self, step: usize) -> StepSummary {
        let s = &self.graph.steps[step];
        let axes: AxisSet = s.inputs.first().map_or(s.meta.axes, |&i| self.graph.meta(i).axes);
        let (mut lo, mut hi): (PerAxis<u64>, PerAxis<u64>) = Default::default();
        for i in 0..s.inputs.len() {
            if let Footprint::Halo(h) | Footprint::Scale { halo: h, .. } = s.op.footprint(i) {
                lo = std::array::from_fn(|a| lo[a].max(h.lo[a]));
                hi = std::array::from_fn(|a| hi[a].max(h.hi[a]));
            }
        }
        StepSummary {
            label: s.label.clone(),
            halo_lo: axes.pick(&lo),
            halo_hi: axes.pick(&hi),
            dtype: s.meta.dtype.name(),
        }
    }
}

/// Bytes as people read them: `9.4 GiB`.
fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

fn by_axis(axes: &str, values: &[u64]) -> String {
    let names = axes.chars().filter_map(|c| Axis::from_name(c.encode_utf8(&mut [0; 4])));
    names.zip(values).map(|(a, v)| format!("{a} {v}")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, s) in self.stages.iter().enumerate() {
            writeln!(f, "stage {} of {}: {} → {}", n + 1, self.stages.len(), s.reads.join(" + "), s.writes)?;
            for step in &s.steps {
                let halo = if step.halo_lo.iter().chain(&step.halo_hi).all(|&h| h == 0) {
                    "no halo".to_owned()
                } else if step.halo_lo == step.halo_hi {
                    format!("halo {:?}", step.halo_lo)
                } else {
                    format!("halo {:?} before, {:?} after", step.halo_lo, step.halo_hi)
                };
                writeln!(f, "  {:<32} → {:<4} {halo}", step.label, step.dtype)?;
            }
            writeln!(f, "  image   {}", by_axis(&s.axes, &s.shape))?;
            writeln!(f, "  tiles   {} of {}; {}", s.tiles, by_axis(&s.axes, &s.tile), s.why)?;
            writeln!(
                f,
                "  read    {} chunks decoded, amplification {:.2}",
                s.chunks_decoded, s.read_amplification
            )?;
            if !s.levels.is_empty() {
                let sizes = |l: &Vec<u64>| l.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
                writeln!(f, "  levels  {}", s.levels.iter().map(sizes).collect::<Vec<_>>().join(", "))?;
            }
            let b = &s.bytes;
            let levels = if b.levels == 0 { String::new() } else { format!("levels {} + ", human(b.levels)) };
            writeln!(
                f,
                "  memory  {} tiles in flight × {} (input {}, result {}) + chunks {} + {levels}codecs {} = {}",
                b.inflight,
                human(b.tile + b.group),
                human(b.input),
                human(b.output),
                human(b.cache),
                human(b.scratch),
                human(b.total)
            )?;
            writeln!(f, "  time    {:.2} s (modelled)", s.seconds)?;
            match &s.runs_on {
                None => {}
                Some(RunsOn::Cpu { because, .. }) => writeln!(f, "  runs    on the CPU: {because}")?,
                Some(RunsOn::Device { name, tile_bytes, tiles, parts, shared_bytes, bytes, cpu_seconds }) => {
                    let cut = match parts {
                        1 => String::new(),
                        parts => format!(", each tile in {parts} parts"),
                    };
                    let shared = match shared_bytes {
                        0 => String::new(),
                        bytes => format!(" + {} for all", human(*bytes)),
                    };
                    writeln!(
                        f,
                        "  runs    on {name}: {tiles} at a time × {}{shared} = {} of its memory{cut}; the CPU would take {cpu_seconds:.2} s",
                        human(*tile_bytes),
                        human(*bytes)
                    )?;
                }
            }
        }
        write!(
            f,
            "in all: {} of memory ({} of it the process itself), {} workers, {:.2} s (modelled)",
            human(self.memory_bytes),
            human(self.base_bytes),
            self.workers,
            self.seconds
        )
    }
}

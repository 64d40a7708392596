//! Plans a graph of operations over stores and runs the plan.
//!
//! The life of a tile: the dispatcher (`run/dispatch.rs`) takes bytes from the budget in plan order and starts the
//! decoding of the chunks that the tile needs first; when they are there, one worker pads, computes the fused steps
//! (`tile_run.rs`) and hands the result to its group (`run/group.rs`), which encodes and writes whole chunks. Reading,
//! computing and writing of different tiles overlap; nothing waits but the dispatcher and the tasks of tiles.

mod cells;
mod choose;
mod cost;
mod demand;
mod device_run;
mod graph;
mod levels;
mod lower;
mod pad;
mod plan;
mod pool;
mod reach;
mod run;
mod schedule;
mod smaller;
mod stage;
mod summary;
mod tile_run;
mod tiles;
mod workshop;

pub use graph::{Graph, GraphError, Input};
pub use levels::{Level, LevelError};
pub use plan::{Options, Plan, PlanError};
pub use pool::OutOfMemory;
pub use reach::Reach;
pub use run::{Cancel, DamagedChunk, DeviceTimes, Hooks, OnProgress, Progress, Report, RunError};
pub use summary::{RunsOn, StageBytes, StageSummary, StepSummary, Summary};
pub use workshop::Workshop;

//! What a run tells of how far it is, so that a later run of the same plan goes on from there.

use super::StoreError;

/// A part of a plan's work that is done whole or not at all: what a stage writes at once, or a tile that it hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit {
    /// The stage, counted from 0.
    pub stage: u32,
    /// How many times the stage went over its tiles before.
    pub pass: u32,
    /// Which part of the stage. The same plan gives it the same number in every run.
    pub number: u64,
}

/// The memory of runs that were stopped. Any number of threads at once.
pub trait Journal: Send + Sync {
    /// What an earlier run noted of a unit that it has done; `None` if none has.
    fn noted(&self, unit: Unit) -> Option<Vec<u8>>;

    /// Notes that a unit is done, and a few bytes with it. Called when all that the unit writes has been handed to its
    /// stores; whoever keeps the journal sees to it that the note does not last longer than they do.
    ///
    /// # Errors
    /// The store's own error.
    fn done(&self, unit: Unit, note: &[u8]) -> Result<(), StoreError>;

    /// Whether a later run has something to go on from.
    fn has_progress(&self) -> bool;

    /// Whether the unit, one of `of` of its pass, is this run's to do. What is not is left to other runs of the same plan.
    fn owns(&self, _unit: Unit, _of: u64) -> bool {
        true
    }
}

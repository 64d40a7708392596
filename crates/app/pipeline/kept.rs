//! What a run keeps of itself beside its output, here or on the network.

use std::path::Path;
use std::sync::Arc;
use voxtile_io::{Header, IoError, Remote, RemoteWork, Url, Work, WorkOptions};
use voxtile_sched::contract::Journal;

/// The lock and the journal of a run.
#[derive(Clone)]
pub(super) enum Kept {
    Here(Arc<Work>),
    Elsewhere(Arc<RemoteWork>),
}

impl Kept {
    /// Takes the output for a run; `None` where nothing can be kept beside it.
    pub(super) fn open(
        output: &Path,
        remote: &Remote,
        header: &Header,
        options: WorkOptions,
    ) -> Result<Option<Self>, IoError> {
        if Url::of(output)?.is_none() {
            return Ok(Some(Self::Here(Work::open(output, header, options)?)));
        }
        Ok(RemoteWork::open(output, remote, header, options)?.map(Self::Elsewhere))
    }

    pub(super) fn journal(&self) -> Arc<dyn Journal> {
        match self {
            Self::Here(work) => work.clone(),
            Self::Elsewhere(work) => work.clone(),
        }
    }

    /// What is kept on this disk.
    pub(super) fn here(&self) -> Option<&Arc<Work>> {
        match self {
            Self::Here(work) => Some(work),
            Self::Elsewhere(_) => None,
        }
    }

    pub(super) fn has_progress(&self) -> bool {
        self.journal().has_progress()
    }

    /// Whether an earlier run completed the output, and not what follows it.
    pub(super) fn is_finished(&self) -> bool {
        match self {
            Self::Here(work) => work.is_finished(),
            Self::Elsewhere(work) => work.is_finished(),
        }
    }

    /// Notes that the output is complete.
    pub(super) fn finished(&self) -> Result<(), IoError> {
        match self {
            Self::Here(work) => work.finished(),
            Self::Elsewhere(work) => work.finished(),
        }
    }

    /// Ends a run that was stopped.
    pub(super) fn leave(&self) -> Result<(), IoError> {
        match self {
            Self::Here(work) => work.leave(),
            Self::Elsewhere(work) => work.leave(),
        }
    }

    /// Ends a run of which nothing is left to do, or nothing stays.
    pub(super) fn end(&self, mark: Option<&Header>) -> Result<(), IoError> {
        match self {
            Self::Here(work) => work.end(mark),
            Self::Elsewhere(work) => work.end(mark),
        }
    }
}

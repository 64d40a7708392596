//! What earlier runs left at the place of an output.

use crate::{Error, Output};
use std::path::Path;
use voxtile_io::{Format, Header, IoError, RemoteWork, Standing, TableOptions, Url, Work, WorkOptions};

/// What a run finds.
#[derive(Default)]
pub(super) struct Before {
    /// The plan that was begun, where this run is to go on with it.
    begun: Option<Header>,
    /// The plan that is complete.
    pub(super) done: Option<Header>,
    /// Whether what lies at the place is ours to replace.
    pub(super) replaces: bool,
}

impl Before {
    /// Whether something is kept beside an output: on the network, only of a Zarr, and not of a whole bucket.
    pub(super) fn keeps(output: &Path) -> bool {
        let is_zarr =
            Format::from_path(output) == Format::ZarrV3 && TableOptions::new(output, false).is_none();
        Url::of(output).is_ok_and(|url| url.is_none()) || is_zarr && RemoteWork::has_place(output)
    }

    /// Looks at the place, and refuses to run into another run, or over one that was stopped.
    pub(super) fn at(output: &Output, work: WorkOptions) -> Result<Self, Error> {
        let path = &output.path;
        let elsewhere = Url::of(path)?.is_some();
        let work = WorkOptions { overwrite: output.overwrite, ..work };
        if elsewhere && work.part.is_some() {
            let why = format!("`{}` is not on this disk: one process makes it", path.display());
            return Err(IoError::Option { option: "--part", why }.into());
        }
        match elsewhere {
            true => RemoteWork::check(path, &output.remote, work)?,
            false => Work::check(path, work)?,
        }
        if !work.resume {
            return Ok(Self::default());
        }
        let standing = match elsewhere {
            true => RemoteWork::standing(path, &output.remote)?,
            false => Work::standing(path)?,
        };
        Ok(match standing {
            Standing::Begun(header) => Self { begun: Some(header), done: None, replaces: true },
            Standing::Done(header) => Self { begun: None, done: Some(header), replaces: true },
            Standing::Nothing => Self { replaces: voxtile_io::is_unfinished(path), ..Self::default() },
        })
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.begun.as_ref().or(self.done.as_ref())?.with[name].as_u64()
    }

    /// The memory that the earlier run had.
    pub(super) fn memory(&self) -> Option<u64> {
        self.number("memory")
    }

    /// The workers that it had.
    pub(super) fn workers(&self) -> Option<usize> {
        self.number("workers").and_then(|n| usize::try_from(n).ok())
    }
}

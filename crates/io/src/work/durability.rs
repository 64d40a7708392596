//! What a stopped machine may take with it.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::str::FromStr;

/// When what a run has written is safe from a machine that stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// When the system writes it: a killed process loses nothing, a machine that stops may lose what was noted as done.
    #[default]
    None,
    /// Before it is noted as done: the data of every file.
    Data,
    /// The names of files too, and everything once more at the end.
    Full,
}

impl Durability {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Data, Self::Full];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Data => "data",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|d| d.name() == text);
        known.ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Everything of the file system, to the disk.
#[allow(unsafe_code)]
pub(super) fn sync_all(dir: &Path) -> std::io::Result<()> {
    let dir = File::open(dir)?;
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd as _;
        // SAFETY: the descriptor is open.
        match unsafe { libc::syncfs(dir.as_raw_fd()) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
    #[cfg(not(target_os = "linux"))]
    dir.sync_all()
}

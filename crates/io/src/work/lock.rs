//! Who writes to an output: a file that names the process, and is locked by the system while it lives.
//!
//! The system's lock ends with the process, but not every file system has one, and some do not see that of another machine;
//! so the file says who holds it. A process is known by its machine, its number and when it started: numbers are used again.

use crate::IoError;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) host: String,
    pub(super) pid: u32,
    /// When it started, in the system's words; empty where it does not say.
    pub(super) start: String,
}

impl Lock {
    /// Takes the lock at `path`, for the output at `output`. That of a process of this machine that is no more is taken over;
    /// `force` takes that of another machine over too.
    pub(super) fn take(path: &Path, output: &Path, force: bool) -> Result<Self, IoError> {
        let me = Owner::me();
        let mut patience = 50;
        loop {
            let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
            let mut file = open.map_err(IoError::io("create", path))?;
            let held = match file.try_lock() {
                Ok(()) => false,
                Err(TryLockError::WouldBlock) => true,
                // Without locks of the system, what the file says has to do.
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => false,
                Err(TryLockError::Error(e)) => return Err(IoError::io("lock", path)(e)),
            };
            let owner = Owner::read(&mut file).map_err(IoError::io("read", path))?;
            let alive = owner.as_ref().is_some_and(|owner| owner.is_alive(&me, force));
            // Somebody who looks holds it for a moment, and who has just taken it has not written who it is.
            if held && !alive && patience > 0 && owner.as_ref().is_none_or(|owner| owner.host == me.host) {
                patience -= 1;
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
            if held || alive {
                let owner = owner.unwrap_or_else(|| Owner { host: me.host.clone(), ..Owner::default() });
                let foreign = owner.host != me.host;
                let (output, host, pid) = (output.to_path_buf(), owner.host, owner.pid);
                return Err(IoError::Locked { output, host, pid, foreign: foreign && !held });
            }
            // Whoever held it may have removed it in between: then this is no lock any more.
            let same = |m: std::fs::Metadata| file.metadata().is_ok_and(|own| own.ino() == m.ino());
            if !std::fs::metadata(path).is_ok_and(same) {
                continue;
            }
            me.write(&mut file).map_err(IoError::io("write", path))?;
            return Ok(Self { path: path.to_path_buf(), file });
        }
    }

    /// Whether somebody holds the lock at `path`.
    pub(super) fn is_held(path: &Path) -> Option<Owner> {
        let mut file = File::open(path).ok()?;
        // Together with others who look.
        let held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        let owner = Owner::read(&mut file).ok().flatten()?;
        (held || owner.is_alive(&Owner::me(), false)).then_some(owner)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The place may be another run's by now. What stays names a process that is no more.
        let same = |there: std::fs::Metadata| self.file.metadata().is_ok_and(|own| own.ino() == there.ino());
        if std::fs::metadata(&self.path).is_ok_and(same) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Owner {
    /// This process.
    pub(super) fn me() -> Self {
        let pid = std::process::id();
        Self { host: host(), pid, start: start(pid).unwrap_or_default() }
    }

    fn read(file: &mut File) -> std::io::Result<Option<Self>> {
        let mut text = String::new();
        match file.take(4096).read_to_string(&mut text) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::InvalidData => return Ok(None),
            Err(e) => return Err(e),
        }
        Ok(Self::parse(&text))
    }

    /// What a lock says; nothing, if it is empty or torn: whoever wrote it has not got far.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // On the network, what makes it one of its kind follows.
        let value = serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok()?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let pid = value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        pid.map(|pid| Self { host: text("host"), pid, start: text("start") })
    }

    /// What a lock says that it holds.
    pub(super) fn as_text(&self) -> String {
        json!({ "host": self.host, "pid": self.pid, "start": self.start }).to_string()
    }

    fn write(&self, file: &mut File) -> std::io::Result<()> {
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(self.as_text().as_bytes())
    }

    /// Whether the process runs, as far as can be known. `force`: what cannot be known does not.
    pub(super) fn is_alive(&self, me: &Self, force: bool) -> bool {
        if self.host != me.host {
            return !force;
        }
        self != me && start(self.pid).is_some_and(|start| start == self.start)
    }
}

fn host() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    named.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// When a process started: since which boot, and how long after it. `None` where there is no such process, or the system
/// does not say.
fn start(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{} {ticks}", boot.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(path: &Path, owner: &Owner) {
        owner.write(&mut File::create(path).unwrap()).unwrap();
    }

    #[test]
    fn a_lock_is_held_once_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let take = || Lock::take(&path, Path::new("out.zarr"), false);
        let first = take().unwrap();
        let Err(IoError::Locked { pid, foreign, .. }) = take() else { panic!("taken twice") };
        assert_eq!((pid, foreign), (std::process::id(), false));
        assert_eq!(Lock::is_held(&path), Some(Owner::me()));
        drop(first);
        assert_eq!(Lock::is_held(&path), None);
        take().unwrap();
    }

    #[test]
    fn a_dead_owner_is_taken_over_and_a_number_used_again_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let take = |force| Lock::take(&path, Path::new("out.zarr"), force);
        // Process 1 lives, and its start is what the system says, or another.
        let init = Owner { pid: 1, start: start(1).unwrap(), ..Owner::me() };
        owner(&path, &init);
        assert!(matches!(take(true), Err(IoError::Locked { pid: 1, foreign: false, .. })));
        owner(&path, &Owner { start: "another boot 17".to_owned(), ..init });
        take(false).unwrap();
        owner(&path, &Owner { pid: u32::MAX - 1, ..Owner::me() });
        take(false).unwrap();
        std::fs::write(&path, "{\"pid\": 1, \"ho").unwrap();
        take(false).unwrap();
    }

    #[test]
    fn that_of_another_machine_is_only_broken_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        owner(&path, &Owner { host: "elsewhere".to_owned(), pid: 7, start: String::new() });
        let refused = Lock::take(&path, Path::new("out.zarr"), false);
        assert!(matches!(refused, Err(IoError::Locked { pid: 7, foreign: true, .. })));
        Lock::take(&path, Path::new("out.zarr"), true).unwrap();
    }
}

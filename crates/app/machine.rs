//! What this process may use of the machine: the limits that a pipeline has by default.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Memory taken where none is named and the machine does not say what it has.
const FALLBACK: u64 = 2 << 30;

/// Default byte budget: half of what this process may use. Found once: every image of many asks.
#[must_use]
pub fn default_memory() -> u64 {
    static FOUND: OnceLock<u64> = OnceLock::new();
    *FOUND.get_or_init(|| memory_limit().map_or(FALLBACK, |bytes| bytes / 2))
}

/// Default number of workers: the cores that this process may use (affinity and cgroup quota count). Found once.
#[must_use]
pub fn default_workers() -> usize {
    static FOUND: OnceLock<usize> = OnceLock::new();
    *FOUND.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Memory that this process holds now, where the system tells.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The smallest of the machine's memory, the cgroup's limit and the address space limit.
fn memory_limit() -> Option<u64> {
    [physical_memory(), cgroup_limit(Path::new("/sys/fs/cgroup"), "/proc/self/cgroup"), address_space_limit()]
        .into_iter()
        .flatten()
        .min()
}

#[cfg(unix)]
#[allow(clippy::unnecessary_cast)] // `sysconf` and `rlim_t` differ between platforms
mod unix {
    /// Pages times the size of a page.
    pub(super) fn physical_memory() -> Option<u64> {
        // SAFETY: `sysconf` takes a number, touches no memory of ours, and answers -1 for what it does not know.
        let (pages, size) =
            unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
        let (pages, size) = (u64::try_from(pages).ok()?, u64::try_from(size).ok()?);
        pages.checked_mul(size).filter(|&bytes| bytes > 0)
    }

    /// `ulimit -v`, if there is one.
    pub(super) fn address_space_limit() -> Option<u64> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is a valid `rlimit` that outlives the call.
        let answer = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
        (answer == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur as u64)
    }
}
#[cfg(unix)]
use unix::{address_space_limit, physical_memory};

#[cfg(not(unix))]
fn physical_memory() -> Option<u64> {
    None
}

#[cfg(not(unix))]
fn address_space_limit() -> Option<u64> {
    None
}

/// The limit of the cgroup named in `own` and of all its parents, version 2 or 1.
fn cgroup_limit(root: &Path, own: impl AsRef<Path>) -> Option<u64> {
    let own = std::fs::read_to_string(own).ok()?;
    let mut smallest: Option<u64> = None;
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (base, file) = if controllers.is_empty() {
            (root.to_path_buf(), "memory.max")
        } else if controllers.split(',').any(|c| c == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let mut at: PathBuf = base.join(path.trim_start_matches('/'));
        loop {
            let limit =
                std::fs::read_to_string(at.join(file)).ok().and_then(|t| t.trim().parse::<u64>().ok());
            smallest = smallest.into_iter().chain(limit).min();
            if at == base || !at.pop() {
                break;
            }
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_on_the_way_to_the_root_counts() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("a/b");
        std::fs::create_dir_all(&at).unwrap();
        let own = dir.path().join("own");
        std::fs::write(&own, "0::/a/b\n").unwrap();
        std::fs::write(at.join("memory.max"), "max\n").unwrap();
        assert_eq!(cgroup_limit(dir.path(), &own), None);
        std::fs::write(dir.path().join("a/memory.max"), "1000\n").unwrap();
        assert_eq!(cgroup_limit(dir.path(), &own), Some(1000));
        std::fs::write(at.join("memory.max"), "3000\n").unwrap();
        assert_eq!(cgroup_limit(dir.path(), &own), Some(1000));
    }

    #[test]
    fn version_1_has_its_own_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("memory/job");
        std::fs::create_dir_all(&at).unwrap();
        let own = dir.path().join("own");
        std::fs::write(&own, "5:cpu:/x\n4:memory:/job\n").unwrap();
        std::fs::write(at.join("memory.limit_in_bytes"), "77").unwrap();
        assert_eq!(cgroup_limit(dir.path(), &own), Some(77));
    }

    #[test]
    fn this_machine_has_memory_and_cores() {
        assert!(default_memory() > 16 << 20);
        assert!(default_workers() >= 1);
    }
}

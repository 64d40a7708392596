//! Reused buffers. Fresh memory costs ten times the copy that fills it, so every tile, chunk and scratch buffer comes
//! from here and goes back here.
//!
//! Buffers are anonymous mappings (the allocator would keep or split them in its own way), rounded up to a few sizes
//! per power of two so that they fit again. What lies idle is unmapped when a new buffer would exceed the limit. Where a
//! device computes, buffers are memory that it copies to and from by itself, so that chunks are decoded into it and
//! results encoded from it.

#![allow(unsafe_code)]

use crate::contract::Device;
use crate::contract::device::HostMemory;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// A failed allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system refused {bytes} bytes")]
pub struct OutOfMemory {
    /// What was asked for.
    pub bytes: u64,
}

const PAGE: u64 = 4096;
const HUGE: u64 = 2 << 20;

/// The size that a request is rounded up to: an eighth of a power of two, at least a page.
pub(crate) fn rounded(bytes: u64) -> u64 {
    if bytes == 0 {
        return 0;
    }
    let step = (bytes.next_power_of_two() / 16).max(PAGE);
    bytes.div_ceil(step) * step
}

/// Memory that is kept from one run to the next.
#[derive(Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<BTreeMap<u64, Vec<Mapping>>>>);

#[derive(Default)]
struct Idle {
    by_size: BTreeMap<u64, Vec<Mapping>>,
    idle: u64,
    live: u64,
}

/// The buffers of one run.
pub(crate) struct Pool {
    state: Mutex<Idle>,
    limit: u64,
    /// Where idle buffers come from at the start, and go to at the end.
    kept: Option<Buffers>,
    /// Whose memory large buffers are.
    device: Option<Arc<dyn Device>>,
}

/// Smaller buffers are not worth a device's own memory.
const LEAST_HOSTED: u64 = 64 << 10;

/// A buffer of at least the bytes asked for, aligned to a page, with any content; returns to its pool when dropped.
pub(crate) struct Buffer {
    mapping: Option<Mapping>,
    len: usize,
    pool: Arc<Pool>,
}

impl Pool {
    /// Keeps live and idle bytes together under `limit` as long as live bytes alone allow it.
    /// `device`: where the run computes, if it is another place than the CPU.
    pub(crate) fn new(limit: u64, kept: Option<Buffers>, device: Option<Arc<dyn Device>>) -> Arc<Self> {
        let by_size = kept.as_ref().map_or_else(BTreeMap::new, |kept| {
            std::mem::take(&mut *kept.0.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let idle = by_size.iter().map(|(size, all)| size * all.len() as u64).sum();
        let mut state = Idle { by_size, idle, live: 0 };
        state.shrink(limit);
        Arc::new(Self { state: Mutex::new(state), limit, kept, device })
    }

    /// A buffer of `bytes` bytes.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Result<Buffer, OutOfMemory> {
        let size = rounded(bytes);
        let mapping = if size == 0 { None } else { Some(self.mapping(size)?) };
        Ok(Buffer { mapping, len: bytes as usize, pool: self.clone() })
    }

    fn mapping(&self, size: u64) -> Result<Mapping, OutOfMemory> {
        let mut state = self.state.lock().expect("pool lock");
        state.live += size;
        if let Some(mapping) = state.by_size.get_mut(&size).and_then(Vec::pop) {
            state.idle -= size;
            return Ok(mapping);
        }
        state.shrink(self.limit);
        drop(state);
        let hosted = self.device.as_ref().filter(|_| size >= LEAST_HOSTED);
        if let Some(memory) = hosted.and_then(|device| device.host_memory(size)) {
            return Ok(Mapping { memory: Memory::Hosted(memory), size });
        }
        Mapping::new(size).inspect_err(|_| self.state.lock().expect("pool lock").live -= size)
    }

    fn give(&self, mapping: Mapping) {
        let mut state = self.state.lock().expect("pool lock");
        state.live -= mapping.size;
        if state.live + state.idle + mapping.size <= self.limit {
            state.idle += mapping.size;
            state.by_size.entry(mapping.size).or_default().push(mapping);
        }
    }
}

impl Idle {
    /// Unmaps what lies idle beyond the limit.
    fn shrink(&mut self, limit: u64) {
        while self.live + self.idle > limit {
            // The largest idle buffer goes first.
            let Some(mut entry) = self.by_size.last_entry() else { break };
            let dropped = entry.get_mut().pop();
            if entry.get().is_empty() {
                entry.remove();
            }
            self.idle -= dropped.map_or(0, |m| m.size);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let Some(kept) = &self.kept else { return };
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut all = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (size, mappings) in std::mem::take(&mut state.by_size) {
            all.entry(size).or_default().extend(mappings);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            self.pool.give(mapping);
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.mapping.as_ref().map_or(&[], |m| &m.bytes()[..self.len])
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len;
        self.mapping.as_mut().map_or(&mut [], |m| &mut m.bytes_mut()[..len])
    }
}

/// Memory of a buffer.
struct Mapping {
    memory: Memory,
    size: u64,
}

enum Memory {
    /// An anonymous, private, readable and writable mapping.
    Mapped(NonNull<u8>),
    /// A device's.
    Hosted(Box<dyn HostMemory>),
}

// SAFETY: a mapping is plain memory owned by this value; nothing in it is tied to a thread.
unsafe impl Send for Mapping {}
// SAFETY: shared access only reads.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(size: u64) -> Result<Self, OutOfMemory> {
        let refused = OutOfMemory { bytes: size };
        let len = usize::try_from(size).map_err(|_| refused)?;
        // SAFETY: a fresh anonymous mapping touches no memory of ours; the result is checked below.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(refused);
        }
        #[cfg(target_os = "linux")]
        if size >= 2 * HUGE {
            // SAFETY: the range was just mapped; the call is a hint and may fail.
            unsafe { libc::madvise(start, len, libc::MADV_HUGEPAGE) };
        }
        let memory = Memory::Mapped(NonNull::new(start.cast()).ok_or(refused)?);
        Ok(Self { memory, size })
    }

    fn bytes(&self) -> &[u8] {
        match &self.memory {
            // SAFETY: the mapping is `size` initialised (zero) bytes, alive as long as `self`.
            Memory::Mapped(start) => unsafe {
                std::slice::from_raw_parts(start.as_ptr(), self.size as usize)
            },
            Memory::Hosted(memory) => memory.bytes(),
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            // SAFETY: as above, and `&mut self` makes the access exclusive.
            Memory::Mapped(start) => unsafe {
                std::slice::from_raw_parts_mut(start.as_ptr(), self.size as usize)
            },
            Memory::Hosted(memory) => memory.bytes_mut(),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Memory::Mapped(start) = &self.memory {
            // SAFETY: exactly the range that `new` mapped; no reference to it outlives `self`.
            unsafe { libc::munmap(start.as_ptr().cast(), self.size as usize) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let pool = Pool::new(1 << 20, None, None);
        let first = pool.take(100_000).unwrap().as_ptr();
        assert_eq!(pool.take(100_001).unwrap().as_ptr(), first);
    }

    #[test]
    fn buffers_come_back_in_the_next_run() {
        let kept = Buffers::default();
        let run = |limit| Pool::new(limit, Some(kept.clone()), None).take(100_000).unwrap().as_ptr();
        let first = run(1 << 20);
        assert_eq!(run(1 << 20), first);
        // What does not fit the next run's limit is given back to the system.
        drop(Pool::new(1000, Some(kept.clone()), None));
        assert!(kept.0.lock().unwrap().is_empty());
    }

    #[test]
    fn idle_bytes_stay_under_the_limit() {
        let pool = Pool::new(300_000, None, None);
        drop(pool.take(200_000));
        let _other = pool.take(150_000).unwrap();
        let state = pool.state.lock().unwrap();
        assert!(state.idle + state.live <= 300_000);
    }

    #[test]
    fn an_absurd_request_is_an_error() {
        assert!(Pool::new(0, None, None).take(1 << 60).is_err());
    }

    #[test]
    fn rounding_wastes_little_and_fits_again() {
        for n in [1u64, 4096, 5000, 1 << 20, (1 << 20) + 1, 12_345_678] {
            let r = rounded(n);
            assert!(r >= n && rounded(r) == r);
            assert!(n < 65_536 || r as f64 <= n as f64 * 1.13);
        }
    }
}

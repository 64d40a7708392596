//! Where one job runs: a stream of a GPU, its events, and its memory there; and memory of this process that a GPU copies
//! to and from by itself.

#![allow(unsafe_code)]

use super::error::{Code, DeviceError};
use cudarc::driver::{DriverError, result, sys};
use std::ptr::NonNull;
use std::time::Duration;
use voxtile_sched::contract::device::{HostMemory, Phase};

/// Times that are noted along the stream: begun, copied there, computed, copied back.
const EVENTS: usize = 4;
/// What happens between them.
const PHASES: [&str; EVENTS - 1] = ["upload", "kernels", "download"];

pub(super) fn code(error: DriverError) -> Code {
    Code(error.0 as i32)
}

pub(super) fn failed(action: &'static str) -> impl Fn(DriverError) -> DeviceError {
    move |error| DeviceError::Driver { action, code: code(error) }
}

/// What is free now goes into the message. Memory that is refused for another reason is no matter of how much is asked for.
pub(super) fn no_memory(what: &'static str, asked: u64, error: DriverError) -> DeviceError {
    if error.0 != sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
        return failed("give memory")(error);
    }
    let (free, total) = result::mem_get_info().unwrap_or((0, 0));
    DeviceError::OutOfMemory { what, asked, free: free as u64, total: total as u64, code: code(error) }
}

/// Where one job runs.
#[derive(Debug)]
pub(super) struct Lane {
    /// Its number among all lanes that there can be.
    pub(super) number: usize,
    pub(super) stream: sys::CUstream,
    events: [sys::CUevent; EVENTS],
    /// Memory on the GPU.
    pub(super) at: sys::CUdeviceptr,
    pub(super) bytes: u64,
}

// SAFETY: handles and memory that belong to this value; the driver lets any thread use them.
unsafe impl Send for Lane {}

impl Lane {
    /// In the current context.
    pub(super) fn new(number: usize, bytes: u64) -> Result<Self, DeviceError> {
        let failed = failed("make a stream");
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking).map_err(&failed)?;
        let mut lane = Self { number, stream, events: [std::ptr::null_mut(); EVENTS], at: 0, bytes: 0 };
        for event in &mut lane.events {
            match result::event::create(sys::CUevent_flags::CU_EVENT_BLOCKING_SYNC) {
                Ok(made) => *event = made,
                Err(error) => {
                    lane.free();
                    return Err(failed(error));
                }
            }
        }
        // SAFETY: plain allocation; freed with the lane. A size of 0 is refused by the driver.
        match unsafe { result::malloc_sync(bytes.max(256) as usize) } {
            Ok(at) => (lane.at, lane.bytes) = (at, bytes),
            Err(error) => {
                let error = no_memory("its own", bytes, error);
                lane.free();
                return Err(error);
            }
        }
        Ok(lane)
    }

    /// Notes the time when all that was given to the stream is done.
    pub(super) fn note(&self, event: usize) -> Result<(), DriverError> {
        // SAFETY: event and stream are this lane's.
        unsafe { result::event::record(self.events[event], self.stream) }
    }

    /// Waits, asleep, until that was noted.
    pub(super) fn wait(&self, event: usize) -> Result<(), DriverError> {
        // SAFETY: as above.
        unsafe { result::event::synchronize(self.events[event]) }
    }

    /// Waits for everything.
    pub(super) fn rest(&self) -> Result<(), DriverError> {
        // SAFETY: the stream is this lane's.
        unsafe { result::stream::synchronize(self.stream) }
    }

    /// What happened when, as the events tell, from the first of them on.
    pub(super) fn phases(&self) -> Vec<Phase> {
        let since = |event: usize| {
            // SAFETY: both events are this lane's, were recorded, and were waited for.
            let ms = unsafe { result::event::elapsed(self.events[0], self.events[event]) }.unwrap_or(0.0);
            Duration::from_secs_f64(f64::from(ms.max(0.0)) / 1e3)
        };
        let times: [Duration; EVENTS] =
            std::array::from_fn(|n| if n == 0 { Duration::ZERO } else { since(n) });
        let phase = |(n, what): (usize, &&'static str)| Phase { what, from: times[n], to: times[n + 1] };
        PHASES.iter().enumerate().map(phase).collect()
    }

    /// Gives everything back. Answers do not matter: there is nothing to be done about them.
    pub(super) fn free(self) {
        // SAFETY: handles and memory are this lane's, and nothing uses them any more.
        unsafe {
            if self.at != 0 {
                let _ = result::free_sync(self.at);
            }
            for event in self.events.into_iter().filter(|event| !event.is_null()) {
                let _ = result::event::destroy(event);
            }
            let _ = result::stream::destroy(self.stream);
        }
    }
}

/// Memory of this process that GPUs copy to and from by themselves. It is decoded into and encoded from.
#[derive(Debug)]
pub(super) struct Pinned {
    start: NonNull<u8>,
    len: usize,
    context: sys::CUcontext,
}

// SAFETY: plain memory that this value owns; the context's handle may be used from any thread.
unsafe impl Send for Pinned {}
// SAFETY: shared access only reads.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// So many bytes, not 0, of zeros; readable as fast as any memory, and by all GPUs.
    pub(super) fn new(len: usize, context: sys::CUcontext) -> Result<Self, DriverError> {
        // SAFETY: the context lives as long as the process.
        unsafe { result::ctx::set_current(context) }?;
        // SAFETY: plain allocation, freed when dropped.
        let start = unsafe { result::malloc_host(len, sys::CU_MEMHOSTALLOC_PORTABLE) }?;
        let out_of_memory = DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        let start = NonNull::new(start.cast::<u8>()).ok_or(out_of_memory)?;
        // SAFETY: as many bytes were just allocated; they are written so that all of them may be read.
        unsafe { start.write_bytes(0, len) };
        Ok(Self { start, len, context })
    }
}

impl HostMemory for Pinned {
    fn bytes(&self) -> &[u8] {
        // SAFETY: memory of this value, of that length, initialised when it was allocated.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` excludes other references; copies by a GPU have ended when a job has.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` in that context, and used no more.
        unsafe {
            let _ = result::ctx::set_current(self.context);
            let _ = result::free_host(self.start.as_ptr().cast());
        }
    }
}

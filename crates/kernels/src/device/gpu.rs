//! A CUDA GPU that runs jobs.
//!
//! Each job has a lane of its own: a stream, memory on the GPU, and pinned memory on both of its ends. Work goes in order
//! along the stream; an event at its end is waited for, asleep. Lanes are kept from one job to the next.

#![allow(unsafe_code)]

use super::driver::driver;
use super::error::{Code, DeviceError};
use super::{images, table};
use cudarc::driver::{DriverError, result, sys};
use std::collections::{BTreeSet, HashMap};
use std::ffi::{CString, c_void};
use std::ptr::NonNull;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use voxtile_sched::contract::device::{Argument, Device, Job, Launch, Place, Span, Sweep};

/// Jobs at one time: one is copied there, one computed, one copied back.
const JOBS: usize = 3;
/// The share of the free memory that jobs may take.
const SHARE: f64 = 0.9;
/// Bytes of this process that the driver takes for a GPU: its context and our kernels. An estimate.
const HOST_BYTES: u64 = 256 << 20;
/// Threads of a block; `BLOCK` in the sources.
const BLOCK: u32 = 128;
/// Most blocks along y and z.
const MOST_BLOCKS: u32 = 65_535;

/// What a GPU is called and has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The driver's name for it.
    pub name: String,
    /// Compute capability.
    pub capability: (i32, i32),
    /// Bytes of its memory.
    pub memory: u64,
}

/// A GPU that is in use.
#[derive(Debug)]
pub(super) struct Gpu {
    info: Info,
    memory: u64,
    context: sys::CUcontext,
    module: sys::CUmodule,
    functions: Mutex<HashMap<String, usize>>,
    lanes: Mutex<Lanes>,
    freed: Condvar,
}

// SAFETY: the driver's handles may be used from any thread, each of which makes the context current first.
unsafe impl Send for Gpu {}
// SAFETY: as above; what changes is behind mutexes.
unsafe impl Sync for Gpu {}

/// Where jobs run.
#[derive(Debug, Default)]
struct Lanes {
    idle: Vec<Lane>,
    /// All that exist, and the bytes that they have on the GPU.
    made: usize,
    bytes: u64,
}

/// Where one job runs.
#[derive(Debug)]
struct Lane {
    stream: sys::CUstream,
    done: sys::CUevent,
    /// Memory on the GPU.
    at: sys::CUdeviceptr,
    bytes: u64,
    input: Pinned,
    output: Pinned,
}

// SAFETY: handles and memory that belong to this value; the driver lets any thread use them.
unsafe impl Send for Lane {}

fn code(error: DriverError) -> Code {
    Code(error.0 as i32)
}

fn failed(action: &'static str) -> impl Fn(DriverError) -> DeviceError {
    move |error| DeviceError::Driver { action, code: code(error) }
}

/// The GPUs of the driver.
pub(super) fn list() -> Result<Vec<Info>, DeviceError> {
    let found = driver()?;
    (0..found.devices).map(|ordinal| info(ordinal).map(|(_, info)| info)).collect()
}

fn info(ordinal: i32) -> Result<(sys::CUdevice, Info), DeviceError> {
    use sys::CUdevice_attribute_enum as Attribute;
    let failed = failed("describe a GPU");
    let device = result::device::get(ordinal).map_err(&failed)?;
    let name = result::device::get_name(device).map_err(&failed)?;
    // SAFETY: the device was just given by the driver.
    let (memory, major, minor) = unsafe {
        (
            result::device::total_mem(device).map_err(&failed)?,
            result::device::get_attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
                .map_err(&failed)?,
            result::device::get_attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
                .map_err(&failed)?,
        )
    };
    Ok((device, Info { name, capability: (major, minor), memory: memory as u64 }))
}

impl Gpu {
    /// Takes the first GPU, and loads the kernels.
    pub(super) fn open() -> Result<Self, DeviceError> {
        driver()?;
        let (device, info) = info(0)?;
        // SAFETY: the device was given by the driver; the context is held as long as the process lives.
        let context = unsafe { result::primary_ctx::retain(device) }.map_err(failed("open the GPU"))?;
        // SAFETY: the context was just made.
        unsafe { result::ctx::set_current(context) }.map_err(failed("open the GPU"))?;
        let (free, _) = result::mem_get_info().map_err(failed("tell its memory"))?;
        let module = images::load(info.capability, |image| {
            // SAFETY: an image that a compiler made whole, in memory until the call returns.
            unsafe { result::module::load_data(image.as_ptr().cast()) }.map_err(code)
        })?;
        Ok(Self {
            info,
            memory: (free as f64 * SHARE) as u64,
            context,
            module,
            functions: Mutex::default(),
            lanes: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn function(&self, kernel: &str) -> Result<sys::CUfunction, DeviceError> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&found) = functions.get(kernel) {
            return Ok(found as sys::CUfunction);
        }
        let missing = |code| DeviceError::NoKernel { kernel: kernel.to_owned(), code };
        let name = CString::new(kernel).map_err(|_| missing(Code(500)))?;
        // SAFETY: the module is loaded, and stays so.
        let found =
            unsafe { result::module::get_function(self.module, name) }.map_err(|e| missing(code(e)))?;
        functions.insert(kernel.to_owned(), found as usize);
        Ok(found)
    }

    /// A lane with so many bytes on the GPU. Waits while others have what it needs.
    fn take(&self, bytes: u64) -> Result<Lane, DeviceError> {
        let mut lanes = self.lanes();
        loop {
            if let Some(n) = lanes.idle.iter().position(|lane| lane.bytes >= bytes) {
                return Ok(lanes.idle.swap_remove(n));
            }
            let alone = lanes.idle.len() == lanes.made;
            // What lies idle and is too small makes room.
            if lanes.made == JOBS || alone || lanes.bytes + bytes > self.memory {
                while let Some(small) = lanes.idle.pop() {
                    lanes.made -= 1;
                    lanes.bytes -= small.bytes;
                    small.free();
                }
            }
            if lanes.made < JOBS && (lanes.made == 0 || lanes.bytes + bytes <= self.memory) {
                let lane = Lane::new(bytes)?;
                lanes.made += 1;
                lanes.bytes += bytes;
                return Ok(lane);
            }
            lanes = self.freed.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give(&self, lane: Lane) {
        self.lanes().idle.push(lane);
        self.freed.notify_all();
    }

    /// A lane in which something failed is not used again.
    fn discard(&self, lane: Lane) {
        let mut lanes = self.lanes();
        lanes.made -= 1;
        lanes.bytes -= lane.bytes;
        // SAFETY: the stream is this lane's. What it still does must end before its memory goes.
        let _ = unsafe { result::stream::synchronize(lane.stream) };
        lane.free();
        drop(lanes);
        self.freed.notify_all();
    }

    /// Everything of a job in order along the stream of its lane, up to the event at its end.
    fn work(
        &self,
        lane: &mut Lane,
        job: &Job,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<(), DeviceError> {
        let up: u64 = job.uploads.iter().map(|span| span.len).sum();
        let down: u64 = job.downloads.iter().map(|span| span.len).sum();
        lane.input.hold(up)?;
        lane.output.hold(down)?;
        let mut rest = lane.input.bytes_mut();
        for (span, input) in job.uploads.iter().zip(inputs).filter(|(span, _)| span.len > 0) {
            let (part, after) = rest.split_at_mut(input.len());
            rest = after;
            part.copy_from_slice(input);
            // SAFETY: the span lies in the lane's memory, as was checked; the pinned bytes stay until the event at the
            // end was waited for.
            unsafe { result::memcpy_htod_async(lane.at + span.at, part, lane.stream) }
                .map_err(failed("copy a tile to the GPU"))?;
        }
        for launch in &job.launches {
            self.launch(lane, launch)?;
        }
        let mut rest = lane.output.bytes_mut();
        for span in job.downloads.iter().filter(|span| span.len > 0) {
            let (part, after) = rest.split_at_mut(span.len as usize);
            rest = after;
            // SAFETY: as for the inputs.
            unsafe { result::memcpy_dtoh_async(part, lane.at + span.at, lane.stream) }
                .map_err(failed("copy a tile from the GPU"))?;
        }
        let ended = |error| {
            let kernels: BTreeSet<&str> = job.launches.iter().map(|launch| launch.kernel.as_str()).collect();
            let kernels = kernels.into_iter().collect::<Vec<_>>().join(", ");
            DeviceError::Kernel { kernels, code: code(error) }
        };
        // SAFETY: event and stream are this lane's.
        unsafe {
            result::event::record(lane.done, lane.stream).map_err(ended)?;
            result::event::synchronize(lane.done).map_err(ended)?;
        }
        let mut rest = &*lane.output.bytes_mut();
        for output in outputs.iter_mut() {
            let (part, after) = rest.split_at(output.len());
            rest = after;
            output.copy_from_slice(part);
        }
        Ok(())
    }

    /// One thread for each voxel, in blocks along x and y; whoever is left over goes on with the next rows and planes.
    fn launch(&self, lane: &Lane, launch: &Launch) -> Result<(), DeviceError> {
        let [nt, nc, nz, ny, nx] = launch.to.shape.map(|n| n as u32);
        if launch.to.shape.contains(&0) {
            return Ok(());
        }
        let function = self.function(&launch.kernel)?;
        let mut tiles: Vec<Tile> =
            launch.from.iter().chain([&launch.to]).map(|b| Tile::of(lane, b)).collect();
        let mut words: Vec<Vec<u64>> = launch.arguments.iter().map(Argument::words).collect();
        let mut parameters: Vec<*mut c_void> = tiles.iter_mut().map(|tile| (&raw mut *tile).cast()).collect();
        parameters.extend(words.iter_mut().map(|words| words.as_mut_ptr().cast::<c_void>()));
        let along_y =
            if nx > 64 { 4u32.min(ny.next_power_of_two()) } else { 8u32.min(ny.next_power_of_two()) };
        let block = (BLOCK / along_y, along_y, 1);
        let planes = nt.saturating_mul(nc).saturating_mul(nz);
        let blocks = (nx.div_ceil(block.0), ny.div_ceil(block.1).min(MOST_BLOCKS), planes.min(MOST_BLOCKS));
        // SAFETY: the kernel is the one of that name, and takes these tiles and arguments: `table::wrong` has compared
        // their types and sizes, and that the tiles lie in the lane's memory. Parameters are copied by the call.
        unsafe { result::launch_kernel(function, blocks, block, 0, lane.stream, &mut parameters) }
            .map_err(|error| DeviceError::Launch { kernel: launch.kernel.clone(), code: code(error) })
    }
}

impl Device for Gpu {
    fn name(&self) -> &str {
        &self.info.name
    }

    fn has(&self, sweep: &Sweep) -> bool {
        table::has(sweep)
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    fn jobs(&self) -> usize {
        JOBS
    }

    fn host_bytes(&self) -> u64 {
        HOST_BYTES
    }

    fn run(
        &self,
        job: &Job,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<(), voxtile_sched::contract::DeviceError> {
        check(job, inputs, outputs)?;
        // SAFETY: the context lives as long as the process.
        unsafe { result::ctx::set_current(self.context) }.map_err(failed("use the GPU"))?;
        let mut lane = self.take(job.bytes)?;
        match self.work(&mut lane, job, inputs, outputs) {
            Ok(()) => {
                self.give(lane);
                Ok(())
            }
            Err(error) => {
                self.discard(lane);
                Err(error.into())
            }
        }
    }
}

/// Refuses a job whose parts do not fit together: nothing of it is then started.
fn check(job: &Job, inputs: &[&[u8]], outputs: &[&mut [u8]]) -> Result<(), DeviceError> {
    let wrong = |why| Err(DeviceError::Job { kernel: "copy".to_owned(), why });
    let holds = |span: &Span| span.at.checked_add(span.len).is_some_and(|end| end <= job.bytes);
    let up = job.uploads.iter().map(|s| s.len).eq(inputs.iter().map(|input| input.len() as u64));
    let down = job.downloads.iter().map(|s| s.len).eq(outputs.iter().map(|output| output.len() as u64));
    if !up || !down {
        return wrong("its inputs or outputs have other sizes than their places");
    }
    if !job.uploads.iter().chain(&job.downloads).all(holds) {
        return wrong("its inputs or outputs lie outside of its memory");
    }
    match job.launches.iter().find_map(|launch| Some((launch, table::wrong(launch, job.bytes)?))) {
        Some((launch, why)) => Err(DeviceError::Job { kernel: launch.kernel.clone(), why }),
        None => Ok(()),
    }
}

/// A tile as kernels take it: `Tile` in `common.cuh`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Tile {
    data: u64,
    shape: [u32; 5],
    stride: [u32; 5],
}

impl Tile {
    fn of(lane: &Lane, tile: &Place) -> Self {
        // Along an axis of one voxel nothing is stepped over.
        let stride = |a: usize| if tile.shape[a] > 1 { tile.strides[a] as u32 } else { 0 };
        let shape = tile.shape.map(|n| n as u32);
        let data = lane.at + tile.at;
        Self { data, shape, stride: std::array::from_fn(|a| if a == 4 { 1 } else { stride(a) }) }
    }
}

impl Lane {
    fn new(bytes: u64) -> Result<Self, DeviceError> {
        let failed = failed("make a stream");
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking).map_err(&failed)?;
        let done = result::event::create(sys::CUevent_flags::CU_EVENT_BLOCKING_SYNC).map_err(&failed)?;
        let mut lane =
            Self { stream, done, at: 0, bytes: 0, input: Pinned::default(), output: Pinned::default() };
        // SAFETY: plain allocation; freed with the lane. A size of 0 is refused by the driver.
        match unsafe { result::malloc_sync(bytes.max(256) as usize) } {
            Ok(at) => (lane.at, lane.bytes) = (at, bytes),
            Err(error) => {
                lane.free();
                return Err(no_memory("its own", bytes, error));
            }
        }
        Ok(lane)
    }

    /// Gives everything back. Answers do not matter: there is nothing to be done about them.
    fn free(self) {
        // SAFETY: handles and memory are this lane's, and nothing uses them any more.
        unsafe {
            if self.at != 0 {
                let _ = result::free_sync(self.at);
            }
            let _ = result::event::destroy(self.done);
            let _ = result::stream::destroy(self.stream);
        }
        self.input.free();
        self.output.free();
    }
}

fn no_memory(what: &'static str, asked: u64, error: DriverError) -> DeviceError {
    let (free, total) = result::mem_get_info().unwrap_or((0, 0));
    DeviceError::OutOfMemory { what, asked, free: free as u64, total: total as u64, code: code(error) }
}

/// Memory of this process that the GPU copies to and from by itself.
#[derive(Debug, Default)]
struct Pinned(Option<(NonNull<u8>, usize)>);

impl Pinned {
    /// So many bytes at least, with any content.
    fn hold(&mut self, bytes: u64) -> Result<(), DeviceError> {
        let len = bytes as usize;
        if self.0.is_some_and(|(_, have)| have >= len) || len == 0 {
            return Ok(());
        }
        std::mem::take(self).free();
        // SAFETY: plain allocation, readable as fast as any memory: no flag is given.
        let start = unsafe { result::malloc_host(len, 0) }.map_err(|e| no_memory("pinned", bytes, e))?;
        let Some(start) = NonNull::new(start.cast::<u8>()) else {
            return Err(DeviceError::OutOfMemory {
                what: "pinned",
                asked: bytes,
                free: 0,
                total: 0,
                code: Code(2),
            });
        };
        // SAFETY: as many bytes were just allocated; they are written so that all of them may be read.
        unsafe { start.write_bytes(0, len) };
        self.0 = Some((start, len));
        Ok(())
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self.0 {
            // SAFETY: memory of this value, of that length, initialised when it was allocated; `&mut self` excludes
            // other references, and copies by the GPU have ended or are being issued by the holder of this one.
            Some((start, len)) => unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) },
            None => &mut [],
        }
    }

    fn free(self) {
        if let Some((start, _)) = self.0 {
            // SAFETY: allocated by `hold`, and used no more.
            let _ = unsafe { result::free_host(start.as_ptr().cast()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_take_what_the_table_says() {
        type ParamInfo = unsafe extern "C" fn(sys::CUfunction, usize, *mut usize, *mut usize) -> i32;
        let gpu = match Gpu::open() {
            Ok(gpu) => gpu,
            Err(why) => return eprintln!("skipped: no parameters to look at: {why}"),
        };
        // SAFETY: the driver is open already, and the type is that of its documented interface.
        let library = unsafe { libloading::Library::new("libcuda.so.1") }.unwrap();
        // SAFETY: as above.
        let Ok(info) = (unsafe { library.get::<ParamInfo>("cuFuncGetParamInfo") }) else {
            return eprintln!("skipped: the driver is too old to tell parameters");
        };
        for (kernel, tiles, arguments) in table::all() {
            let function = gpu.function(&kernel).unwrap_or_else(|error| panic!("{error}"));
            let mut sizes = Vec::new();
            let mut size = 0;
            let mut offset = 0usize;
            // SAFETY: two numbers are written, to these places.
            while unsafe { info(function, sizes.len(), &raw mut offset, &raw mut size) } == 0 {
                sizes.push(size);
            }
            assert_eq!(sizes, [&vec![size_of::<Tile>(); tiles], arguments].concat(), "{kernel}");
        }
    }
}

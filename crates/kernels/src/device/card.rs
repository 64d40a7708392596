//! One GPU: its context, the kernels loaded there, numbers that all tiles share, and what a job does on a lane.

#![allow(unsafe_code)]

use super::driver::driver;
use super::error::{Code, DeviceError};
use super::lane::{Lane, code, failed, no_memory};
use super::{images, table};
use cudarc::driver::{result, sys};
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use voxtile_sched::contract::device::{
    Argument, Constants, Held, Job, Launch, Place, Program, Rates, Span, Threads, Work,
};

/// The share of the free memory that jobs may take.
const SHARE: f64 = 0.9;
/// Threads of a block; `BLOCK` in the sources.
pub(super) const BLOCK: u32 = 128;
/// Most blocks along y and z.
pub(super) const MOST_BLOCKS: u32 = 65_535;
/// Bytes that the threads of a block may share without being asked for more.
const SHARED: u32 = 48 << 10;

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
pub(super) struct Card {
    pub(super) info: Info,
    /// Bytes that jobs may take.
    pub(super) memory: u64,
    /// Multiprocessors.
    processors: u32,
    /// Bytes that the threads of a block may share at most.
    pub(super) shared: u32,
    pub(super) rates: Rates,
    pub(super) context: sys::CUcontext,
    module: sys::CUmodule,
    functions: Mutex<HashMap<String, usize>>,
    /// Kernels of the user's own, by their whole source; or why there is none.
    programs: Mutex<HashMap<String, Result<usize, DeviceError>>>,
    constants: Mutex<Vec<Arc<Uploaded>>>,
}

// SAFETY: the driver's handles may be used from any thread, each of which makes the context current first.
unsafe impl Send for Card {}
// SAFETY: as above; what changes is behind mutexes.
unsafe impl Sync for Card {}

/// Numbers in the memory of a GPU.
#[derive(Debug)]
struct Uploaded {
    constants: Constants,
    at: sys::CUdeviceptr,
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
    let memory = unsafe { result::device::total_mem(device) }.map_err(&failed)?;
    let major = attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    Ok((device, Info { name, capability: (major, minor), memory: memory as u64 }))
}

/// What may be expected of a GPU, from what the driver tells of it.
fn rates(capability: (i32, i32), clock_khz: u32, bus_bits: u32) -> Rates {
    // Two bits a clock and wire; a plain copy reaches 85 % of it.
    let memory = 2.0 * f64::from(clock_khz) * 1e3 * f64::from(bus_bits) / 8.0 * 1e-9 * 0.85;
    // What PCI Express of their time brings, each way, with both ways busy.
    let bus = match capability.0 {
        ..8 => 10.0,
        8 => 20.0,
        _ => 50.0,
    };
    // A driver that does not tell is taken for a small GPU.
    let memory = if memory < 20.0 { 200.0 } else { memory };
    Rates { upload: bus, download: bus, memory, launch_ns: 4000.0, pin: 2.7 }
}

fn attribute(device: sys::CUdevice, which: sys::CUdevice_attribute) -> Result<i32, DeviceError> {
    // SAFETY: callers give a device of the driver.
    unsafe { result::device::get_attribute(device, which) }.map_err(failed("describe a GPU"))
}

impl Card {
    /// Takes the GPU of that number, and loads the kernels.
    pub(super) fn open(ordinal: i32) -> Result<Self, DeviceError> {
        let found = driver()?;
        if ordinal >= found.devices {
            return Err(DeviceError::NoSuchDevice { asked: ordinal, found: found.devices });
        }
        let (device, info) = info(ordinal)?;
        use sys::CUdevice_attribute_enum as Attribute;
        let number = |which| attribute(device, which).map(|n| u32::try_from(n).unwrap_or(0));
        let processors = number(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        let shared = number(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        let clock_khz = number(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)?;
        let bus_bits = number(Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)?;
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
            memory: (free as f64 * SHARE) as u64,
            processors: processors.max(1),
            shared: shared.max(SHARED),
            rates: rates(info.capability, clock_khz, bus_bits),
            info,
            context,
            module,
            functions: Mutex::default(),
            programs: Mutex::default(),
            constants: Mutex::default(),
        })
    }

    /// Makes this thread's calls go to this GPU.
    pub(super) fn make_current(&self) -> Result<(), DeviceError> {
        // SAFETY: the context lives as long as the process.
        unsafe { result::ctx::set_current(self.context) }.map_err(failed("use the GPU"))
    }

    pub(super) fn function(&self, kernel: &str) -> Result<sys::CUfunction, DeviceError> {
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

    /// The kernel of a program, compiled at first use. In the current context.
    pub(super) fn program(&self, program: &Program) -> Result<sys::CUfunction, DeviceError> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = programs.get(&program.text) {
            return known.clone().map(|function| function as sys::CUfunction);
        }
        let made = self.compiled(program);
        programs.insert(program.text.clone(), made.clone());
        made.map(|function| function as sys::CUfunction)
    }

    fn compiled(&self, program: &Program) -> Result<usize, DeviceError> {
        let module = images::compile(&program.text, &program.file, self.info.capability, |image| {
            // SAFETY: an image that a compiler made whole, in memory until the call returns.
            unsafe { result::module::load_data(image.as_ptr().cast()) }.map_err(code)
        })?;
        let missing = |code| DeviceError::NoKernel { kernel: program.entry.clone(), code };
        let name = CString::new(program.entry.as_str()).map_err(|_| missing(Code(500)))?;
        // SAFETY: the module was just loaded, and stays so.
        let function = unsafe { result::module::get_function(module, name) }.map_err(|e| missing(code(e)))?;
        Ok(function as usize)
    }

    /// Everything of a job in order along the stream of its lane, up to the event at its end. Gives when it began, and the
    /// bytes of each output that were written.
    pub(super) fn work(
        &self,
        lane: &Lane,
        job: &Job,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<(Instant, Vec<u64>), DeviceError> {
        let constants = self.upload(lane, &job.constants)?;
        let note = |event: usize| lane.note(event).map_err(|error| ended(job, code(error)));
        let began = Instant::now();
        note(0)?;
        for (span, input) in job.uploads.iter().zip(inputs).filter(|(span, _)| span.len > 0) {
            // SAFETY: the span lies in the lane's memory, as was checked; the input stays until the events were waited
            // for, here or by whoever discards the lane.
            unsafe { result::memcpy_htod_async(lane.at + span.at, input, lane.stream) }
                .map_err(failed("copy a tile to the GPU"))?;
        }
        note(1)?;
        for work in &job.work {
            match work {
                Work::Fill(span, byte) => fill(lane, span, *byte)?,
                Work::Launch(launch) => self.launch(lane, launch, &constants)?,
            }
        }
        note(2)?;
        let mut written: Vec<u64> = job.downloads.iter().map(|download| download.span.len).collect();
        let copy = |n: usize, len: u64, outputs: &mut [&mut [u8]]| match len {
            0 => Ok(()),
            // SAFETY: as for the inputs.
            len => unsafe {
                let to = &mut outputs[n][..len as usize];
                result::memcpy_dtoh_async(to, lane.at + job.downloads[n].span.at, lane.stream)
            }
            .map_err(failed("copy a tile from the GPU")),
        };
        let plain = (0..written.len()).filter(|&n| job.downloads[n].counted.is_none());
        for n in plain {
            copy(n, written[n], outputs)?;
        }
        if job.downloads.iter().any(|download| download.counted.is_some()) {
            lane.rest().map_err(|error| ended(job, code(error)))?;
        }
        for n in 0..written.len() {
            if let Some(counted) = job.downloads[n].counted {
                let number = outputs[counted.by][counted.at as usize..][..4].try_into().unwrap_or_default();
                let wanted = u64::from(u32::from_ne_bytes(number)) * counted.size;
                written[n] = written[n].min(wanted);
                copy(n, written[n], outputs)?;
            }
        }
        note(3)?;
        lane.wait(3).map_err(|error| ended(job, code(error)))?;
        Ok((began, written))
    }

    /// Numbers that a job reads, in this GPU's memory; what no running job reads makes room. Held until the job is done.
    fn upload(&self, lane: &Lane, wanted: &[Constants]) -> Result<Vec<Arc<Uploaded>>, DeviceError> {
        let mut all = self.constants.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out: Vec<Arc<Uploaded>> = Vec::new();
        for constants in wanted {
            let known = |have: &&Arc<Uploaded>| {
                Arc::ptr_eq(&have.constants.bytes, &constants.bytes) || have.constants == *constants
            };
            if let Some(known) = all.iter().find(known).cloned() {
                out.push(known);
                continue;
            }
            all.retain(|have| Arc::strong_count(have) > 1);
            let bytes = constants.bytes.len();
            // SAFETY: plain allocation; freed when the last job that reads it is done and others come.
            let at = unsafe { result::malloc_sync(bytes.max(256)) }
                .map_err(|error| no_memory("its own", bytes as u64, error))?;
            let uploaded = Arc::new(Uploaded { constants: constants.clone(), at });
            // SAFETY: the memory was just allocated; the bytes stay until the stream is at rest.
            unsafe { result::memcpy_htod_async(at, &constants.bytes, lane.stream) }
                .map_err(failed("copy constants to the GPU"))?;
            lane.rest().map_err(failed("copy constants to the GPU"))?;
            all.push(uploaded.clone());
            out.push(uploaded);
        }
        Ok(out)
    }

    fn launch(&self, lane: &Lane, launch: &Launch, constants: &[Arc<Uploaded>]) -> Result<(), DeviceError> {
        let Some((blocks, threads, shared)) = self.grid(launch) else { return Ok(()) };
        let function = match &launch.program {
            Some(program) => self.program(program)?,
            None => self.function(&launch.kernel)?,
        };
        let failed = |error| DeviceError::Launch { kernel: launch.kernel.clone(), code: code(error) };
        if shared > SHARED {
            let attribute = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function was given by the driver.
            unsafe { result::function::set_function_attribute(function, attribute, shared as i32) }
                .map_err(failed)?;
        }
        let base = |place: &Place| match place.held {
            Held::Job => lane.at,
            Held::Constants(n) => constants[n].at,
        };
        let mut tiles: Vec<Tile> =
            launch.from.iter().chain(&launch.to).map(|place| Tile::of(base(place), place)).collect();
        let mut words: Vec<Vec<u64>> = launch.arguments.iter().map(Argument::words).collect();
        let mut parameters: Vec<*mut c_void> = tiles.iter_mut().map(|tile| (&raw mut *tile).cast()).collect();
        parameters.extend(words.iter_mut().map(|words| words.as_mut_ptr().cast::<c_void>()));
        let [blocks, threads] = [blocks, threads].map(|[x, y, z]| (x, y, z));
        // SAFETY: the kernel is the one of that name, and takes these tiles and arguments: `table::wrong` has compared
        // their types and sizes, and that the tiles lie in the lane's memory. Parameters are copied by the call.
        unsafe { result::launch_kernel(function, blocks, threads, shared, lane.stream, &mut parameters) }
            .map_err(failed)
    }

    /// Blocks, threads, and the bytes that threads share; `None` if there is nothing to do.
    fn grid(&self, launch: &Launch) -> Option<([u32; 3], [u32; 3], u32)> {
        match launch.threads {
            Threads::Voxels => {
                let shape = &launch.to.first()?.shape;
                let [nt, nc, nz, ny, nx] = shape.map(|n| n as u32);
                let along_y =
                    if nx > 64 { 4u32.min(ny.next_power_of_two()) } else { 8u32.min(ny.next_power_of_two()) };
                let threads = [BLOCK / along_y.max(1), along_y, 1];
                let planes = nt.saturating_mul(nc).saturating_mul(nz);
                let along = [nx.div_ceil(threads[0]), ny.div_ceil(along_y.max(1)).min(MOST_BLOCKS)];
                (!shape.contains(&0)).then_some(([along[0], along[1], planes.min(MOST_BLOCKS)], threads, 0))
            }
            Threads::Blocks { blocks, threads, shared } => {
                (!blocks.contains(&0)).then_some((blocks, threads, shared))
            }
            Threads::Processors { blocks, threads, shared } => {
                Some(([blocks * self.processors, 1, 1], [threads, 1, 1], shared))
            }
        }
    }
}

impl Drop for Uploaded {
    fn drop(&mut self) {
        // SAFETY: allocated with this value, whose card made its context current; no job reads it any more.
        let _ = unsafe { result::free_sync(self.at) };
    }
}

fn fill(lane: &Lane, span: &Span, byte: u8) -> Result<(), DeviceError> {
    if span.len == 0 {
        return Ok(());
    }
    // SAFETY: the span lies in the lane's memory, as was checked.
    unsafe { result::memset_d8_async(lane.at + span.at, byte, span.len as usize, lane.stream) }
        .map_err(failed("fill its memory"))
}

/// Kernels that were started did not finish.
pub(super) fn ended(job: &Job, code: Code) -> DeviceError {
    let mut kernels: Vec<&str> = job.launches().map(|launch| launch.kernel.as_str()).collect();
    kernels.sort_unstable();
    kernels.dedup();
    let (free, _) = result::mem_get_info().unwrap_or((0, 0));
    DeviceError::Kernel { kernels: kernels.join(", "), bytes: job.bytes, free: free as u64, code }
}

/// Refuses a job whose parts do not fit together: nothing of it is then started.
pub(super) fn check(job: &Job, inputs: &[&[u8]], outputs: &[&mut [u8]]) -> Result<(), DeviceError> {
    let wrong = |why| Err(DeviceError::Job { kernel: "copy".to_owned(), why });
    let holds = |span: &Span| span.at.checked_add(span.len).is_some_and(|end| end <= job.bytes);
    let up = job.uploads.iter().map(|s| s.len).eq(inputs.iter().map(|input| input.len() as u64));
    let down = job.downloads.iter().map(|d| d.span.len).eq(outputs.iter().map(|output| output.len() as u64));
    if !up || !down {
        return wrong("its inputs or outputs have other sizes than their places");
    }
    let filled = job.work.iter().filter_map(|work| match work {
        Work::Fill(span, _) => Some(span),
        Work::Launch(_) => None,
    });
    if !job.uploads.iter().chain(job.downloads.iter().map(|d| &d.span)).chain(filled).all(holds) {
        return wrong("its inputs or outputs lie outside of its memory");
    }
    for (n, counted) in job.downloads.iter().enumerate().filter_map(|(n, d)| Some((n, d.counted?))) {
        let by = job.downloads.get(counted.by).filter(|by| counted.by < n && by.counted.is_none());
        if by.is_none_or(|by| counted.at + 4 > by.span.len) {
            return wrong("what counts an output is no earlier output");
        }
    }
    match job.launches().find_map(|launch| Some((launch, table::wrong(launch, job)?))) {
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
    fn of(base: sys::CUdeviceptr, tile: &Place) -> Self {
        // Along an axis of one voxel nothing is stepped over.
        let stride = |a: usize| if tile.shape[a] > 1 { tile.strides[a] as u32 } else { 0 };
        let shape = tile.shape.map(|n| n as u32);
        let data = base + tile.at;
        Self { data, shape, stride: std::array::from_fn(|a| if a == 4 { 1 } else { stride(a) }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_near_what_was_measured_on_an_h200() {
        // 4.17 TB/s by a copy kernel, 51 GB/s each way with both busy.
        let rates = rates((9, 0), 3_201_000, 6016);
        assert!((3900.0..4300.0).contains(&rates.memory) && rates.upload == 50.0, "{rates:?}");
        assert_eq!(super::rates((7, 5), 0, 0).memory, 200.0);
    }

    #[test]
    fn kernels_take_what_the_table_says() {
        type ParamInfo = unsafe extern "C" fn(sys::CUfunction, usize, *mut usize, *mut usize) -> i32;
        let card = match Card::open(0) {
            Ok(card) => card,
            Err(why) => return eprintln!("skipped: no parameters to look at: {why}"),
        };
        // SAFETY: the driver is open already, and the type is that of its documented interface.
        let library = unsafe { libloading::Library::new("libcuda.so.1") }.unwrap();
        // SAFETY: as above.
        let Ok(info) = (unsafe { library.get::<ParamInfo>("cuFuncGetParamInfo") }) else {
            return eprintln!("skipped: the driver is too old to tell parameters");
        };
        for (kernel, tiles, arguments) in table::all() {
            let function = card.function(&kernel).unwrap_or_else(|error| panic!("{error}"));
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

//! CUDA GPUs that run jobs.
//!
//! Each job has a lane of its own: a stream of one GPU, and memory there. Work goes in order along the stream; an event at
//! its end is waited for, asleep, so that copies and kernels of several jobs overlap. Lanes are kept from one job to the
//! next. Several GPUs share one queue: a job goes to the first that is free.

use super::card::{self, Card};
use super::error::DeviceError;
use super::lane::{Lane, Pinned};
use super::table;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use voxtile_sched::contract::device::{
    Device, HostMemory, Job, Program, Ran, Rates, Stopped, Sweep, Threads,
};

/// Jobs at one time on one GPU: one is copied there, one computed, one copied back, and one waits.
const JOBS: usize = 4;
/// Bytes of this process that the driver takes for a GPU: its context and our kernels. An estimate.
const HOST_BYTES: u64 = 256 << 20;

/// GPUs that are in use.
#[derive(Debug)]
pub(super) struct Gpus {
    cards: Vec<Card>,
    lanes: Mutex<Vec<Lanes>>,
    freed: Condvar,
}

/// The lanes of one GPU.
#[derive(Debug, Default)]
struct Lanes {
    idle: Vec<Lane>,
    /// Which numbers those have that exist.
    numbers: [bool; JOBS],
    /// All that exist, and the bytes that they have on the GPU.
    made: usize,
    bytes: u64,
    /// Jobs so far.
    taken: u64,
}

impl Lanes {
    fn busy(&self) -> usize {
        self.made - self.idle.len()
    }

    fn end(&mut self, lane: Lane) {
        self.numbers[lane.number % JOBS] = false;
        self.made -= 1;
        self.bytes -= lane.bytes;
        lane.free();
    }
}

impl Gpus {
    /// Takes the GPUs of these numbers.
    pub(super) fn open(ordinals: &[i32]) -> Result<Self, DeviceError> {
        let cards: Vec<Card> = ordinals.iter().map(|&n| Card::open(n)).collect::<Result<_, _>>()?;
        let lanes = Mutex::new(cards.iter().map(|_| Lanes::default()).collect());
        Ok(Self { cards, lanes, freed: Condvar::new() })
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Lanes>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane with so many bytes on a GPU, whose lanes together keep to the limit. Waits while others have what it needs.
    fn take(&self, bytes: u64, limit: u64) -> Result<(usize, Lane), DeviceError> {
        let mut all = self.lanes();
        loop {
            // The GPU that has least to do comes first, then the one that has done least.
            let mut order: Vec<usize> = (0..self.cards.len()).collect();
            order.sort_by_key(|&n| (all[n].busy(), all[n].taken));
            for n in order {
                let lanes = &mut all[n];
                if let Some(fits) = lanes.idle.iter().position(|lane| lane.bytes >= bytes) {
                    lanes.taken += 1;
                    return Ok((n, lanes.idle.swap_remove(fits)));
                }
                self.cards[n].make_current()?;
                // What lies idle is too small, and makes room.
                while let Some(small) = lanes.idle.pop() {
                    lanes.end(small);
                }
                if lanes.made < JOBS && (lanes.made == 0 || lanes.bytes + bytes <= limit) {
                    let number = (0..JOBS).find(|number| !lanes.numbers[*number]).unwrap_or(0);
                    let lane = match Lane::new(JOBS * n + number, bytes) {
                        // Others took the memory; the lanes that there are go round.
                        Err(DeviceError::OutOfMemory { .. }) if lanes.made > 0 => continue,
                        made => made?,
                    };
                    lanes.numbers[number] = true;
                    lanes.taken += 1;
                    lanes.made += 1;
                    lanes.bytes += bytes;
                    return Ok((n, lane));
                }
            }
            all = self.freed.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give(&self, card: usize, lane: Lane) {
        self.lanes()[card].idle.push(lane);
        self.freed.notify_all();
    }

    /// A lane in which something failed is not used again.
    fn discard(&self, card: usize, lane: Lane) {
        // What the stream still does must end before its memory goes.
        let _ = lane.rest();
        let mut all = self.lanes();
        all[card].end(lane);
        drop(all);
        self.freed.notify_all();
    }

    fn run(
        &self,
        job: &Job,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        limit: u64,
    ) -> Result<Ran, DeviceError> {
        card::check(job, inputs, outputs)?;
        let constants: u64 = job.constants.iter().map(|c| c.bytes.len() as u64).sum();
        let taken = self.take(job.bytes.max(job.room), limit.saturating_sub(constants));
        let (n, lane) = taken.map_err(|error| heard(job, error))?;
        let card = &self.cards[n];
        let done = card.make_current().and_then(|()| card.work(&lane, job, inputs, outputs));
        match done {
            Ok((began, written)) => {
                let (phases, began) = (lane.phases(), Some((began, lane.number)));
                self.give(n, lane);
                Ok(Ran { written, began, phases })
            }
            Err(error) => {
                self.discard(n, lane);
                Err(heard(job, error))
            }
        }
    }
}

/// Whoever calls next hears of a kernel that failed, be it another job's, and whatever is asked for.
fn heard(job: &Job, error: DeviceError) -> DeviceError {
    match error {
        DeviceError::Driver { code, .. } | DeviceError::Launch { code, .. } if code.is_of_a_kernel() => {
            card::ended(job, code)
        }
        error => error,
    }
}

/// GPUs, and what of their memory a pipeline may take.
#[derive(Debug)]
pub(super) struct Share {
    gpus: Arc<Gpus>,
    name: String,
    memory: u64,
}

impl Share {
    /// At most so many bytes of each.
    pub(super) fn of(gpus: Arc<Gpus>, most: Option<u64>) -> Self {
        let first = &gpus.cards[0].info.name;
        let name = match gpus.cards.len() {
            1 => first.clone(),
            n => format!("{n} × {first}"),
        };
        let memory = gpus.cards.iter().map(|card| card.memory).min().unwrap_or(0);
        Self { name, memory: memory.min(most.unwrap_or(u64::MAX)), gpus }
    }
}

impl Device for Share {
    fn name(&self) -> &str {
        &self.name
    }

    fn has(&self, sweep: &Sweep) -> bool {
        let most = self.gpus.cards.iter().map(|card| card.shared).min().unwrap_or(0);
        let shared = match sweep.threads {
            Threads::Voxels => 0,
            Threads::Blocks { shared, .. } | Threads::Processors { shared, .. } => shared,
        };
        shared <= most && table::has(sweep)
    }

    fn ready(&self, program: &Arc<Program>) -> Result<(), voxtile_sched::contract::DeviceError> {
        for card in &self.gpus.cards {
            card.make_current()?;
            card.program(program)?;
        }
        Ok(())
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    fn cards(&self) -> usize {
        self.gpus.cards.len()
    }

    fn jobs(&self) -> usize {
        JOBS * self.cards()
    }

    fn host_bytes(&self) -> u64 {
        HOST_BYTES * self.cards() as u64
    }

    fn rates(&self) -> Rates {
        // The slowest of each: tiles are shared out as they are done.
        let all = self.gpus.cards.iter().map(|card| card.rates);
        let slower = |a: Rates, b: Rates| Rates {
            upload: a.upload.min(b.upload),
            download: a.download.min(b.download),
            memory: a.memory.min(b.memory),
            launch_ns: a.launch_ns.max(b.launch_ns),
            pin: a.pin.min(b.pin),
        };
        all.reduce(slower).expect("there is one at least")
    }

    fn host_memory(&self, bytes: u64) -> Option<Box<dyn HostMemory>> {
        let pinned = Pinned::new(bytes as usize, self.gpus.cards[0].context).ok()?;
        Some(Box::new(pinned))
    }

    fn run(&self, job: &Job, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<Ran, Stopped> {
        self.gpus.run(job, inputs, outputs, self.memory).map_err(|error| match error {
            DeviceError::OutOfMemory { .. } => Stopped::NoRoom(error.into()),
            error => Stopped::Failed(error.into()),
        })
    }
}

//! Admits tiles in plan order and carries each from its chunks to its group.
//!
//! Every byte of chunks, tiles and groups is drawn from one semaphore, by this loop alone and in plan order: whatever
//! the later tiles hold, the oldest one has what it needs, so it can always finish.

use super::super::demand;
use super::super::device_run::{self, Computed, Failed, On};
use super::super::plan::Planned;
use super::super::schedule::{Key, Schedule};
use super::super::smaller;
use super::super::stage::Stage;
use super::super::tile_run::{self, Block, Chunk};
use super::super::tiles::TileAt;
use super::group::{Finish, Group, Orders, Taken};
use super::levels::Levels;
use super::units::{Cut, Notes, Turn, Turns};
use super::{RunError, Shared};
use crate::contract::device::Ran;
use crate::contract::{Device, Fetch, Place, Sink, Source};
use crate::model::{Dtype, Grid, Region, Shape, TileMut, voxels};
use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;

/// Bytes of one permit.
const PAGE: u64 = 4096;

/// One stage of one run.
pub(super) struct StageRun {
    /// Which of the plan's stages, from 0.
    pub(super) number: u32,
    pub(super) stage: Stage,
    pub(super) feeds: Vec<Arc<dyn Source>>,
    pub(super) grids: Vec<Grid>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) shared: Arc<Shared>,
    device: Option<There>,
    pub(super) tiles: Vec<TileAt>,
    pub(super) cut: Cut,
    /// Smaller versions of what is written.
    pub(super) levels: Levels,
    plan: PlanPart,
    budget: Arc<Semaphore>,
    failure: Mutex<Option<RunError>>,
    failed: AtomicBool,
}

/// What the dispatcher needs of the plan.
struct PlanPart {
    schedule: Arc<Schedule>,
    tile_bytes: u64,
    group_bytes: u64,
    level_bytes: u64,
    inflight: usize,
}

/// The group whose tiles are admitted.
struct Entered {
    group: Region,
    /// What of the output it makes.
    region: Region,
    places: Vec<Place>,
    turn: Turn,
}

/// A device, and what of it a stage has.
pub(super) struct There {
    device: Arc<dyn Device>,
    /// Bytes of its memory for one tile.
    room: u64,
    /// Bytes of it for what all tiles share.
    constants: u64,
    /// One permit for each tile that is there at one time.
    jobs: Arc<Semaphore>,
}

impl There {
    pub(super) fn new(device: &Arc<dyn Device>, room: u64, constants: u64, jobs: usize) -> Self {
        Self { device: device.clone(), room, constants, jobs: Arc::new(Semaphore::new(jobs)) }
    }
}

/// Fills the tile of a region of the output.
pub(super) type Painter = Box<dyn Fn(&StageRun, &Region, TileMut<'_>) -> Result<(), RunError> + Send + Sync>;

/// A chunk that is being decoded, or is there.
type Load = watch::Receiver<Option<Option<Arc<Chunk>>>>;

impl StageRun {
    pub(super) fn new(planned: &Planned, place: super::Place, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            number: place.number,
            stage: place.stage,
            feeds: place.feeds,
            grids: planned.grids.clone(),
            levels: Levels::new(planned, &place.target),
            sink: place.target,
            shared,
            device: place.device,
            tiles: planned.tiling.iter().collect(),
            cut: Cut::new(planned),
            plan: PlanPart {
                schedule: planned.schedule.clone(),
                tile_bytes: planned.bytes.total,
                group_bytes: planned.bytes.group,
                level_bytes: planned.level_bytes,
                inflight: planned.inflight,
            },
            budget: Arc::new(Semaphore::new((planned.pool_bytes / PAGE) as usize)),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
        })
    }

    /// Ends the stage: the first failure counts, those that follow from it do not.
    pub(super) fn fail(&self, error: RunError) {
        self.failed.store(true, Ordering::Relaxed);
        self.failure.lock().expect("failure lock").get_or_insert(error);
    }

    pub(super) fn stopped(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.shared.hooks.cancel.is_cancelled()
    }

    pub(super) async fn bytes(&self, bytes: u64) -> OwnedSemaphorePermit {
        let pages = u32::try_from(bytes.div_ceil(PAGE)).unwrap_or(u32::MAX);
        self.budget.clone().acquire_many_owned(pages).await.expect("the budget is never closed")
    }

    /// Runs `work` on a worker; a panic becomes the stage's failure.
    pub(super) async fn on_cpu<R: Send + 'static>(
        self: &Arc<Self>,
        name: &'static str,
        region: Region,
        work: impl FnOnce(&Self) -> R + Send + 'static,
    ) -> Option<R> {
        let (send, mut receive) = oneshot::channel();
        let this = self.clone();
        let claimed = Arc::new(AtomicBool::new(false));
        let own = claimed.clone();
        self.shared.cpu.spawn_fifo(move || {
            if own.swap(true, Ordering::Relaxed) {
                return;
            }
            let _span = tracing::debug_span!("tile", what = name, %region).entered();
            let run = || this.shared.trace.span(name, &region, || work(&this));
            let result = std::panic::catch_unwind(AssertUnwindSafe(run));
            // Everything that `work` held is dropped before the waiting task goes on.
            drop(this);
            let _ = send.send(result);
        });
        let answer = tokio::select! {
            biased;
            answer = &mut receive => answer,
            () = self.shared.hooks.cancel.impatient() => {
                // What is being written must not be left half way; anything else may be, and ends on its thread.
                let waits = !claimed.swap(true, Ordering::Relaxed);
                if waits || matches!(name, "compute" | "read" | "merge" | "table") {
                    return None;
                }
                receive.await
            }
        };
        match answer {
            Ok(Ok(value)) => Some(value),
            Ok(Err(panic)) => {
                self.panicked(region, &*panic);
                None
            }
            Err(_) => None,
        }
    }

    fn panicked(&self, region: Region, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let message = text.unwrap_or_else(|| "no message".to_owned());
        self.fail(RunError::Panicked { region, message });
    }

    /// Runs `work` on a thread that may wait for the device while all workers decode and encode.
    async fn beside<R: Send + 'static>(
        self: &Arc<Self>,
        region: Region,
        there: &There,
        work: impl FnOnce(&Self) -> R + Send + 'static,
    ) -> Option<R> {
        let _one = there.jobs.acquire().await.expect("never closed");
        let this = self.clone();
        let task = tokio::task::spawn_blocking(move || work(&this));
        tokio::select! {
            biased;
            done = task => match done {
                Ok(value) => Some(value),
                Err(error) => {
                    if let Ok(panic) = error.try_into_panic() {
                        self.panicked(region, &*panic);
                    }
                    None
                }
            },
            () = self.shared.hooks.cancel.impatient() => None,
        }
    }

    /// Computes all tiles and hands each to its group. What the journal notes of pass number `pass` is left out; without a
    /// number it is asked nothing.
    pub(super) async fn dispatch(self: Arc<Self>, finish: Finish, pass: Option<u32>) -> Result<(), RunError> {
        self.tiles_from(None, finish, pass).await
    }

    /// As [`dispatch`](Self::dispatch), with tiles that are painted instead of computed: no chunk is read.
    pub(super) async fn paint(self: Arc<Self>, painter: Painter, pass: u32) -> Result<(), RunError> {
        self.tiles_from(Some(Arc::new(painter)), Finish::Write, Some(pass)).await
    }

    async fn tiles_from(
        self: Arc<Self>,
        painter: Option<Arc<Painter>>,
        finish: Finish,
        pass: Option<u32>,
    ) -> Result<(), RunError> {
        let finish = Arc::new(finish);
        let slots = Arc::new(Semaphore::new(self.plan.inflight));
        let mut tasks: JoinSet<()> = JoinSet::new();
        let mut cache: HashMap<Key, Load> = HashMap::new();
        let mut group: Option<(Region, Arc<Group>)> = None;
        let mut orders = Orders::new(&self.sink);
        let writes = !matches!(*finish, Finish::Hand(_));
        let mut groups = 0;
        let _waiting = self.bytes(if writes { self.plan.level_bytes } else { 0 }).await;
        let notes = pass.and_then(|pass| Notes::new(&self, pass));
        if writes && notes.as_ref().is_some_and(Notes::has_progress) {
            self.restore_levels(&finish, &notes).await;
        }
        let mut turns = Turns::new(notes);
        let mut entered: Option<Entered> = None;
        for n in 0..self.tiles.len() {
            let at = self.tiles[n];
            if entered.as_ref().is_none_or(|entered| entered.group != at.group) {
                let region = finish.region(&at.group);
                let places =
                    if writes { orders.places(&region.clip(&self.sink.meta().shape)) } else { Vec::new() };
                let turn = if writes { turns.of(&self, &at.group, &places) } else { Turn::Work(None) };
                if writes {
                    self.levels.number(groups, &mut orders);
                    groups += 1;
                }
                entered = Some(Entered { group: at.group, region, places, turn });
            }
            let now = entered.as_mut().expect("entered above");
            let hands = if writes { None } else { turns.of_tile(n as u64, self.tiles.len() as u64) };
            let open = match hands.as_ref().unwrap_or(&now.turn) {
                Turn::Work(open) => open.clone(),
                left => {
                    match left {
                        Turn::Done => self.shared.meters.skip(),
                        _ => self.shared.meters.leave(),
                    }
                    group = group.filter(|(region, _)| *region == at.group);
                    self.plan.schedule.drops(n).filter(|_| painter.is_none()).for_each(|key| {
                        cache.remove(&key);
                    });
                    continue;
                }
            };
            let slot = slots.clone().acquire_owned().await.expect("slots are never closed");
            while tasks.try_join_next().is_some() {}
            if self.stopped() {
                break;
            }
            let mut loads: Vec<Vec<Load>> = vec![Vec::new(); self.feeds.len()];
            let uses = || self.plan.schedule.uses(n).filter(|_| painter.is_none());
            self.expect(uses().filter(|(_, fresh)| *fresh).map(|(key, _)| key));
            for (key, fresh) in uses() {
                // The tile that it was to be decoded for may be left out.
                if fresh || !cache.contains_key(&key) {
                    let load = self.load(key).await;
                    cache.insert(key, load);
                }
                loads[key.0].push(cache[&key].clone());
            }
            // The group before gives its bytes back when its last tile is written; nothing here may hold it longer.
            group = group.filter(|(region, _)| *region == at.group);
            let permit = self.bytes(self.plan.tile_bytes).await;
            if group.is_none() {
                let held = self.bytes(self.plan.group_bytes).await;
                let places = std::mem::take(&mut now.places);
                let made = Group::new(&finish, now.region, (places, open), at.siblings, held);
                group = Some((at.group, Arc::new(made)));
            }
            for key in self.plan.schedule.drops(n) {
                cache.remove(&key);
            }
            let target = group.as_ref().expect("made above").1.clone();
            let (this, painter, finish) = (self.clone(), painter.clone(), finish.clone());
            tasks.spawn(async move {
                let computed = match painter {
                    Some(painter) => this.painted(at.region, painter).await.map(Taken::Roots),
                    None => this.compute((n as u64, at.region), loads, finish).await,
                };
                if let Some(taken) = computed {
                    target.take(&this, (n as u64, at.region), taken).await;
                    this.shared.meters.tile();
                    if let Some(progress) = &this.shared.hooks.progress {
                        progress(&this.shared.meters.progress());
                    }
                }
                drop((target, permit, slot));
            });
        }
        drop((cache, group));
        while tasks.join_next().await.is_some() {}
        self.outcome()
    }

    /// The first failure, or the word of whoever cancelled.
    pub(super) fn outcome(&self) -> Result<(), RunError> {
        if let Some(error) = self.failure.lock().expect("failure lock").take() {
            return Err(error);
        }
        if self.shared.hooks.cancel.is_cancelled() {
            let p = self.shared.meters.progress();
            return Err(RunError::Cancelled { done: p.tiles_done, total: p.tiles_total });
        }
        Ok(())
    }

    /// Tells sources that wait which chunks are fetched together.
    fn expect(&self, keys: impl Iterator<Item = Key>) {
        let mut together: Vec<Vec<Shape>> = vec![Vec::new(); self.feeds.len()];
        for (feed, number) in keys.filter(|(feed, _)| self.stage.feeds[*feed].fetched > 0) {
            together[feed].push(self.grids[feed].index(number));
        }
        for (feed, indices) in together.iter().enumerate().filter(|(_, indices)| !indices.is_empty()) {
            self.feeds[feed].expect(indices);
        }
    }

    /// Starts to decode a chunk as soon as the budget has room for it.
    async fn load(self: &Arc<Self>, key: Key) -> Load {
        let (feed, number) = key;
        let grid = self.grids[feed];
        let index = grid.index(number);
        let region = grid.region(&index);
        let permit = self.bytes(self.stage.feeds[feed].chunk_bytes(&region)).await;
        let (send, receive) = watch::channel(None);
        let this = self.clone();
        tokio::spawn(async move {
            let source = this.feeds[feed].clone();
            let fetched = match source.fetch(&index) {
                Fetch::InWorker => Ok(None),
                Fetch::Wait(bytes) => bytes.await.map(Some),
            };
            let chunk = match fetched {
                Err(source) => {
                    this.fail(RunError::Read { region, source });
                    None
                }
                Ok(fetched) => {
                    let decode = move |this: &Self| this.decode(feed, &index, region, fetched, permit);
                    this.on_cpu("read", region, decode).await.flatten()
                }
            };
            let _ = send.send(Some(chunk));
        });
        receive
    }

    fn decode(
        &self,
        feed: usize,
        index: &Shape,
        region: Region,
        fetched: Option<Vec<u8>>,
        permit: OwnedSemaphorePermit,
    ) -> Option<Arc<Chunk>> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        let dtype = self.stage.feeds[feed].meta.dtype;
        let mut data = match self.shared.pool.take(demand::bytes(&region, dtype.size())) {
            Ok(data) => data,
            Err(source) => {
                self.fail(RunError::Memory { region, source });
                return None;
            }
        };
        let out = TileMut::new(dtype, region.shape.map(|n| n as usize), &mut data);
        match self.feeds[feed].read(index, fetched, out) {
            Ok(bytes) => {
                self.shared.meters.decoded(voxels(&region.shape), bytes);
                Some(Arc::new(Chunk { region, dtype, data, _permit: permit }))
            }
            Err(source) => {
                self.fail(RunError::Read { region, source });
                None
            }
        }
    }

    /// Computes the tile of that number at a region.
    async fn compute(
        self: &Arc<Self>,
        (number, region): (u64, Region),
        loads: Vec<Vec<Load>>,
        finish: Arc<Finish>,
    ) -> Option<Taken> {
        let mut chunks = Vec::with_capacity(loads.len());
        for feed in loads {
            let mut ready = Vec::with_capacity(feed.len());
            for mut load in feed {
                let chunk = load.wait_for(Option::is_some).await.ok()?.clone();
                ready.push(chunk.flatten()?);
            }
            chunks.push(ready);
        }
        if let Some(there) = &self.device {
            return self.compute_there((number, region), Arc::new(chunks), finish, there).await;
        }
        let work = move |this: &Self| {
            if this.stopped() {
                return None;
            }
            let demand = demand::demand(&this.stage, &region);
            let (pool, stage) = (&this.shared.pool, &this.stage);
            let computed = tile_run::compute(pool, stage, &demand, chunks.clone())
                .or_else(|refused| smaller::compute(pool, stage, &region, &chunks, refused));
            match computed {
                Ok(roots) => Some(Taken::Roots(roots)),
                Err(source) => {
                    this.fail(RunError::Memory { region, source });
                    None
                }
            }
        };
        self.on_cpu("compute", region, work).await.flatten()
    }

    async fn compute_there(
        self: &Arc<Self>,
        (number, region): (u64, Region),
        chunks: Arc<Vec<Vec<Arc<Chunk>>>>,
        finish: Arc<Finish>,
        there: &There,
    ) -> Option<Taken> {
        for ends in [true, false] {
            let (chunks, asked) = (chunks.clone(), finish.clone());
            let work = move |this: &Self| this.computed_there(&region, &chunks, ends.then_some(&*asked));
            match self.beside(region, there, work).await.flatten()? {
                Computed::Roots(roots) => return Some(Taken::Roots(roots)),
                Computed::Results(results) => {
                    let finish = finish.clone();
                    let take = move |this: &Self| finish.results(this, (number, &region), results);
                    // What does not suffice is done again, without the end.
                    if let Some(taken) = self.on_cpu("merge", region, take).await? {
                        return Some(taken);
                    }
                }
            }
        }
        None
    }

    /// One tile on the device; its end too, if `finish` has kernels for it.
    fn computed_there(
        &self,
        region: &Region,
        chunks: &[Vec<Arc<Chunk>>],
        finish: Option<&Finish>,
    ) -> Option<Computed> {
        let there = self.device.as_ref().filter(|_| !self.stopped())?;
        let told = |ran: &Ran| {
            self.shared.meters.device(&ran.phases);
            let Some((began, job)) = ran.began else { return };
            for phase in &ran.phases {
                let length = phase.to.saturating_sub(phase.from);
                self.shared.trace.device(phase.what, region, job, began + phase.from, length);
            }
        };
        let on = On { device: &*there.device, room: there.room, constants: there.constants, told: &told };
        let ending =
            |dtypes: &[Dtype], shape: &Shape| finish.and_then(|finish| finish.kernels(dtypes, shape));
        match device_run::compute(&self.shared.pool, &self.stage, region, chunks, &on, &ending) {
            Ok(computed) => return Some(computed),
            Err(Failed::Memory(source)) => self.fail(RunError::Memory { region: *region, source }),
            Err(Failed::Device(source)) => self.fail(RunError::Device { region: *region, source }),
        }
        None
    }

    async fn painted(
        self: &Arc<Self>,
        region: Region,
        painter: Arc<Painter>,
    ) -> Option<Vec<Arc<Vec<Block>>>> {
        let work = move |this: &Self| {
            if this.failed.load(Ordering::Relaxed) {
                return None;
            }
            let mut out = match tile_run::block(&this.shared.pool, region, this.stage.output.dtype) {
                Ok(out) => out,
                Err(source) => {
                    this.fail(RunError::Memory { region, source });
                    return None;
                }
            };
            match painter(this, &region, out.tile_mut()) {
                Ok(()) => Some(vec![Arc::new(vec![out])]),
                Err(error) => {
                    this.fail(error);
                    None
                }
            }
        };
        self.on_cpu("paint", region, work).await.flatten()
    }
}

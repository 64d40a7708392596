//! What a run keeps beside an output on the network. Objects are whole or absent, and are not appended to: the journal is
//! numbered objects, and the lock one that is put only where there is none.
//!
//! ```text
//! OUTPUT.voxtile-work/
//!   lock             the process that writes
//!   journal-00000    the plan
//!   journal-00001 …  what was noted since the one before
//! .OUTPUT.voxtile-done   that the output is complete, where that was asked for
//! ```
//!
//! What the plan keeps between and within its stages is on the disk of the machine that runs it, so it is gone when this is
//! another one: only what is written to the output itself is noted, and found again.

use super::journal::{Contents, Record};
use super::lock::Owner;
use super::{Header, Standing, WorkOptions, lock};
use crate::{ByteStore, IoError, Remote, Url};
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use voxtile_sched::contract::{Journal, StoreError, Unit};

/// How long notes wait for others, and for how many. Later in a run it is this part of its time, or of all its notes, so that a
/// long one has not too many objects.
const TOGETHER: (Duration, u64) = (Duration::from_secs(2), 8);
const PART: u32 = 32;
/// Longest object of a journal, and of a lock, that is read.
const LONGEST: u64 = 64 << 20;

/// Where the directory of a run into `output` lies, and what its objects are called.
struct Beside {
    /// The place that the output lies in.
    store: Arc<dyn ByteStore>,
    name: String,
    output: PathBuf,
}

impl Beside {
    fn of(output: &Path, remote: &Remote) -> Result<Option<Self>, IoError> {
        let url = Url::of(output)?.filter(|url| url.scheme().writes());
        let Some((within, name)) = url.as_ref().and_then(Url::split) else { return Ok(None) };
        Ok(Some(Self { store: remote.store(&within)?, name, output: output.to_path_buf() }))
    }

    fn dir(&self) -> String {
        format!("{}.voxtile-work", self.name)
    }

    fn lock(&self) -> String {
        format!("{}/lock", self.dir())
    }

    fn mark(&self) -> String {
        format!(".{}.voxtile-done", self.name)
    }

    fn note(&self, number: u64) -> String {
        format!("{}/journal-{number:05}", self.dir())
    }

    /// What runs have noted, and the number of their next object.
    fn noted(&self) -> Result<(Contents, u64), IoError> {
        let (mut contents, mut next) = (Contents::default(), 0);
        let mut names = self.store.list(&self.dir())?;
        names.retain(|name| name.starts_with("journal-"));
        for name in names {
            if let Some(bytes) = self.store.get(&format!("{}/{name}", self.dir()), LONGEST)? {
                contents.take_all(&bytes);
            }
            let number = name.rsplit('-').next().and_then(|number| number.parse::<u64>().ok());
            next = number.map_or(next, |number| next.max(number + 1));
        }
        if contents.plan.is_none() {
            // Of a run that was stopped while it removed them.
            contents.units.clear();
        }
        Ok((contents, next))
    }

    fn standing(&self) -> Result<Standing, IoError> {
        if let Some(header) = self.noted()?.0.plan {
            return Ok(Standing::Begun(Header::of(header)));
        }
        let mut mark = Contents::default();
        let Some(bytes) = self.store.get(&self.mark(), LONGEST)? else { return Ok(Standing::Nothing) };
        mark.take_all(&bytes);
        Ok(match mark.plan {
            Some(header) if mark.finished && !self.store.list(&self.name)?.is_empty() => {
                Standing::Done(Header::of(header))
            }
            _ => Standing::Nothing,
        })
    }

    /// Who holds the lock; nobody, if that is a process of this machine that is no more, or shall be taken for one.
    fn owner(&self, break_lock: bool) -> Result<Option<Owner>, IoError> {
        let me = Owner::me();
        let bytes = self.store.get(&self.lock(), LONGEST)?;
        let owner = bytes.and_then(|bytes| Owner::parse(&String::from_utf8_lossy(&bytes)));
        // A second run of this process is another run.
        Ok(owner.filter(|owner| *owner == me && !break_lock || owner.is_alive(&me, break_lock)))
    }

    fn check_lock(&self, break_lock: bool) -> Result<(), IoError> {
        let Some(Owner { host, pid, .. }) = self.owner(break_lock)? else { return Ok(()) };
        let foreign = host != Owner::me().host;
        Err(IoError::Locked { output: self.output.clone(), host, pid, foreign })
    }

    /// Takes the lock with words that no other run has.
    fn take_lock(&self, words: &str, break_lock: bool) -> Result<(), IoError> {
        loop {
            if self.store.put_new(&self.lock(), words.as_bytes())? {
                return Ok(());
            }
            let seen = self.store.get(&self.lock(), LONGEST)?;
            self.check_lock(break_lock)?;
            // Only what was seen is removed: it may have been given back, and taken by another, meanwhile.
            if seen.is_some() && self.store.get(&self.lock(), LONGEST)? == seen {
                self.store.delete(&self.lock())?;
            }
        }
    }

    /// Gives the lock back, unless another run has broken it.
    fn give_back(&self, words: &str) {
        if self.store.get(&self.lock(), LONGEST).is_ok_and(|held| held.as_deref() == Some(words.as_bytes())) {
            let _ = self.store.delete(&self.lock());
        }
    }
}

/// What a run keeps beside an output on the network, held by it alone.
pub struct RemoteWork {
    beside: Beside,
    /// What its lock says.
    words: String,
    /// What earlier runs noted.
    known: HashSet<Unit>,
    resumed: bool,
    /// Whether an earlier run completed the output, and not what follows it.
    finished: bool,
    noted: AtomicBool,
    journal: Mutex<Pen>,
}

/// The object of the journal that is put next.
struct Pen {
    pending: String,
    /// Units in `pending`, and those that were noted before.
    units: (u64, u64),
    number: u64,
    begun: Instant,
    since: Instant,
}

impl Pen {
    /// Whether what is pending has waited for long enough.
    fn is_due(&self) -> bool {
        let (time, count) = TOGETHER;
        self.since.elapsed() >= time.max(self.begun.elapsed() / PART)
            || self.units.0 >= count.max(self.units.1 / u64::from(PART))
    }
}

impl RemoteWork {
    /// Whether there is a place beside `output` that can be written: there is none beside a whole bucket.
    #[must_use]
    pub fn has_place(output: &Path) -> bool {
        Url::of(output).ok().flatten().is_some_and(|url| url.scheme().writes() && url.split().is_some())
    }

    /// What earlier runs left at an output. Takes no lock.
    ///
    /// # Errors
    /// [`IoError::Remote`].
    pub fn standing(output: &Path, remote: &Remote) -> Result<Standing, IoError> {
        Beside::of(output, remote)?.map_or(Ok(Standing::Nothing), |beside| beside.standing())
    }

    /// Whether a run into `output` was stopped and can go on.
    #[must_use]
    pub fn can_go_on(output: &Path, remote: &Remote) -> bool {
        let noted = Beside::of(output, remote).ok().flatten().and_then(|beside| beside.noted().ok());
        noted.is_some_and(|(contents, _)| !contents.units.is_empty())
    }

    /// Removes the mark of a complete output. Nothing can be done about one that stays.
    pub fn unmark(output: &Path, remote: &Remote) {
        if let Ok(Some(beside)) = Beside::of(output, remote) {
            let _ = beside.store.delete(&beside.mark());
        }
    }

    /// Refuses to run into another run, or over one that was stopped. Takes no lock.
    ///
    /// # Errors
    /// [`IoError::Locked`], [`IoError::Unfinished`], [`IoError::Remote`].
    pub fn check(output: &Path, remote: &Remote, options: WorkOptions) -> Result<(), IoError> {
        let Some(beside) = Beside::of(output, remote)? else { return Ok(()) };
        beside.check_lock(options.break_lock)?;
        if !options.resume && !options.overwrite && !beside.noted()?.0.units.is_empty() {
            return Err(IoError::Unfinished { output: output.to_path_buf() });
        }
        Ok(())
    }

    /// Takes the output at `output` for a run of a plan; `None` where there is no [place](Self::has_place) beside it.
    ///
    /// # Errors
    /// [`IoError::Locked`] while another process has it, [`IoError::Unfinished`] where an earlier run was stopped and nothing
    /// is said of it, [`IoError::Differs`] where that run was of another plan, [`IoError::Remote`].
    pub fn open(
        output: &Path,
        remote: &Remote,
        header: &Header,
        options: WorkOptions,
    ) -> Result<Option<Arc<Self>>, IoError> {
        let beside = Beside::of(output, remote)?;
        beside.map(|beside| Self::over(beside, header, options)).transpose()
    }

    fn over(beside: Beside, header: &Header, options: WorkOptions) -> Result<Arc<Self>, IoError> {
        let random = RandomState::new().hash_one(Instant::now());
        let words = format!("{} {random:016x}", Owner::me().as_text());
        beside.take_lock(&words, options.break_lock)?;
        let begun = Self::begin(&beside, header, options);
        let (before, number) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                beside.give_back(&words);
                return Err(error);
            }
        };
        let now = Instant::now();
        let pen = Pen { pending: String::new(), units: (0, 0), number, begun: now, since: now };
        let work = Self {
            known: before.units.into_keys().collect(),
            resumed: before.plan.is_some(),
            finished: before.finished,
            beside,
            words,
            noted: AtomicBool::new(false),
            journal: Mutex::new(pen),
        };
        if !work.resumed {
            work.write(&mut lock(&work.journal), &Record::Plan(&header.as_json()))?;
        }
        Ok(Arc::new(work))
    }

    /// What is gone on with, and the number of the next object; nothing, where the run starts afresh.
    fn begin(beside: &Beside, header: &Header, options: WorkOptions) -> Result<(Contents, u64), IoError> {
        let (before, number) = beside.noted()?;
        beside.store.delete(&beside.mark())?;
        if let Some(begun) = before.plan.clone().filter(|_| options.resume) {
            Header::of(begun).check(&header.plan, &beside.output)?;
            return Ok((before, number));
        }
        if !options.overwrite && !before.units.is_empty() {
            return Err(IoError::Unfinished { output: beside.output.clone() });
        }
        (0..number).rev().try_for_each(|number| beside.store.delete(&beside.note(number)))?;
        Ok((Contents::default(), 0))
    }

    /// Whether an earlier run completed the output; what follows it may be missing.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Notes that the output is complete.
    ///
    /// # Errors
    /// [`IoError::Remote`].
    pub fn finished(&self) -> Result<(), IoError> {
        self.write(&mut lock(&self.journal), &Record::Finished)
    }

    /// Ends a run that was stopped: what is noted stays for a later one.
    ///
    /// # Errors
    /// [`IoError::Remote`].
    pub fn leave(&self) -> Result<(), IoError> {
        self.flush(&mut lock(&self.journal))
    }

    /// Ends a run whose output is complete, or has been removed. With `mark`, a later run with
    /// [`resume`](WorkOptions::resume) will know by it that nothing is left to do.
    ///
    /// # Errors
    /// [`IoError::Remote`].
    pub fn end(&self, mark: Option<&Header>) -> Result<(), IoError> {
        let Beside { store, .. } = &self.beside;
        if let Some(header) = mark {
            let mut text = String::new();
            Record::Plan(&header.as_json()).append(&mut text);
            Record::Finished.append(&mut text);
            store.put(&self.beside.mark(), text.as_bytes())?;
        }
        let mut pen = lock(&self.journal);
        pen.pending.clear();
        // The plan goes last: without it, what is noted belongs to nothing.
        (0..pen.number).rev().try_for_each(|number| store.delete(&self.beside.note(number)))
    }

    fn write(&self, pen: &mut Pen, record: &Record<'_>) -> Result<(), IoError> {
        record.append(&mut pen.pending);
        self.flush(pen)
    }

    fn flush(&self, pen: &mut Pen) -> Result<(), IoError> {
        if !pen.pending.is_empty() {
            let pending = std::mem::take(&mut pen.pending);
            if !self.beside.store.put_new(&self.beside.note(pen.number), pending.as_bytes())? {
                // Whoever has put this one has broken the lock.
                self.beside.check_lock(false)?;
                let output = self.beside.output.clone();
                return Err(IoError::Locked {
                    output,
                    host: "another machine".to_owned(),
                    pid: 0,
                    foreign: true,
                });
            }
            pen.units = (0, pen.units.0 + pen.units.1);
            pen.number += 1;
        }
        pen.since = Instant::now();
        Ok(())
    }
}

impl Drop for RemoteWork {
    fn drop(&mut self) {
        // Whoever wants to know whether it could be written asks [`leave`](Self::leave).
        let _ = self.flush(&mut lock(&self.journal));
        self.beside.give_back(&self.words);
    }
}

impl Journal for RemoteWork {
    fn noted(&self, unit: Unit) -> Option<Vec<u8>> {
        self.known.contains(&unit).then(Vec::new)
    }

    fn done(&self, unit: Unit, note: &[u8]) -> Result<(), StoreError> {
        // What says where something was kept is of a disk that a later run may not see.
        if !note.is_empty() {
            return Ok(());
        }
        self.noted.store(true, Ordering::Relaxed);
        let mut pen = lock(&self.journal);
        Record::Unit(unit, note).append(&mut pen.pending);
        pen.units.0 += 1;
        if pen.is_due() {
            self.flush(&mut pen)?;
        }
        Ok(())
    }

    fn has_progress(&self) -> bool {
        self.noted.load(Ordering::Relaxed) || !self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::RESUME;
    use super::*;
    use crate::MemoryStore;
    use serde_json::json;

    /// As [`RemoteWork::open`], in a store of the test.
    fn open(store: &Arc<MemoryStore>, plan: &str, options: WorkOptions) -> Result<Arc<RemoteWork>, IoError> {
        let (store, output) = (store.clone() as Arc<dyn ByteStore>, PathBuf::from("s3://b/out.zarr"));
        let beside = Beside { store, name: "out.zarr".to_owned(), output };
        let header = Header { plan: json!({ "recipe": plan }), with: json!({ "memory": 7 }) };
        RemoteWork::over(beside, &header, options)
    }

    fn unit(number: u64) -> Unit {
        Unit { stage: 1, pass: 0, number }
    }

    #[test]
    fn a_stopped_run_is_gone_on_with_by_another_machine() {
        let store = Arc::new(MemoryStore::default());
        let first = open(&store, "invert", RESUME).unwrap();
        assert!(!first.resumed);
        first.done(unit(4), &[]).unwrap();
        // A tile that was handed on lies on the first machine's disk.
        first.done(unit(5), &[1, 2]).unwrap();
        first.leave().unwrap();
        drop(first);
        assert!(matches!(open(&store, "abs", RESUME), Err(IoError::Differs { .. })));
        let fresh = WorkOptions { resume: false, ..RESUME };
        assert!(matches!(open(&store, "invert", fresh), Err(IoError::Unfinished { .. })));
        let second = open(&store, "invert", RESUME).unwrap();
        let noted = [4, 5, 6].map(|n| second.noted(unit(n)));
        assert_eq!((second.resumed, noted), (true, [Some(vec![]), None, None]));
        second.done(unit(6), &[]).unwrap();
        second.finished().unwrap();
        assert!(open(&store, "invert", RESUME).is_err(), "it is still at work");
        drop(second);
        let third = open(&store, "invert", RESUME).unwrap();
        assert!(third.is_finished() && third.noted(unit(6)).is_some());
        third.end(Some(&Header::default())).unwrap();
        drop(third);
        assert_eq!(store.list("").unwrap(), [".out.zarr.voxtile-done"]);
    }

    #[test]
    fn a_run_that_starts_afresh_knows_nothing_of_the_one_before() {
        let store = Arc::new(MemoryStore::default());
        open(&store, "invert", RESUME).unwrap().done(unit(0), &[]).unwrap();
        let over = WorkOptions { resume: false, overwrite: true, ..RESUME };
        let work = open(&store, "abs", over).unwrap();
        assert!(!work.resumed && work.noted(unit(0)).is_none() && !work.has_progress());
        work.end(None).unwrap();
        drop(work);
        assert_eq!(store.list("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_run_whose_lock_was_broken_neither_notes_nor_unlocks() {
        let store = Arc::new(MemoryStore::default());
        let first = open(&store, "invert", RESUME).unwrap();
        first.done(unit(0), &[]).unwrap();
        first.leave().unwrap();
        let second = open(&store, "invert", WorkOptions { break_lock: true, ..RESUME }).unwrap();
        second.done(unit(1), &[]).unwrap();
        second.leave().unwrap();
        first.done(unit(2), &[]).unwrap();
        assert!(matches!(first.leave(), Err(IoError::Locked { .. })));
        drop(first);
        assert!(open(&store, "invert", RESUME).is_err(), "the second is still at work");
        drop(second);
        let third = open(&store, "invert", RESUME).unwrap();
        assert_eq!([0, 1, 2].map(|n| third.noted(unit(n)).is_some()), [true, true, false]);
    }

    #[test]
    fn notes_without_their_plan_are_nothing_to_go_on_from() {
        let store = Arc::new(MemoryStore::default());
        let work = open(&store, "invert", RESUME).unwrap();
        work.done(unit(0), &[]).unwrap();
        drop(work);
        store.delete("out.zarr.voxtile-work/journal-00000").unwrap();
        let work = open(&store, "invert", RESUME).unwrap();
        assert!(!work.resumed && !work.has_progress());
    }

    #[test]
    fn a_lock_of_another_machine_is_only_broken_on_request() {
        let store = Arc::new(MemoryStore::default());
        let key = "out.zarr.voxtile-work/lock";
        store.put(key, br#"{"host": "elsewhere", "pid": 7, "start": ""}"#).unwrap();
        let refused = open(&store, "invert", RESUME);
        assert!(matches!(refused, Err(IoError::Locked { pid: 7, foreign: true, .. })));
        open(&store, "invert", WorkOptions { break_lock: true, ..RESUME }).unwrap();
        let dead = Owner { pid: u32::MAX - 1, ..Owner::me() };
        store.put(key, dead.as_text().as_bytes()).unwrap();
        open(&store, "invert", RESUME).unwrap();
    }
}

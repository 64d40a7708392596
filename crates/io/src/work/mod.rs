//! What a run keeps beside its output until this is complete: who writes, what is done, and what a later run needs to go on.
//!
//! ```text
//! OUTPUT.voxtile-work/
//!   lock       the process that writes
//!   journal    the plan, and each part of it that is done
//!   image      a file on its way: TIFF, NumPy
//!   tmp-…      chunks and shards on their way, renamed to their place
//!   store-… heap-…   what the plan keeps between and within its stages
//!   replaced   what was at the output's place
//! ```

mod durability;
mod file;
mod journal;
mod lock;
mod remote;

pub use durability::Durability;
pub(crate) use file::Growing;
pub use remote::RemoteWork;

use self::journal::{Contents, Record};
use self::lock::{Lock, Owner};
use crate::IoError;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use voxtile_sched::contract::{Journal, StoreError, Unit};

/// How long notes wait for others where each is to be safe from a machine that stops.
const TOGETHER: Duration = Duration::from_millis(250);

/// How a run goes about its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkOptions {
    /// Goes on where an earlier run of the same plan was stopped.
    pub resume: bool,
    /// Starts afresh where an earlier run was stopped.
    pub overwrite: bool,
    /// Takes over what a process of another machine holds.
    pub break_lock: bool,
    /// When something counts as done.
    pub durability: Durability,
    /// Leaves a mark at a complete output, by which a later run knows that nothing is left; those that
    /// [resume](Self::resume) do.
    pub mark: bool,
    /// Does one part of the work, beside other processes that do the others: which part, and of how many.
    pub part: Option<(u32, u32)>,
}

/// A difference between two plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs: `recipe`, `output.codec`.
    pub what: String,
    /// In the plan that was begun.
    pub was: String,
    /// Now.
    pub is: String,
}

/// How far a run has come, as can be seen at its output.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// No run of voxtile has left anything to go on from.
    Nothing,
    /// A run of a plan was stopped, or is on its way.
    Begun(Header),
    /// A run of a plan is complete.
    Done(Header),
}

/// What a journal begins with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// The plan: everything that the bytes of the output depend on, and how the work is numbered.
    pub plan: Value,
    /// What else a later run wants to know.
    pub with: Value,
}

impl Header {
    fn as_json(&self) -> Value {
        json!({ "plan": self.plan, "with": self.with })
    }

    fn of(mut json: Value) -> Self {
        let mut take = |key| json.get_mut(key).map(Value::take).unwrap_or_default();
        Self { plan: take("plan"), with: take("with") }
    }

    /// Refuses a plan that is not this one.
    ///
    /// # Errors
    /// [`IoError::Differs`], for the output.
    pub fn check(&self, plan: &Value, output: &Path) -> Result<(), IoError> {
        let mut what = Vec::new();
        differences("", &self.plan, plan, &mut what);
        if what.is_empty() {
            return Ok(());
        }
        Err(IoError::Differs { output: output.to_path_buf(), what })
    }
}

/// The directory of a run, held by it alone.
#[derive(Debug)]
pub struct Work {
    dir: PathBuf,
    output: PathBuf,
    durability: Durability,
    /// What earlier runs noted.
    known: HashMap<Unit, Vec<u8>>,
    part: Option<(u32, u32)>,
    resumed: bool,
    /// Whether an earlier run completed the output, and not what follows it.
    finished: bool,
    noted: AtomicBool,
    journal: Mutex<Pen>,
    /// Files whose data is to be safe before what is noted of it is.
    files: Mutex<Vec<Arc<File>>>,
    next: AtomicU64,
    _lock: Lock,
}

/// The journal that is written.
#[derive(Debug)]
struct Pen {
    path: PathBuf,
    file: File,
    pending: String,
    since: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A path with something at its end.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

impl Work {
    /// The directory of runs that write to `output`.
    #[must_use]
    pub fn dir_of(output: &Path) -> PathBuf {
        // `out.zarr/` is `out.zarr`.
        let output: PathBuf = output.components().collect();
        beside(&output, ".voxtile-work")
    }

    /// What says, beside an output that was made with [`resume`](WorkOptions::resume), that it is complete.
    fn mark_of(output: &Path) -> PathBuf {
        let output: PathBuf = output.components().collect();
        let mut name = OsString::from(".");
        name.push(output.file_name().unwrap_or_default());
        name.push(".voxtile-done");
        output.with_file_name(name)
    }

    /// What earlier runs left at an output. Takes no lock.
    ///
    /// # Errors
    /// [`IoError::Io`].
    pub fn standing(output: &Path) -> Result<Standing, IoError> {
        let dir = Self::dir_of(output);
        for name in names(&dir).into_iter().filter(|name| name.starts_with("journal")) {
            if let Some(header) = Contents::read(&dir.join(name))?.plan {
                return Ok(Standing::Begun(Header::of(header)));
            }
        }
        let mark = Contents::read(&Self::mark_of(output))?;
        Ok(match mark.plan {
            Some(header) if mark.finished && output.exists() => Standing::Done(Header::of(header)),
            _ => Standing::Nothing,
        })
    }

    /// Whether a run into `output` was stopped and can go on.
    #[must_use]
    pub fn can_go_on(output: &Path) -> bool {
        let dir = Self::dir_of(output);
        let journals = names(&dir).into_iter().filter(|name| name.starts_with("journal"));
        let has_units = |name: String| Contents::read(&dir.join(name)).is_ok_and(|c| !c.units.is_empty());
        journals.into_iter().any(has_units)
    }

    /// Refuses to run into another run, or over one that was stopped. Takes no lock.
    ///
    /// # Errors
    /// [`IoError::Locked`], [`IoError::Unfinished`].
    pub fn check(output: &Path, options: WorkOptions) -> Result<(), IoError> {
        let dir = Self::dir_of(output);
        Self::check_lock(&dir.join("lock"), output, options)?;
        Self::check_others(&dir, output, options)?;
        if options.part.is_none() && !options.resume && !options.overwrite && Self::can_go_on(output) {
            return Err(IoError::Unfinished { output: output.to_path_buf() });
        }
        Ok(())
    }

    fn check_lock(path: &Path, output: &Path, options: WorkOptions) -> Result<(), IoError> {
        let me = Owner::me();
        match Lock::is_held(path).filter(|owner| owner.host == me.host || !options.break_lock) {
            Some(Owner { host, pid, .. }) => {
                let foreign = host != me.host;
                Err(IoError::Locked { output: output.to_path_buf(), host, pid, foreign })
            }
            None => Ok(()),
        }
    }

    /// A part runs beside other parts; whoever does all of the work runs beside nobody.
    fn check_others(dir: &Path, output: &Path, options: WorkOptions) -> Result<(), IoError> {
        if options.part.is_some() {
            return Self::check_lock(&dir.join("lock"), output, options);
        }
        let parts = names(dir).into_iter().filter(|name| name.starts_with("lock.part-"));
        parts.map(|name| dir.join(name)).try_for_each(|path| Self::check_lock(&path, output, options))
    }

    /// Takes the output at `output` for a run of a plan.
    ///
    /// # Errors
    /// [`IoError::Locked`] while another process has it, [`IoError::Unfinished`] where an earlier run was stopped and nothing
    /// is said of it, [`IoError::Differs`] where that run was of another plan, [`IoError::Io`].
    pub fn open(output: &Path, header: &Header, options: WorkOptions) -> Result<Arc<Self>, IoError> {
        let dir = Self::dir_of(output);
        // The group of label images may be missing.
        std::fs::create_dir_all(&dir).map_err(IoError::io("create", &dir))?;
        let end = options.part.map_or_else(String::new, |(part, _)| format!(".part-{part}"));
        let held = Lock::take(&dir.join(format!("lock{end}")), output, options.break_lock)?;
        Self::check_others(&dir, output, options)?;
        let path = dir.join(format!("journal{end}"));
        let mut before = Contents::read(&path)?;
        let own = before.len;
        // What other parts did is done.
        let mut parts = Vec::new();
        for name in names(&dir).into_iter().filter(|name| name.starts_with("journal")) {
            let other = dir.join(name);
            if other != path {
                parts.push(Contents::read(&other)?);
            }
        }
        let begun = std::iter::once(&before).chain(&parts).filter_map(|contents| contents.plan.clone());
        if options.resume || options.part.is_some() {
            for begun in begun {
                Header::of(begun).check(&header.plan, output)?;
            }
        }
        if before.plan.is_none() && (options.resume || options.part.is_some()) {
            before.plan = parts.iter().find_map(|part| part.plan.clone());
        }
        let units = parts.iter().map(|part| part.units.len()).sum::<usize>() + before.units.len();
        match &before.plan {
            _ if options.part.is_some() => {}

            Some(_) if options.resume => {}
            _ if !options.overwrite && units > 0 => {
                return Err(IoError::Unfinished { output: output.to_path_buf() });
            }
            _ => {
                before = Contents::default();
                parts.clear();
                sweep(&dir, |name| name != "lock" && name != "replaced");
            }
        }
        let own = if before == Contents::default() { 0 } else { own };
        let temporary = options.part.map_or_else(|| "tmp-".to_owned(), |(part, _)| format!("tmp-{part}-"));
        sweep(&dir, |name| name.starts_with(&temporary));
        let _ = std::fs::remove_file(Self::mark_of(output));
        let first = own == 0;
        let resumed = before.plan.is_some() || options.part.is_some();
        for part in parts {
            before.units.extend(part.units);
        }
        let open = OpenOptions::new().create(true).append(true).open(&path);
        let file = open.map_err(IoError::io("create", &path))?;
        // What follows is not believed, so nothing must follow it.
        file.set_len(own).map_err(IoError::io("write", &path))?;
        let pen = Pen { path, file, pending: String::new(), since: Instant::now() };
        let work = Self {
            dir,
            output: output.to_path_buf(),
            durability: options.durability,
            finished: before.finished && output.exists(),
            known: before.units,
            part: options.part,
            resumed,
            noted: AtomicBool::new(false),
            journal: Mutex::new(pen),
            files: Mutex::default(),
            next: AtomicU64::new(0),
            _lock: held,
        };
        if first {
            let mut pen = lock(&work.journal);
            Record::Plan(&header.as_json()).append(&mut pen.pending);
            work.flush(&mut pen)?;
        }
        Ok(Arc::new(work))
    }

    /// Whether an earlier run of the plan has begun.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Whether an earlier run completed the output; what follows it may be missing.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Notes that the output is complete.
    ///
    /// # Errors
    /// [`IoError::Io`].
    pub fn finished(&self) -> Result<(), IoError> {
        self.note(&Record::Finished)?;
        self.leave()
    }

    /// When something counts as done.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Removes the mark of a complete output. Nothing can be done about one that stays.
    pub fn unmark(output: &Path) {
        let _ = std::fs::remove_file(Self::mark_of(output));
    }

    /// The output.
    pub(crate) fn output(&self) -> &Path {
        &self.output
    }

    /// Where everything lies that the run keeps.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// The path of a file of the run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The path of a file that is there for a moment.
    pub(crate) fn temporary(&self) -> PathBuf {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.dir.join(match self.part {
            Some((part, _)) => format!("tmp-{part}-{next}"),
            None => format!("tmp-{next}"),
        })
    }

    /// The number of this part among those that write at the same time.
    pub(crate) fn part(&self) -> u32 {
        self.part.map_or(0, |(part, _)| part)
    }

    /// From now on the data of the file is made safe before what is noted.
    pub(crate) fn keep_safe(&self, file: &Arc<File>) {
        if self.durability != Durability::None {
            lock(&self.files).push(file.clone());
        }
    }

    /// Writes what is noted, and makes it safe as far as asked for.
    fn flush(&self, pen: &mut Pen) -> Result<(), IoError> {
        let safe = self.durability != Durability::None;
        if safe {
            for file in lock(&self.files).iter() {
                file.sync_data().map_err(IoError::io("write", &self.dir))?;
            }
        }
        pen.file.write_all(pen.pending.as_bytes()).map_err(IoError::io("write", &pen.path))?;
        pen.pending.clear();
        if safe {
            pen.file.sync_data().map_err(IoError::io("write", &pen.path))?;
        }
        pen.since = Instant::now();
        Ok(())
    }

    fn note(&self, record: &Record<'_>) -> Result<(), IoError> {
        let mut pen = lock(&self.journal);
        record.append(&mut pen.pending);
        if self.durability == Durability::None || pen.since.elapsed() >= TOGETHER {
            self.flush(&mut pen)?;
        }
        Ok(())
    }

    /// Notes that a part of a file has its place: what a store must know to go on. These are no units of the plan.
    pub(crate) fn note_piece(&self, file: u32, number: u64, note: &[u8]) -> Result<(), IoError> {
        self.note(&Record::Unit(piece(file, number), note))
    }

    /// What was [noted](Self::note_piece) of the pieces of a file.
    pub(crate) fn pieces(&self, file: u32) -> impl Iterator<Item = (u64, &[u8])> {
        let of_file = move |unit: &Unit| *unit == piece(file, unit.number);
        self.known.iter().filter(move |(unit, _)| of_file(unit)).map(|(unit, note)| (unit.number, &**note))
    }

    /// Ends a run that was stopped: what is noted stays for a later one.
    ///
    /// # Errors
    /// [`IoError::Io`].
    pub fn leave(&self) -> Result<(), IoError> {
        self.flush(&mut lock(&self.journal))
    }

    /// Ends a run whose output is complete, or has been removed. With `mark`, a later run with
    /// [`resume`](WorkOptions::resume) will know by it that nothing is left to do.
    ///
    /// # Errors
    /// [`IoError::Io`].
    pub fn end(&self, mark: Option<&Header>) -> Result<(), IoError> {
        if let Some(header) = mark {
            let mut text = String::new();
            Record::Plan(&header.as_json()).append(&mut text);
            Record::Finished.append(&mut text);
            let path = Self::mark_of(&self.output);
            let write = || {
                let mut file = File::create(&path)?;
                file.write_all(text.as_bytes())?;
                // Without it, and without the directory, a complete output would be taken for one that nobody knows.
                if self.durability == Durability::None { Ok(()) } else { file.sync_data() }
            };
            write().map_err(IoError::io("create", &path))?;
        }
        if self.durability == Durability::Full {
            let dir = self.output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            durability::sync_all(dir).map_err(IoError::io("write", dir))?;
        }
        // Whoever is stopped in between is known by the journal to be complete.
        sweep(&self.dir, |name| !name.starts_with("journal") && !name.starts_with("lock"));
        std::fs::remove_dir_all(&self.dir).map_err(IoError::io("remove", &self.dir))
    }

    /// Removes what a run left that was stopped while it removed its directory. Nothing can be done about what stays.
    pub fn tidy(output: &Path) {
        let dir = Self::dir_of(output);
        if !names(&dir).iter().any(|name| name.starts_with("journal")) {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // Whoever wants to know whether it could be written asks [`leave`](Self::leave).
        let _ = self.flush(&mut lock(&self.journal));
    }
}

/// A piece of a file, as a unit: no plan has so many stages.
fn piece(file: u32, number: u64) -> Unit {
    Unit { stage: u32::MAX, pass: file, number }
}

impl Journal for Work {
    fn noted(&self, unit: Unit) -> Option<Vec<u8>> {
        self.known.get(&unit).cloned()
    }

    fn done(&self, unit: Unit, note: &[u8]) -> Result<(), StoreError> {
        self.note(&Record::Unit(unit, note))?;
        self.noted.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn owns(&self, unit: Unit, of: u64) -> bool {
        let part_of = |parts: u32| u128::from(unit.number) * u128::from(parts) / u128::from(of.max(1));
        self.part.is_none_or(|(part, parts)| part_of(parts) == u128::from(part))
    }

    fn has_progress(&self) -> bool {
        self.noted.load(Ordering::Relaxed) || self.known.keys().any(|unit| unit.stage != u32::MAX)
    }
}

/// Names in a directory, in order; none where there is no directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Removes what the directory holds, as far as wanted. Nothing can be done about what stays.
fn sweep(dir: &Path, gone: impl Fn(&str) -> bool) {
    for name in names(dir) {
        if gone(&name) {
            let path = dir.join(name);
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }
}

fn differences(name: &str, was: &Value, is: &Value, out: &mut Vec<Difference>) {
    let (Value::Object(a), Value::Object(b)) = (was, is) else {
        if was != is {
            let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            out.push(Difference { what: name.to_owned(), was: text(was), is: text(is) });
        }
        return;
    };
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for key in keys {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
        differences(&name, &of(a), &of(b), out);
    }
}

/// What tests of runs that go on say.
#[cfg(test)]
const RESUME: WorkOptions = WorkOptions {
    resume: true,
    overwrite: false,
    break_lock: false,
    durability: Durability::None,
    mark: false,
    part: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn header(plan: Value) -> Header {
        Header { plan, with: json!({"memory": 7}) }
    }

    fn unit(number: u64) -> Unit {
        Unit { stage: 0, pass: 0, number }
    }

    #[test]
    fn a_stopped_run_is_gone_on_with_and_a_complete_one_known() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out.zarr");
        let plan = header(json!({"recipe": "invert", "output": {"codec": "none"}}));
        for durability in Durability::ALL {
            assert_eq!(Work::standing(&output).unwrap(), Standing::Nothing);
            let options = WorkOptions { durability, ..RESUME };
            let work = Work::open(&output, &plan, options).unwrap();
            assert!(!work.is_resumed() && !work.has_progress());
            assert!(matches!(Work::open(&output, &plan, options), Err(IoError::Locked { .. })));
            work.done(unit(3), &[1, 2]).unwrap();
            work.note_piece(0, 5, &[9]).unwrap();
            work.leave().unwrap();
            drop(work);
            assert_eq!(Work::standing(&output).unwrap(), Standing::Begun(plan.clone()));
            assert!(Work::can_go_on(&output));
            let again = Work::open(&output, &plan, options).unwrap();
            assert!(again.is_resumed() && again.has_progress());
            assert_eq!((again.noted(unit(3)), again.noted(unit(5))), (Some(vec![1, 2]), None));
            assert_eq!(again.pieces(0).collect::<Vec<_>>(), [(5, &[9][..])]);
            std::fs::write(&output, "image").unwrap();
            again.end(Some(&plan)).unwrap();
            drop(again);
            assert_eq!(Work::standing(&output).unwrap(), Standing::Done(plan.clone()));
            assert!(!Work::dir_of(&output).exists());
            // What was complete is begun anew: it is not complete any more.
            Work::open(&output, &plan, options).unwrap().end(None).unwrap();
            std::fs::remove_file(&output).unwrap();
        }
    }

    #[test]
    fn parts_run_beside_each_other_and_what_each_did_is_known_to_all() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out.zarr");
        let plan = header(json!({"recipe": "invert"}));
        let part = |n| Work::open(&output, &plan, WorkOptions { part: Some((n, 3)), ..RESUME });
        let (first, second) = (part(0).unwrap(), part(1).unwrap());
        assert!(matches!(part(1), Err(IoError::Locked { .. })));
        assert!(matches!(Work::open(&output, &plan, RESUME), Err(IoError::Locked { .. })));
        let owned = |work: &Work| (0..7).filter(|n| work.owns(unit(*n), 7)).collect::<Vec<_>>();
        assert_eq!((owned(&first), owned(&second)), (vec![0, 1, 2], vec![3, 4]));
        assert_ne!(first.temporary(), second.temporary());
        first.done(unit(0), &[1]).unwrap();
        second.done(unit(3), &[2]).unwrap();
        drop(first);
        let again = part(0).unwrap();
        assert_eq!((again.noted(unit(0)), again.noted(unit(3))), (Some(vec![1]), Some(vec![2])));
        again.done(unit(1), &[3]).unwrap();
        drop((again, second));
        let all = Work::open(&output, &plan, RESUME).unwrap();
        assert!(part(2).is_err());
        let noted = [0, 1, 2, 3].map(|n| all.noted(unit(n)));
        assert_eq!(noted, [Some(vec![1]), Some(vec![3]), None, Some(vec![2])]);
        assert!((0..7).all(|n| all.owns(unit(n), 7)));
        let other = header(json!({"recipe": "abs"}));
        drop(all);
        assert!(matches!(Work::open(&output, &other, RESUME), Err(IoError::Differs { .. })));
    }

    #[test]
    fn another_plan_is_refused_and_says_what_differs() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out.tif");
        let plan = header(json!({"recipe": "invert", "output": {"codec": "none"}}));
        Work::open(&output, &plan, RESUME).unwrap().done(unit(0), &[]).unwrap();
        let other = header(json!({"recipe": "invert", "output": {"codec": "zstd:3"}, "more": 1}));
        let Err(IoError::Differs { what, .. }) = Work::open(&output, &other, RESUME) else { panic!() };
        let difference = |what: &str, was: &str, is: &str| Difference {
            what: what.to_owned(),
            was: was.to_owned(),
            is: is.to_owned(),
        };
        assert_eq!(what, [difference("more", "null", "1"), difference("output.codec", "none", "zstd:3")]);
        let fresh = WorkOptions { resume: false, ..RESUME };
        assert!(matches!(Work::open(&output, &other, fresh), Err(IoError::Unfinished { .. })));
        let over = WorkOptions { overwrite: true, ..fresh };
        assert!(!Work::open(&output, &other, over).unwrap().is_resumed());
    }

    #[test]
    fn what_was_on_its_way_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out.zarr");
        let plan = Header::default();
        let work = Work::open(&output, &plan, RESUME).unwrap();
        let (temporary, store) = (work.temporary(), work.path("store-0"));
        std::fs::write(&temporary, "half").unwrap();
        std::fs::write(&store, "whole").unwrap();
        work.done(unit(0), &[]).unwrap();
        drop(work);
        drop(Work::open(&output, &plan, RESUME).unwrap());
        assert_eq!((temporary.exists(), store.exists()), (false, true));
        drop(Work::open(&output, &plan, WorkOptions { resume: false, overwrite: true, ..RESUME }).unwrap());
        assert!(!store.exists());
    }
}

//! A Chrome trace of a run: one row per worker, one bar per read, compute and write; one row per job that a device has at
//! one time, with bars for copies and kernels.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

struct Event {
    name: &'static str,
    place: String,
    worker: usize,
    start_us: u64,
    length_us: u64,
}

/// Rows of a device come after those of workers.
const DEVICE_ROWS: usize = 1000;

pub(super) struct Trace {
    zero: Instant,
    events: Option<Mutex<Vec<Event>>>,
}

impl Trace {
    pub(super) fn new(on: bool) -> Self {
        Self { zero: Instant::now(), events: on.then(|| Mutex::new(Vec::new())) }
    }

    /// Runs `work` and records when it ran, and on which worker.
    pub(super) fn span<R>(&self, name: &'static str, place: &impl ToString, work: impl FnOnce() -> R) -> R {
        let Some(events) = &self.events else { return work() };
        let start = Instant::now();
        let out = work();
        let event = Event {
            name,
            place: place.to_string(),
            worker: rayon::current_thread_index().unwrap_or(0),
            start_us: (start - self.zero).as_micros() as u64,
            length_us: start.elapsed().as_micros() as u64,
        };
        events.lock().expect("trace lock").push(event);
        out
    }

    /// Records something that a device did.
    pub(super) fn device(
        &self,
        what: &'static str,
        place: &impl ToString,
        job: usize,
        from: Instant,
        length: Duration,
    ) {
        let Some(events) = &self.events else { return };
        let event = Event {
            name: what,
            place: place.to_string(),
            worker: DEVICE_ROWS + job,
            start_us: from.saturating_duration_since(self.zero).as_micros() as u64,
            length_us: length.as_micros() as u64,
        };
        events.lock().expect("trace lock").push(event);
    }

    /// Writes what was recorded as a JSON array that trace viewers open.
    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        let Some(events) = &self.events else { return Ok(()) };
        let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
        write!(out, "[")?;
        for (n, e) in events.lock().expect("trace lock").iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            writeln!(
                out,
                r#"{comma}{{"name":"{}","cat":"tile","ph":"X","pid":1,"tid":{},"ts":{},"dur":{},"args":{{"region":"{}"}}}}"#,
                e.name, e.worker, e.start_us, e.length_us, e.place
            )?;
        }
        writeln!(out, "]")?;
        out.flush()
    }
}

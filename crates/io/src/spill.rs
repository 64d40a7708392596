//! What a plan keeps between two stages: raw chunks in one temporary file. No name leads to it, unless a later run is to find
//! it: then it lies in the directory of the run, numbered in the order in which the plan asks for stores.

use crate::bytes::read_at;
use crate::scratch::with_work;
use crate::{IoError, Work};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use voxtile_sched::contract::{Heap, Layout, Place, Sink, Source, Spill, StoreError};
use voxtile_sched::model::{Grid, Meta, Shape, Tile, TileMut, voxels};

/// Makes temporary stores in a directory. Their space is freed when they are dropped, and when the process dies.
#[derive(Clone, Debug)]
pub struct SpillDir {
    dir: PathBuf,
    /// The run whose files stay for a later one, and how many of them it has asked for.
    work: Option<(Arc<Work>, Arc<AtomicU64>)>,
}

impl SpillDir {
    /// Temporary stores in `dir`, which must exist.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), work: None }
    }

    /// Stores of a run that may be stopped: a later run of the same plan finds what is in them.
    #[must_use]
    pub fn kept(work: Arc<Work>) -> Self {
        Self { dir: work.path(""), work: Some((work, Arc::default())) }
    }

    /// Where they are made.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file; and its path if it has one, and whether it was there.
    fn file(&self, kind: &str) -> Result<(Arc<File>, Option<PathBuf>, bool), IoError> {
        let Some((work, next)) = &self.work else { return Ok((Arc::new(self.nameless()?), None, false)) };
        let mut name = format!("{kind}-{}", next.fetch_add(1, Ordering::Relaxed));
        if kind == "heap" && work.part() > 0 {
            name += &of_part(work.part());
        }
        let path = work.path(&name);
        let there = path.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = Arc::new(file.map_err(IoError::io("create", &path))?);
        work.keep_safe(&file);
        Ok((file, Some(path), there))
    }

    /// A new file without a name.
    fn nameless(&self) -> Result<File, IoError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!(".voxtile-spill-{}-{number}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(IoError::io("create", &path))?;
        std::fs::remove_file(&path).map_err(IoError::io("remove", path))?;
        Ok(file)
    }
}

impl Spill for SpillDir {
    fn create(&self, meta: &Meta, chunk: Shape) -> Result<(Arc<dyn Sink>, Arc<dyn Source>), StoreError> {
        let grid = Grid::new(meta.shape, chunk);
        let slot = voxels(&grid.chunk).saturating_mul(meta.dtype.size() as u64);
        if slot.checked_mul(grid.len()).is_none_or(|n| n > i64::MAX as u64) {
            return Err(IoError::Memory { bytes: slot.saturating_mul(grid.len()) }.into());
        }
        let layout = Layout {
            chunk: grid.chunk,
            shard: None,
            // A tile with gaps is copied first.
            scratch: slot,
            ns_per_voxel: 0.2 * meta.dtype.size() as f64,
        };
        let (file, path, there) = self.file("store")?;
        let (meta, dir) = (meta.clone(), self.dir.clone());
        let store = Arc::new(Raw { meta, grid, slot, layout, file, path, there, dir });
        Ok((store.clone(), store))
    }

    fn heap(&self) -> Result<Arc<dyn Heap>, StoreError> {
        // Each part of the work has a heap of its own.
        let part = self.work.as_ref().map_or(0, |(work, _)| work.part());
        let (file, path, _) = self.file("heap")?;
        let end = file.metadata().map_err(IoError::io("read", &self.dir))?.len();
        let (end, others) = (AtomicU64::new(end), Mutex::default());
        Ok(Arc::new(Pieces { file, part, path, others, end, dir: self.dir.clone() }))
    }
}

/// Bits of a place in a heap; above them is the part of the work whose heap it is.
const PLACE_BITS: u32 = 44;

/// What the heap of a part that is not the first has at the end of its name.
fn of_part(part: u32) -> String {
    format!(".part-{part}")
}

/// Pieces one after the other in a file, and those that other parts of the work put into theirs.
struct Pieces {
    file: Arc<File>,
    part: u32,
    path: Option<PathBuf>,
    others: Mutex<HashMap<u32, Arc<File>>>,
    end: AtomicU64,
    dir: PathBuf,
}

impl Heap for Pieces {
    fn keep(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        let at = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_all_at(bytes, at).map_err(IoError::io("write", &self.dir))?;
        if at >> PLACE_BITS > 0 {
            return Err(IoError::Memory { bytes: at }.into());
        }
        Ok(u64::from(self.part) << PLACE_BITS | at)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> Result<(), StoreError> {
        let (part, at) = ((at >> PLACE_BITS) as u32, at & ((1 << PLACE_BITS) - 1));
        let file = if part == self.part { self.file.clone() } else { self.of(part)? };
        Ok(file.read_exact_at(out, at).map_err(IoError::io("read", &self.dir))?)
    }
}

impl Pieces {
    /// The heap of another part.
    fn of(&self, part: u32) -> Result<Arc<File>, IoError> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = others.get(&part) {
            return Ok(file.clone());
        }
        let own = self.path.as_ref().unwrap_or(&self.dir).to_string_lossy().into_owned();
        let stem = own.strip_suffix(&of_part(self.part)).unwrap_or(&own);
        let path = if part == 0 { stem.to_owned() } else { format!("{stem}{}", of_part(part)) };
        let file = Arc::new(File::open(&path).map_err(IoError::io("read", path))?);
        others.insert(part, file.clone());
        Ok(file)
    }
}

/// Chunks at fixed places of a file.
struct Raw {
    meta: Meta,
    grid: Grid,
    /// Bytes from one chunk to the next.
    slot: u64,
    layout: Layout,
    file: Arc<File>,
    /// Where a later run finds it.
    path: Option<PathBuf>,
    /// Whether it is an earlier run's.
    there: bool,
    dir: PathBuf,
}

impl Raw {
    fn offset(&self, index: &Shape) -> u64 {
        self.grid.linear(index) * self.slot
    }
}

impl Sink for Raw {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn name(&self) -> String {
        format!("temporary file in {}", self.dir.display())
    }

    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        let put = |bytes: &[u8]| -> Result<u64, IoError> {
            self.file
                .write_all_at(bytes, self.offset(&place.index))
                .map_err(IoError::io("write", &self.dir))?;
            Ok(bytes.len() as u64)
        };
        if let Some(bytes) = data.bytes() {
            return Ok(put(bytes)?);
        }
        Ok(with_work(|work| {
            let len = data.len() * data.dtype().size();
            let space = work.chunk.bytes(len)?;
            let [nt, nc, nz, ny, nx] = data.shape();
            let mut rows = space.chunks_exact_mut(nx * data.dtype().size());
            for t in 0..nt {
                for c in 0..nc {
                    for z in 0..nz {
                        for y in 0..ny {
                            if let Some(row) = rows.next() {
                                row.copy_from_slice(data.row_bytes(t, c, z, y));
                            }
                        }
                    }
                }
            }
            put(work.chunk.filled(len))
        })?)
    }

    fn finish(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn abort(&self) {
        if let Some(path) = &self.path {
            // Nothing can be done about what stays; it goes with the directory.
            let _ = std::fs::remove_file(path);
        }
    }

    fn holds(&self, _: Place) -> bool {
        self.there
    }

    fn leave(&self) {}
}

impl Source for Raw {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn chunk(&self) -> Shape {
        self.grid.chunk
    }

    fn name(&self) -> String {
        Sink::name(self)
    }

    fn scratch(&self) -> u64 {
        0
    }

    fn read(&self, index: &Shape, _: Option<Vec<u8>>, mut out: TileMut<'_>) -> Result<u64, StoreError> {
        let bytes = out.bytes_mut().expect("a chunk is read into a tile without gaps");
        let want = bytes.len() as u64;
        let got =
            read_at(&self.file, bytes, self.offset(index)).map_err(IoError::io("read", &self.dir))? as u64;
        if got != want {
            return Err(IoError::Damaged {
                store: Sink::name(self),
                chunk: self.grid.linear(index).to_string(),
                region: self.grid.region(index),
                problem: crate::Damage::Truncated { got, want },
            }
            .into());
        }
        Ok(want)
    }

    fn ns_per_voxel(&self) -> f64 {
        0.15 * self.meta.dtype.size() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;
    use std::sync::Mutex;

    struct Store {
        dir: tempfile::TempDir,
        source: Mutex<Option<Arc<dyn Source>>>,
    }

    impl contract::Store for Store {
        fn create(&self, meta: &Meta, chunk: Shape) -> Result<Arc<dyn Sink>, StoreError> {
            let (sink, source) = SpillDir::new(self.dir.path()).create(meta, chunk)?;
            *self.source.lock().unwrap() = Some(source);
            Ok(sink)
        }

        fn reopen(&self) -> Result<Arc<dyn Source>, StoreError> {
            Ok(self.source.lock().unwrap().take().unwrap())
        }

        fn is_gone(&self) -> bool {
            self.source.lock().unwrap().take();
            std::fs::read_dir(self.dir.path()).unwrap().count() == 0
        }
    }

    #[test]
    fn keeps_the_contract_and_leaves_no_name() {
        let store = Store { dir: tempfile::tempdir().unwrap(), source: Mutex::default() };
        contract::check(&store);
        assert!(contract::Store::is_gone(&store));
    }

    #[test]
    fn pieces_come_back_from_where_they_were_kept() {
        let dir = tempfile::tempdir().unwrap();
        let heap = SpillDir::new(dir.path()).heap().unwrap();
        let places: Vec<u64> = [&b"runs"[..], b"", b"of a tile"].map(|p| heap.keep(p).unwrap()).to_vec();
        let mut out = [0; 9];
        heap.read(places[2], &mut out).unwrap();
        assert_eq!(&out, b"of a tile");
        heap.read(places[0], &mut out[..4]).unwrap();
        assert_eq!(&out[..4], b"runs");
        assert!(heap.read(places[2] + 1, &mut out).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_kept_is_found_by_a_later_run() {
        let dir = tempfile::tempdir().unwrap();
        let options = crate::WorkOptions { resume: true, ..Default::default() };
        let open = || Work::open(&dir.path().join("out"), &crate::Header::default(), options).unwrap();
        let meta =
            Meta::new([1, 1, 1, 4, 4], voxtile_sched::model::AxisSet::SPACE, voxtile_sched::model::Dtype::U8);
        let place = Place { index: [0; 5], order: 0 };
        let first = SpillDir::kept(open());
        let heap = first.heap().unwrap();
        assert_eq!((heap.keep(b"runs").unwrap(), heap.keep(b"faces").unwrap()), (0, 4));
        let (sink, _) = first.create(&meta, meta.shape).unwrap();
        assert!(!sink.holds(place));
        sink.write(place, &Tile::new(meta.dtype, [1, 1, 1, 4, 4], &[7; 16])).unwrap();
        drop((first, heap, sink));
        let second = SpillDir::kept(open());
        let heap = second.heap().unwrap();
        assert_eq!(heap.keep(b"more").unwrap(), 9);
        let mut piece = [0; 5];
        heap.read(4, &mut piece).unwrap();
        assert_eq!(&piece, b"faces");
        let (sink, source) = second.create(&meta, meta.shape).unwrap();
        assert!(sink.holds(place));
        let mut out = [0; 16];
        source.read(&[0; 5], None, TileMut::new(meta.dtype, [1, 1, 1, 4, 4], &mut out)).unwrap();
        assert_eq!(out, [7; 16]);
        // Nobody reads it any more.
        sink.abort();
        assert!(!dir.path().join("out.voxtile-work/store-1").exists());
    }

    #[test]
    fn a_chunk_that_was_never_written_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let meta =
            Meta::new([1, 1, 1, 4, 4], voxtile_sched::model::AxisSet::SPACE, voxtile_sched::model::Dtype::U8);
        let (_, source) = SpillDir::new(dir.path()).create(&meta, [1, 1, 1, 4, 4]).unwrap();
        let mut out = [0u8; 16];
        let tile = TileMut::new(meta.dtype, [1, 1, 1, 4, 4], &mut out);
        assert!(source.read(&[0; 5], None, tile).is_err());
    }
}

//! Going on where a chunk of the input is damaged: what its voxels count as, which output chunks it spoils, and the list.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use voxtile_io::IoError;
use voxtile_sched::contract::{AroundSink, Fetch, Place, Sink, Source, StoreError};
use voxtile_sched::engine::{DamagedChunk, Reach};
use voxtile_sched::model::{Grid, Meta, Region, Shape, Tile, TileMut};

/// What happens when a chunk of the input cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// The run ends with an error.
    #[default]
    Stop,
    /// Its voxels count as the image's fill value: that of the Zarr array, 0 in other formats.
    Fill,
    /// As `Fill`, and every output chunk that is made of such voxels holds 0 instead of what was computed.
    Skip,
}

impl OnDamage {
    /// The names that `--on-damage` takes.
    pub const NAMES: [&'static str; 3] = ["stop", "fill", "skip"];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Fill => "fill",
            Self::Skip => "skip",
        }
    }
}

impl FromStr for OnDamage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Stop, Self::Fill, Self::Skip];
        all.into_iter()
            .find(|on| on.name() == text)
            .ok_or_else(|| format!("one of {}", Self::NAMES.join(", ")))
    }
}

/// The damaged chunks that were met, by their name; a chunk that is read in parts is one.
#[derive(Default)]
struct Found(Mutex<BTreeMap<String, DamagedChunk>>);

/// A source that has fill values where chunks are damaged.
pub(crate) struct Mended {
    source: Arc<dyn Source>,
    /// One sample.
    fill: Vec<u8>,
    found: Found,
}

impl Mended {
    pub(crate) fn new(source: Arc<dyn Source>, fill: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { source, fill, found: Found::default() })
    }

    /// What was damaged, in the order of the image.
    pub(crate) fn damaged(&self) -> Vec<DamagedChunk> {
        let found = self.found.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<DamagedChunk> = found.values().cloned().collect();
        all.sort_by_key(|chunk| chunk.region.start);
        all
    }

    /// Whether damage was met in a region.
    fn touches(&self, region: &Region) -> bool {
        let found = self.found.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.values().any(|chunk| !chunk.region.intersect(region).is_empty())
    }

    fn note(&self, error: StoreError) -> Result<(), StoreError> {
        let error = error.downcast::<IoError>()?;
        let IoError::Damaged { chunk, region, problem, .. } = &*error else { return Err(error) };
        let mut found = self.found.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || DamagedChunk { chunk: chunk.clone(), region: *region, problem: problem.to_string() };
        let known = found.entry(chunk.clone()).or_insert_with(new);
        known.region = known.region.hull(region);
        Ok(())
    }
}

impl Source for Mended {
    fn meta(&self) -> &Meta {
        self.source.meta()
    }

    fn chunk(&self) -> Shape {
        self.source.chunk()
    }

    fn name(&self) -> String {
        self.source.name()
    }

    fn scratch(&self) -> u64 {
        self.source.scratch()
    }

    fn held(&self) -> u64 {
        self.source.held()
    }

    fn expect(&self, indices: &[Shape]) {
        self.source.expect(indices);
    }

    fn fetched(&self) -> u64 {
        self.source.fetched()
    }

    fn fetch(&self, index: &Shape) -> Fetch<'_> {
        self.source.fetch(index)
    }

    fn read(&self, index: &Shape, fetched: Option<Vec<u8>>, mut out: TileMut<'_>) -> Result<u64, StoreError> {
        match self.source.read(index, fetched, out.reborrow()) {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                self.note(error)?;
                let bytes = out.bytes_mut().expect("the place of a chunk has no gaps");
                match self.fill.len() {
                    0 => bytes.fill(0),
                    size => bytes.chunks_exact_mut(size).for_each(|place| place.copy_from_slice(&self.fill)),
                }
                Ok(0)
            }
        }
    }

    fn ns_per_voxel(&self) -> f64 {
        self.source.ns_per_voxel()
    }
}

/// A sink whose chunks hold 0 where they are made of damaged ones.
pub(crate) struct Skipping {
    sink: Arc<dyn Sink>,
    mended: Arc<Mended>,
    reach: Reach,
    grid: Grid,
}

impl Skipping {
    pub(crate) fn new(sink: Arc<dyn Sink>, mended: Arc<Mended>, reach: Reach) -> Self {
        let grid = Grid::new(sink.meta().shape, sink.layout().chunk);
        Self { sink, mended, reach, grid }
    }
}

impl AroundSink for Skipping {
    fn inner(&self) -> &dyn Sink {
        &*self.sink
    }

    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        let spoilt = |read: &Region| self.mended.touches(read);
        if !self.reach.of(&self.grid.region(&place.index)).first().is_some_and(spoilt) {
            return self.sink.write(place, data);
        }
        let bytes = data.len() * data.dtype().size();
        // Words, for samples of any type.
        let mut words: Vec<u64> = Vec::new();
        let count = bytes.div_ceil(8);
        words.try_reserve_exact(count).map_err(|_| IoError::Memory { bytes: bytes as u64 })?;
        words.resize(count, 0);
        let zero = &bytemuck::cast_slice(&words)[..bytes];
        self.sink.write(place, &Tile::new(data.dtype(), data.shape(), zero))
    }
}

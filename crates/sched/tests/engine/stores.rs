//! Stores in memory, and the shortest way to run a graph.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use voxtile_sched::contract::{Device, Heap, Joins, Layout, Place, Sink, Source, Spill, StoreError};
use voxtile_sched::engine::{Graph, Hooks, Options, Plan, Report, RunError, Summary};
use voxtile_sched::model::{Dtype, Grid, Meta, PerAxis, Region, Shape, Tile, TileMut};

/// A whole image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Image {
    pub(crate) meta: Meta,
    pub(crate) data: Vec<u8>,
}

impl Image {
    pub(crate) fn new(meta: Meta) -> Self {
        let data = vec![0; meta.bytes() as usize];
        Self { meta, data }
    }

    /// Noise that depends on the seed alone.
    pub(crate) fn noise(shape: Shape, axes: &str, seed: u64) -> Self {
        let axes = voxtile_sched::model::AxisSet::parse(axes).unwrap();
        let mut image = Self::new(Meta::new(shape, axes, Dtype::I32));
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for v in image.samples_mut() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *v = (state >> 40) as i32 % 1000;
        }
        image
    }

    pub(crate) fn samples(&self) -> &[i32] {
        if self.data.is_empty() { &[] } else { bytemuck::cast_slice(&self.data) }
    }

    pub(crate) fn samples_mut(&mut self) -> &mut [i32] {
        if self.data.is_empty() { &mut [] } else { bytemuck::cast_slice_mut(&mut self.data) }
    }

    pub(crate) fn shape(&self) -> PerAxis<usize> {
        self.meta.shape.map(|n| n as usize)
    }

    pub(crate) fn tile(&self) -> Tile<'_> {
        Tile::new(self.meta.dtype, self.shape(), &self.data)
    }

    pub(crate) fn tile_mut(&mut self) -> TileMut<'_> {
        let shape = self.shape();
        TileMut::new(self.meta.dtype, shape, &mut self.data)
    }
}

/// An image in memory as a source and as a sink.
pub(crate) struct Memory {
    image: Mutex<Image>,
    meta: Meta,
    layout: Layout,
    pub(crate) decoded: Mutex<HashMap<Shape, u64>>,
    pub(crate) written: Mutex<Vec<Place>>,
    levels: Vec<Arc<dyn Sink>>,
}

impl Memory {
    pub(crate) fn new(image: Image, chunk: Shape, shard: Option<Shape>) -> Arc<Self> {
        Self::with_levels(image, chunk, shard, &[])
    }

    /// A sink that takes smaller versions too.
    pub(crate) fn with_levels(
        image: Image,
        chunk: Shape,
        shard: Option<Shape>,
        levels: &[Arc<Self>],
    ) -> Arc<Self> {
        let meta = image.meta.clone();
        let layout = Layout { chunk, shard, scratch: 0, ns_per_voxel: 1.0 };
        Arc::new(Self {
            image: Mutex::new(image),
            meta,
            layout,
            decoded: Mutex::default(),
            written: Mutex::default(),
            levels: levels.iter().map(|l| l.clone() as Arc<dyn Sink>).collect(),
        })
    }

    pub(crate) fn image(&self) -> Image {
        self.image.lock().unwrap().clone()
    }
}

impl Source for Memory {
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn chunk(&self) -> Shape {
        self.layout.chunk
    }
    fn name(&self) -> String {
        "memory".to_owned()
    }
    fn scratch(&self) -> u64 {
        0
    }
    fn read(&self, index: &Shape, _: Option<Vec<u8>>, mut out: TileMut<'_>) -> Result<u64, StoreError> {
        let region = Grid::new(self.meta.shape, self.layout.chunk).region(index);
        out.copy_from(&self.image.lock().unwrap().tile().part(&region));
        *self.decoded.lock().unwrap().entry(*index).or_default() += 1;
        Ok(region.voxels() * 4)
    }
}

impl Sink for Memory {
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn name(&self) -> String {
        "memory".to_owned()
    }
    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        let region: Region = Grid::new(self.meta.shape, self.layout.chunk).region(&place.index);
        self.image.lock().unwrap().tile_mut().part(&region).copy_from(data);
        self.written.lock().unwrap().push(place);
        Ok(region.voxels() * 4)
    }
    fn levels(&self) -> &[Arc<dyn Sink>] {
        &self.levels
    }
    fn finish(&self) -> Result<(), StoreError> {
        Ok(())
    }
    fn abort(&self) {}
}

pub(crate) struct MemorySpill;

impl Spill for MemorySpill {
    fn create(&self, meta: &Meta, chunk: Shape) -> Result<(Arc<dyn Sink>, Arc<dyn Source>), StoreError> {
        let store = Memory::new(Image::new(meta.clone()), chunk, None);
        Ok((store.clone(), store))
    }

    fn heap(&self) -> Result<Arc<dyn Heap>, StoreError> {
        Ok(Arc::<MemoryHeap>::default())
    }
}

#[derive(Default)]
struct MemoryHeap(Mutex<Vec<u8>>);

impl Heap for MemoryHeap {
    fn keep(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        let mut all = self.0.lock().unwrap();
        all.extend(bytes);
        Ok((all.len() - bytes.len()) as u64)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> Result<(), StoreError> {
        out.copy_from_slice(&self.0.lock().unwrap()[at as usize..][..out.len()]);
        Ok(())
    }
}

/// The toys join their tiles themselves.
pub(crate) const JOINS: Joins = Joins { components: |_, _| unreachable!("no toy has components") };

/// How a graph is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) read_chunk: Shape,
    pub(crate) write_chunk: Shape,
    pub(crate) shard: Option<Shape>,
    pub(crate) tile: PerAxis<Option<u64>>,
    pub(crate) workers: usize,
    pub(crate) memory: u64,
    pub(crate) always: bool,
}

impl Default for How {
    fn default() -> Self {
        Self {
            read_chunk: [1, 1, 4, 4, 4],
            write_chunk: [1, 1, 4, 4, 4],
            shard: None,
            tile: [None; 5],
            workers: 2,
            memory: 1 << 30,
            always: true,
        }
    }
}

/// Runs a graph over images; checks what every run must keep.
pub(crate) fn run(graph: Graph, inputs: &[Image], how: How) -> Result<(Image, Report), RunError> {
    run_on(graph, inputs, how, None).map(|(image, report, _)| (image, report))
}

/// The same, on a device if there is one; and what the plan said.
pub(crate) fn run_on(
    graph: Graph,
    inputs: &[Image],
    how: How,
    device: Option<Arc<dyn Device>>,
) -> Result<(Image, Report, Summary), RunError> {
    let memories: Vec<Arc<Memory>> =
        inputs.iter().map(|i| Memory::new(i.clone(), how.read_chunk, None)).collect();
    let sources: Vec<Arc<dyn Source>> = memories.iter().map(|m| m.clone() as Arc<dyn Source>).collect();
    let sink = Memory::new(Image::new(graph.output_meta().clone()), how.write_chunk, how.shard);
    let (memory, workers, tile) = (how.memory, how.workers, how.tile);
    let options = Options { memory, workers, tile, joins: JOINS, device, always: how.always };
    let plan = Plan::new(graph, &sources, sink.layout(), &options).expect("a plan");
    let report = plan.run(&sources, sink.clone(), &MemorySpill, &Hooks::default())?;
    let summary = plan.summary();
    // Propagation visits tiles as often as it has to.
    let revisits = summary.stages.iter().any(|s| s.steps.iter().any(|t| t.label == "flood"));
    if !revisits {
        assert_eq!(report.tiles, summary.stages.iter().map(|s| s.tiles * s.passes).sum::<u64>());
    }
    check_places(std::slice::from_ref(&sink), how.write_chunk, how.shard);
    let decoded: u64 = memories.iter().map(|m| m.decoded.lock().unwrap().values().sum::<u64>()).sum();
    if summary.stages.len() == 1 && !revisits {
        assert_eq!(decoded, summary.stages[0].chunks_decoded, "planned and measured decodes");
        assert_eq!(report.chunks_decoded, decoded);
    }
    Ok((sink.image(), report, summary))
}

/// Each chunk is written once, and the order within a shard has no gap; without shards, that of all images together.
pub(crate) fn check_places(sinks: &[Arc<Memory>], chunk: Shape, shard: Option<Shape>) {
    let mut orders: HashMap<(usize, Shape), Vec<u64>> = HashMap::new();
    for (n, sink) in sinks.iter().enumerate() {
        let written = sink.written.lock().unwrap();
        for place in written.iter() {
            let of_shard = |s: Shape| (n, std::array::from_fn(|a| place.index[a] * chunk[a] / s[a]));
            orders.entry(shard.map_or((0, [0; 5]), of_shard)).or_default().push(place.order);
        }
        let chunks: HashSet<Shape> = written.iter().map(|p| p.index).collect();
        assert_eq!(chunks.len(), written.len());
        assert_eq!(chunks.len() as u64, Grid::new(sink.meta.shape, chunk).len());
    }
    for mut order in orders.into_values() {
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(n, &o)| n as u64 == o), "{order:?}");
    }
}

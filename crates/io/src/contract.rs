//! The suites that every source and sink passes, and every store of bytes: ours and those of users.
//!
//! The checks panic with a message that names the image and the chunk.
//!
//! ```text
//! check_source   whole = sum of chunks, in any order and at once; ragged edges; what it says of itself
//! check          check_source on what a sink wrote: every sample type, ragged, one voxel, empty, tiles with gaps,
//!                chunks in shuffled order, the same bytes whatever the timing; abort leaves nothing
//! check_bytes    objects are whole or absent, in any order and at once; parts, lists, removal
//! ```

mod bytes;

pub use bytes::{check_bytes, check_bytes_listed, check_bytes_read};

use std::sync::Arc;
use voxtile_sched::contract::{Fetch, Place, Sink, Source, StoreError};
use voxtile_sched::model::{AxisSet, Dtype, Grid, Meta, NDIM, PerAxis, Region, Shape, Tile, TileMut, voxels};

/// A kind of store under test. One image at a time: [`create`](Self::create), then the chunks, then either
/// [`reopen`](Self::reopen) or [`is_gone`](Self::is_gone).
pub trait Store: Sync {
    /// A sink for that image, with chunks of that shape if the format has such.
    ///
    /// # Errors
    /// The store's own; the suite fails with it.
    fn create(&self, meta: &Meta, chunk: Shape) -> Result<Arc<dyn Sink>, StoreError>;

    /// Opens what the last sink wrote, once it is finished.
    ///
    /// # Errors
    /// The store's own; the suite fails with it.
    fn reopen(&self) -> Result<Arc<dyn Source>, StoreError>;

    /// Whether the last sink left nothing after it was aborted.
    fn is_gone(&self) -> bool;

    /// All bytes of the finished output, to compare one writing with another; empty if there are none to see.
    fn stored(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Whether the format can hold such an image.
    fn takes(&self, _meta: &Meta) -> bool {
        true
    }

    /// Whether physical sizes survive.
    fn keeps_spacing(&self) -> bool {
        false
    }
}

/// Bytes that depend on the place and compress a little: no two chunks are alike.
fn pattern(meta: &Meta) -> Vec<u8> {
    let len = voxels(&meta.shape) as usize * meta.dtype.size();
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ len as u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = (state >> 33).to_le_bytes();
        bytes.extend(if state >> 62 == 0 { [0; 8] } else { word });
    }
    bytes.truncate(len);
    bytes
}

/// Aligned bytes, so that they can be viewed as any sample type.
struct Aligned(Vec<u64>, usize);

impl Aligned {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(8)], len)
    }

    fn of(bytes: &[u8]) -> Self {
        let mut out = Self::new(bytes.len());
        out.bytes().copy_from_slice(bytes);
        out
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.0)[..self.1]
    }
}

fn extent(shape: &Shape) -> PerAxis<usize> {
    shape.map(|n| n as usize)
}

/// Fetches and reads one chunk.
fn chunk(source: &dyn Source, grid: &Grid, index: &Shape) -> Vec<u8> {
    let region = grid.region(index);
    let size = source.meta().dtype.size();
    let mut out = Aligned::new(region.voxels() as usize * size);
    let fetched = match source.fetch(index) {
        Fetch::InWorker => None,
        Fetch::Wait(future) => {
            Some(wait(future).unwrap_or_else(|e| panic!("chunk {index:?} is not fetched: {e}")))
        }
    };
    // What was there must not shine through.
    out.bytes().fill(0xa5);
    let tile = TileMut::new(source.meta().dtype, extent(&region.shape), out.bytes());
    source.read(index, fetched, tile).unwrap_or_else(|e| panic!("chunk {index:?} of {}: {e}", source.name()));
    out.bytes().to_vec()
}

/// Runs a future that other threads may wake.
pub fn wait<T>(mut future: std::pin::Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// Checks a source against all voxels of its image, in row-major order and the byte order of the machine.
///
/// # Panics
/// If the source breaks its contract.
pub fn check_source(source: &dyn Source, expected: &[u8]) {
    let meta = source.meta();
    let size = meta.dtype.size();
    assert_eq!(voxels(&meta.shape) as usize * size, expected.len(), "{}: bytes of the image", source.name());
    for a in 0..NDIM {
        let present = meta.axes.iter().any(|axis| axis.index() == a);
        assert!(present || meta.shape[a] == 1, "{}: absent axis of extent {}", source.name(), meta.shape[a]);
    }
    assert!(!source.chunk().contains(&0), "{}: chunk {:?}", source.name(), source.chunk());
    assert!(source.ns_per_voxel() > 0.0 && !source.name().is_empty());
    let grid = Grid::new(meta.shape, source.chunk());
    let expected = Aligned::of(expected);
    let mut expected = expected;
    let whole = Tile::new(meta.dtype, extent(&meta.shape), expected.bytes());
    let want = |index: &Shape| {
        let region = grid.region(index);
        let mut part = Aligned::new(region.voxels() as usize * size);
        TileMut::new(meta.dtype, extent(&region.shape), part.bytes()).copy_from(&whole.part(&region));
        part.bytes().to_vec()
    };
    let indices: Vec<Shape> = grid.iter().collect();
    for index in indices.iter().rev() {
        assert!(chunk(source, &grid, index) == want(index), "{}: chunk {index:?} is wrong", source.name());
    }
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (indices, grid, want) = (&indices, &grid, &want);
            scope.spawn(move || {
                for n in 0..indices.len() {
                    let index = &indices[(n * 7 + worker * 3) % indices.len()];
                    let same = chunk(source, grid, index) == want(index);
                    assert!(
                        same,
                        "{}: chunk {index:?} is wrong when read at once with others",
                        source.name()
                    );
                }
            });
        }
    });
}

/// Writes an image and closes the sink. `strided` hands over tiles with gaps; `threads` write at once, in an order
/// that `seed` shuffles.
fn write(sink: &dyn Sink, bytes: &[u8], strided: bool, threads: usize, seed: u64) {
    let meta = sink.meta();
    let layout = sink.layout();
    let grid = Grid::new(meta.shape, layout.chunk);
    let mut aligned = Aligned::of(bytes);
    let whole = Tile::new(meta.dtype, extent(&meta.shape), aligned.bytes());
    let mut places = places(sink);
    let mut state = seed;
    for n in (1..places.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        places.swap(n, (state >> 33) as usize % (n + 1));
    }
    let one = |place: &Place| {
        let region = grid.region(&place.index);
        let part = whole.part(&region);
        let done = if strided {
            sink.write(*place, &part)
        } else {
            let mut copy = Aligned::new(region.voxels() as usize * meta.dtype.size());
            TileMut::new(meta.dtype, extent(&region.shape), copy.bytes()).copy_from(&part);
            sink.write(*place, &Tile::new(meta.dtype, extent(&region.shape), copy.bytes()))
        };
        done.unwrap_or_else(|e| panic!("writing chunk {:?} of {}: {e}", place.index, sink.name()));
    };
    std::thread::scope(|scope| {
        for worker in 0..threads {
            let (places, one) = (&places, &one);
            scope.spawn(move || places.iter().skip(worker).step_by(threads).for_each(one));
        }
    });
}

/// All chunks in the order of a plan that goes shard by shard, and row-major within.
fn places(sink: &dyn Sink) -> Vec<Place> {
    let layout = sink.layout();
    let shape = sink.meta().shape;
    let grid = Grid::new(shape, layout.chunk);
    let shards = Grid::new(shape, layout.shard.unwrap_or(shape.map(|n| n.max(1))));
    let mut out = Vec::new();
    for shard in shards.iter() {
        let chunks = grid.covering(&shards.region(&shard));
        out.extend(chunks.enumerate().map(|(order, index)| Place { index, order: order as u64 }));
    }
    out
}

/// Images that have proved awkward.
fn images() -> Vec<(Meta, Shape)> {
    let axes = |names: &str| AxisSet::parse(names).expect("axes in order");
    let mut out: Vec<(Meta, Shape)> = Dtype::ALL
        .into_iter()
        .map(|d| (Meta::new([1, 1, 7, 20, 33], axes("zyx"), d), [1, 1, 4, 16, 16]))
        .collect();
    let image = |shape, names, dtype| Meta::new(shape, axes(names), dtype);
    out.extend([
        (image([1, 1, 1, 1, 1], "yx", Dtype::U8), [1, 1, 1, 1, 1]),
        (image([1, 1, 1, 32, 48], "yx", Dtype::U16), [1, 1, 1, 16, 16]),
        (image([1, 1, 1, 5, 3], "yx", Dtype::F32), [1, 1, 1, 16, 16]),
        (image([1, 3, 1, 40, 50], "cyx", Dtype::U8), [1, 1, 1, 32, 32]),
        (image([2, 2, 3, 17, 31], "tczyx", Dtype::I16), [1, 1, 2, 16, 16]),
        (image([1, 1, 1, 1, 37], "x", Dtype::U32), [1, 1, 1, 1, 16]),
        (image([1, 1, 0, 20, 33], "zyx", Dtype::U16), [1, 1, 4, 16, 16]),
        (image([1, 1, 1, 64, 0], "yx", Dtype::F64), [1, 1, 1, 16, 16]),
    ]);
    out
}

/// Runs everything on a kind of store.
///
/// # Panics
/// If the store breaks its contract.
pub fn check(store: &dyn Store) {
    for (mut meta, chunk) in images() {
        if !store.takes(&meta) {
            continue;
        }
        let label = format!("{} {:?} {}", meta.axes, meta.shape, meta.dtype);
        for axis in meta.axes.space().iter() {
            let scale = 0.25 + axis.index() as f64;
            let unit = Some("micrometer".to_owned());
            meta.spacing[axis.index()] = Some(voxtile_sched::model::Spacing { scale, origin: 0.0, unit });
        }
        let bytes = pattern(&meta);
        let make = || store.create(&meta, chunk).unwrap_or_else(|e| panic!("{label}: not created: {e}"));
        let finish = |sink: &dyn Sink| sink.finish().unwrap_or_else(|e| panic!("{label}: not finished: {e}"));

        let sink = make();
        assert_eq!(sink.meta(), &meta, "{label}: the sink's own meta");
        let layout = sink.layout().clone();
        let fits = layout.shard.is_none_or(|s| (0..NDIM).all(|a| s[a] % layout.chunk[a] == 0));
        assert!(!layout.chunk.contains(&0) && fits, "{label}: {layout:?}");
        write(&*sink, &bytes, false, 1, 1);
        finish(&*sink);
        drop(sink);
        let first = store.stored();
        let source = store.reopen().unwrap_or_else(|e| panic!("{label}: not opened: {e}"));
        let back = source.meta();
        assert_eq!((back.shape, back.axes, back.dtype), (meta.shape, meta.axes, meta.dtype), "{label}");
        if store.keeps_spacing() {
            for axis in meta.axes.space().iter() {
                let a = axis.index();
                assert_eq!(back.spacing[a], meta.spacing[a], "{label}: spacing along {axis}");
            }
        }
        check_source(&*source, &bytes);
        drop(source);

        // Tiles with gaps, four writers, another order.
        let sink = make();
        write(&*sink, &bytes, true, 4, 99);
        finish(&*sink);
        drop(sink);
        assert!(store.stored() == first, "{label}: the bytes depend on the order of writing");
        let source = store.reopen().unwrap_or_else(|e| panic!("{label}: not opened: {e}"));
        check_source(&*source, &bytes);
        drop(source);

        let sink = make();
        if let Some(place) = places(&*sink).last() {
            let region = Grid::new(meta.shape, layout.chunk).region(&place.index);
            let mut aligned = Aligned::of(&bytes);
            let whole = Tile::new(meta.dtype, extent(&meta.shape), aligned.bytes());
            sink.write(*place, &whole.part(&Region::new(region.start, region.shape)))
                .unwrap_or_else(|e| panic!("{label}: not written: {e}"));
        }
        sink.abort();
        drop(sink);
        // What it would have replaced is there again.
        let untouched = store.is_gone() || store.stored() == first;
        assert!(untouched, "{label}: an aborted sink left something");
    }
}

//! What is counted of objects: the voxels of one value. Tiles count alone, and their counts add up.

mod columns;
mod counted;
mod outline;
mod shape;
mod sums;

pub(crate) use columns::Columns;
#[cfg(test)]
pub(crate) use counted::oracle;
pub(crate) use counted::{Rule, counted};
pub(crate) use outline::Outline;

use self::outline::{BOUNDARY, INNER};
use self::shape::{Ellipse, ellipse};
use self::sums::{Intensity, Summary};
use crate::components::Key;
use crate::pack::{Packed, packed_fields};
use crate::pointwise::{Sample, for_rows};
use crate::spec::{Args, From, Stage};
use crate::vectorised;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::f64::consts::SQRT_2;
use std::sync::Arc;
use voxtile_sched::contract::{Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Meta, Region, Tile};

/// One object, or the part of it in some tiles. Positions are along z, y, x of the whole image, and all sums are exact.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) voxels: u64,
    /// Its first place along each axis, and the one after its last.
    pub(crate) low: [i64; 3],
    pub(crate) high: [i64; 3],
    /// Sums of z, y, x.
    pub(crate) first: [i128; 3],
    /// Sums of zz, zy, zx, yy, yx, xx.
    pub(crate) second: [i128; 6],
    /// Voxels with a neighbour along an axis that is not of the object.
    pub(crate) boundary: u64,
    /// Of these, in the plane: those where its line goes straight on, diagonally, and half and half.
    turns: [u64; 3],
    /// Of each image beside the labels.
    intensities: Vec<Intensity>,
}

packed_fields!(Object { voxels, low, high, first, second, boundary, turns, intensities });

/// Pairs of axes in the order of [`Object::second`].
pub(crate) const PAIRS: [(usize, usize); 6] = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];

/// Bytes of one object with so many images beside the labels, at most.
pub(crate) fn bytes_each(images: usize) -> u64 {
    (size_of::<(Key, Object)>() + images * size_of::<Intensity>()) as u64
}

/// Bytes that counting a tile takes: some objects; there may be more.
pub(crate) fn scratch(columns: &Columns) -> u64 {
    const SOME: u64 = 1000;
    SOME * bytes_each(columns.images())
}

/// The inputs of what counts objects: the labels, what [`Outline`] makes of them, and the images beside them.
pub(crate) fn outlined(args: &Args<'_>, counts: Arc<dyn Op>) -> Vec<Stage> {
    let outline = Arc::new(Outline { space: args.input().axes.space() });
    let images = (1..args.inputs().len()).map(From::Input);
    let inputs = [From::Input(0), From::Stage(0)].into_iter().chain(images).collect();
    vec![Stage { op: outline, inputs: vec![From::Input(0)] }, Stage { op: counts, inputs }]
}

/// Refuses images whose voxels are no numbers of objects.
pub(crate) fn whole_numbers(image: &Meta) -> Result<(), Refused> {
    if image.dtype.is_float() {
        let why = "objects are voxels of one whole number; `label` makes them".to_owned();
        return Err(Refused::Dtype { dtype: image.dtype, why });
    }
    Ok(())
}

vectorised! {
    /// Sets bit 0 of the voxels that differ from others.
    pub(crate) fn differ<T: Element>(row: &[T], other: &[T], to: &mut [u8]) {
        for ((to, a), b) in to.iter_mut().zip(row).zip(other) {
            *to |= u8::from(a != b);
        }
    }
}

impl Object {
    fn new(images: usize) -> Self {
        Self {
            voxels: 0,
            low: [i64::MAX; 3],
            high: [i64::MIN; 3],
            first: [0; 3],
            second: [0; 6],
            boundary: 0,
            turns: [0; 3],
            intensities: vec![Intensity::new(); images],
        }
    }

    /// Adds `len` voxels along x from `at`.
    fn add(&mut self, at: [i64; 3], len: i64) {
        let [z, y, x] = at;
        self.voxels += len as u64;
        self.low = std::array::from_fn(|a| self.low[a].min(at[a]));
        let end = [z + 1, y + 1, x + len];
        self.high = std::array::from_fn(|a| self.high[a].max(end[a]));
        let [z, y, x, n] = [z, y, x, len].map(i128::from);
        let xs = n * x + n * (n - 1) / 2;
        // Σ (x + k)² for k below n.
        let squares = n * x * x + x * n * (n - 1) + (n - 1) * n * (2 * n - 1) / 6;
        let first = [n * z, n * y, xs];
        let second = [n * z * z, n * z * y, z * xs, n * y * y, y * xs, squares];
        self.first.iter_mut().zip(first).for_each(|(sum, more)| *sum += more);
        self.second.iter_mut().zip(second).for_each(|(sum, more)| *sum += more);
    }

    fn merge(&mut self, other: &Self) {
        self.voxels += other.voxels;
        self.low = std::array::from_fn(|a| self.low[a].min(other.low[a]));
        self.high = std::array::from_fn(|a| self.high[a].max(other.high[a]));
        self.first.iter_mut().zip(other.first).for_each(|(sum, more)| *sum += more);
        self.second.iter_mut().zip(other.second).for_each(|(sum, more)| *sum += more);
        self.boundary += other.boundary;
        self.turns.iter_mut().zip(other.turns).for_each(|(sum, more)| *sum += more);
        self.intensities.iter_mut().zip(&other.intensities).for_each(|(a, b)| a.merge(b));
    }

    /// Length of the line through the middles of its boundary's pixels, in the plane.
    pub(crate) fn perimeter(&self) -> f64 {
        let [straight, diagonal, mixed] = self.turns.map(|n| n as f64);
        straight + diagonal * SQRT_2 + mixed * (1.0 + SQRT_2) / 2.0
    }

    /// The values of image number `n` beside the labels.
    pub(crate) fn intensity(&self, n: usize, dtype: Dtype) -> Summary {
        self.intensities[n].finish(self.voxels, dtype)
    }
}

/// The objects of some tiles.
#[derive(Debug, Default)]
pub(crate) struct Objects(HashMap<Key, Object>);

impl Packed for Objects {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Packed::unpack(from).map(Self)
    }
}

impl Objects {
    /// Counts a tile of labels, of what they are at the boundary, and of other images.
    pub(crate) fn of(tiles: &[Tile<'_>], region: &Region) -> Self {
        let mut out = Found { keys: HashMap::new(), objects: Vec::new(), last: None };
        dispatch!(tiles[0].dtype(), T => out.count::<T>(tiles, region));
        let mut objects: Vec<Option<Object>> = out.objects.into_iter().map(Some).collect();
        let take = |(key, n): (Key, usize)| (key, objects[n].take().expect("one key each"));
        Self(out.keys.into_iter().map(take).collect())
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (key, object) in other.0 {
            match self.0.entry(key) {
                Entry::Vacant(free) => {
                    free.insert(object);
                }
                Entry::Occupied(mut known) => known.get_mut().merge(&object),
            }
        }
    }

    /// By t, c and value.
    pub(crate) fn sorted(self) -> Vec<(Key, Object)> {
        let mut all: Vec<(Key, Object)> = self.0.into_iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
}

struct Found {
    keys: HashMap<Key, usize>,
    objects: Vec<Object>,
    /// The object met last: most often the next one too.
    last: Option<(Key, usize)>,
}

impl Found {
    fn count<T: Sample>(&mut self, tiles: &[Tile<'_>], region: &Region) {
        let (view, outline) = (tiles[0].view::<T>(), tiles[1].view::<u8>());
        for_rows(tiles[0].shape(), |t, c, z, y| {
            let (row, outline) = (view.row(t, c, z, y), outline.row(t, c, z, y));
            let place = |a: usize, n: usize| region.start[a] + n as i64;
            let mut x = 0;
            while let Some(skip) = row[x..].iter().position(|v| *v > T::default()) {
                let start = x + skip;
                let value = row[start];
                let same = row[start..].iter().position(|v| *v != value);
                x = same.map_or(row.len(), |n| start + n);
                let key = (place(0, t), place(1, c), value.to_word());
                let at = [place(2, z), place(3, y), place(4, start)];
                let object = self.object(key, tiles.len() - 2);
                object.add(at, (x - start) as i64);
                for &what in outline[start..x].iter().filter(|what| **what != INNER) {
                    object.boundary += 1;
                    if what > BOUNDARY {
                        object.turns[usize::from(what - BOUNDARY - 1)] += 1;
                    }
                }
                for (intensity, tile) in object.intensities.iter_mut().zip(&tiles[2..]) {
                    dispatch!(tile.dtype(), U => {
                        intensity.add(&tile.view::<U>().row(t, c, z, y)[start..x], at);
                    });
                }
            }
        });
    }

    fn object(&mut self, key: Key, images: usize) -> &mut Object {
        let n = match self.last {
            Some((last, n)) if last == key => n,
            _ => *self.keys.entry(key).or_insert_with(|| {
                self.objects.push(Object::new(images));
                self.objects.len() - 1
            }),
        };
        self.last = Some((key, n));
        &mut self.objects[n]
    }
}

//! Operations on the objects of a label image, which are its values above 0, wherever they lie: counted tile by tile,
//! chosen when all tiles have been seen, then painted from the runs that the first pass kept.

use super::runs::{Run, Runs};
use super::{Same, at_edge, kept, scratch};
use crate::device::why;
use crate::objects::whole_numbers;
use crate::pack::{Packed, packed, unpacked};
use crate::pointwise::same_shape;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Joins, Merge, Merger, Op, Part, Pass, Refused, Resolution};
use voxtile_sched::dispatch;
use voxtile_sched::model::{AxisSet, Kind, Meta, Region, Shape, Tile, TileMut};

/// Which object: t, c, and its value.
pub(crate) type Key = (i64, i64, u64);

/// The objects of a tile of labels.
pub(crate) struct Labelled {
    runs: Runs,
    /// The place of each run's object in `keys`.
    numbers: Vec<u32>,
    pub(crate) keys: Vec<Key>,
}

impl Labelled {
    /// Those of the tile at `region`.
    fn of(tile: &Tile<'_>, region: &Region) -> Self {
        let runs = Runs::of(tile, Same::Label);
        let mut out = Self { numbers: Vec::with_capacity(runs.runs.len()), runs, keys: Vec::new() };
        let mut known: HashMap<Key, u32> = HashMap::new();
        let mut last: Option<(Key, u32)> = None;
        for (row, range) in out.runs.rows() {
            let [t, c, ..] = out.runs.position(row);
            for n in range {
                let key = (region.start[0] + t as i64, region.start[1] + c as i64, out.runs.values[n]);
                let number = match last {
                    Some((before, number)) if before == key => number,
                    _ => *known.entry(key).or_insert_with(|| {
                        out.keys.push(key);
                        out.keys.len() as u32 - 1
                    }),
                };
                last = Some((key, number));
                out.numbers.push(number);
            }
        }
        out
    }

    /// How many voxels each object has.
    pub(crate) fn voxels(&self) -> Vec<u64> {
        let mut voxels = vec![0; self.keys.len()];
        for (Run { start, end }, number) in self.runs.runs.iter().zip(&self.numbers) {
            voxels[*number as usize] += u64::from(end - start);
        }
        voxels
    }

    /// Whether each object touches the edge of the image along these axes.
    pub(crate) fn at_edge(&self, axes: AxisSet, region: &Region, image: &Shape) -> Vec<bool> {
        at_edge(&self.runs, &self.numbers, self.keys.len(), axes, region, image)
    }

    /// What painting needs: the objects, then the runs.
    fn encode(&self, region: &Region) -> Vec<u8> {
        let mut out = Vec::new();
        kept::put(&mut out, self.keys.len() as u64);
        for &(t, c, value) in &self.keys {
            kept::put(&mut out, (t - region.start[0]) as u64);
            kept::put(&mut out, (c - region.start[1]) as u64);
            kept::put(&mut out, value);
        }
        kept::encode(&self.runs, &self.numbers, &mut out);
        out
    }
}

/// What is counted of objects, and what becomes of them.
pub(crate) trait Choice: Send + Sync + 'static {
    /// What is known of the objects of some tiles.
    type Known: Default + Packed + Send;

    /// What a tile tells: its labels, all of its inputs, its place in an image of shape `image`.
    fn look(&self, labels: &Labelled, inputs: &[Tile<'_>], region: &Region, image: &Shape) -> Self::Known;

    /// Adds what other tiles tell.
    fn merge(&self, known: &mut Self::Known, other: Self::Known);

    /// Bytes of it.
    fn bytes(&self, known: &Self::Known) -> u64;

    /// Bytes that looking at a tile takes besides the runs.
    fn scratch(&self) -> u64 {
        0
    }

    /// The objects that stay, each with its new value, in rising order of their keys.
    fn choose(&self, known: Self::Known) -> Vec<(Key, u64)>;
}

/// A label image → one of the same type, whose objects are chosen or get other values.
pub(crate) struct ByValue<C> {
    pub(crate) name: &'static str,
    pub(crate) choice: Arc<C>,
    pub(crate) ns_per_voxel: f64,
}

/// Refuses images whose voxels are no labels.
fn labels_only(image: &Meta) -> Result<(), Refused> {
    whole_numbers(image)?;
    if image.kind == Kind::Mask {
        let why = "it is a mask, all of it one object; `label` makes an object of each component".to_owned();
        return Err(Refused::Param { param: "image", why });
    }
    Ok(())
}

impl<C: Choice> Op for ByValue<C> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        labels_only(&inputs[0])?;
        same_shape(inputs)?;
        Ok(inputs[0].with_kind(Kind::Labels))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn scratch(&self, tile: &Shape) -> u64 {
        scratch(tile).saturating_add(self.choice.scratch())
    }

    fn ns_per_voxel(&self) -> f64 {
        self.ns_per_voxel
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Merge(self)
    }

    fn no_kernels(&self) -> Option<&'static str> {
        Some(why::VALUES)
    }

    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("objects are merged")
    }
}

/// The objects that stay and their new values, in rising order of keys.
struct Chosen(Vec<(Key, u64)>);

impl<C: Choice> Merge for ByValue<C> {
    fn local(&self, inputs: &[Tile<'_>], region: &Region, image: &Shape) -> Part {
        let labels = Labelled::of(&inputs[0], region);
        let known = self.choice.look(&labels, inputs, region, image);
        Part { kept: labels.encode(region), faces: Box::new(known) }
    }

    fn pack(&self, faces: &(dyn Any + Send)) -> Option<Vec<u8>> {
        faces.downcast_ref::<C::Known>().map(packed)
    }

    fn unpack(&self, bytes: &[u8]) -> Option<Box<dyn Any + Send>> {
        unpacked::<C::Known>(bytes).map(|faces| Box::new(faces) as Box<dyn Any + Send>)
    }

    fn merger(&self, _: &Shape, _: &Joins) -> Box<dyn Merger> {
        Box::new(Knows { choice: self.choice.clone(), known: C::Known::default() })
    }

    fn paint(&self, kept: &[u8], region: &Region, resolution: &Resolution, mut output: TileMut<'_>) {
        let Chosen(chosen) = resolution.downcast_ref().expect("what the choice resolved to");
        let mut runs = kept;
        let mut next = || kept::take(&mut runs);
        let values: Vec<u64> = (0..next())
            .map(|_| {
                let key = (region.start[0] + next() as i64, region.start[1] + next() as i64, next());
                chosen.binary_search_by_key(&key, |c| c.0).map_or(0, |n| chosen[n].1)
            })
            .collect();
        dispatch!(output.dtype(), T => {
            kept::paint(runs, &values, &mut output, T::default(), word);
        });
    }
}

#[inline(always)]
fn word<T: crate::pointwise::Sample>(value: u64) -> T {
    T::from_word(value)
}

/// What is known of all tiles so far.
struct Knows<C: Choice> {
    choice: Arc<C>,
    known: C::Known,
}

impl<C: Choice> Merger for Knows<C> {
    fn absorb(&mut self, _: &Region, faces: Box<dyn Any + Send>) {
        self.choice.merge(&mut self.known, *faces.downcast().expect("what the choice saw of a tile"));
    }

    fn bytes(&self) -> u64 {
        self.choice.bytes(&self.known)
    }

    fn finish(self: Box<Self>) -> Result<Resolution, Refused> {
        Ok(Arc::new(Chosen(self.choice.choose(self.known))))
    }
}

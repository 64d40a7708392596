//! Objects of a label image chosen by what little counting tells: their voxels, and whether they touch the edge.

use crate::components::{ByValue, Choice, Key, Labelled};
use crate::pack::packed_fields;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use voxtile_sched::contract::Op;
use voxtile_sched::model::{AxisSet, Region, Shape, Tile};

/// What becomes of objects.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// Those with so many voxels stay as they are.
    Voxels(RangeInclusive<u64>),
    /// Those stay that do not touch the edge of the image along these axes.
    Inside(AxisSet),
    /// All stay, and their values become 1, 2, 3 in the order in which they are.
    Renumbered,
}

/// The operation of that name.
pub(crate) fn counted(name: &'static str, rule: Rule) -> Arc<dyn Op> {
    const NS_PER_VOXEL: f64 = 1.0;
    Arc::new(ByValue { name, choice: Arc::new(rule), ns_per_voxel: NS_PER_VOXEL })
}

/// What is known of one object.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    voxels: u64,
    at_edge: bool,
}

packed_fields!(Count { voxels, at_edge });

impl Choice for Rule {
    type Known = HashMap<Key, Count>;

    fn look(&self, labels: &Labelled, _: &[Tile<'_>], region: &Region, image: &Shape) -> Self::Known {
        let at_edge = match self {
            Self::Inside(axes) => labels.at_edge(*axes, region, image),
            Self::Voxels(_) | Self::Renumbered => vec![false; labels.keys.len()],
        };
        let counts = labels.voxels().into_iter().zip(at_edge);
        let counts = counts.map(|(voxels, at_edge)| Count { voxels, at_edge });
        labels.keys.iter().copied().zip(counts).collect()
    }

    fn merge(&self, known: &mut Self::Known, other: Self::Known) {
        for (key, count) in other {
            let sum = known.entry(key).or_default();
            sum.voxels += count.voxels;
            sum.at_edge |= count.at_edge;
        }
    }

    /// Also of those that are chosen, which are listed while the counts are still there.
    fn bytes(&self, known: &Self::Known) -> u64 {
        // A table of hashes is between 7/16 and 7/8 full, and has a byte of its own per place.
        let each = size_of::<(Key, Count)>() + 1;
        (known.capacity() * each * 8 / 7 + known.len() * size_of::<(Key, u64)>()) as u64
    }

    fn choose(&self, known: Self::Known) -> Vec<(Key, u64)> {
        let stays = |count: &Count| match self {
            Self::Voxels(range) => range.contains(&count.voxels),
            Self::Inside(_) => !count.at_edge,
            Self::Renumbered => true,
        };
        let mut chosen: Vec<(Key, u64)> =
            known.into_iter().filter(|(_, count)| stays(count)).map(|(key, _)| (key, key.2)).collect();
        if let Self::Renumbered = self {
            // One number for a value in all time points and channels.
            chosen.sort_unstable_by_key(|(key, _)| key.2);
            let mut before = (0, 0);
            for (key, number) in &mut chosen {
                before = if key.2 == before.0 { before } else { (key.2, before.1 + 1) };
                *number = before.1;
            }
        }
        chosen.sort_unstable_by_key(|(key, _)| *key);
        chosen
    }
}

#[cfg(test)]
pub(crate) mod oracle {
    use crate::testing::Image;
    use std::collections::BTreeMap;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Kind, PerAxis, voxels};

    /// t, c and value.
    pub(crate) type Key = (u64, u64, u64);

    /// The voxels of each object.
    pub(crate) fn objects(image: &Image) -> BTreeMap<Key, Vec<PerAxis<u64>>> {
        let shape = image.meta().shape;
        let mut out: BTreeMap<Key, Vec<PerAxis<u64>>> = BTreeMap::new();
        for n in 0..voxels(&shape) {
            let mut at = [0; 5];
            let mut rest = n;
            for a in (0..5).rev() {
                (at[a], rest) = (rest % shape[a], rest / shape[a]);
            }
            let value = dispatch!(image.meta().dtype, T => {
                let value = image.at::<T>(at);
                (value > T::default()).then(|| crate::pointwise::Sample::to_word(value))
            });
            if let Some(value) = value {
                out.entry((at[0], at[1], value)).or_default().push(at);
            }
        }
        out
    }

    /// The labels with the values that `becomes` gives to objects, which it sees with their voxels.
    pub(crate) fn replaced(image: &Image, becomes: impl Fn(Key, &[PerAxis<u64>]) -> u64) -> Image {
        let values: BTreeMap<Key, u64> =
            objects(image).iter().map(|(key, voxels)| (*key, becomes(*key, voxels))).collect();
        let meta = image.meta().with_kind(Kind::Labels);
        dispatch!(image.meta().dtype, T => Image::from_fn(meta.clone(), |at: PerAxis<u64>| {
            let value = image.at::<T>(at);
            let key = (at[0], at[1], crate::pointwise::Sample::to_word(value));
            let new = if value > T::default() { values[&key] } else { 0 };
            <T as crate::pointwise::Sample>::from_word(new)
        }))
    }
}

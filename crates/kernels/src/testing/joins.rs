//! Joins components of tiles as plainly as possible: every voxel of every face is looked up.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use voxtile_sched::contract::{Components, Joining, Joins, Merger, Numbers, Refused, Resolution};
use voxtile_sched::model::{PerAxis, Region, Shape};

/// For the harness; runs bring joins that are fast.
pub(super) const JOINS: Joins = Joins { components: plain };

fn plain(joining: &Joining, _: &Shape) -> Box<dyn Merger> {
    Box::new(Plain { joining: joining.clone(), tiles: Vec::new() })
}

struct Plain {
    joining: Joining,
    tiles: Vec<(Region, Components)>,
}

impl Merger for Plain {
    fn absorb(&mut self, region: &Region, faces: Box<dyn Any + Send>) {
        self.tiles.push((*region, *faces.downcast().expect("components of a tile")));
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn finish(self: Box<Self>) -> Result<Resolution, Refused> {
        let mut numbers = Numbers::<u32>::default();
        let mut parts: Vec<Whole> = Vec::new();
        let mut at_faces: HashMap<PerAxis<i64>, usize> = HashMap::new();
        for (region, tile) in &self.tiles {
            numbers.tiles.insert(region.start, parts.len());
            at_faces.extend(faces(region, tile).map(|(at, n)| (at, parts.len() + n)));
            parts.extend((0..tile.first.len()).map(|n| Whole {
                first: tile.first[n],
                voxels: tile.voxels[n],
                marked: tile.marked.get(n) == Some(&true),
                value: tile.value.get(n).copied(),
            }));
        }
        // Each part takes the smallest name among those it touches, until none changes.
        let mut name: Vec<usize> = (0..parts.len()).collect();
        let near = |&(a, b): &(usize, usize)| parts[a].value == parts[b].value;
        let pairs: Vec<(usize, usize)> = at_faces
            .iter()
            .flat_map(|(at, &a)| self.neighbours(*at).filter_map(|n| at_faces.get(&n)).map(move |&b| (a, b)))
            .filter(near)
            .collect();
        loop {
            let before = name.clone();
            for &(a, b) in &pairs {
                let least = name[a].min(name[b]);
                (name[a], name[b]) = (least, least);
            }
            if name == before {
                break;
            }
        }
        let mut wholes: HashMap<usize, Whole> = HashMap::new();
        for (part, &name) in parts.iter().zip(&name) {
            let whole = wholes.entry(name).or_insert(Whole { voxels: 0, marked: false, ..*part });
            whole.first = whole.first.min(part.first);
            whole.voxels += part.voxels;
            whole.marked |= part.marked;
        }
        let Joining { voxels, marked, .. } = &self.joining;
        wholes.retain(|_, w| voxels.contains(&w.voxels) && marked.is_none_or(|m| m == w.marked));
        let mut order: Vec<(u64, usize)> = wholes.iter().map(|(name, whole)| (whole.first, *name)).collect();
        order.sort_unstable();
        let number = |name| order.iter().position(|o| o.1 == name).map_or(0, |n| n as u32 + 1);
        numbers.numbers = name.into_iter().map(number).collect();
        numbers.count = order.len() as u32;
        if !self.joining.wide {
            return Ok(Arc::new(numbers));
        }
        let wide = numbers.numbers.iter().map(|n| u64::from(*n)).collect();
        Ok(Arc::new(Numbers { tiles: numbers.tiles, numbers: wide, count: u64::from(numbers.count) }))
    }
}

/// A component, or what a tile holds of it.
#[derive(Clone, Copy)]
struct Whole {
    first: u64,
    voxels: u64,
    marked: bool,
    value: Option<u64>,
}

impl Plain {
    fn neighbours(&self, at: PerAxis<i64>) -> impl Iterator<Item = PerAxis<i64>> + use<> {
        let most = usize::from(self.joining.connectivity);
        let offsets = (0..27).map(|n| [0, 0, n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1]);
        let near = offsets.filter(move |o| o.iter().filter(|d| **d != 0).count() <= most);
        near.map(move |o: PerAxis<i64>| std::array::from_fn(|a| at[a] + o[a]))
    }
}

/// The voxels of all faces in the image, each with its component.
fn faces(region: &Region, tile: &Components) -> impl Iterator<Item = (PerAxis<i64>, usize)> {
    let of_face = |axis: usize, side: usize| {
        let mut at = *region;
        let place = if side == 0 { region.start[axis] } else { region.end(axis) - 1 };
        (at.start[axis], at.shape[axis]) = (place, 1);
        let face = &tile.faces[axis - 2][side];
        let all = face.iter().enumerate().filter(|(_, label)| **label > 0);
        all.map(move |(n, label)| (position(&at, n as u64), *label as usize - 1)).collect::<Vec<_>>()
    };
    (2..5).flat_map(move |axis| [of_face(axis, 0), of_face(axis, 1)]).flatten()
}

fn position(region: &Region, mut n: u64) -> PerAxis<i64> {
    let mut at = region.start;
    for a in (0..5).rev() {
        at[a] += (n % region.shape[a]) as i64;
        n /= region.shape[a];
    }
    at
}

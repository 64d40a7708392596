//! Connected components of tiles, joined across faces, edges and corners, and numbered in raster order of their first
//! voxels in the image.

use crate::Sets;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use voxtile_sched::contract::{Components, Joining, Merger, Numbers, Refused, Resolution};
use voxtile_sched::model::{PerAxis, Region, Shape};

/// Joins the components of tiles. Tiles are the boxes between cuts that run through the whole image, so neighbours
/// share whole faces.
///
/// Memory: 29 bytes per component of each tile, and the faces of tiles until all of their neighbours have come.
#[must_use]
pub fn components(joining: &Joining, image: &Shape) -> Box<dyn Merger> {
    Box::new(Join::new(joining, image, u32::MAX))
}

struct Join {
    joining: Joining,
    image: Shape,
    sets: Sets,
    first: Vec<u64>,
    voxels: Vec<u64>,
    marked: Vec<bool>,
    tiles: HashMap<PerAxis<i64>, usize>,
    /// Tiles that wait for neighbours, by their first voxel.
    waiting: HashMap<PerAxis<i64>, Waiting>,
    /// Where the tile that ends at a place begins, along z, y and x.
    starts: [HashMap<i64, i64>; 3],
    /// Voxels of the faces that wait.
    faces: usize,
    /// Components that tiles may have together.
    most: u32,
    /// Components that came after so many.
    beyond: u64,
}

struct Waiting {
    region: Region,
    base: u32,
    faces: [[Vec<u32>; 2]; 3],
    value: Vec<u64>,
    /// Neighbours that have not come.
    missing: usize,
}

impl Waiting {
    fn size(&self) -> usize {
        self.faces.iter().flatten().map(Vec::len).sum()
    }
}

/// Bytes that a component of a tile takes: its set, first voxel, voxels, mark, and at the end its number.
const PER_COMPONENT: usize = 4 + 8 + 8 + 1 + 4 + 4;

/// Directions to neighbours that differ along at most `connectivity` axes.
fn directions(connectivity: u8) -> impl Iterator<Item = [i64; 3]> {
    let all = (0..27).map(|n| [n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1]);
    all.filter(move |d| (1..=connectivity).contains(&distance(*d)))
}

/// Along how many axes a direction goes.
fn distance(direction: [i64; 3]) -> u8 {
    direction.iter().filter(|d| **d != 0).count() as u8
}

impl Join {
    fn new(joining: &Joining, image: &Shape, most: u32) -> Self {
        Self {
            joining: joining.clone(),
            image: *image,
            sets: Sets::new(0),
            first: Vec::new(),
            voxels: Vec::new(),
            marked: Vec::new(),
            tiles: HashMap::new(),
            waiting: HashMap::new(),
            starts: Default::default(),
            faces: 0,
            most,
            beyond: 0,
        }
    }

    /// Whether the image goes on beyond a tile.
    fn goes_on(&self, region: &Region, direction: [i64; 3]) -> bool {
        direction.iter().enumerate().all(|(n, d)| match d {
            -1 => region.start[n + 2] > 0,
            1 => region.end(n + 2) < self.image[n + 2] as i64,
            _ => true,
        })
    }

    /// Where the neighbour in a direction begins, if it is known.
    fn neighbour(&self, region: &Region, direction: [i64; 3]) -> Option<PerAxis<i64>> {
        let mut start = region.start;
        for (n, d) in direction.into_iter().enumerate() {
            match d {
                -1 => start[n + 2] = *self.starts[n].get(&region.start[n + 2])?,
                1 => start[n + 2] = region.end(n + 2),
                _ => {}
            }
        }
        Some(start)
    }
}

/// Calls `join` with the components of two neighbours that touch, perhaps several times.
fn touching(a: &Waiting, b: &Waiting, direction: [i64; 3], connectivity: u8, mut join: impl FnMut(u32, u32)) {
    let axis = direction.iter().position(|d| *d != 0).expect("a neighbour lies somewhere else");
    let high = usize::from(direction[axis] > 0);
    let (from, to) = (&a.faces[axis][high], &b.faces[axis][1 - high]);
    let across: Vec<usize> = (0..3).filter(|&n| n != axis).collect();
    let size = |w: &Waiting| [w.region.shape[across[0] + 2] as i64, w.region.shape[across[1] + 2] as i64];
    let (here, there) = (size(a), size(b));
    // Pairs of places along one of the other axes: all that lie at most one apart, or the corner.
    let pairs = |n: usize| -> Vec<(i64, i64, u8)> {
        match direction[across[n]] {
            0 => (0..here[n])
                .flat_map(|i| [(i, i, 0), (i, i - 1, 1), (i, i + 1, 1)])
                .filter(|(_, j, _)| (0..there[n]).contains(j))
                .collect(),
            1 => vec![(here[n] - 1, 0, 0)],
            _ => vec![(0, there[n] - 1, 0)],
        }
    };
    let spare = connectivity - distance(direction);
    let (rows, columns) = (pairs(0), pairs(1));
    let batches = (a.region.shape[0] * a.region.shape[1]) as i64;
    let mut last = (0, 0);
    for batch in 0..batches {
        for &(i, j, apart) in rows.iter().filter(|r| r.2 <= spare) {
            let line = |face: &'_ [u32], at: i64, size: [i64; 2]| -> usize {
                debug_assert_eq!(face.len() as i64, batches * size[0] * size[1]);
                ((batch * size[0] + at) * size[1]) as usize
            };
            let from = &from[line(from, i, here)..][..here[1] as usize];
            let to = &to[line(to, j, there)..][..there[1] as usize];
            for &(x, y, more) in columns.iter().filter(|c| apart + c.2 <= spare) {
                debug_assert!(more <= spare);
                let (p, q) = (from[x as usize], to[y as usize]);
                if p == 0 || q == 0 || last == (p, q) {
                    continue;
                }
                last = (p, q);
                let (p, q) = (p as usize - 1, q as usize - 1);
                if a.value.is_empty() || a.value[p] == b.value[q] {
                    join(a.base + p as u32, b.base + q as u32);
                }
            }
        }
    }
}

impl Merger for Join {
    fn absorb(&mut self, region: &Region, faces: Box<dyn Any + Send>) {
        let tile = *faces.downcast::<Components>().expect("what labelling leaves of a tile");
        let base = self.first.len();
        if base + tile.first.len() > self.most as usize {
            self.beyond += tile.first.len() as u64;
            return;
        }
        self.sets.grow(tile.first.len());
        self.first.extend(&tile.first);
        self.voxels.extend(&tile.voxels);
        self.marked.extend(&tile.marked);
        self.tiles.insert(region.start, base);
        for n in 0..3 {
            self.starts[n].insert(region.end(n + 2), region.start[n + 2]);
        }
        let connectivity = self.joining.connectivity;
        let towards: Vec<[i64; 3]> = directions(connectivity).filter(|d| self.goes_on(region, *d)).collect();
        let mut new = Waiting {
            region: *region,
            base: base as u32,
            faces: tile.faces,
            value: tile.value,
            missing: towards.len(),
        };
        for direction in towards {
            let Some(start) = self.neighbour(region, direction) else { continue };
            let Some(other) = self.waiting.get_mut(&start) else { continue };
            touching(&new, other, direction, connectivity, |a, b| self.sets.join(a, b));
            new.missing -= 1;
            other.missing -= 1;
            if other.missing == 0 {
                self.faces -= other.size();
                self.waiting.remove(&start);
            }
        }
        if new.missing > 0 {
            self.faces += new.size();
            self.waiting.insert(region.start, new);
        }
    }

    fn bytes(&self) -> u64 {
        (self.first.len() * PER_COMPONENT + self.faces * size_of::<u32>()) as u64
    }

    fn finish(mut self: Box<Self>) -> Result<Resolution, Refused> {
        if self.beyond > 0 {
            let count = self.first.len() as u64 + self.beyond;
            let why = format!("{count} components in its tiles; at most {} are numbered", self.most);
            return Err(Refused::Param { param: "image", why });
        }
        let members = self.first.len() as u32;
        // What the root of a set knows of all its members.
        for member in 0..members {
            let root = self.sets.root(member) as usize;
            if root != member as usize {
                self.voxels[root] += self.voxels[member as usize];
                self.first[root] = self.first[root].min(self.first[member as usize]);
                if self.joining.marked.is_some() {
                    self.marked[root] |= self.marked[member as usize];
                }
            }
        }
        let Joining { voxels, marked, .. } = &self.joining;
        let stays = |root: usize| {
            voxels.contains(&self.voxels[root]) && marked.is_none_or(|wanted| self.marked[root] == wanted)
        };
        let mut roots: Vec<u32> =
            (0..members).filter(|&m| self.sets.root(m) == m && stays(m as usize)).collect();
        roots.sort_unstable_by_key(|&root| self.first[root as usize]);
        let mut numbers = vec![0; members as usize];
        for (n, &root) in roots.iter().enumerate() {
            numbers[root as usize] = n as u32 + 1;
        }
        for member in 0..members {
            numbers[member as usize] = numbers[self.sets.root(member) as usize];
        }
        Ok(Arc::new(Numbers { tiles: self.tiles, numbers, count: roots.len() as u32 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(first: u64) -> Box<Components> {
        Box::new(Components { first: vec![first, first + 2], voxels: vec![1, 1], ..Components::default() })
    }

    #[test]
    fn more_components_than_numbers_are_refused() {
        let joining = Joining { connectivity: 1, voxels: 1..=u64::MAX, marked: None };
        let image = [1, 1, 1, 1, 12];
        let parts = |most: u32| {
            let mut join = Join::new(&joining, &image, most);
            for start in [0, 4, 8] {
                let region = Region::new([0, 0, 0, 0, start], [1, 1, 1, 1, 4]);
                let mut part = tile(start as u64);
                // Nothing at the faces.
                part.faces[2] = [0, 1].map(|_| vec![0]);
                join.absorb(&region, part);
            }
            Box::new(join).finish()
        };
        let refused = parts(5).err().map(|r| r.to_string());
        assert_eq!(refused.as_deref(), Some("image: 6 components in its tiles; at most 5 are numbered"));
        let Ok(all) = parts(6) else { panic!("six components have six numbers") };
        assert_eq!(
            all.downcast_ref::<Numbers>().map(|n| (n.count, n.numbers.clone())),
            Some((6, (1..=6).collect()))
        );
    }

    #[test]
    fn the_order_of_tiles_does_not_matter() {
        // A bar through three tiles, and a voxel of its own in the last.
        let joining = Joining { connectivity: 1, voxels: 2..=u64::MAX, marked: Some(true) };
        let part = |start: u64, marked: bool| {
            let face = |inner: bool| if inner { vec![1] } else { Vec::new() };
            Components {
                first: vec![start],
                voxels: vec![4],
                marked: vec![marked],
                value: Vec::new(),
                faces: [Default::default(), Default::default(), [face(start > 0), face(start < 8)]],
            }
        };
        for order in [[0, 4, 8], [8, 0, 4], [4, 8, 0], [8, 4, 0]] {
            let mut join = Join::new(&joining, &[1, 1, 1, 1, 12], 100);
            for start in order {
                let region = Region::new([0, 0, 0, 0, start as i64], [1, 1, 1, 1, 4]);
                join.absorb(&region, Box::new(part(start, start == 4)));
            }
            let Ok(all) = Box::new(join).finish() else { panic!("one component") };
            let numbers: &Numbers = all.downcast_ref().unwrap();
            assert_eq!((numbers.count, numbers.numbers.clone()), (1, vec![1; 3]), "{order:?}");
        }
    }
}

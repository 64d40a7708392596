//! Connected components of tiles, joined across faces, edges and corners, and numbered in raster order of their first
//! voxels in the image.

use crate::{Member, Sets};
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use voxtile_sched::contract::{Components, Joining, Merger, Numbers, Refused, Resolution};
use voxtile_sched::model::{PerAxis, Region, Shape};

/// Joins the components of tiles. Tiles are the boxes between cuts that run through the whole image, so neighbours
/// share whole faces.
///
/// Memory: 29 bytes per component of each tile, 41 where they are counted in 64 bits, and the faces of tiles until all of
/// their neighbours have come.
#[must_use]
pub fn components(joining: &Joining, image: &Shape) -> Box<dyn Merger> {
    match joining.wide {
        false => Box::new(Join::<u32>::new(joining, image, u32::MOST)),
        true => Box::new(Join::<u64>::new(joining, image, u64::MOST)),
    }
}

struct Join<N> {
    joining: Joining,
    image: Shape,
    sets: Sets<N>,
    first: Vec<u64>,
    voxels: Vec<u64>,
    marked: Vec<bool>,
    tiles: HashMap<PerAxis<i64>, usize>,
    /// Tiles that wait for neighbours, by their first voxel.
    waiting: HashMap<PerAxis<i64>, Waiting<N>>,
    /// Where the tile that ends at a place begins, along z, y and x.
    starts: [HashMap<i64, i64>; 3],
    /// Voxels of the faces that wait.
    faces: usize,
    /// Components that tiles may have together.
    most: u64,
    /// Components that came after so many.
    beyond: u64,
}

struct Waiting<N> {
    region: Region,
    base: N,
    faces: [[Vec<u32>; 2]; 3],
    value: Vec<u64>,
    /// Neighbours that have not come.
    missing: usize,
}

impl<N> Waiting<N> {
    fn size(&self) -> usize {
        self.faces.iter().flatten().map(Vec::len).sum()
    }
}

/// Bytes that a component of a tile takes: first voxel, voxels, mark; its set, and at the end its number and an order.
const fn per_component<N>() -> usize {
    8 + 8 + 1 + 3 * size_of::<N>()
}

/// Directions to neighbours that differ along at most `connectivity` axes.
fn directions(connectivity: u8) -> impl Iterator<Item = [i64; 3]> {
    let all = (0..27).map(|n| [n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1]);
    all.filter(move |d| (1..=connectivity).contains(&distance(*d)))
}

/// Along how many axes a direction goes.
fn distance(direction: [i64; 3]) -> u8 {
    direction.iter().filter(|d| **d != 0).count() as u8
}

impl<N: Member> Join<N> {
    fn new(joining: &Joining, image: &Shape, most: u64) -> Self {
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
fn touching<N: Member>(
    a: &Waiting<N>,
    b: &Waiting<N>,
    direction: [i64; 3],
    connectivity: u8,
    mut join: impl FnMut(N, N),
) {
    let axis = direction.iter().position(|d| *d != 0).expect("a neighbour lies somewhere else");
    let high = usize::from(direction[axis] > 0);
    let (from, to) = (&a.faces[axis][high], &b.faces[axis][1 - high]);
    let across: Vec<usize> = (0..3).filter(|&n| n != axis).collect();
    let size = |w: &Waiting<N>| [w.region.shape[across[0] + 2] as i64, w.region.shape[across[1] + 2] as i64];
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
                    join(N::at(a.base.place() + p), N::at(b.base.place() + q));
                }
            }
        }
    }
}

impl<N: Member> Merger for Join<N> {
    fn absorb(&mut self, region: &Region, faces: Box<dyn Any + Send>) {
        let tile = *faces.downcast::<Components>().expect("what labelling leaves of a tile");
        let base = self.first.len();
        if (base + tile.first.len()) as u64 > self.most {
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
            base: N::at(base),
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
        (self.first.len() * per_component::<N>() + self.faces * size_of::<u32>()) as u64
    }

    fn finish(mut self: Box<Self>) -> Result<Resolution, Refused> {
        if self.beyond > 0 {
            let count = self.first.len() as u64 + self.beyond;
            let why = format!(
                "{count} components in its tiles, and {} are counted; `label dtype=u64` counts on, in larger tiles there are fewer",
                self.most,
            );
            return Err(Refused::Param { param: "image", why });
        }
        let members = self.first.len();
        // What the root of a set knows of all its members.
        for member in 0..members {
            let root = self.sets.root(N::at(member)).place();
            if root != member {
                self.voxels[root] += self.voxels[member];
                self.first[root] = self.first[root].min(self.first[member]);
                if self.joining.marked.is_some() {
                    self.marked[root] |= self.marked[member];
                }
            }
        }
        let Joining { voxels, marked, .. } = &self.joining;
        let stays = |root: usize| {
            voxels.contains(&self.voxels[root]) && marked.is_none_or(|wanted| self.marked[root] == wanted)
        };
        let mut roots: Vec<N> =
            (0..members).map(N::at).filter(|&m| self.sets.root(m) == m && stays(m.place())).collect();
        roots.sort_unstable_by_key(|root| self.first[root.place()]);
        let mut numbers = vec![N::default(); members];
        for (n, root) in roots.iter().enumerate() {
            numbers[root.place()] = N::at(n + 1);
        }
        for member in 0..members {
            numbers[member] = numbers[self.sets.root(N::at(member)).place()];
        }
        Ok(Arc::new(Numbers { tiles: self.tiles, numbers, count: N::at(roots.len()) }))
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
        let joining = Joining { connectivity: 1, voxels: 1..=u64::MAX, marked: None, wide: false };
        let image = [1, 1, 1, 1, 12];
        let parts = |most: u64| {
            let mut join = Join::<u32>::new(&joining, &image, most);
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
        let said = "image: 6 components in its tiles, and 5 are counted; `label dtype=u64` counts on, in larger tiles there are fewer";
        assert_eq!(refused.as_deref(), Some(said));
        let Ok(all) = parts(6) else { panic!("six components have six numbers") };
        assert_eq!(
            all.downcast_ref::<Numbers>().map(|n| (n.count, n.numbers.clone())),
            Some((6, (1..=6).collect()))
        );
    }

    #[test]
    fn the_order_of_tiles_does_not_matter() {
        // A bar through three tiles, and a voxel of its own in the last.
        let joining = Joining { connectivity: 1, voxels: 2..=u64::MAX, marked: Some(true), wide: false };
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
            let mut join = Join::<u32>::new(&joining, &[1, 1, 1, 1, 12], 100);
            for start in order {
                let region = Region::new([0, 0, 0, 0, start as i64], [1, 1, 1, 1, 4]);
                join.absorb(&region, Box::new(part(start, start == 4)));
            }
            let Ok(all) = Box::new(join).finish() else { panic!("one component") };
            let numbers: &Numbers = all.downcast_ref().unwrap();
            assert_eq!((numbers.count, numbers.numbers.clone()), (1, vec![1; 3]), "{order:?}");
        }
    }

    /// The first member of a tile stands where 32 bits have ended: what lies before it is not there.
    #[test]
    fn in_64_bits_numbers_go_on_beyond_those_of_32() {
        assert_eq!(u32::MOST + 1, 1 << 32);
        let place = (1usize << 32) + 5;
        assert_eq!(<u64 as Member>::at(place).place(), place);
        let waiting = |base: u64, low: bool| Waiting {
            region: Region::new([0, 0, 0, 0, if low { 0 } else { 4 }], [1, 1, 1, 1, 4]),
            base,
            faces: [Default::default(), Default::default(), [vec![2], vec![1]]],
            value: Vec::new(),
            missing: 1,
        };
        let mut joined = Vec::new();
        let (low, high) = (waiting((1 << 32) - 1, true), waiting(1 << 33, false));
        touching(&low, &high, [0, 0, 1], 1, |a, b| joined.push((a, b)));
        assert_eq!(joined, [((1 << 32) - 1, (1 << 33) + 1)]);
    }

    #[test]
    fn numbers_in_64_bits_are_those_in_32() {
        let joining = |wide| Joining { connectivity: 1, voxels: 1..=u64::MAX, marked: None, wide };
        let resolved = |wide: bool| {
            let mut join = components(&joining(wide), &[1, 1, 1, 1, 12]);
            for start in [4, 0, 8] {
                let mut part = tile(start as u64);
                part.faces[2] = [0, 1].map(|side| vec![u32::from(side == 0 && start == 8)]);
                join.absorb(&Region::new([0, 0, 0, 0, start], [1, 1, 1, 1, 4]), part);
            }
            join.finish().unwrap_or_else(|refused| panic!("{refused}"))
        };
        let (narrow, wide) = (resolved(false), resolved(true));
        let narrow: &Numbers = narrow.downcast_ref().unwrap();
        let wide: &Numbers<u64> = wide.downcast_ref().unwrap();
        assert_eq!(narrow.numbers.iter().map(|n| u64::from(*n)).collect::<Vec<_>>(), wide.numbers);
        assert_eq!((narrow.count, wide.count), (6, 6));
    }
}

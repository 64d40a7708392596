//! Disjoint sets whose root is always the smallest member.
//!
//! Members are numbered in raster order of what they stand for, so the root of a set is its first voxel, and numbering
//! the roots in order gives the labels that `scipy.ndimage.label` gives, however the image was tiled.

/// What numbers members: as many bits as there may be members.
pub trait Member: Copy + Ord + Default + Send + Sync + 'static {
    /// The most members of sets, one less than there are numbers: 0 is for none.
    const MOST: u64;
    /// The number of the member at that place.
    fn at(place: usize) -> Self;
    /// The place of the member.
    fn place(self) -> usize;
}

impl Member for u32 {
    const MOST: u64 = u32::MAX as u64;
    fn at(place: usize) -> Self {
        place as u32
    }
    fn place(self) -> usize {
        self as usize
    }
}

impl Member for u64 {
    const MOST: u64 = u64::MAX;
    fn at(place: usize) -> Self {
        place as u64
    }
    fn place(self) -> usize {
        self as usize
    }
}

/// Disjoint sets of `0 .. len`.
///
/// ```
/// let mut sets = voxtile_merge::Sets::<u32>::new(5);
/// sets.join(1, 4);
/// sets.join(4, 2);
/// assert_eq!(sets.root(4), 1);
/// assert_eq!(sets.number(), (3, vec![1, 2, 2, 3, 2])); // 0 | 1 2 4 | 3
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sets<N = u32> {
    parent: Vec<N>,
}

impl<N: Member> Sets<N> {
    /// `len` sets of one member each: one number per member.
    ///
    /// # Panics
    /// If these are more than [`Member::MOST`].
    #[must_use]
    pub fn new(len: usize) -> Self {
        let mut sets = Self { parent: Vec::new() };
        sets.grow(len);
        sets
    }

    /// Adds `more` sets of one member each.
    ///
    /// # Panics
    /// If there would be more than [`Member::MOST`].
    pub fn grow(&mut self, more: usize) {
        let len = self.parent.len() + more;
        assert!(len as u64 <= N::MOST, "{len} members are more than {}", N::MOST);
        self.parent.extend((self.parent.len()..len).map(N::at));
    }

    /// The smallest member of the set of `member`; halves the path on the way.
    pub fn root(&mut self, mut member: N) -> N {
        while self.parent[member.place()] != member {
            let above = self.parent[self.parent[member.place()].place()];
            self.parent[member.place()] = above;
            member = above;
        }
        member
    }

    /// Joins the sets of two members.
    pub fn join(&mut self, a: N, b: N) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b).place()] = a.min(b);
    }

    /// The number of sets, and for each member the number of its set: sets count from 1 in the order of their
    /// smallest members.
    #[must_use]
    pub fn number(&self) -> (N, Vec<N>) {
        let mut count = 0;
        let mut out = vec![N::default(); self.parent.len()];
        for (n, &parent) in self.parent.iter().enumerate() {
            // A parent is never larger, so it has its number already.
            out[n] = if parent.place() == n {
                count += 1;
                N::at(count)
            } else {
                out[parent.place()]
            };
        }
        (N::at(count), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Repeats until nothing changes: each member takes the smallest name among those it is joined with.
    fn naive(len: usize, pairs: &[(u32, u32)]) -> Vec<u32> {
        let mut name: Vec<u32> = (0..len as u32).collect();
        loop {
            let before = name.clone();
            for &(a, b) in pairs {
                let least = name[a as usize].min(name[b as usize]);
                (name[a as usize], name[b as usize]) = (least, least);
            }
            if name == before {
                return name;
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_follow_the_smallest_members(len in 1usize..60, pairs in proptest::collection::vec((0u32..60, 0u32..60), 0..80)) {
            let pairs: Vec<_> = pairs.into_iter().map(|(a, b)| (a % len as u32, b % len as u32)).collect();
            let mut sets = Sets::<u32>::new(len);
            for &(a, b) in &pairs {
                sets.join(a, b);
            }
            let want = naive(len, &pairs);
            let got: Vec<u32> = (0..len as u32).map(|n| sets.root(n)).collect();
            prop_assert_eq!(&got, &want);
            let (count, numbers) = sets.number();
            let mut roots: Vec<u32> = want.clone();
            roots.sort_unstable();
            roots.dedup();
            prop_assert_eq!(count as usize, roots.len());
            for (n, root) in numbers.iter().zip(&want) {
                prop_assert_eq!(*n as usize, roots.binary_search(root).unwrap() + 1);
            }
        }
    }

    #[test]
    fn the_order_of_joins_does_not_matter() {
        let pairs = [(0, 3), (5, 6), (3, 6), (2, 4)];
        let number = |order: &[usize]| {
            let mut sets = Sets::<u64>::new(8);
            for &i in order {
                sets.join(pairs[i].0, pairs[i].1);
            }
            sets.number()
        };
        assert_eq!(number(&[0, 1, 2, 3]), number(&[3, 2, 1, 0]));
        assert_eq!(number(&[2, 0, 3, 1]), number(&[1, 3, 0, 2]));
    }
}

//! Disjoint sets whose root is always the smallest member.
//!
//! Members are numbered in raster order of what they stand for, so the root of a set is its first voxel, and numbering
//! the roots in order gives the labels that `scipy.ndimage.label` gives, however the image was tiled.

/// Disjoint sets of `0 .. len`.
///
/// ```
/// let mut sets = voxtile_merge::Sets::new(5);
/// sets.join(1, 4);
/// sets.join(4, 2);
/// assert_eq!(sets.root(4), 1);
/// assert_eq!(sets.number(), (3, vec![1, 2, 2, 3, 2])); // 0 | 1 2 4 | 3
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sets {
    parent: Vec<u32>,
}

impl Sets {
    /// `len` sets of one member each. Four bytes per member.
    ///
    /// # Panics
    /// If `len` exceeds 2³².
    #[must_use]
    pub fn new(len: usize) -> Self {
        assert!(len as u64 <= 1 << 32, "{len} members do not fit 32 bits");
        Self { parent: (0..len as u64).map(|n| n as u32).collect() }
    }

    /// Adds `more` sets of one member each.
    ///
    /// # Panics
    /// If there would be more than 2³² members.
    pub fn grow(&mut self, more: usize) {
        let len = self.parent.len() + more;
        assert!(len as u64 <= 1 << 32, "{len} members do not fit 32 bits");
        self.parent.extend((self.parent.len() as u64..len as u64).map(|n| n as u32));
    }

    /// The smallest member of the set of `member`; halves the path on the way.
    pub fn root(&mut self, mut member: u32) -> u32 {
        while self.parent[member as usize] != member {
            let above = self.parent[self.parent[member as usize] as usize];
            self.parent[member as usize] = above;
            member = above;
        }
        member
    }

    /// Joins the sets of two members.
    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }

    /// The number of sets, and for each member the number of its set: sets count from 1 in the order of their
    /// smallest members.
    #[must_use]
    pub fn number(&self) -> (u32, Vec<u32>) {
        let mut count = 0;
        let mut out = vec![0; self.parent.len()];
        for (n, &parent) in self.parent.iter().enumerate() {
            // A parent is never larger, so it has its number already.
            out[n] = if parent as usize == n {
                count += 1;
                count
            } else {
                out[parent as usize]
            };
        }
        (count, out)
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
            let mut sets = Sets::new(len);
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
            let mut sets = Sets::new(8);
            for &i in order {
                sets.join(pairs[i].0, pairs[i].1);
            }
            sets.number()
        };
        assert_eq!(number(&[0, 1, 2, 3]), number(&[3, 2, 1, 0]));
        assert_eq!(number(&[2, 0, 3, 1]), number(&[1, 3, 0, 2]));
    }
}

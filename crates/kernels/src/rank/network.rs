//! Networks of comparators that merge sorted lists: Batcher's odd-even merge (Knuth, TAOCP 3, 5.3.4), for any two
//! lengths. They are built at compile time and written out comparator by comparator, so that lists stay in registers
//! and the compiler drops what leads only to ranks that nobody asks for.

use super::vector::Vector;

/// Comparators in order, and where each rank is in the end.
pub(super) struct Network<const PAIRS: usize, const N: usize> {
    pairs: [(usize, usize); PAIRS],
    order: [usize; N],
}

/// The most wires and comparators of any network here.
const WIRES: usize = 100;
const PAIRS: usize = 300;

/// Wires in the order of what they hold.
#[derive(Clone, Copy)]
struct List {
    wires: [usize; WIRES],
    len: usize,
}

impl List {
    const EMPTY: Self = Self { wires: [0; WIRES], len: 0 };

    const fn range(from: usize, len: usize) -> Self {
        let mut list = Self::EMPTY;
        while list.len < len {
            list.push(from + list.len);
        }
        list
    }

    const fn push(&mut self, wire: usize) {
        self.wires[self.len] = wire;
        self.len += 1;
    }

    /// Every second wire.
    const fn half(&self, from: usize) -> Self {
        let mut half = Self::EMPTY;
        let mut i = from;
        while i < self.len {
            half.push(self.wires[i]);
            i += 2;
        }
        half
    }
}

struct Builder {
    pairs: [(usize, usize); PAIRS],
    len: usize,
}

impl Builder {
    const fn merge(&mut self, a: &List, b: &List) -> List {
        if a.len == 0 {
            return *b;
        }
        if b.len == 0 {
            return *a;
        }
        if a.len == 1 && b.len == 1 {
            return self.exchange(List::EMPTY, a.wires[0], b.wires[0]);
        }
        let first = self.merge(&a.half(0), &b.half(0));
        let second = self.merge(&a.half(1), &b.half(1));
        let mut merged = List::EMPTY;
        merged.push(first.wires[0]);
        let mut i = 0;
        while i + 1 < first.len && i < second.len {
            merged = self.exchange(merged, second.wires[i], first.wires[i + 1]);
            i += 1;
        }
        // One of the two may be longer, by two at most: what is left over is in place.
        let mut j = i;
        while j + 1 < first.len {
            merged.push(first.wires[j + 1]);
            j += 1;
        }
        while i < second.len {
            merged.push(second.wires[i]);
            i += 1;
        }
        merged
    }

    /// Appends a comparator, and its two wires to a list.
    const fn exchange(&mut self, mut list: List, low: usize, high: usize) -> List {
        self.pairs[self.len] = (low, high);
        self.len += 1;
        list.push(low);
        list.push(high);
        list
    }

    const fn merger(a: usize, b: usize) -> (Self, List) {
        let mut builder = Self { pairs: [(0, 0); PAIRS], len: 0 };
        let order = builder.merge(&List::range(0, a), &List::range(a, b));
        (builder, order)
    }
}

/// Comparators of the network that merges lists of these lengths.
pub(super) const fn pairs(a: usize, b: usize) -> usize {
    Builder::merger(a, b).0.len
}

impl<const PAIRS: usize, const N: usize> Network<PAIRS, N> {
    /// Merges the first `a` wires, which are sorted, with the others, which are too.
    pub(super) const fn merger(a: usize) -> Self {
        let (builder, list) = Builder::merger(a, N - a);
        let mut network = Self { pairs: [(0, 0); PAIRS], order: [0; N] };
        let mut i = 0;
        while i < PAIRS {
            network.pairs[i] = builder.pairs[i];
            i += 1;
        }
        let mut i = 0;
        while i < N {
            network.order[i] = list.wires[i];
            i += 1;
        }
        network
    }

    /// Comparator number `i`; one that does nothing beyond the last.
    pub(super) const fn pair(&self, i: usize) -> (usize, usize) {
        if i < PAIRS { self.pairs[i] } else { (0, 0) }
    }

    /// The wire that holds rank `i`; any wire beyond the last.
    pub(super) const fn wire(&self, i: usize) -> usize {
        if i < N { self.order[i] } else { 0 }
    }
}

/// The smaller of two goes to `wires[low]`, the larger one to `wires[high]`.
#[inline(always)]
pub(super) fn exchange<V: Vector, const N: usize>(wires: &mut [V; N], low: usize, high: usize) {
    let (a, b) = (wires[low], wires[high]);
    wires[low] = a.min(b);
    wires[high] = a.max(b);
}

/// Statements for ten numbers from `10 * $ten` on.
macro_rules! ten {
    ($ten:literal, $statement:ident $args:tt) => {
        $statement!($args, $ten * 10);
        $statement!($args, $ten * 10 + 1);
        $statement!($args, $ten * 10 + 2);
        $statement!($args, $ten * 10 + 3);
        $statement!($args, $ten * 10 + 4);
        $statement!($args, $ten * 10 + 5);
        $statement!($args, $ten * 10 + 6);
        $statement!($args, $ten * 10 + 7);
        $statement!($args, $ten * 10 + 8);
        $statement!($args, $ten * 10 + 9);
    };
}
macro_rules! compare {
    (($wires:ident), $i:expr) => {{
        const PAIR: (usize, usize) = NETWORK.pair($i);
        if PAIR.0 != PAIR.1 {
            exchange(&mut $wires, PAIR.0, PAIR.1);
        }
    }};
}
macro_rules! order {
    (($wires:ident $sorted:ident $n:literal), $i:expr) => {{
        const WIRE: usize = NETWORK.wire($i);
        if $i < $n {
            $sorted[($i) % $n] = $wires[WIRE];
        }
    }};
}

/// Functions that merge two sorted lists, given one after the other.
macro_rules! mergers {
    ($($name:ident: $a:literal + $b:literal = $n:literal, comparators $($tens:literal)*, wires $($wire_tens:literal)*;)*) => { $(
        #[inline(always)]
        pub(super) fn $name<V: Vector>(mut wires: [V; $n]) -> [V; $n] {
            const NETWORK: Network<{ pairs($a, $b) }, $n> = Network::merger($a);
            const { assert!($a + $b == $n && pairs($a, $b) <= 10 * [$($tens),*].len() && $n <= 10 * [$($wire_tens),*].len()) };
            $(ten!($tens, compare(wires));)*
            let mut sorted = wires;
            $(ten!($wire_tens, order(wires sorted $n));)*
            sorted
        }
    )* };
}
mergers! {
    merge_3_3: 3 + 3 = 6, comparators 0, wires 0;
    merge_6_3: 6 + 3 = 9, comparators 0 1, wires 0;
    merge_9_9: 9 + 9 = 18, comparators 0 1 2 3, wires 0 1;
    merge_5_5: 5 + 5 = 10, comparators 0 1, wires 0;
    merge_10_10: 10 + 10 = 20, comparators 0 1 2 3 4, wires 0 1;
    merge_20_5: 20 + 5 = 25, comparators 0 1 2 3 4, wires 0 1 2;
    merge_25_25: 25 + 25 = 50, comparators 0 1 2 3 4 5 6 7 8 9 10 11 12, wires 0 1 2 3 4;
    merge_50_50: 50 + 50 = 100, comparators 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29,
        wires 0 1 2 3 4 5 6 7 8 9;
}

/// Sorts three.
#[inline(always)]
pub(super) fn sort_3<V: Vector>(mut wires: [V; 3]) -> [V; 3] {
    exchange(&mut wires, 0, 1);
    exchange(&mut wires, 1, 2);
    exchange(&mut wires, 0, 1);
    wires
}

/// Sorts five, with nine comparators.
#[inline(always)]
pub(super) fn sort_5<V: Vector>(mut wires: [V; 5]) -> [V; 5] {
    exchange(&mut wires, 0, 3);
    exchange(&mut wires, 1, 4);
    exchange(&mut wires, 0, 2);
    exchange(&mut wires, 1, 3);
    exchange(&mut wires, 0, 1);
    exchange(&mut wires, 2, 4);
    exchange(&mut wires, 1, 2);
    exchange(&mut wires, 3, 4);
    exchange(&mut wires, 2, 3);
    wires
}

/// The value of that rank among two sorted lists. Of the first list `rank - C ..= rank` are looked at.
#[inline(always)]
pub(super) fn rank_of_two<V: Vector, const N: usize, const C: usize>(
    a: &[V; N],
    b: &[V; C],
    rank: usize,
) -> V {
    // The rank is reached with `taken` values of `b` and the rest of `a`; the largest taken is it, if least.
    let mut least = a[rank];
    // Not `1..=C`: that loop stays a loop, and with it the lists stay in memory.
    for i in 0..C {
        least = least.min(a[rank - 1 - i].max(b[i]));
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::vector::Key;

    type One = <u8 as Key>::Single;

    fn wires<const N: usize>(keys: &[u8]) -> [One; N] {
        std::array::from_fn(|i| One::splat((), keys[i]))
    }

    fn keys<const N: usize>(wires: &[One; N]) -> Vec<u8> {
        let mut out = vec![0; N];
        wires.iter().enumerate().for_each(|(i, wire)| wire.store(&mut out[i..]));
        out
    }

    /// By the 0-1 principle a network that merges all sorted lists of zeros and ones merges all sorted lists.
    #[test]
    fn networks_merge_all_lists_of_zeros_and_ones() {
        macro_rules! check {
            ($($name:ident $a:literal $b:literal),*) => { $(
                for ones_a in 0..=$a {
                    for ones_b in 0..=$b {
                        let list = |n: usize, ones: usize| (0..n).map(move |i| u8::from(i >= n - ones));
                        let input: Vec<u8> = list($a, ones_a).chain(list($b, ones_b)).collect();
                        let sorted = keys(&$name(wires::<{ $a + $b }>(&input)));
                        assert!(sorted.is_sorted(), "{} {ones_a} {ones_b}: {sorted:?}", stringify!($name));
                        assert_eq!(sorted.iter().map(|&k| usize::from(k)).sum::<usize>(), ones_a + ones_b);
                    }
                }
            )* };
        }
        check!(merge_3_3 3 3, merge_6_3 6 3, merge_9_9 9 9, merge_5_5 5 5, merge_10_10 10 10, merge_20_5 20 5);
        check!(merge_25_25 25 25, merge_50_50 50 50);
    }

    #[test]
    fn networks_sort_all_zeros_and_ones() {
        for bits in 0..32u8 {
            let input: Vec<u8> = (0..5).map(|i| bits >> i & 1).collect();
            assert!(keys(&sort_5(wires(&input))).is_sorted(), "{input:?}");
            assert!(keys(&sort_3(wires(&input))).is_sorted(), "{input:?}");
        }
    }

    #[test]
    fn ranks_of_two_lists_are_those_of_the_sorted_union() {
        let (a, b) = ([1u8, 4, 4, 7, 9, 12], [2u8, 4, 8]);
        let mut all: Vec<u8> = a.iter().chain(&b).copied().collect();
        all.sort_unstable();
        for rank in 3..6 {
            let got = rank_of_two(&wires::<6>(&a), &wires::<3>(&b), rank);
            assert_eq!(keys(&[got]), [all[rank]]);
        }
    }
}

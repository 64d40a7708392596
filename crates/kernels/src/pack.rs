//! What tiles tell of themselves, as bytes that a later run of the same plan reads again. Numbers are little-endian, lists have
//! their length in front; floats keep their bits.

use ethnum::I256;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use voxtile_sched::contract::Components;

/// A value that becomes bytes and is made of them again.
pub(crate) trait Packed: Sized {
    /// Appends it.
    fn pack(&self, out: &mut Vec<u8>);

    /// Takes it from the front; `None` if the bytes are not one.
    fn unpack(from: &mut &[u8]) -> Option<Self>;
}

/// The bytes of a value.
pub(crate) fn packed(value: &impl Packed) -> Vec<u8> {
    let mut out = Vec::new();
    value.pack(&mut out);
    out
}

/// The value that all of these bytes are.
pub(crate) fn unpacked<T: Packed>(mut bytes: &[u8]) -> Option<T> {
    let value = T::unpack(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Packed for $t {
            fn pack(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*bytes))
            }
        }
    )*};
}
number!(u32, u64, i64, i128, f64, I256);

impl Packed for bool {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        (*byte <= 1).then_some(*byte == 1)
    }
}

impl<T: Packed, const N: usize> Packed for [T; N] {
    fn pack(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.pack(out));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let values: Vec<T> = (0..N).map(|_| T::unpack(from)).collect::<Option<_>>()?;
        values.try_into().ok()
    }
}

impl<T: Packed> Packed for Vec<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        (self.len() as u64).pack(out);
        self.iter().for_each(|value| value.pack(out));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let len = u64::unpack(from)?;
        // Every value has a byte at least: what is not there is not asked for.
        let mut out = Self::with_capacity(usize::try_from(len).ok().filter(|n| *n <= from.len())?);
        for _ in 0..len {
            out.push(T::unpack(from)?);
        }
        Some(out)
    }
}

impl<A: Packed, B: Packed> Packed for (A, B) {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
        self.1.pack(out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some((A::unpack(from)?, B::unpack(from)?))
    }
}

impl<A: Packed, B: Packed, C: Packed> Packed for (A, B, C) {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
        self.1.pack(out);
        self.2.pack(out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some((A::unpack(from)?, B::unpack(from)?, C::unpack(from)?))
    }
}

macro_rules! map {
    ($map:ident, $($bound:ident),*) => {
        impl<K: Packed $(+ $bound)*, V: Packed> Packed for $map<K, V> {
            fn pack(&self, out: &mut Vec<u8>) {
                (self.len() as u64).pack(out);
                for (key, value) in self {
                    key.pack(out);
                    value.pack(out);
                }
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                Vec::unpack(from).map(|all: Vec<(K, V)>| all.into_iter().collect())
            }
        }
    };
}
map!(BTreeMap, Ord);
map!(HashMap, Eq, Hash);

/// Packs the fields of a structure one after the other.
macro_rules! packed_fields {
    ($name:ty { $($field:ident),* $(,)? }) => {
        impl $crate::pack::Packed for $name {
            fn pack(&self, out: &mut Vec<u8>) {
                $($crate::pack::Packed::pack(&self.$field, out);)*
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::pack::Packed::unpack(from)?),* })
            }
        }
    };
}
pub(crate) use packed_fields;

packed_fields!(Components { first, voxels, marked, value, faces });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let map = BTreeMap::from([((1i64, -2i64), vec![f64::NAN, -0.0]), ((0, i64::MAX), vec![])]);
        let back: BTreeMap<(i64, i64), Vec<f64>> = unpacked(&packed(&map)).unwrap();
        let bits = |m: &BTreeMap<(i64, i64), Vec<f64>>| {
            m.iter()
                .map(|(k, v)| (*k, v.iter().map(|f| f.to_bits()).collect()))
                .collect::<Vec<(_, Vec<u64>)>>()
        };
        assert_eq!(bits(&back), bits(&map));
        let wide = [I256::MIN, I256::from(-7), I256::MAX];
        assert_eq!(unpacked::<[I256; 3]>(&packed(&wide)), Some(wide));
        let mut components = Components { first: vec![3, 9], voxels: vec![1, 2], ..Components::default() };
        components.marked = vec![true, false];
        components.faces[1][0] = vec![0, 2, 1];
        assert_eq!(unpacked(&packed(&components)), Some(components));
    }

    #[test]
    fn what_is_no_value_is_none() {
        let bytes = packed(&vec![(1u64, true), (2, false)]);
        for cut in 0..bytes.len() {
            assert_eq!(unpacked::<Vec<(u64, bool)>>(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(unpacked::<Vec<(u64, bool)>>(&[&bytes[..], &[0]].concat()), None);
        // A length that asks for more memory than there is.
        assert_eq!(unpacked::<Vec<u64>>(&u64::MAX.to_le_bytes()), None);
        assert_eq!(unpacked::<bool>(&[2]), None);
    }
}

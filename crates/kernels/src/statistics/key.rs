//! Samples as numbers in their order, digit by digit.

use crate::pointwise::Sample;
use voxtile_sched::model::{Dtype, Element};

/// An unsigned number in the order of the samples: signed integers from the lowest up, floats by their value, −0
/// before 0. As many bits as the sample.
#[inline(always)]
pub(super) fn key<T: Sample>(value: T) -> u64 {
    let bits = 8 * size_of::<T>() as u32;
    let (top, all) = (1 << (bits - 1), u64::MAX >> (64 - bits));
    let word = value.to_word() & all;
    if T::DTYPE.is_float() {
        if word & top == 0 { word | top } else { !word & all }
    } else if T::DTYPE.is_signed_integer() {
        word ^ top
    } else {
        word
    }
}

/// The sample of that key.
fn sample<T: Sample>(key: u64) -> T {
    let bits = 8 * size_of::<T>() as u32;
    let top = 1 << (bits - 1);
    T::from_word(match T::DTYPE {
        dtype if dtype.is_float() && key & top == 0 => !key,
        dtype if dtype.is_float() || dtype.is_signed_integer() => key ^ top,
        _ => key,
    })
}

/// The value of that key; the nearest `f64`.
pub(super) fn value(dtype: Dtype, key: u64) -> f64 {
    voxtile_sched::dispatch!(dtype, T => sample::<T>(key).to_f64())
}

/// The whole number of that key; 0 for floats.
pub(super) fn whole(dtype: Dtype, key: u64) -> i128 {
    voxtile_sched::dispatch!(dtype, T => sample::<T>(key).to_i128())
}

/// The lowest and the highest sample that counts: every integer, the finite floats.
pub(super) fn ends<T: Sample>() -> [T; 2] {
    match T::DTYPE {
        Dtype::F32 => [T::from_f64(f64::from(f32::MIN)), T::from_f64(f64::from(f32::MAX))],
        Dtype::F64 => [T::from_f64(f64::MIN), T::from_f64(f64::MAX)],
        _ => [T::LOWEST, T::HIGHEST],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fill, Image, meta};

    #[test]
    fn keys_are_in_the_order_of_the_samples_and_come_back() {
        for dtype in Dtype::ALL {
            for fill in [Fill::Noise, Fill::Extremes] {
                voxtile_sched::dispatch!(dtype, T => {
                    let image = Image::filled(meta("x", &[200], dtype), fill, 3);
                    let mut values = image.values::<T>().to_vec();
                    values.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
                    let keys: Vec<u64> = values.iter().map(|&v| key(v)).collect();
                    for (pair, k) in values.windows(2).zip(keys.windows(2)) {
                        assert!((pair[0] < pair[1]) <= (k[0] < k[1]), "{pair:?} {k:?}");
                    }
                    assert!(values.iter().zip(&keys).all(|(&v, &k)| sample::<T>(k) == v), "{dtype}");
                    assert!(keys.iter().all(|&k| k <= u64::MAX >> (64 - 8 * dtype.size())));
                });
            }
        }
    }
}

//! The bytes, or the bits, of samples sorted by significance, and back: what blosc does before it compresses.
//!
//! Planes follow one another, the lowest first: the first byte of every sample, then the second ones, and so on; or the
//! lowest bit of every sample, eight to a byte from the lowest bit up, then the next ones. What does not fill a sample
//! is copied; bits are left alone where the samples are no multiple of eight.

use super::vector;

/// Samples whose bits are sorted at once: each plane gets 64 bytes.
pub(super) const GROUP: usize = 512;
/// Larger samples go eight at a time.
const MOST_BYTES: usize = 8;

/// Samples of `size` bytes, sorted by bytes.
pub(super) fn shuffle(size: usize, from: &[u8], out: &mut [u8]) {
    assert_eq!(from.len(), out.len());
    let count = from.len() / size;
    let (samples, rest) = from.split_at(count * size);
    bytes_apart(size, samples, out, count);
    out[samples.len()..].copy_from_slice(rest);
}

/// Undoes [`shuffle`].
pub(super) fn unshuffle(size: usize, from: &[u8], out: &mut [u8]) {
    assert_eq!(from.len(), out.len());
    let count = from.len() / size;
    let (samples, rest) = out.split_at_mut(count * size);
    bytes_together(size, from, count, samples);
    rest.copy_from_slice(&from[count * size..]);
}

/// How samples lie whose bits are sorted.
struct Planes {
    count: usize,
    /// Bytes of one bit of all samples.
    row: usize,
    /// Groups that are sorted at once; the other samples go eight at a time.
    groups: usize,
}

impl Planes {
    /// `None` where bits are left alone.
    fn of(size: usize, len: usize) -> Option<Self> {
        let count = len / size;
        let groups = if size <= MOST_BYTES { count / GROUP } else { 0 };
        count.is_multiple_of(8).then_some(Self { count, row: count / 8, groups })
    }
}

/// Samples of `size` bytes, sorted by bits.
pub(super) fn bitshuffle(size: usize, from: &[u8], out: &mut [u8]) {
    assert_eq!(from.len(), out.len());
    let Some(Planes { count, row, groups }) = Planes::of(size, from.len()) else {
        return out.copy_from_slice(from);
    };
    let mut bytes = [0; GROUP * MOST_BYTES];
    for (n, samples) in from.chunks_exact(GROUP * size).take(groups).enumerate() {
        bytes_apart(size, samples, &mut bytes, GROUP);
        for (b, bytes) in bytes.as_chunks::<GROUP>().0[..size].iter().enumerate() {
            bits_apart(bytes, &mut out[8 * b * row + n * GROUP / 8..], row);
        }
    }
    for (n, samples) in from[..count * size].chunks_exact(8 * size).enumerate().skip(groups * GROUP / 8) {
        for b in 0..size {
            let word = u64::from_le_bytes(std::array::from_fn(|i| samples[i * size + b]));
            for (k, byte) in transposed(word).to_le_bytes().into_iter().enumerate() {
                out[(8 * b + k) * row + n] = byte;
            }
        }
    }
    out[count * size..].copy_from_slice(&from[count * size..]);
}

/// Undoes [`bitshuffle`].
pub(super) fn bitunshuffle(size: usize, from: &[u8], out: &mut [u8]) {
    assert_eq!(from.len(), out.len());
    let Some(Planes { count, row, groups }) = Planes::of(size, from.len()) else {
        return out.copy_from_slice(from);
    };
    let mut bytes = [0; GROUP * MOST_BYTES];
    for (n, samples) in out.chunks_exact_mut(GROUP * size).take(groups).enumerate() {
        for (b, bytes) in bytes.as_chunks_mut::<GROUP>().0[..size].iter_mut().enumerate() {
            bits_together(&from[8 * b * row + n * GROUP / 8..], row, bytes);
        }
        bytes_together(size, &bytes, GROUP, samples);
    }
    for (n, samples) in out[..count * size].chunks_exact_mut(8 * size).enumerate().skip(groups * GROUP / 8) {
        for b in 0..size {
            let word = u64::from_le_bytes(std::array::from_fn(|k| from[(8 * b + k) * row + n]));
            for (i, byte) in transposed(word).to_le_bytes().into_iter().enumerate() {
                samples[i * size + b] = byte;
            }
        }
    }
    out[count * size..].copy_from_slice(&from[count * size..]);
}

/// Byte `b` of every sample to `planes[b * stride..]`.
fn bytes_apart(size: usize, samples: &[u8], planes: &mut [u8], stride: usize) {
    fn fixed<const N: usize>(samples: &[u8], planes: &mut [u8], stride: usize) {
        let done = vector::bytes_apart::<N>(samples, planes, stride);
        let rest = &samples.as_chunks::<N>().0[done..];
        for b in 0..N {
            for (byte, sample) in planes[b * stride + done..].iter_mut().zip(rest) {
                *byte = sample[b];
            }
        }
    }
    match size {
        1 => planes[..samples.len()].copy_from_slice(samples),
        2 => fixed::<2>(samples, planes, stride),
        4 => fixed::<4>(samples, planes, stride),
        8 => fixed::<8>(samples, planes, stride),
        _ => {
            for b in 0..size {
                for (byte, sample) in planes[b * stride..].iter_mut().zip(samples.chunks_exact(size)) {
                    *byte = sample[b];
                }
            }
        }
    }
}

/// Undoes [`bytes_apart`].
fn bytes_together(size: usize, planes: &[u8], stride: usize, samples: &mut [u8]) {
    fn fixed<const N: usize>(planes: &[u8], stride: usize, samples: &mut [u8]) {
        let done = vector::bytes_together::<N>(planes, stride, samples);
        let rest = &mut samples.as_chunks_mut::<N>().0[done..];
        for b in 0..N {
            for (byte, sample) in planes[b * stride + done..].iter().zip(&mut *rest) {
                sample[b] = *byte;
            }
        }
    }
    match size {
        1 => samples.copy_from_slice(&planes[..samples.len()]),
        2 => fixed::<2>(planes, stride, samples),
        4 => fixed::<4>(planes, stride, samples),
        8 => fixed::<8>(planes, stride, samples),
        _ => {
            for b in 0..size {
                for (byte, sample) in planes[b * stride..].iter().zip(samples.chunks_exact_mut(size)) {
                    sample[b] = *byte;
                }
            }
        }
    }
}

/// Bit `k` of every byte to the 64 bytes at `rows[k * row..]`.
fn bits_apart(bytes: &[u8; GROUP], rows: &mut [u8], row: usize) {
    if vector::bits_apart(bytes, rows, row) {
        return;
    }
    for (n, words) in bytes.as_chunks::<64>().0.iter().enumerate() {
        let words = std::array::from_fn(|i| transposed(u64::from_le_bytes(words.as_chunks().0[i])));
        for (k, word) in crossed(words).into_iter().enumerate() {
            rows[k * row + 8 * n..][..8].copy_from_slice(&word.to_le_bytes());
        }
    }
}

/// Undoes [`bits_apart`].
fn bits_together(rows: &[u8], row: usize, bytes: &mut [u8; GROUP]) {
    if vector::bits_together(rows, row, bytes) {
        return;
    }
    for (n, words) in bytes.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let planes =
            std::array::from_fn(|k| u64::from_le_bytes(std::array::from_fn(|i| rows[k * row + 8 * n + i])));
        for (word, out) in crossed(planes).into_iter().zip(words.as_chunks_mut::<8>().0) {
            *out = transposed(word).to_le_bytes();
        }
    }
}

/// Bit `i` of byte `k` becomes bit `k` of byte `i`.
fn transposed(mut word: u64) -> u64 {
    for (distance, mask) in
        [(7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0x0000_0000_F0F0_F0F0)]
    {
        let differ = (word ^ word >> distance) & mask;
        word ^= differ ^ differ << distance;
    }
    word
}

/// Byte `i` of word `k` becomes byte `k` of word `i`.
fn crossed(mut words: [u64; 8]) -> [u64; 8] {
    for (apart, bits, mask) in
        [(4, 32, 0x0000_0000_FFFF_FFFF), (2, 16, 0x0000_FFFF_0000_FFFF), (1, 8, 0x00FF_00FF_00FF_00FF)]
    {
        for k in (0..8).filter(|k| k & apart == 0) {
            let differ = (words[k] >> bits ^ words[k + apart]) & mask;
            words[k + apart] ^= differ;
            words[k] ^= differ << bits;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neither constant nor regular.
    fn content(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    /// Bit by bit, from the description above.
    fn sorted_by_bits(size: usize, from: &[u8]) -> Vec<u8> {
        let count = from.len() / size;
        let mut out = from.to_vec();
        if count.is_multiple_of(8) {
            out[..count * size].fill(0);
            for (i, b, k) in
                (0..count).flat_map(|i| (0..size).flat_map(move |b| (0..8).map(move |k| (i, b, k))))
            {
                let bit = from[i * size + b] >> k & 1;
                out[(8 * b + k) * (count / 8) + i / 8] |= bit << (i % 8);
            }
        }
        out
    }

    fn sorted_by_bytes(size: usize, from: &[u8]) -> Vec<u8> {
        let count = from.len() / size;
        let places = (0..size).flat_map(|b| (0..count).map(move |i| i * size + b));
        places.chain(count * size..from.len()).map(|at| from[at]).collect()
    }

    #[test]
    fn bytes_and_bits_are_sorted_as_described_in_registers_of_any_width() {
        for plain in 0..3 {
            vector::PLAIN.set(plain == 2);
            vector::WITHOUT_GFNI.set(plain == 1);
            for size in [1, 2, 3, 4, 5, 7, 8, 9, 16, 33] {
                for samples in [0, 1, 7, 8, 31, 32, 33, 64, 100, 504, 512, 520, 1024, 1031, 1544] {
                    for more in [0, 1, size - 1] {
                        let from = content(samples * size + more);
                        let (mut apart, mut back) = (vec![1; from.len()], vec![2; from.len()]);
                        let case = format!("{samples} samples of {size} bytes and {more}, plain: {plain}");
                        shuffle(size, &from, &mut apart);
                        assert_eq!(apart, sorted_by_bytes(size, &from), "bytes, {case}");
                        unshuffle(size, &apart, &mut back);
                        assert_eq!(back, from, "bytes back, {case}");
                        bitshuffle(size, &from, &mut apart);
                        assert_eq!(apart, sorted_by_bits(size, &from), "bits, {case}");
                        back.fill(3);
                        bitunshuffle(size, &apart, &mut back);
                        assert_eq!(back, from, "bits back, {case}");
                    }
                }
            }
        }
        vector::PLAIN.set(false);
        vector::WITHOUT_GFNI.set(false);
    }
}

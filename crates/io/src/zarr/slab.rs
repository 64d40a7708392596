//! Chunks presented as several thin ones, where a part of a chunk can be decoded alone. A halo along the slowest axis
//! then costs a slab instead of a chunk, and a small budget holds a few slabs where it would not hold the chunks.

use voxtile_sched::model::{NDIM, Shape};

/// Slabs of fewer bytes would spend their time on opening files.
const LEAST_BYTES: u64 = 256 << 10;

/// How chunks are cut: along the slowest axis, into slabs of equal thickness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slabs {
    axis: usize,
    /// Slabs in a chunk.
    count: u64,
    /// Bytes of one slab.
    bytes: u64,
    /// Bytes of the blocks in which chunks are encoded.
    block: u64,
}

impl Slabs {
    /// The thinnest slabs worth having of chunks of this shape, whose blocks have `block` bytes.
    pub(super) fn new(chunk: &Shape, sample: usize, block: u64) -> Option<Self> {
        let axis = (0..NDIM).find(|&a| chunk[a] > 1)?;
        let planes = chunk[axis];
        let plane = chunk[axis + 1..].iter().fold(sample as u64, |n, &s| n.saturating_mul(s));
        // A block that two slabs share is decoded twice: that may cost an eighth.
        let fits = |bytes: u64| bytes >= LEAST_BYTES && (bytes.is_multiple_of(block) || bytes >= 8 * block);
        let thin = (1..=planes / 2).find(|&n| planes.is_multiple_of(n) && fits(plane.saturating_mul(n)))?;
        Some(Self { axis, count: planes / thin, bytes: plane * thin, block })
    }

    /// Shape of a slab.
    pub(super) fn shape(&self, chunk: &Shape) -> Shape {
        std::array::from_fn(|a| if a == self.axis { chunk[a] / self.count } else { chunk[a] })
    }

    /// The chunk of a slab, and where in the chunk's bytes it starts.
    pub(super) fn place(&self, index: &Shape) -> (Shape, usize) {
        let mut chunk = *index;
        chunk[self.axis] /= self.count;
        (chunk, ((index[self.axis] % self.count) * self.bytes) as usize)
    }

    /// Whether the first planes of a slab, of this shape each, are all that is needed of it.
    pub(super) fn is_front(&self, part: &Shape, slab: &Shape) -> bool {
        (0..NDIM).all(|a| a == self.axis || part[a] == slab[a])
    }

    /// Bytes of one slab.
    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Bytes that decoding takes besides the slab: what is read, up to two blocks that reach beyond, one of them
    /// decoded, and a block before and after it is unshuffled.
    pub(super) fn scratch(&self) -> u64 {
        let blocks = self.bytes.div_ceil(self.block) + 1;
        self.bytes + 5 * self.block + if self.block > 1 { 64 * blocks } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Planes of a slab, for blocks of so many bytes.
    fn planes(chunk: Shape, sample: usize, block: u64) -> Option<u64> {
        Slabs::new(&chunk, sample, block).map(|s| s.shape(&chunk)[s.axis])
    }

    #[test]
    fn slabs_are_thin_but_worth_a_read_and_end_where_blocks_end() {
        assert_eq!(planes([1, 1, 128, 128, 128], 2, 128 << 10), Some(8));
        assert_eq!(planes([1, 1, 128, 128, 128], 2, 512 << 10), Some(16));
        assert_eq!(planes([1, 1, 128, 128, 128], 2, 1), Some(8));
        assert_eq!(planes([1, 3, 1, 2048, 2048], 1, 1 << 20), Some(1));
        assert_eq!(planes([1, 1, 1, 4096, 4096], 1, 32 << 10), Some(64));
    }

    #[test]
    fn a_block_shared_by_slabs_is_small_beside_them() {
        // 20 000 bytes a plane: no few planes end with a block of 2¹⁸ bytes, 50 are less than eight of them.
        assert_eq!(planes([1, 1, 100, 100, 100], 2, 256 << 10), None);
        assert_eq!(planes([1, 1, 100, 100, 100], 2, 32 << 10), Some(20));
    }

    #[test]
    fn small_chunks_and_single_blocks_stay_whole() {
        assert_eq!(planes([1, 1, 32, 32, 32], 2, 1), None);
        assert_eq!(planes([1, 1, 128, 128, 128], 2, 4 << 20), None);
        assert_eq!(planes([1, 1, 1, 1, 1], 8, 8), None);
    }

    #[test]
    fn a_slab_knows_its_chunk_and_where_it_starts() {
        let slabs = Slabs::new(&[1, 1, 128, 128, 128], 2, 128 << 10).unwrap();
        assert_eq!(slabs.place(&[0, 0, 35, 4, 5]), ([0, 0, 2, 4, 5], 3 * (256 << 10)));
    }
}

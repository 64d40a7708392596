//! Frames that c-blosc reads, smaller than its own and made in less time.
//!
//! What c-blosc calls level 3 is Zstandard's level 5 over 128 KiB, all of a block's planes under one table of codes.
//! Bits sorted by significance hardly repeat but in places; what differs from plane to plane is how often each byte
//! comes. So Zstandard's fastest level over pieces of about one plane, each with a table of its own, gains more than
//! the search of the higher levels: noise is stored as it is, which also decodes faster. Blocks in which nearly all is
//! repetition, as those of masks and labels, are left to the level that c-blosc would take.

use super::{HEADER, apart, ffi};
use crate::IoError;
use crate::codec::Shuffle;
use crate::scratch::{Buffer, Contexts};

/// The compressor inside a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compressor {
    Lz4,
    Zstd,
}

/// Content of fewer bytes is stored, as c-blosc does.
const LEAST: usize = 128;
/// Samples of more bytes are not split, as in c-blosc.
const MOST_SPLITS: usize = 16;

/// What Zstandard is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Effort {
    level: i32,
    /// About how many bytes are under one table of codes, or 0.
    piece: usize,
}

/// Bytes of pieces of about `usual` bytes that end where planes do, or at whole parts of them.
fn piece(usual: usize, plane: usize) -> usize {
    match plane {
        _ if usual == 0 || plane == 0 => usual,
        _ if plane < usual => usual - usual % plane,
        _ => plane.div_ceil(plane.div_ceil(usual)),
    }
}

/// c-blosc's levels in terms of Zstandard.
fn usual(level: u8) -> Effort {
    let level = match level {
        0..=7 => 2 * i32::from(level) - 1,
        8 => 20,
        _ => 22,
    };
    Effort { level, piece: 0 }
}

/// For blocks that are not mere repetition.
fn effort(level: u8, shuffle: Shuffle) -> Effort {
    match (shuffle, level) {
        (Shuffle::Bit, 1..=5) => Effort { level: 1, piece: 16 << 10 },
        (Shuffle::Bit, _) => Effort { piece: 16 << 10, ..usual(level) },
        (Shuffle::Byte, 1) => Effort { level: 1, piece: 64 << 10 },
        (Shuffle::Byte, 2 | 3) => Effort { level: 2, piece: 64 << 10 },
        _ => usual(level),
    }
}

/// Bytes of Zstandard's blocks where they are not c-blosc's choice, as arrays are described; else 0.
pub(crate) fn zstd_block(level: u8, shuffle: Shuffle, size: usize) -> usize {
    let sorted = shuffle == Shuffle::Bit || shuffle == Shuffle::Byte && size > 1;
    if sorted && matches!(level, 1..=3) { 256 << 10 } else { 0 }
}

/// Everything about a frame but its content.
#[derive(Clone, Copy, Debug)]
struct Plan {
    size: usize,
    compressor: Compressor,
    level: u8,
    shuffle: Shuffle,
    /// Bytes of a block.
    block: usize,
    /// Whether a whole block is one stream per byte of the sample.
    split: bool,
}

impl Plan {
    fn new(len: usize, size: usize, compressor: Compressor, level: u8, shuffle: Shuffle) -> Self {
        let size = if size > 255 { 1 } else { size };
        let shuffle = if shuffle == Shuffle::Byte && size == 1 { Shuffle::None } else { shuffle };
        let usual = match (compressor, level) {
            (Compressor::Lz4, 0 | 1) => 1 << 14,
            (Compressor::Zstd, 0 | 1) | (Compressor::Lz4, 2) => 1 << 15,
            (Compressor::Zstd, 2) | (Compressor::Lz4, 3) => 1 << 16,
            (Compressor::Zstd, 3) | (Compressor::Lz4, 4 | 5) => 1 << 17,
            (Compressor::Zstd, 4 | 5) | (Compressor::Lz4, 6..) => 1 << 18,
            (Compressor::Zstd, 6..=8) => 1 << 19,
            (Compressor::Zstd, _) => 1 << 20,
        };
        let mut block = match compressor {
            Compressor::Zstd if zstd_block(level, shuffle, size) > 0 => zstd_block(level, shuffle, size),
            _ if len < 1 << 15 => len,
            _ => usual,
        };
        let split = compressor == Compressor::Lz4 && size <= MOST_SPLITS && block / size >= LEAST;
        if split {
            block = (block * size).clamp(64 << 10, 1 << 20);
        }
        block = block.min(len).max(1);
        if block > size {
            block -= block % size;
        }
        Self { size, compressor, level, shuffle, block, split: split && block / size >= LEAST }
    }

    fn header(&self, len: usize) -> [u8; HEADER] {
        let shuffle = match self.shuffle {
            Shuffle::None => 0,
            Shuffle::Byte => 0x1,
            Shuffle::Bit => 0x4,
        };
        let format = match self.compressor {
            Compressor::Lz4 => 1,
            Compressor::Zstd => 4,
        };
        let mut head = [0; HEADER];
        head[..4].copy_from_slice(&[
            2,
            1,
            shuffle | u8::from(!self.split) << 4 | format << 5,
            self.size as u8,
        ]);
        head[4..8].copy_from_slice(&(len as u32).to_le_bytes());
        head[8..12].copy_from_slice(&(self.block as u32).to_le_bytes());
        head
    }

    /// The blocks of a frame behind its header; `None` where they would not be shorter than the content as it is.
    fn blocks(
        &self,
        from: &[u8],
        out: &mut [u8],
        contexts: &mut Contexts,
        buffer: &mut Buffer,
    ) -> Option<usize> {
        let mut at = HEADER + 4 * from.len().div_ceil(self.block);
        for (n, content) in from.chunks(self.block).enumerate() {
            put(out, HEADER + 4 * n, at)?;
            let plain = match self.shuffle {
                Shuffle::None => content,
                Shuffle::Byte => {
                    apart::shuffle(self.size, content, buffer.bytes(content.len()).ok()?);
                    buffer.filled(content.len())
                }
                Shuffle::Bit => {
                    apart::bitshuffle(self.size, content, buffer.bytes(content.len()).ok()?);
                    buffer.filled(content.len())
                }
            };
            let effort = if self.compressor == Compressor::Zstd && !is_repetition(plain) {
                effort(self.level, self.shuffle)
            } else {
                usual(self.level)
            };
            let planes = if self.shuffle == Shuffle::Bit { 8 * self.size } else { self.size };
            let plane = plain.len() / planes;
            let streams = if self.split && content.len() == self.block { self.size } else { 1 };
            for stream in plain.chunks_exact(plain.len() / streams) {
                let len = stream.len();
                let room = out.get_mut(at + 4..).filter(|room| !room.is_empty())?;
                let most = len.min(room.len());
                let got = match self.compressor {
                    Compressor::Lz4 => {
                        ffi::to_lz4(stream, &mut room[..most], 10 - i32::from(self.level.min(9)))
                    }
                    Compressor::Zstd => contexts.zstd_pieces()?.compress(
                        stream,
                        &mut room[..most],
                        effort.level,
                        piece(effort.piece, plane),
                    ),
                };
                let got = match got {
                    Some(got) if got < len => got,
                    _ => {
                        room.get_mut(..len)?.copy_from_slice(stream);
                        len
                    }
                };
                put(out, at, got)?;
                at += 4 + got;
            }
        }
        Some(at)
    }
}

fn put(out: &mut [u8], at: usize, number: usize) -> Option<()> {
    out.get_mut(at..at + 4)?.copy_from_slice(&(number as u32).to_le_bytes());
    Some(())
}

/// Whether seven of eight words are those before them, by every fourth run of 128 bytes.
fn is_repetition(block: &[u8]) -> bool {
    let (mut same, mut all) = (0, 0);
    for run in block.chunks_exact(512) {
        let words = run[..128].as_chunks::<8>().0;
        same += words.windows(2).filter(|w| w[0] == w[1]).count();
        all += words.len() - 1;
    }
    8 * same > 7 * all
}

/// Encodes a frame of samples of `size` bytes to the front of `out`, which has room for [`HEADER`] more bytes than
/// `from`; gives the length. The bytes depend on the arguments alone.
pub(crate) fn encode(
    from: &[u8],
    out: &mut [u8],
    size: usize,
    (compressor, level, shuffle): (Compressor, u8, Shuffle),
    contexts: &mut Contexts,
) -> Result<usize, IoError> {
    let plan = Plan::new(from.len(), size, compressor, level, shuffle);
    let out = &mut out[..from.len() + HEADER];
    let mut buffer = std::mem::take(&mut contexts.block);
    let blocks = if level == 0 || from.len() < LEAST.max(plan.size) {
        None
    } else {
        plan.blocks(from, out, contexts, &mut buffer)
    };
    contexts.block = buffer;
    out[..HEADER].copy_from_slice(&plan.header(from.len()));
    let len = blocks.unwrap_or_else(|| {
        out[2] |= 0x2;
        out[HEADER..].copy_from_slice(from);
        out.len()
    });
    out[12..16].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(len)
}

//! Encoding one chunk, with contexts that the worker keeps.

use super::blosc::{self, Compressor};
use crate::scratch::{Buffer, Contexts};
use crate::{Codec, IoError, Shuffle};

/// The most bytes that a chunk of `len` bytes can become.
pub(super) fn bound(codec: Codec, len: usize) -> usize {
    match codec {
        Codec::None => len,
        Codec::Zstd { .. } => zstd_safe::compress_bound(len),
        Codec::BloscLz4 { .. } | Codec::BloscZstd { .. } => len + blosc::HEADER,
        // Stored blocks of deflate take 5 bytes for each 5000, and gzip has a header.
        Codec::Gzip { .. } | Codec::Lzw | Codec::Deflate { .. } | Codec::Jpeg { .. } => len + len / 500 + 64,
    }
}

/// Bytes of state that encoding takes.
pub(super) fn context_bytes(codec: Codec, len: usize) -> u64 {
    match codec {
        Codec::None | Codec::Lzw | Codec::Jpeg { .. } => 0,
        Codec::Zstd { level } => zstd_context(level, len),
        // A block, and the tables of the compressor within.
        Codec::BloscLz4 { .. } => (3 << 20) + (16 << 10),
        Codec::BloscZstd { level, .. } => {
            (3 << 20) + zstd_context((2 * i32::from(level) - 1).max(1), 1 << 20)
        }
        Codec::Gzip { .. } | Codec::Deflate { .. } => 10 << 20,
    }
}

/// Estimated from the window and the tables of each level, for input of that length.
pub(crate) fn zstd_context(level: i32, len: usize) -> u64 {
    let full: u64 = match level {
        ..=2 => 2 << 20,
        3..=5 => 4 << 20,
        6..=9 => 16 << 20,
        10..=15 => 40 << 20,
        16..=19 => 100 << 20,
        _ => 800 << 20,
    };
    // Tables and window shrink with the input.
    full.min(12 * len as u64 + (1 << 20))
}

/// Nanoseconds per sample of `size` bytes on one core.
pub(super) fn ns_per_voxel(codec: Codec, size: usize) -> f64 {
    let per_byte = match codec {
        Codec::None => 0.0,
        Codec::Zstd { level } => match level {
            ..=-1 => 0.7,
            1 => 0.9,
            2 => 1.5,
            0 | 3 => 4.5,
            4 => 6.0,
            5 => 9.0,
            _ => 10.0 + 4.0 * f64::from(level - 5),
        },
        Codec::Gzip { level } | Codec::Deflate { level } => 5.0 + 1.2 * f64::from(level),
        Codec::BloscLz4 { .. } => 0.5,
        Codec::BloscZstd { level: 0, .. } => 0.1,
        Codec::BloscZstd { level: 1..=5, shuffle: Shuffle::Bit } => 0.7,
        Codec::BloscZstd { level: 1..=3, shuffle: Shuffle::Byte } if size > 1 => 1.6,
        Codec::BloscZstd { level, .. } => 2.0 + 2.5 * f64::from(level),
        Codec::Lzw | Codec::Jpeg { .. } => 8.0,
    };
    // 0.3 is writing the file and one copy.
    size as f64 * (per_byte + 0.3)
}

/// Encodes samples of `size` bytes into `out`; gives the length.
pub(super) fn encode(
    codec: Codec,
    size: usize,
    from: &[u8],
    out: &mut Buffer,
    contexts: &mut Contexts,
) -> Result<usize, IoError> {
    let space = out.bytes(bound(codec, from.len()))?;
    let memory = || IoError::Memory { bytes: from.len() as u64 };
    match codec {
        Codec::Zstd { level } => contexts.zstd_out().compress(space, from, level).map_err(|_| memory()),
        Codec::Gzip { level } => contexts.deflate(level).gzip_compress(from, space).map_err(|_| memory()),
        Codec::BloscLz4 { level, shuffle } => {
            blosc::encode(from, space, size, (Compressor::Lz4, level, shuffle), contexts)
        }
        Codec::BloscZstd { level, shuffle } => {
            blosc::encode(from, space, size, (Compressor::Zstd, level, shuffle), contexts)
        }
        Codec::None | Codec::Lzw | Codec::Deflate { .. } | Codec::Jpeg { .. } => {
            space.copy_from_slice(from);
            Ok(from.len())
        }
    }
}

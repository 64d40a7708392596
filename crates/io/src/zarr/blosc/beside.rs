//! Our frames beside those of c-blosc: for tests, fuzzing and `benches/blosc.rs`. No part of the public interface.

use super::encode::Compressor;
use super::{HEADER, ffi};
use crate::scratch::Contexts;
use crate::{Codec, Shuffle};

/// By how much a frame can be longer than its content.
pub const ROOM: usize = HEADER;

fn parts(codec: Codec) -> (Compressor, u8, Shuffle) {
    match codec {
        Codec::BloscLz4 { level, shuffle } => (Compressor::Lz4, level, shuffle),
        Codec::BloscZstd { level, shuffle } => (Compressor::Zstd, level, shuffle),
        _ => panic!("{codec} is not blosc"),
    }
}

/// Encodes and decodes as workers do, with contexts that are kept.
#[derive(Default)]
pub struct Ours(Contexts);

impl Ours {
    /// Encodes samples of `size` bytes to the front of `out`, which has [`ROOM`] for it; gives the length.
    ///
    /// # Panics
    /// If `codec` is not blosc.
    pub fn encode(&mut self, content: &[u8], out: &mut [u8], size: usize, codec: Codec) -> usize {
        super::encode(content, out, size, parts(codec), &mut self.0).expect("there is memory")
    }

    /// Decodes to the front of `out`; `None` if the frame is damaged.
    pub fn decode(&mut self, frame: &[u8], out: &mut [u8]) -> Option<usize> {
        super::decode(frame, out, &mut self.0).ok()
    }
}

/// As [`Ours::encode`], by c-blosc.
///
/// # Panics
/// If `codec` is not blosc.
pub fn c_encode(content: &[u8], out: &mut [u8], size: usize, codec: Codec) -> usize {
    let (compressor, level, shuffle) = parts(codec);
    let name = match compressor {
        Compressor::Lz4 => c"lz4",
        Compressor::Zstd => c"zstd",
    };
    let shuffle = match shuffle {
        Shuffle::None => 0,
        Shuffle::Byte => 1,
        Shuffle::Bit => 2,
    };
    ffi::c_encode(content, out, size, name, (level, shuffle))
}

/// As [`Ours::decode`], by c-blosc.
#[must_use]
pub fn c_decode(frame: &[u8], out: &mut [u8]) -> Option<usize> {
    ffi::c_decode(frame, out)
}

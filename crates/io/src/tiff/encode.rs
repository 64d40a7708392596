//! From samples to the bytes of a tile.

use super::decode::Buffer;
use super::samples;
use crate::scratch::Contexts;
use crate::{Chroma, Codec, IoError};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use voxtile_sched::model::{Dtype, Tile};
use weezl::{BitOrder, LzwStatus};

/// Number of a codec in the tag Compression; `None` for codecs that TIFF has not.
pub(super) fn number(codec: Codec) -> Option<u16> {
    match codec {
        Codec::None => Some(1),
        Codec::Lzw => Some(5),
        Codec::Deflate { .. } => Some(8),
        Codec::Zstd { .. } => Some(50000),
        Codec::Jpeg { .. } => Some(super::pages::JPEG),
        Codec::Gzip { .. } | Codec::BloscLz4 { .. } | Codec::BloscZstd { .. } => None,
    }
}

/// Pixels for one sample of chroma along x and y, of colours in a codec that separates it.
pub(super) fn chroma(codec: Codec) -> Option<u16> {
    match codec {
        Codec::Jpeg { chroma: Chroma::Halved, .. } => Some(2),
        Codec::Jpeg { chroma: Chroma::Full, .. } => Some(1),
        _ => None,
    }
}

/// Whether differences of neighbours are easier for a codec than what they are the differences of.
pub(super) fn takes_predictor(codec: Codec) -> bool {
    !matches!(codec, Codec::None | Codec::Jpeg { .. })
}

/// The most bytes that a tile of `len` bytes can become.
pub(super) fn bound(codec: Codec, len: usize) -> usize {
    match codec {
        Codec::Zstd { .. } => zstd_safe::compress_bound(len),
        // Twelve bits for each byte, and a code that clears the table now and then.
        Codec::Lzw => len + len / 2 + len / 1000 + 16,
        Codec::Deflate { .. } => len + len / 500 + 64,
        // 27 bits for every coefficient, and the tables.
        Codec::Jpeg { .. } => 4 * len + 4096,
        _ => len,
    }
}

/// Bytes of state that encoding takes.
pub(super) fn context_bytes(codec: Codec, len: usize) -> u64 {
    match codec {
        Codec::Zstd { level } => crate::zarr::zstd_context(level, len),
        Codec::Lzw => 128 << 10,
        Codec::Deflate { .. } => 10 << 20,
        // Rows of blocks, before and after the transform.
        Codec::Jpeg { .. } => (256 << 10) + (len as u64) / 4,
        _ => 0,
    }
}

/// Nanoseconds per sample of `size` bytes on one core.
pub(super) fn ns_per_voxel(codec: Codec, size: usize) -> f64 {
    let per_byte = match codec {
        Codec::Zstd { level: ..=0 } => 0.7,
        Codec::Zstd { level } => 0.6 * f64::from(level * level).min(60.0) + 0.4,
        Codec::Lzw => 8.0,
        Codec::Deflate { level } => 5.0 + 1.2 * f64::from(level),
        Codec::Jpeg { .. } => 4.0,
        _ => 0.1,
    };
    size as f64 * (per_byte + 0.3)
}

/// What one encoding needs at a time.
#[derive(Default)]
pub(super) struct Work {
    pixels: Buffer,
    encoded: Buffer,
    contexts: Contexts,
    lzw: Option<weezl::encode::Encoder>,
    jpeg: Vec<u8>,
}

/// How tiles are encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    pub(super) codec: Codec,
    pub(super) dtype: Dtype,
    /// Tile size in pixels.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Samples that are stored pixel by pixel.
    pub(super) samples: usize,
    /// Whether differences to the left neighbour are stored.
    pub(super) predictor: bool,
}

impl Encoding {
    /// Bytes of a tile before it is encoded.
    pub(super) fn tile_bytes(&self) -> usize {
        self.width * self.height * self.samples * self.dtype.size()
    }

    /// Encodes a tile; beyond the image's edge it is filled with 0, for JPEG with the edge's pixels.
    pub(super) fn encode<'w>(&self, data: &Tile<'_>, work: &'w mut Work) -> Result<&'w [u8], IoError> {
        let pixels = work.pixels.bytes(self.tile_bytes())?;
        let size = self.dtype.size();
        let [_, _, _, rows, columns] = data.shape();
        let used = columns * self.samples * size;
        let row_bytes = self.width * self.samples * size;
        let padded = matches!(self.codec, Codec::Jpeg { .. });
        for y in 0..self.height {
            let (above, rest) = pixels.split_at_mut(y * row_bytes);
            let row = &mut rest[..row_bytes];
            if y >= rows {
                match padded && y > 0 {
                    true => row.copy_from_slice(&above[(y - 1) * row_bytes..]),
                    false => row.fill(0),
                }
                continue;
            }
            let (head, tail) = row.split_at_mut(used);
            tail.fill(0);
            if self.samples == 1 {
                head.copy_from_slice(data.row_bytes(0, 0, 0, y));
            } else {
                for s in 0..self.samples {
                    samples::join(self.dtype.size(), data.row_bytes(0, s, 0, y), head, s, self.samples);
                }
            }
            if padded && columns > 0 {
                let pixel = self.samples * size;
                let (head, tail) = row.split_at_mut(used);
                tail.chunks_exact_mut(pixel).for_each(|p| p.copy_from_slice(&head[used - pixel..]));
            }
        }
        if self.predictor {
            samples::horizontal(self.dtype.size(), pixels, self.width * self.samples, self.samples);
        }
        let pixels: &[u8] = pixels;
        let memory = || IoError::Memory { bytes: pixels.len() as u64 };
        if let Codec::Jpeg { quality, chroma } = self.codec {
            work.jpeg.clear();
            let mut encoder = Encoder::new(&mut work.jpeg, quality);
            encoder.set_sampling_factor(match chroma {
                Chroma::Halved => SamplingFactor::F_2_2,
                Chroma::Full => SamplingFactor::F_1_1,
            });
            let colors = if self.samples == 3 { ColorType::Rgb } else { ColorType::Luma };
            encoder.encode(pixels, self.width as u16, self.height as u16, colors).map_err(|_| memory())?;
            return Ok(&work.jpeg);
        }
        let space = work.encoded.bytes(bound(self.codec, pixels.len()))?;
        let len = match self.codec {
            Codec::Zstd { level } => {
                work.contexts.zstd_out().compress(space, pixels, level).map_err(|_| memory())?
            }
            Codec::Deflate { level } => {
                work.contexts.deflate(level).zlib_compress(pixels, space).map_err(|_| memory())?
            }
            Codec::Lzw => {
                let new = || weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8);
                let encoder = work.lzw.get_or_insert_with(new);
                encoder.reset();
                encoder.finish();
                // The end code may take another call.
                let (mut read, mut written) = (0, 0);
                loop {
                    let step = encoder.encode_bytes(&pixels[read..], &mut space[written..]);
                    read += step.consumed_in;
                    written += step.consumed_out;
                    match step.status {
                        Ok(LzwStatus::Done) => break written,
                        Ok(_) if step.consumed_in + step.consumed_out > 0 => {}
                        _ => return Err(memory()),
                    }
                }
            }
            _ => return Ok(pixels),
        };
        Ok(&space[..len])
    }
}

//! From the bytes of a segment to samples in the machine's byte order.

use super::cut::{Coding, Compression, Cut, Form, Predictor};
use super::{jpeg, jpeg2000, lzw, packed, samples};
use crate::jpeg::{Colors, Wanted};
use crate::scratch::Contexts;
use crate::{Damage, IoError, native};
use weezl::{BitOrder, LzwStatus};

/// Bytes at a place that suits every sample type; they grow when needed and never shrink.
#[derive(Default)]
pub(super) struct Buffer(Vec<u64>);

impl Buffer {
    /// The first `len` bytes, with any content.
    pub(super) fn bytes(&mut self, len: usize) -> Result<&mut [u8], IoError> {
        let words = len.div_ceil(8);
        if self.0.len() < words {
            let more = words - self.0.len();
            self.0.try_reserve_exact(more).map_err(|_| IoError::Memory { bytes: len as u64 })?;
            self.0.resize(words, 0);
        }
        Ok(&mut bytemuck::cast_slice_mut(&mut self.0)[..len])
    }
}

/// Buffers and contexts that one decoding needs at a time.
#[derive(Default)]
pub(super) struct Work {
    pub(super) encoded: Buffer,
    /// A decoded segment, where it does not go straight to its place.
    pub(super) segment: Buffer,
    /// Its samples, where they are stored in another form than they have in memory.
    pub(super) converted: Buffer,
    pub(super) decoder: Decoder,
}

/// The codecs' contexts.
#[derive(Default)]
pub(super) struct Decoder {
    contexts: Contexts,
    lzw: Option<lzw::Table>,
    row: Buffer,
    jpeg: crate::jpeg::Decoder,
}

/// Bytes that the contexts of a coding need, besides the segment itself.
pub(super) fn context_bytes(coding: &Coding, cut: &Cut) -> u64 {
    let row = cut.segment.0 * cut.samples_in_segment() * cut.dtype.size() as u64;
    let context = match coding.compression {
        Compression::None | Compression::PackBits => 0,
        Compression::Lzw => lzw::TABLE_BYTES,
        Compression::Deflate => 16 << 10,
        Compression::Zstd => 192 << 10,
        Compression::Jpeg => jpeg::context_bytes(cut.segment.0, cut.segment.1, cut.samples_in_segment()),
        other => packed::context_bytes(other, cut),
    };
    context + if coding.predictor == Predictor::Float { row } else { 0 }
}

impl Decoder {
    /// Decodes a segment into `out`, which has room for all of its rows in stored form; `needed` rows must come out.
    /// What [`Compression::gives_planes`] fills planes of `out.len() / samples` bytes each.
    pub(super) fn decode(
        &mut self,
        encoded: &mut [u8],
        coding: &Coding,
        cut: &Cut,
        needed: usize,
        out: &mut [u8],
    ) -> Result<(), Damage> {
        if coding.reversed_bits {
            for b in encoded.iter_mut() {
                *b = b.reverse_bits();
            }
        }
        let fault = |codec, message: String| Damage::Codec { codec, message };
        let got = match coding.compression {
            Compression::None => {
                let n = encoded.len().min(out.len());
                out[..n].copy_from_slice(&encoded[..n]);
                n
            }
            Compression::Lzw => self.lzw(encoded, out)?,
            Compression::Deflate => match self.contexts.inflate().zlib_decompress(encoded, out) {
                Ok(n) => n,
                Err(libdeflater::DecompressionError::InsufficientSpace) => {
                    let message = format!("decodes to more than the {} bytes of the segment", out.len());
                    return Err(fault("Deflate", message));
                }
                Err(_) => return Err(fault("Deflate", "the stream or its Adler-32 is wrong".to_owned())),
            },
            Compression::Zstd => self
                .contexts
                .zstd_in()
                .decompress(out, encoded)
                .map_err(|code| fault("Zstandard", zstd_safe::get_error_name(code).to_owned()))?,
            Compression::PackBits => pack_bits(encoded, out)?,
            Compression::Lzma => packed::lzma(encoded, out)?,
            Compression::WebP => packed::webp(encoded, cut, needed, out)?,
            Compression::Fax3 => packed::fax(false, encoded, cut, needed, out)?,
            Compression::Fax4 => packed::fax(true, encoded, cut, needed, out)?,
            Compression::Jpeg2000 => jpeg2000::decode(encoded, cut, needed, coding.ycbcr, out)?,
            Compression::Jpeg => {
                let wanted = Wanted {
                    width: cut.segment.0 as usize,
                    rows: (needed, cut.segment.1 as usize),
                    samples: cut.samples_in_segment() as usize,
                    colors: if coding.ycbcr { Colors::YCbCr } else { Colors::AsStored },
                };
                jpeg::decode(&mut self.jpeg, encoded, coding.tables.as_deref(), &wanted, out)?
            }
        };
        let want = needed * cut.row_bytes() as usize;
        if got < want {
            return Err(Damage::Length { got: got as u64, want: want as u64 });
        }
        Ok(())
    }

    /// Undoes byte order and predictor on rows of whole samples.
    pub(super) fn restore(&mut self, coding: &Coding, cut: &Cut, rows: &mut [u8]) -> Result<(), IoError> {
        let samples = cut.samples_in_segment() as usize;
        let row = cut.segment.0 as usize * samples;
        let size = (cut.bits / 8) as usize;
        if coding.big_endian != cfg!(target_endian = "big") && coding.predictor != Predictor::Float {
            native::swap_bytes(size, rows);
        }
        match coding.predictor {
            Predictor::None => {}
            Predictor::Horizontal => samples::undo_horizontal(size, rows, row, samples),
            Predictor::Float => {
                let scratch = self.row.bytes(row * size)?;
                samples::undo_float(size, rows, row, samples, scratch);
            }
        }
        Ok(())
    }

    /// Turns rows of samples as they are stored into samples of the image's type, into `out`.
    pub(super) fn convert(
        &mut self,
        coding: &Coding,
        cut: &Cut,
        rows: &mut [u8],
        out: &mut [u8],
    ) -> Result<(), IoError> {
        let samples = cut.samples_in_segment() as usize;
        let row = cut.segment.0 as usize * samples;
        match cut.form() {
            Form::Native => unreachable!("such samples are restored in place"),
            Form::Packed => {
                samples::unpack(rows, cut.bits, row, out, cut.dtype.size());
                if coding.predictor == Predictor::Horizontal {
                    samples::undo_horizontal(cut.dtype.size(), out, row, samples);
                }
                if coding.predictor == Predictor::Horizontal || cut.dtype.is_signed_integer() {
                    samples::extend(cut.bits, out, cut.dtype);
                }
            }
            Form::Half => {
                self.restore(coding, cut, rows)?;
                native::widen_half(rows, out);
            }
            Form::Float24 => {
                self.restore(coding, cut, rows)?;
                native::widen_24(rows, out);
            }
        }
        Ok(())
    }

    fn lzw(&mut self, encoded: &[u8], out: &mut [u8]) -> Result<usize, Damage> {
        let fault = |message: String| Damage::Codec { codec: "LZW", message };
        // Writers before 1991 packed codes from the low bit on; their first code shows it.
        let old = encoded.first() == Some(&0) && encoded.get(1).is_some_and(|b| b & 1 == 1);
        if !old {
            return self.lzw.get_or_insert_default().decode(encoded, out);
        }
        let config = weezl::decode::Configuration::new(BitOrder::Lsb, 8).with_yield_on_full_buffer(true);
        let mut decoder = config.build();
        let (mut read, mut written) = (0, 0);
        loop {
            let step = decoder.decode_bytes(&encoded[read..], &mut out[written..]);
            read += step.consumed_in;
            written += step.consumed_out;
            match step.status {
                Ok(LzwStatus::Ok) if written < out.len() && read < encoded.len() => {}
                Ok(_) => return Ok(written),
                Err(_) => return Err(fault(format!("invalid code near byte {read}"))),
            }
            if step.consumed_in == 0 && step.consumed_out == 0 {
                return Ok(written);
            }
        }
    }
}

fn pack_bits(encoded: &[u8], out: &mut [u8]) -> Result<usize, Damage> {
    let cut = || Damage::Codec { codec: "PackBits", message: "ends within a run".to_owned() };
    let (mut at, mut written) = (0, 0);
    while at < encoded.len() && written < out.len() {
        let head = encoded[at] as i8;
        at += 1;
        if head >= 0 {
            let n = head as usize + 1;
            let literal = encoded.get(at..at + n).ok_or_else(cut)?;
            let n = n.min(out.len() - written);
            out[written..written + n].copy_from_slice(&literal[..n]);
            at += literal.len();
            written += n;
        } else if head != -128 {
            let n = (1 - isize::from(head)) as usize;
            let value = *encoded.get(at).ok_or_else(cut)?;
            let n = n.min(out.len() - written);
            out[written..written + n].fill(value);
            at += 1;
            written += n;
        }
    }
    Ok(written)
}

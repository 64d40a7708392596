//! JPEG segments: the shared tables, and colours by the TIFF's word instead of the stream's. Progressive streams, which
//! are rare in TIFF, go through `zune-jpeg`, whose samples differ from libjpeg's by a few gray levels.

use super::split::split;
use crate::Damage;
use crate::jpeg::{Colors, Decoder, Fault, TABLE_BYTES, Wanted};
use voxtile_sched::model::Dtype;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

fn damage(message: impl Into<String>) -> Damage {
    Damage::Codec { codec: "JPEG", message: message.into() }
}

/// Bytes that the decoding of a segment needs besides its stream and its samples.
pub(super) fn context_bytes(width: u64, rows: u64, samples: u64, stream: u64) -> u64 {
    // Sequential: planes of whole units, four blocks across and down, and some rows. Progressive: the joined stream,
    // pixels, and all coefficients, twice as many bytes as samples.
    let sequential = (width + 32) * (rows + 32) * samples + 16 * (width + 32);
    let progressive = stream + (3 * width * rows + 64 * width) * samples + (64 << 10);
    TABLE_BYTES + sequential + progressive
}

/// The decoder of sequential streams, and buffers for others.
#[derive(Default)]
pub(super) struct Context {
    decoder: Decoder,
    joined: Vec<u8>,
    pixels: Vec<u8>,
}

impl Context {
    /// Decodes one segment into planes, `out.len() / samples` bytes apart, and says how many bytes there are of them.
    pub(super) fn decode(
        &mut self,
        encoded: &[u8],
        tables: Option<&[u8]>,
        wanted: &Wanted,
        out: &mut [u8],
    ) -> Result<usize, Damage> {
        let rows = match self.decoder.decode(tables, encoded, wanted, out) {
            Ok(rows) => rows,
            Err(Fault::Damaged(message)) => return Err(damage(message)),
            Err(Fault::Progressive) => self.progressive(encoded, tables, wanted, out)?,
        };
        Ok(rows * wanted.width * wanted.samples)
    }

    fn progressive(
        &mut self,
        encoded: &[u8],
        tables: Option<&[u8]>,
        wanted: &Wanted,
        out: &mut [u8],
    ) -> Result<usize, Damage> {
        let joined = &mut self.joined;
        joined.clear();
        if let Some(tables) = tables {
            // Both are whole streams: the tables without their end, the segment without its start.
            joined.extend_from_slice(tables.strip_suffix(&[0xFF, 0xD9]).unwrap_or(tables));
            let body =
                encoded.strip_prefix(&[0xFF, 0xD8]).ok_or_else(|| damage("does not start as a JPEG does"))?;
            joined.extend_from_slice(body);
        } else {
            joined.extend_from_slice(encoded);
        }
        let frame = inspect(joined)?;
        let (width, rows) = (usize::from(frame.width), usize::from(frame.height));
        wanted.check(width, rows, frame.components).map_err(damage)?;
        let out_space = match (wanted.samples, wanted.colors) {
            (1, _) => ColorSpace::Luma,
            (_, Colors::YCbCr) => ColorSpace::RGB,
            // What the decoder takes the stream for: nothing is converted.
            _ if frame.named_rgb => ColorSpace::RGB,
            _ => ColorSpace::YCbCr,
        };
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(width)
            .set_max_height(rows)
            .jpeg_set_out_colorspace(out_space);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(joined.as_slice()), options);
        self.pixels.resize(width * rows * wanted.samples, 0);
        decoder.decode_into(&mut self.pixels).map_err(|e| damage(e.to_string()))?;
        let plane = out.len() / wanted.samples;
        if wanted.samples == 1 {
            out[..self.pixels.len()].copy_from_slice(&self.pixels);
        } else {
            split(Dtype::U8, &self.pixels, wanted.samples, out, plane);
        }
        Ok(rows)
    }
}

struct Frame {
    width: u16,
    height: u16,
    components: usize,
    /// Whether the components are called R, G and B.
    named_rgb: bool,
}

/// Walks the headers of a progressive stream up to its first scan. Adobe's marker is made unreadable: in a TIFF,
/// PhotometricInterpretation says which colours are stored.
fn inspect(stream: &mut [u8]) -> Result<Frame, Damage> {
    let cut = || damage("ends within its headers");
    let mut frame = None;
    let mut at = 2;
    loop {
        while stream.get(at).is_some_and(|&b| b == 0xFF) && stream.get(at + 1).is_some_and(|&b| b == 0xFF) {
            at += 1;
        }
        let head = stream.get(at..at + 4).ok_or_else(cut)?;
        if head[0] != 0xFF {
            return Err(damage("has bytes between its headers"));
        }
        let marker = head[1];
        if marker == 0xD8 {
            at += 2;
            continue;
        }
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let body = stream.get_mut(at + 4..at + 2 + len.max(2)).ok_or_else(cut)?;
        match marker {
            0xDA => return frame.ok_or_else(|| damage("has a scan and no frame")),
            0xC2 if body.len() >= 6 => {
                let components = usize::from(body[5]);
                let ids: Vec<u8> = body[6..].chunks(3).take(components).map(|c| c[0]).collect();
                let number = |i: usize| u16::from_be_bytes([body[i], body[i + 1]]);
                frame = Some(Frame {
                    height: number(1),
                    width: number(3),
                    components,
                    named_rgb: ids == *b"RGB",
                });
            }
            0xEE if body.starts_with(b"Adobe") => body[0] = b'_',
            0xD9 => return Err(damage("ends before its scan")),
            _ => {}
        }
        at += 2 + len.max(2);
    }
}

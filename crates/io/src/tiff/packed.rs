//! Codecs of other programs' crates that give whole segments: LZMA, WebP, fax.

use super::cut::{Compression, Cut};
use crate::Damage;
use fax::Color;
use fax::decoder::{DecodeStatus, Group3Decoder, Group4Decoder, pels};
use std::convert::Infallible;
use std::io::{Cursor, Read};

/// Largest dictionary of an LZMA stream, as the highest level of xz has it, and what its decoder needs besides.
const LZMA_DICTIONARY_KIB: u32 = 66 << 10;

/// Bytes that one of these codecs needs besides its segment.
pub(super) fn context_bytes(compression: Compression, cut: &Cut) -> u64 {
    match compression {
        Compression::Lzma => u64::from(LZMA_DICTIONARY_KIB) << 10,
        // A frame of luma and chroma, or of the colours of one without loss.
        Compression::WebP => 4 * cut.decoded_bytes() + (1 << 20),
        // 32 bits for each sample, and as many for the wavelets.
        Compression::Jpeg2000 => 8 * cut.decoded_bytes() + (1 << 20),
        Compression::Fax3 | Compression::Fax4 => 16 * cut.segment.0 + (64 << 10),
        _ => 0,
    }
}

/// Decodes a stream of the `xz` format.
pub(super) fn lzma(encoded: &[u8], out: &mut [u8]) -> Result<usize, Damage> {
    let mut reader = lzma_rust2::XzReader::new_mem_limit(encoded, true, LZMA_DICTIONARY_KIB);
    let mut written = 0;
    while written < out.len() {
        match reader.read(&mut out[written..]) {
            Ok(0) => break,
            Ok(n) => written += n,
            Err(e) => return Err(Damage::Codec { codec: "LZMA", message: e.to_string() }),
        }
    }
    Ok(written)
}

/// Decodes one WebP picture.
pub(super) fn webp(encoded: &[u8], cut: &Cut, needed: usize, out: &mut [u8]) -> Result<usize, Damage> {
    let fault = |message: String| Damage::Codec { codec: "WebP", message };
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(encoded)).map_err(|e| fault(e.to_string()))?;
    let (width, rows) = decoder.dimensions();
    let samples = if decoder.has_alpha() { 4 } else { 3 };
    let fits = u64::from(width) == cut.segment.0
        && (needed as u64..=cut.segment.1).contains(&u64::from(rows))
        && samples <= cut.samples;
    if !fits {
        return Err(fault(format!(
            "is {width} × {rows} with {samples} samples, the segment is {} × {} with {}",
            cut.segment.0, cut.segment.1, cut.samples
        )));
    }
    let pixels = width as usize * rows as usize;
    let bytes = pixels * samples as usize;
    decoder.read_image(&mut out[..bytes]).map_err(|e| fault(e.to_string()))?;
    if samples == cut.samples {
        return Ok(bytes);
    }
    // Pictures without alpha are opaque.
    for i in (0..pixels).rev() {
        out.copy_within(3 * i..3 * i + 3, 4 * i);
        out[4 * i + 3] = 255;
    }
    Ok(4 * pixels)
}

/// Decodes a fax of group 3 (one dimension) or 4 to rows of bits, 1 for black.
pub(super) fn fax(
    group4: bool,
    encoded: &[u8],
    cut: &Cut,
    needed: usize,
    out: &mut [u8],
) -> Result<usize, Damage> {
    let width = cut.segment.0 as u32;
    let row_bytes = cut.row_bytes() as usize;
    let codec = if group4 { "CCITT group 4 fax" } else { "CCITT group 3 fax" };
    let mut rows = out.chunks_exact_mut(row_bytes);
    let mut done = 0;
    let mut put = |line: &[u32]| {
        let Some(row) = rows.next() else { return false };
        row.fill(0);
        for (x, color) in pels(line, width).enumerate() {
            if color == Color::Black {
                row[x / 8] |= 0x80 >> (x % 8);
            }
        }
        done += 1;
        true
    };
    let bytes = encoded.iter().map(|&b| Ok::<u8, Infallible>(b));
    if group4 {
        let Ok(mut decoder) = Group4Decoder::new(bytes, width);
        while let Ok(DecodeStatus::Incomplete) = decoder.advance() {
            if !put(decoder.transition()) {
                break;
            }
        }
    } else if let Ok(mut decoder) = Group3Decoder::new(bytes) {
        while let Ok(status) = decoder.advance() {
            if !put(decoder.transitions()) || status == DecodeStatus::End {
                break;
            }
        }
    }
    if done < needed {
        let message = format!("ends after {done} of {needed} rows");
        return Err(Damage::Codec { codec, message });
    }
    Ok(done * row_bytes)
}

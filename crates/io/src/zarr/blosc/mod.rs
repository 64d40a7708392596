//! Blosc 1 frames, decoded block by block, whole or in part, and encoded.
//!
//! A frame is a header of 16 bytes, the offset of each block, and the blocks; a block is one stream, or one per byte
//! of the sample, each after its length. A stream as long as what it stands for is stored as it is. Blocks may lie in
//! any order, because encoders with several threads write them as they are done.

mod apart;
pub mod beside;
mod encode;
mod ffi;
#[cfg(test)]
mod tests;
mod vector;

pub(crate) use ffi::Zstd;

pub(super) use encode::{Compressor, encode, zstd_block};

use super::fault::Fault;
use crate::Damage;
use crate::codec::Shuffle;
use crate::scratch::{Buffer, Contexts};
use std::ops::Range;

/// Bytes of a header, and by how much a frame can be longer than its content.
pub(super) const HEADER: usize = 16;
/// The most bytes that a frame holds.
pub(super) const MAX_CONTENT: u64 = i32::MAX as u64 - HEADER as u64;

#[derive(Clone, Copy, Debug)]
struct Header {
    flags: u8,
    /// Bytes per sample.
    size: usize,
    content: usize,
    block: usize,
    frame: usize,
}

impl Header {
    fn read(from: &[u8]) -> Result<Self, Fault> {
        let Some((head, _)) = from.split_first_chunk::<HEADER>() else {
            return Err(Damage::Truncated { got: from.len() as u64, want: HEADER as u64 }.into());
        };
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let h =
            Self { flags: head[2], size: head[3].into(), content: word(4), block: word(8), frame: word(12) };
        if head[0] != 2 {
            return Err(Fault::codec("blosc", format!("format version {} instead of 2", head[0])));
        }
        if h.frame < HEADER || h.size == 0 || h.block == 0 && h.content != 0 || h.block > h.content.max(1) {
            return Err(Fault::codec(
                "blosc",
                format!(
                    "header with {} bytes per sample, blocks of {}, frame of {}, content of {}",
                    h.size, h.block, h.frame, h.content
                ),
            ));
        }
        Ok(h)
    }
}

/// Decodes a frame to the front of `out`.
pub(super) fn decode(from: &[u8], out: &mut [u8], contexts: &mut Contexts) -> Result<usize, Fault> {
    let head = Header::read(from)?;
    let Some(frame) = from.get(..head.frame) else {
        return Err(truncated(from.len(), head.frame));
    };
    let Some(out) = out.get_mut(..head.content) else {
        return Err(Damage::Length { got: head.content as u64, want: out.len() as u64 }.into());
    };
    if head.stored() {
        let content = frame.get(HEADER..HEADER + head.content);
        out.copy_from_slice(content.ok_or_else(|| truncated(frame.len(), HEADER + head.content))?);
        return Ok(head.content);
    }
    if head.content == 0 {
        return Ok(0);
    }
    let stream = head.stream()?;
    for (n, block) in out.chunks_mut(head.block).enumerate() {
        let at = word(frame, HEADER + 4 * n)?;
        let from = frame.get(at..).ok_or_else(|| truncated(frame.len(), at))?;
        head.decode_block(n, from, block, contexts, stream)?;
    }
    Ok(head.content)
}

/// Bytes that the frame which starts with `from` decodes at once: a block, or 1 where the content is not compressed.
pub(super) fn block_bytes(from: &[u8]) -> Option<usize> {
    let head = Header::read(from).ok()?;
    // An empty frame has no blocks.
    Some(if head.stored() { 1 } else { head.block }).filter(|&block| block > 0)
}

/// Reads bytes of a frame, from an offset and so many, to the front of a buffer, fewer where the frame ends, and says
/// how many.
pub(super) type Bring<'a> = dyn FnMut(usize, usize, &mut Buffer) -> Result<usize, Fault> + 'a;

/// Decodes the bytes of `part` of a frame whose content has `content` bytes, and reads no more than they need.
pub(super) fn decode_part(
    bring: &mut Bring<'_>,
    content: usize,
    part: Range<usize>,
    out: &mut [u8],
    (encoded, partial): (&mut Buffer, &mut Buffer),
    contexts: &mut Contexts,
) -> Result<(), Fault> {
    /// Headers are read together with the offsets of so many blocks.
    const USUAL_BLOCKS: usize = 128;
    let got = bring(0, HEADER + 4 * USUAL_BLOCKS, encoded)?;
    let head = Header::read(encoded.filled(got))?;
    if head.content != content {
        return Err(Damage::Length { got: head.content as u64, want: content as u64 }.into());
    }
    if head.stored() {
        let got = bring(HEADER + part.start, part.len(), encoded)?;
        let bytes = encoded.filled(got);
        out.copy_from_slice(bytes.get(..part.len()).ok_or_else(|| truncated(got, part.len()))?);
        return Ok(());
    }
    let stream = head.stream()?;
    let first = part.start / head.block;
    let blocks = first..part.end.div_ceil(head.block).max(first);
    // The offset after the last block wanted tells where that ends.
    let known = blocks.start..(blocks.end + 1).min(content.div_ceil(head.block));
    let table = HEADER + 4 * known.start..HEADER + 4 * known.end;
    let (base, got) =
        if table.end <= got { (0, got) } else { (table.start, bring(table.start, table.len(), encoded)?) };
    let starts = (known.clone())
        .map(|n| word(encoded.filled(got), HEADER + 4 * n - base))
        .collect::<Result<Vec<usize>, Fault>>()?;
    // The most bytes that a block has: all its streams stored, each after its length.
    let most = head.block + 4 * head.size.max(1);
    let end = |n: usize| -> usize {
        let at = starts[n - known.start];
        let next = starts.get(n + 1 - known.start).copied();
        next.filter(|&next| next > at && next - at <= most).unwrap_or(at.saturating_add(most)).min(head.frame)
    };
    let mut n = blocks.start;
    while n < blocks.end {
        // Blocks that follow one another are read at once.
        let start = starts[n - known.start];
        let mut after = n + 1;
        while after < blocks.end && starts[after - known.start] == end(after - 1) {
            after += 1;
        }
        let len = end(after - 1).checked_sub(start).filter(|_| start >= HEADER);
        let len = len.ok_or_else(|| truncated(head.frame, start))?;
        let got = bring(start, len, encoded)?;
        for block in n..after {
            let at = starts[block - known.start] - start;
            let from = encoded.filled(got).get(at..).ok_or_else(|| truncated(start + got, start + at))?;
            let whole = block * head.block..((block + 1) * head.block).min(content);
            let wanted = whole.start.max(part.start)..whole.end.min(part.end);
            let place = &mut out[wanted.start - part.start..wanted.end - part.start];
            if wanted == whole {
                head.decode_block(block, from, place, contexts, stream)?;
            } else {
                head.decode_block(block, from, partial.bytes(whole.len())?, contexts, stream)?;
                let partial = partial.filled(whole.len());
                place.copy_from_slice(&partial[wanted.start - whole.start..wanted.end - whole.start]);
            }
        }
        n = after;
    }
    Ok(())
}

fn truncated(got: usize, want: usize) -> Fault {
    Damage::Truncated { got: got as u64, want: want as u64 }.into()
}

fn word(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match at.checked_add(4).and_then(|end| bytes.get(at..end)) {
        Some(b) => Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize),
        None => Err(truncated(bytes.len(), at.saturating_add(4))),
    }
}

type Stream = fn(&[u8], &mut [u8], &mut Contexts) -> Result<usize, String>;

fn snappy(from: &[u8], out: &mut [u8], _: &mut Contexts) -> Result<usize, String> {
    snap::raw::Decoder::new().decompress(from, out).map_err(|e| format!("snappy: {e}"))
}

fn zlib(from: &[u8], out: &mut [u8], contexts: &mut Contexts) -> Result<usize, String> {
    contexts.inflate().zlib_decompress(from, out).map_err(|e| format!("zlib: {e}"))
}

fn zstd(from: &[u8], out: &mut [u8], contexts: &mut Contexts) -> Result<usize, String> {
    contexts
        .zstd_in()
        .decompress(out, from)
        .map_err(|code| format!("zstd: {}", zstd_safe::get_error_name(code)))
}

impl Header {
    /// Whether the content follows as it is.
    fn stored(&self) -> bool {
        self.flags & 0x2 != 0
    }

    fn stream(&self) -> Result<Stream, Fault> {
        Ok(match self.flags >> 5 {
            0 => ffi::blosclz,
            1 => ffi::lz4,
            2 => snappy,
            3 => zlib,
            4 => zstd,
            other => return Err(Fault::codec("blosc", format!("compressor number {other}"))),
        })
    }

    /// Decodes block `n`, whose bytes are at the front of `from`.
    fn decode_block(
        &self,
        n: usize,
        from: &[u8],
        block: &mut [u8],
        contexts: &mut Contexts,
        stream: Stream,
    ) -> Result<(), Fault> {
        let shuffle = if self.flags & 0x1 != 0 && self.size > 1 {
            Shuffle::Byte
        } else if self.flags & 0x4 != 0 && block.len() >= self.size {
            Shuffle::Bit
        } else {
            Shuffle::None
        };
        let whole = block.len();
        let leftover = whole < self.block;
        let split = self.flags & 0x10 == 0 && self.size <= 16 && whole / self.size >= 128 && !leftover;
        let part = whole / if split { self.size } else { 1 };
        // A block that is no multiple of the sample size cannot be split.
        if part == 0 || !whole.is_multiple_of(part) {
            return Err(Fault::codec("blosc", format!("block of {whole} in {} streams", self.size)));
        }
        let mut buffer = std::mem::take(&mut contexts.block);
        let done = (|| {
            let plain = if shuffle == Shuffle::None { &mut *block } else { buffer.bytes(whole)? };
            let mut at = 0;
            for piece in plain.chunks_exact_mut(part) {
                let len = word(from, at)?;
                let bytes = (at + 4).checked_add(len).and_then(|end| from.get(at + 4..end));
                let bytes = bytes.ok_or_else(|| truncated(from.len(), at + 4 + len))?;
                at += 4 + len;
                if len == part {
                    piece.copy_from_slice(bytes);
                    continue;
                }
                let got = stream(bytes, piece, contexts).map_err(|e| Fault::codec("blosc", e))?;
                if got != part {
                    return Err(Fault::codec("blosc", format!("block {n} decodes to {got} of {part} bytes")));
                }
            }
            match shuffle {
                Shuffle::None => {}
                Shuffle::Byte => apart::unshuffle(self.size, buffer.filled(whole), block),
                Shuffle::Bit => apart::bitunshuffle(self.size, buffer.filled(whole), block),
            }
            Ok(())
        })();
        contexts.block = buffer;
        done
    }
}

//! Codecs from bytes to bytes, decoded with contexts that the worker keeps.

use super::blosc;
use super::fault::Fault;
use super::metadata::CodecSpec;
use crate::scratch::Contexts;
use crate::{Damage, Feature};

/// One codec from bytes to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Gzip,
    Zlib,
    Zstd,
    Bz2,
    Blosc,
    /// Bytes of samples sorted by significance, as numcodecs does; bytes per sample.
    Shuffle(usize),
    /// Four bytes that check the others.
    Check {
        kind: Check,
        at_start: bool,
    },
}

/// How the four bytes are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Crc32c,
    Crc32,
    Adler32,
    Fletcher32,
}

impl Check {
    const fn name(self) -> &'static str {
        match self {
            Self::Crc32c => "crc32c",
            Self::Crc32 => "crc32",
            Self::Adler32 => "adler32",
            Self::Fletcher32 => "fletcher32",
        }
    }

    fn compute(self, bytes: &[u8]) -> u32 {
        match self {
            Self::Crc32c => crc32c::crc32c(bytes),
            Self::Crc32 => libdeflater::crc32(bytes),
            Self::Adler32 => libdeflater::adler32(bytes),
            Self::Fletcher32 => fletcher32(bytes),
        }
    }
}

impl Step {
    /// The step of that name; `None` if it is none of these.
    pub(super) fn of(spec: &CodecSpec) -> Result<Option<Self>, Feature> {
        let at_start = |default: bool| match spec.text("location") {
            Some("start") => true,
            Some("end") => false,
            _ => default,
        };
        Ok(Some(match spec.name.as_str() {
            "gzip" => Self::Gzip,
            "zlib" => Self::Zlib,
            "zstd" => Self::Zstd,
            "bz2" => Self::Bz2,
            "blosc" => Self::Blosc,
            "shuffle" => match spec.number("elementsize").unwrap_or(4) {
                n @ 1..=255 => Self::Shuffle(n as usize),
                n => return Err(Feature::Codec(format!("shuffle of {n} bytes"))),
            },
            "crc32c" => Self::Check { kind: Check::Crc32c, at_start: at_start(false) },
            "crc32" => Self::Check { kind: Check::Crc32, at_start: at_start(true) },
            "adler32" => Self::Check { kind: Check::Adler32, at_start: at_start(true) },
            "fletcher32" => Self::Check { kind: Check::Fletcher32, at_start: false },
            _ => return Ok(None),
        }))
    }

    /// The bytes without their checksum, if this is one.
    pub(super) fn strip(self, bytes: &[u8]) -> Option<Result<&[u8], Fault>> {
        let Self::Check { kind, at_start } = self else {
            return None;
        };
        let split = if at_start { bytes.split_first_chunk() } else { swap(bytes.split_last_chunk()) };
        Some(match split {
            None => Err(Damage::Truncated { got: bytes.len() as u64, want: 4 }.into()),
            Some((sum, rest)) => {
                let (stored, computed) = (u32::from_le_bytes(*sum), kind.compute(rest));
                if stored == computed {
                    Ok(rest)
                } else {
                    Err(Damage::Checksum { kind: kind.name(), stored, computed }.into())
                }
            }
        })
    }

    /// Bytes that the codec needs for its own state while it decodes.
    pub(super) fn context_bytes(self) -> u64 {
        match self {
            Self::Gzip | Self::Zlib => 16 << 10,
            Self::Zstd => 160 << 10,
            Self::Bz2 => 4 << 20,
            // Two blocks; writers choose up to 1 MiB.
            Self::Blosc => (2 << 20) + (160 << 10),
            Self::Shuffle(_) | Self::Check { .. } => 0,
        }
    }

    /// Nanoseconds per decoded byte on one core.
    pub(super) fn ns_per_byte(self) -> f64 {
        match self {
            Self::Gzip | Self::Zlib => 1.7,
            Self::Zstd => 0.6,
            Self::Bz2 => 25.0,
            Self::Blosc => 0.4,
            Self::Shuffle(_) => 0.5,
            Self::Check { kind: Check::Fletcher32, .. } => 0.7,
            Self::Check { .. } => 0.1,
        }
    }

    /// Decodes to the front of `out` and says how many bytes there are; more than fit are an error.
    pub(super) fn decode(self, from: &[u8], out: &mut [u8], contexts: &mut Contexts) -> Result<usize, Fault> {
        match self {
            Self::Gzip => {
                contexts.inflate().gzip_decompress(from, out).map_err(|e| deflated("gzip", &e, out.len()))
            }
            Self::Zlib => {
                contexts.inflate().zlib_decompress(from, out).map_err(|e| deflated("zlib", &e, out.len()))
            }
            Self::Zstd => contexts
                .zstd_in()
                .decompress(out, from)
                .map_err(|code| Fault::codec("zstd", zstd_safe::get_error_name(code))),
            Self::Bz2 => bunzip(from, out),
            Self::Blosc => blosc::decode(from, out, contexts),
            Self::Shuffle(size) => {
                let out = out.get_mut(..from.len()).ok_or_else(|| too_long(from.len(), 0))?;
                unshuffle(size, from, out);
                Ok(from.len())
            }
            Self::Check { .. } => {
                let rest = self.strip(from).expect("a checksum")?;
                let space = out.len();
                out.get_mut(..rest.len()).ok_or_else(|| too_long(rest.len(), space))?.copy_from_slice(rest);
                Ok(rest.len())
            }
        }
    }
}

fn swap<A, B>(pair: Option<(A, B)>) -> Option<(B, A)> {
    pair.map(|(a, b)| (b, a))
}

fn too_long(got: usize, want: usize) -> Fault {
    Damage::Length { got: got as u64, want: want as u64 }.into()
}

fn deflated(codec: &'static str, e: &libdeflater::DecompressionError, space: usize) -> Fault {
    match e {
        libdeflater::DecompressionError::BadData => Fault::codec(codec, "not a valid stream"),
        libdeflater::DecompressionError::InsufficientSpace => {
            Fault::codec(codec, format!("decodes to more than {space} bytes"))
        }
    }
}

/// Any number of bzip2 streams one after another, as Python writes them.
fn bunzip(mut from: &[u8], out: &mut [u8]) -> Result<usize, Fault> {
    let mut filled = 0;
    while !from.is_empty() {
        let mut stream = bzip2::Decompress::new(false);
        loop {
            let status = stream
                .decompress(
                    &from[stream.total_in() as usize..],
                    &mut out[filled + stream.total_out() as usize..],
                )
                .map_err(|e| Fault::codec("bz2", e.to_string()))?;
            if status == bzip2::Status::StreamEnd {
                break;
            }
            if stream.total_in() as usize == from.len() {
                return Err(Fault::codec("bz2", "the stream is cut off"));
            }
            if filled + stream.total_out() as usize == out.len() {
                return Err(Fault::codec("bz2", format!("decodes to more than {} bytes", out.len())));
            }
        }
        filled += stream.total_out() as usize;
        from = &from[stream.total_in() as usize..];
    }
    Ok(filled)
}

/// Bytes of samples that were sorted by significance, back in their place. A last part of a sample is copied.
fn unshuffle(size: usize, from: &[u8], out: &mut [u8]) {
    let count = from.len() / size;
    for (b, plane) in from[..count * size].chunks_exact(count.max(1)).enumerate() {
        for (sample, &byte) in out.chunks_exact_mut(size).zip(plane) {
            sample[b] = byte;
        }
    }
    out[count * size..].copy_from_slice(&from[count * size..]);
}

/// Fletcher's checksum as HDF5 computes it: 16-bit words, big-endian.
fn fletcher32(bytes: &[u8]) -> u32 {
    let fold = |s: u32| (s & 0xffff) + (s >> 16);
    let (mut a, mut b) = (0u32, 0u32);
    // 360 words are the most that cannot overflow the second sum.
    for part in bytes.chunks(720) {
        let words = part.chunks_exact(2);
        let last = words.remainder();
        for word in words {
            a += u32::from(u16::from_be_bytes([word[0], word[1]]));
            b += a;
        }
        if let [byte] = last {
            a += u32::from(*byte) << 8;
            b += a;
        }
        (a, b) = (fold(a), fold(b));
    }
    (a, b) = (fold(a), fold(b));
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_named_with_both_checksums() {
        for kind in [Check::Crc32c, Check::Crc32, Check::Adler32, Check::Fletcher32] {
            let body: Vec<u8> = (0..1001u32).map(|i| (i * 7) as u8).collect();
            let sum = kind.compute(&body);
            for at_start in [true, false] {
                let step = Step::Check { kind, at_start };
                let mut bytes = body.clone();
                bytes.splice(if at_start { 0..0 } else { 1001..1001 }, sum.to_le_bytes());
                assert_eq!(step.strip(&bytes).unwrap().unwrap(), body);
                bytes[500] ^= 1;
                let Err(Fault::Damage(Damage::Checksum { stored, computed, .. })) =
                    step.strip(&bytes).unwrap()
                else {
                    panic!("{kind:?}: accepted");
                };
                assert!(stored == sum && computed != sum);
            }
        }
    }

    #[test]
    fn a_cut_stream_is_damage() {
        let mut contexts = Contexts::default();
        let mut out = [0; 64];
        for step in [Step::Gzip, Step::Zlib, Step::Zstd, Step::Bz2, Step::Blosc] {
            for bytes in [&b""[..], b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd\x20", b"BZh9", b"\x02\x01\x91\x01"] {
                let got = step.decode(bytes, &mut out, &mut contexts);
                let empty = step == Step::Bz2 && bytes.is_empty() || step == Step::Zstd && bytes.is_empty();
                assert!(empty || matches!(got, Err(Fault::Damage(_))), "{step:?} of {bytes:?}: {got:?}");
            }
        }
    }
}

//! The codecs that voxtile writes, and their names on the command line.

use std::fmt;
use std::str::FromStr;

/// How blosc rearranges the bytes of samples before it compresses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Shuffle {
    /// Not at all.
    None,
    /// The first bytes of all samples, then the second ones, and so on.
    #[default]
    Byte,
    /// The first bits of all samples, then the second ones, and so on.
    Bit,
}

impl Shuffle {
    /// The name on the command line and in Zarr v3 metadata.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "noshuffle",
            Self::Byte => "shuffle",
            Self::Bit => "bitshuffle",
        }
    }
}

/// How JPEG stores the differences of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Chroma {
    /// For blocks of 2 × 2 pixels, as photographs do.
    #[default]
    Halved,
    /// For every pixel.
    Full,
}

impl Chroma {
    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Halved => "420",
            Self::Full => "444",
        }
    }
}

/// How the chunks of an output are encoded.
///
/// Text form: `none`, `zstd:3`, `gzip:5`, `blosc-lz4:5:shuffle`, `blosc-zstd:3:bitshuffle`, `lzw`, `deflate:6`, `jpeg:90:420`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As they are.
    None,
    /// Zstandard.
    Zstd {
        /// −7 to 22.
        level: i32,
    },
    /// Gzip (Zarr only).
    Gzip {
        /// 0 to 9.
        level: u32,
    },
    /// Blosc with LZ4 (Zarr only).
    BloscLz4 {
        /// 0 to 9.
        level: u8,
        /// How samples are rearranged first.
        shuffle: Shuffle,
    },
    /// Blosc with Zstandard (Zarr only). The level is blosc's own, not Zstandard's.
    BloscZstd {
        /// 0 to 9.
        level: u8,
        /// How samples are rearranged first.
        shuffle: Shuffle,
    },
    /// Lempel–Ziv–Welch (TIFF only).
    Lzw,
    /// Deflate with a zlib header (TIFF only).
    Deflate {
        /// 0 to 9.
        level: u32,
    },
    /// JPEG of 8 bits (TIFF only): smaller, and the values change a little.
    Jpeg {
        /// 1 to 100.
        quality: u8,
        /// How it stores colours.
        chroma: Chroma,
    },
}

/// A codec name that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {why}")]
pub struct BadCodec {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// The forms that [`Codec::from_str`] reads, for help texts.
pub const CODEC_FORMS: &str = "none, zstd[:LEVEL], gzip[:LEVEL], blosc-lz4[:LEVEL[:shuffle|bitshuffle|noshuffle]], blosc-zstd[:…], \
     lzw, deflate[:LEVEL], jpeg[:QUALITY[:420|444]]";

impl FromStr for Codec {
    type Err = BadCodec;

    fn from_str(text: &str) -> Result<Self, BadCodec> {
        let bad = |why: String| BadCodec { text: text.to_owned(), why };
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let level = |default: i32, low: i32, high: i32, given: Option<&str>| match given {
            None => Ok(default),
            Some(l) => match l.parse::<i32>() {
                Ok(l) if (low..=high).contains(&l) => Ok(l),
                _ => {
                    let what = if name == "jpeg" { "quality" } else { "level" };
                    Err(bad(format!("the {what} of {name} is a number from {low} to {high}")))
                }
            },
        };
        let codec = match name {
            "none" => Self::None,
            "lzw" => Self::Lzw,
            "zstd" => Self::Zstd { level: level(3, -7, 22, parts.next())? },
            "gzip" => Self::Gzip { level: level(5, 0, 9, parts.next())? as u32 },
            "deflate" => Self::Deflate { level: level(6, 0, 9, parts.next())? as u32 },
            "jpeg" => {
                let quality = level(90, 1, 100, parts.next())? as u8;
                let chroma = match parts.next() {
                    None => Chroma::default(),
                    Some(c) => [Chroma::Halved, Chroma::Full]
                        .into_iter()
                        .find(|k| k.name() == c)
                        .ok_or_else(|| bad(format!("`{c}` is not 420 or 444")))?,
                };
                Self::Jpeg { quality, chroma }
            }
            "blosc-lz4" | "blosc-zstd" => {
                let lz4 = name == "blosc-lz4";
                let level = level(if lz4 { 5 } else { 3 }, 0, 9, parts.next())? as u8;
                let shuffle = match parts.next() {
                    None => Shuffle::default(),
                    Some(s) => [Shuffle::None, Shuffle::Byte, Shuffle::Bit]
                        .into_iter()
                        .find(|k| k.name() == s)
                        .ok_or_else(|| bad(format!("`{s}` is not shuffle, bitshuffle or noshuffle")))?,
                };
                if lz4 { Self::BloscLz4 { level, shuffle } } else { Self::BloscZstd { level, shuffle } }
            }
            _ => return Err(bad(format!("the codecs are {CODEC_FORMS}"))),
        };
        match parts.next() {
            None => Ok(codec),
            Some(more) => Err(bad(format!("`{more}` is too much"))),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            Self::Gzip { level } => write!(f, "gzip:{level}"),
            Self::BloscLz4 { level, shuffle } => write!(f, "blosc-lz4:{level}:{}", shuffle.name()),
            Self::BloscZstd { level, shuffle } => write!(f, "blosc-zstd:{level}:{}", shuffle.name()),
            Self::Lzw => f.write_str("lzw"),
            Self::Deflate { level } => write!(f, "deflate:{level}"),
            Self::Jpeg { quality, chroma } => write!(f, "jpeg:{quality}:{}", chroma.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_codec_are_inverse() {
        for text in [
            "none",
            "zstd:-3",
            "gzip:9",
            "blosc-lz4:5:shuffle",
            "blosc-zstd:3:bitshuffle",
            "lzw",
            "deflate:6",
            "jpeg:75:444",
        ] {
            assert_eq!(text.parse::<Codec>().unwrap().to_string(), text);
        }
        assert_eq!("zstd".parse(), Ok(Codec::Zstd { level: 3 }));
        assert_eq!("blosc-zstd:1".parse(), Ok(Codec::BloscZstd { level: 1, shuffle: Shuffle::Byte }));
    }

    #[test]
    fn bad_names_say_what_is_wrong() {
        let why = |t: &str| t.parse::<Codec>().unwrap_err().why;
        assert!(why("zstd:23").contains("-7 to 22"));
        assert!(why("gzip:x").contains("0 to 9"));
        assert!(why("blosc-lz4:3:bit").contains("`bit`"));
        assert!(why("none:3").contains("too much"));
        assert!(why("jpeg:0").contains("1 to 100"));
        assert!(why("jpeg:90:422").contains("`422`"));
        assert!(why("webp").contains("zstd[:LEVEL]"));
    }
}

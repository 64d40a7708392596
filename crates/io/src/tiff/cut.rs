//! How pages are cut into segments, and how the bytes of a segment become samples.

use std::sync::Arc;
use voxtile_sched::model::Dtype;

/// Most bytes that one tile or strip may decode to.
pub(super) const MAX_SEGMENT: u64 = 1 << 30;

/// How bytes of a segment become samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coding {
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    pub(super) big_endian: bool,
    pub(super) reversed_bits: bool,
    /// JPEG, JPEG 2000: samples are stored as luma and chroma and become red, green and blue.
    pub(super) ycbcr: bool,
    /// JPEG: the tables that all segments share.
    pub(super) tables: Option<Arc<[u8]>>,
}

impl Coding {
    /// Whether bytes of the file are the stored rows as they are.
    pub(super) fn is_plain(&self) -> bool {
        self.compression == Compression::None && !self.reversed_bits
    }
}

/// The compressions that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Fax3,
    Fax4,
    Lzw,
    Deflate,
    Zstd,
    Lzma,
    PackBits,
    Jpeg,
    Jpeg2000,
    WebP,
}

impl Compression {
    /// Whether decoding gives samples of the machine, not bytes in the file's order.
    pub(super) fn makes_samples(self) -> bool {
        matches!(self, Self::Jpeg | Self::Jpeg2000 | Self::WebP)
    }

    /// Whether decoding gives one plane after the other, not pixels.
    pub(super) fn gives_planes(self) -> bool {
        self == Self::Jpeg
    }

    /// Its number, as [`compression_name`] takes it.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::None => 1,
            Self::Fax3 => 3,
            Self::Fax4 => 4,
            Self::Lzw => 5,
            Self::Jpeg => 7,
            Self::Deflate => 8,
            Self::PackBits => 32773,
            Self::Jpeg2000 => 34712,
            Self::Lzma => 34925,
            Self::Zstd => 50000,
            Self::WebP => 50001,
        }
    }
}

/// How one sample lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As in memory, but for its byte order.
    Native,
    /// A whole number of an odd count of bits; rows start at whole bytes.
    Packed,
    /// Half precision.
    Half,
    /// One bit of sign, seven of exponent, sixteen of fraction.
    Float24,
}

/// What is stored instead of the samples themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// The difference to the pixel on the left.
    Horizontal,
    /// The bytes of floats, sorted by significance, then their differences.
    Float,
}

/// How a page is cut into segments (tiles or strips).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) width: u64,
    pub(super) height: u64,
    /// Slices of a page that is a volume; else 1.
    pub(super) slices: u64,
    /// Size of a segment in pixels, and in slices.
    pub(super) segment: (u64, u64),
    pub(super) thick: u64,
    pub(super) tiled: bool,
    /// Samples of one pixel.
    pub(super) samples: u64,
    /// Whether each segment holds one sample of its pixels.
    pub(super) planar: bool,
    /// Stored bits of a sample.
    pub(super) bits: u64,
    pub(super) dtype: Dtype,
}

impl Cut {
    /// Segments along a row and a column.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.width.div_ceil(self.segment.0), self.height.div_ceil(self.segment.1))
    }

    /// Samples of one pixel within a segment.
    pub(super) fn samples_in_segment(&self) -> u64 {
        if self.planar { 1 } else { self.samples }
    }

    /// Stored bytes of one row of a segment; rows start at whole bytes.
    pub(super) fn row_bytes(&self) -> u64 {
        (self.segment.0 * self.samples_in_segment() * self.bits).div_ceil(8)
    }

    /// Stored bytes of a whole segment, uncompressed.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.row_bytes() * self.segment.1 * self.thick
    }

    /// Samples of a whole segment in memory, in bytes.
    pub(super) fn decoded_bytes(&self) -> u64 {
        let pixels = self.segment.0 * self.segment.1 * self.thick;
        pixels * self.samples_in_segment() * self.dtype.size() as u64
    }

    /// How one sample lies in the file.
    pub(super) fn form(&self) -> Form {
        match (self.dtype.is_float(), self.bits) {
            (true, 16) => Form::Half,
            (true, 24) => Form::Float24,
            (false, bits) if bits != 8 * self.dtype.size() as u64 => Form::Packed,
            _ => Form::Native,
        }
    }

    /// Segments of a page.
    pub(super) fn segments(&self) -> u64 {
        let (across, down) = self.counts();
        let each = across.saturating_mul(down).saturating_mul(self.slices.div_ceil(self.thick));
        each.saturating_mul(if self.planar { self.samples } else { 1 })
    }
}

/// Where the segments of one page lie.
pub(super) struct Places {
    pub(super) offsets: Vec<u64>,
    pub(super) lengths: Vec<u64>,
}

impl Places {
    /// Offset of the first byte, if the strips of an uncompressed page lie one behind the other.
    pub(super) fn without_gaps(&self, cut: &Cut) -> Option<u64> {
        let start = *self.offsets.first()?;
        let step = cut.segment_bytes();
        let joined =
            self.offsets.iter().enumerate().all(|(i, &at)| start.checked_add(i as u64 * step) == Some(at));
        (joined && start != 0 && !self.lengths.contains(&0)).then_some(start)
    }
}

/// The name of a compression by its number.
pub(super) fn compression_name(number: u64) -> String {
    let name = match number {
        1 => "none",
        2 => "CCITT run lengths",
        3 => "CCITT group 3 fax",
        4 => "CCITT group 4 fax",
        5 => "LZW",
        6 => "old-style JPEG",
        7 => "JPEG",
        8 | 32946 => "Deflate",
        32773 => "PackBits",
        32809 => "ThunderScan",
        33003 | 33005 => "JPEG 2000 (Aperio)",
        34661 => "JBIG",
        34676 | 34677 => "SGI Log",
        34712 => "JPEG 2000",
        34887 => "LERC",
        34892 => "lossy JPEG (DNG)",
        34925 => "LZMA",
        22610 | 34934 => "JPEG XR",
        50000 => "Zstandard",
        50001 => "WebP",
        50002 | 52546 => "JPEG XL",
        _ => return format!("compression {number}"),
    };
    name.to_owned()
}

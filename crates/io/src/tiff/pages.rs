//! What the directory of a page that is written says.

use super::directory::{self, Values};
use super::ifd::tag;
use voxtile_sched::model::{Axis, Dtype, Meta};

/// Number of JPEG in the tag Compression.
pub(super) const JPEG: u16 = 7;
/// Numbers in the tag PhotometricInterpretation.
pub(super) const BLACK_IS_ZERO: u16 = 1;
pub(super) const RGB: u16 = 2;
pub(super) const YCBCR: u16 = 6;

/// A page in tiles.
pub(super) struct Page<'a> {
    /// Width and height in pixels, of the page and of a tile.
    pub(super) size: [u32; 2],
    pub(super) tile: [u32; 2],
    pub(super) dtype: Dtype,
    pub(super) samples: usize,
    pub(super) compression: u16,
    pub(super) photometric: u16,
    /// Pixels per centimetre along x and y, as fractions.
    pub(super) resolution: Option<[[u32; 2]; 2]>,
    /// Whether differences to the left neighbour are stored.
    pub(super) predictor: bool,
    /// JPEG: tables that the tiles share, and pixels for one sample of chroma along x and y.
    pub(super) tables: Option<&'a [u8]>,
    pub(super) subsampling: Option<[u16; 2]>,
    /// Whether it is a smaller copy of another page.
    pub(super) reduced: bool,
    pub(super) text: &'a str,
    /// Where the directories of its levels lie.
    pub(super) below: &'a [u64],
    /// Where its tiles lie, and how long they are.
    pub(super) offsets: &'a [u64],
    pub(super) lengths: &'a [u32],
}

impl Page<'_> {
    /// Appends the directory to `out`, for the place `at`. Unless it is the `last` one, the next follows at once.
    pub(super) fn append(&self, out: &mut Vec<u8>, big: bool, at: u64, last: bool) {
        let dtype = self.dtype;
        let bits = vec![8 * dtype.size() as u16; self.samples];
        let number = if dtype.is_float() { 3 } else { 1 + u16::from(dtype.is_signed_integer()) };
        let format = vec![number; self.samples];
        let reduced = [u32::from(self.reduced)];
        let (compression, photometric) = ([self.compression], [self.photometric]);
        let count = [self.samples as u16];
        let mut tags = vec![
            (tag::NEW_SUBFILE_TYPE, Values::Long(&reduced)),
            (tag::IMAGE_WIDTH, Values::Long(&self.size[..1])),
            (tag::IMAGE_LENGTH, Values::Long(&self.size[1..])),
            (tag::BITS_PER_SAMPLE, Values::Short(&bits)),
            (tag::COMPRESSION, Values::Short(&compression)),
            (tag::PHOTOMETRIC, Values::Short(&photometric)),
        ];
        if !self.text.is_empty() {
            tags.push((tag::IMAGE_DESCRIPTION, Values::Ascii(self.text)));
        }
        tags.push((tag::SAMPLES_PER_PIXEL, Values::Short(&count)));
        if let Some([x, y]) = self.resolution {
            tags.push((tag::X_RESOLUTION, Values::Rational(x)));
            tags.push((tag::Y_RESOLUTION, Values::Rational(y)));
        }
        tags.push((tag::PLANAR, Values::Short(&[1])));
        if self.resolution.is_some() {
            tags.push((tag::RESOLUTION_UNIT, Values::Short(&[3])));
        }
        tags.push((tag::SOFTWARE, Values::Ascii("voxtile")));
        if self.predictor {
            tags.push((tag::PREDICTOR, Values::Short(&[2])));
        }
        tags.push((tag::TILE_WIDTH, Values::Long(&self.tile[..1])));
        tags.push((tag::TILE_LENGTH, Values::Long(&self.tile[1..])));
        tags.push((tag::TILE_OFFSETS, Values::Offsets(self.offsets)));
        tags.push((tag::TILE_BYTE_COUNTS, Values::Long(self.lengths)));
        if !self.below.is_empty() {
            tags.push((tag::SUB_IFDS, Values::Offsets(self.below)));
        }
        tags.push((tag::SAMPLE_FORMAT, Values::Short(&format)));
        if let Some(tables) = self.tables {
            tags.push((tag::JPEG_TABLES, Values::Bytes(tables)));
        }
        if let Some(subsampling) = &self.subsampling {
            tags.push((tag::YCBCR_SUBSAMPLING, Values::Short(subsampling)));
        }
        directory::append(out, big, at, &tags, last);
    }
}

/// Pixels per centimetre, where the image says how large they are.
pub(super) fn resolution(meta: &Meta) -> Option<[[u32; 2]; 2]> {
    let per_centimeter = |axis| meta.micrometers(axis).and_then(|um| rational(10_000.0 / um));
    Some([per_centimeter(Axis::X)?, per_centimeter(Axis::Y)?])
}

/// The nearest fraction of two 32-bit numbers, to about nine digits.
fn rational(value: f64) -> Option<[u32; 2]> {
    let denominator = [1_000_000.0, 1_000.0, 1.0].into_iter().find(|d| value * d < 4e9)?;
    let numerator = (value * denominator).round() as u32;
    (numerator > 0).then_some([numerator, denominator as u32])
}

//! JPEG 2000 segments, by OpenJPEG. The stream's own header is read first, so that what is decoded has the size of the
//! segment. Luma and chroma, as older scanners of Aperio store them, become red, green and blue; each sample of chroma counts
//! for the pixels that it covers.

use super::cut::Cut;
use crate::Damage;
use crate::jpeg::to_rgb;
use jpeg2k::{DecodeParameters, Image};
use voxtile_sched::model::Dtype;

fn damage(message: impl Into<String>) -> Damage {
    Damage::Codec { codec: "JPEG 2000", message: message.into() }
}

/// Decodes one segment to the front of `out`, pixel by pixel, and says how many bytes there are.
/// `ycbcr`: three components of 8 bits are luma and chroma.
pub(super) fn decode(
    encoded: &[u8],
    cut: &Cut,
    needed: usize,
    ycbcr: bool,
    out: &mut [u8],
) -> Result<usize, Damage> {
    let (width, rows, samples) = (cut.segment.0, cut.segment.1, cut.samples_in_segment());
    let size = inspect(encoded)?;
    let fits = size.width == width && size.height <= rows && size.height >= needed as u64;
    if !fits || size.factors.len() as u64 != samples {
        return Err(damage(format!(
            "is {} × {} with {} components, the segment is {width} × {rows} with {samples}",
            size.width,
            size.height,
            size.factors.len()
        )));
    }
    let halves = |f: &[u64; 2]| f.iter().all(|n| (1..=2).contains(n));
    let (luma, chroma) = size.factors.split_at(1);
    let full = luma == [[1, 1]] && chroma.iter().all(|f| if ycbcr { halves(f) } else { *f == [1, 1] });
    if !full {
        return Err(damage("has components of fewer samples than pixels"));
    }
    let parameters = DecodeParameters::new().strict(true).ignore_pclr_cmap_cdef();
    let image = Image::from_bytes_with(encoded, parameters).map_err(|e| damage(e.to_string()))?;
    let pixels = (width * size.height) as usize;
    let (samples, bits) = (samples as usize, 8 * cut.dtype.size() as u32);
    let components = image.components();
    let whole = |(c, [x, y]): (&jpeg2k::ImageComponent, &[u64; 2])| {
        let of = (width.div_ceil(*x), size.height.div_ceil(*y));
        (u64::from(c.width()), u64::from(c.height())) == of && c.precision() <= bits
    };
    if components.len() != samples || !components.iter().zip(&size.factors).all(whole) {
        return Err(damage(format!("has components that are no planes of {bits} bits")));
    }
    if ycbcr {
        let plane = |n: usize| (components[n].data(), components[n].width() as usize, size.factors[n]);
        colours([plane(0), plane(1), plane(2)], width as usize, &mut out[..3 * pixels]);
        return Ok(3 * pixels);
    }
    for (s, component) in components.iter().enumerate() {
        let signed = matches!(cut.dtype, Dtype::I8 | Dtype::I16);
        if component.is_signed() != signed {
            return Err(damage("differs from the file in whether samples are signed"));
        }
        let values = component.data();
        if bits == 8 {
            for (out, &v) in out[s..].iter_mut().step_by(samples).zip(values) {
                *out = v as u8;
            }
        } else {
            let out = bytemuck::cast_slice_mut::<u8, u16>(&mut out[..2 * pixels * samples]);
            for (out, &v) in out[s..].iter_mut().step_by(samples).zip(values) {
                *out = v as u16;
            }
        }
    }
    Ok(pixels * samples * cut.dtype.size())
}

/// Samples of a component, how many make a row, and pixels for one of them along x and y.
type Plane<'a> = (&'a [i32], usize, [u64; 2]);

/// Red, green and blue of each pixel, from luma and chroma.
fn colours(planes: [Plane<'_>; 3], width: usize, out: &mut [u8]) {
    let mut rows = [const { Vec::new() }; 6];
    rows.iter_mut().for_each(|row: &mut Vec<u8>| row.resize(width, 0));
    let [a, b, c, red, green, blue] = &mut rows;
    for (y, out) in out.chunks_exact_mut(3 * width).enumerate() {
        for ((values, stride, [fx, fy]), row) in planes.into_iter().zip([&mut *a, &mut *b, &mut *c]) {
            let from = &values[y / fy as usize * stride..];
            row.iter_mut().enumerate().for_each(|(x, v)| *v = from[x / fx as usize].clamp(0, 255) as u8);
        }
        to_rgb(a, b, c, red, green, blue);
        for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[red[x], green[x], blue[x]]);
        }
    }
}

struct Size {
    width: u64,
    height: u64,
    /// For each component, pixels for one sample along x and y.
    factors: Vec<[u64; 2]>,
}

/// Reads the size of the image (its SIZ segment), in a bare stream or in the box of one.
fn inspect(encoded: &[u8]) -> Result<Size, Damage> {
    const START: &[u8] = &[0xFF, 0x4F, 0xFF, 0x51];
    let stream = if encoded.starts_with(START) {
        encoded
    } else {
        let at = encoded.windows(8).position(|w| w.starts_with(b"jp2c") && &w[4..] == START);
        &encoded[at.ok_or_else(|| damage("holds no stream"))? + 4..]
    };
    let number = |at: usize| {
        let bytes = stream.get(at..at + 4).ok_or_else(|| damage("ends within its header"))?;
        Ok::<_, Damage>(u64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
    };
    // Capabilities, then the grid, the image's place in it, tiles and their place, and the number of components.
    let (x1, y1, x0, y0) = (number(8)?, number(12)?, number(16)?, number(20)?);
    let components = number(40)? >> 16;
    let mut factors = Vec::new();
    for i in 0..components as usize {
        let at = 42 + 3 * i;
        match stream.get(at + 1..at + 3) {
            Some(&[x, y]) => factors.push([u64::from(x), u64::from(y)]),
            _ => return Err(damage("ends within its header")),
        }
    }
    if factors.is_empty() {
        return Err(damage("has no components"));
    }
    Ok(Size { width: x1.saturating_sub(x0), height: y1.saturating_sub(y0), factors })
}

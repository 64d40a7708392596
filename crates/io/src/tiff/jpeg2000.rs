//! JPEG 2000 segments, by OpenJPEG. The stream's own header is read first, so that what is decoded has the size of the
//! segment.

use super::cut::Cut;
use crate::Damage;
use jpeg2k::{DecodeParameters, Image};
use voxtile_sched::model::Dtype;

fn damage(message: impl Into<String>) -> Damage {
    Damage::Codec { codec: "JPEG 2000", message: message.into() }
}

/// Decodes one segment to the front of `out`, pixel by pixel, and says how many bytes there are.
pub(super) fn decode(encoded: &[u8], cut: &Cut, needed: usize, out: &mut [u8]) -> Result<usize, Damage> {
    let (width, rows, samples) = (cut.segment.0, cut.segment.1, cut.samples_in_segment());
    let size = inspect(encoded)?;
    let fits = size.width == width && size.height <= rows && size.height >= needed as u64;
    if !fits || size.components != samples {
        return Err(damage(format!(
            "is {} × {} with {} components, the segment is {width} × {rows} with {samples}",
            size.width, size.height, size.components
        )));
    }
    let parameters = DecodeParameters::new().strict(true).ignore_pclr_cmap_cdef();
    let image = Image::from_bytes_with(encoded, parameters).map_err(|e| damage(e.to_string()))?;
    let pixels = (width * size.height) as usize;
    let (samples, bits) = (samples as usize, 8 * cut.dtype.size() as u32);
    let components = image.components();
    let whole = |c: &jpeg2k::ImageComponent| {
        u64::from(c.width()) == width && u64::from(c.height()) == size.height && c.precision() <= bits
    };
    if components.len() != samples || !components.iter().all(whole) {
        return Err(damage(format!("has components that are no planes of {bits} bits")));
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

struct Size {
    width: u64,
    height: u64,
    components: u64,
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
    for i in 0..components as usize {
        let at = 42 + 3 * i;
        let factors = stream.get(at + 1..at + 3).ok_or_else(|| damage("ends within its header"))?;
        if factors != [1, 1] {
            return Err(damage("has components of fewer samples than pixels"));
        }
    }
    Ok(Size { width: x1.saturating_sub(x0), height: y1.saturating_sub(y0), components })
}

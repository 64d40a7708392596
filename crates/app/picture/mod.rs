//! Pictures to look at.

mod bar;
mod fit;
mod paint;

pub(crate) use bar::Bar;
pub(crate) use fit::{area, nearest};
pub(crate) use paint::{Layer, color, parse_color, percentiles};

use ndarray::ArrayD;
use std::path::Path;

/// Pixels between two panels.
const GAP: usize = 8;
/// Colour of an outline.
const OUTLINE: [u8; 3] = [255, 196, 0];

/// An RGB picture.
pub(crate) struct Panel {
    pub(crate) width: usize,
    pub(crate) height: usize,
    rgb: Vec<[u8; 3]>,
}

/// A gray picture: the darkest 0.2 % are black, the brightest 0.2 % white.
pub(crate) fn gray(image: &ArrayD<u16>) -> Panel {
    let (height, width) = size(image.shape());
    let mut sorted: Vec<u16> = image.iter().copied().collect();
    sorted.sort_unstable();
    let at = |part: f64| sorted.get(((sorted.len().max(1) - 1) as f64 * part) as usize).copied().unwrap_or(0);
    let (low, high) = (f64::from(at(0.002)), f64::from(at(0.998)));
    let shade = |v: &u16| {
        let level = (f64::from(*v) - low) / (high - low).max(1.0);
        // The square root shows dim things, as a screen's gamma does.
        [(level.clamp(0.0, 1.0).sqrt() * 255.0).round() as u8; 3]
    };
    Panel { width, height, rgb: image.iter().map(shade).collect() }
}

/// The gray picture with the outline of a mask.
pub(crate) fn outlined(image: &ArrayD<u16>, mask: &ArrayD<u8>) -> Panel {
    let mut panel = gray(image);
    let (height, width) = size(mask.shape());
    let mask: Vec<bool> = mask.iter().map(|&m| m != 0).collect();
    let outside = |y: usize, x: usize| y >= height || x >= width || !mask[y * width + x];
    for y in 0..height {
        for x in 0..width {
            let neighbours = [(y.wrapping_sub(1), x), (y + 1, x), (y, x.wrapping_sub(1)), (y, x + 1)];
            if mask[y * width + x] && neighbours.into_iter().any(|(y, x)| outside(y, x)) {
                panel.rgb[y * width + x] = OUTLINE;
            }
        }
    }
    panel
}

/// Writes panels side by side.
pub(crate) fn write(path: &Path, panels: &[Panel]) -> std::io::Result<()> {
    let width = panels.iter().map(|p| p.width + GAP).sum::<usize>().saturating_sub(GAP);
    let height = panels.iter().map(|p| p.height).max().unwrap_or(0);
    let mut pixels = vec![255u8; width * height * 3];
    let mut left = 0;
    for panel in panels {
        for (y, row) in panel.rgb.chunks_exact(panel.width.max(1)).enumerate() {
            let at = (y * width + left) * 3;
            pixels[at..at + panel.width * 3].copy_from_slice(row.as_flattened());
        }
        left += panel.width + GAP;
    }
    std::fs::write(path, encode(width, height, &pixels)?)
}

/// A PNG of 8-bit RGB pixels.
fn encode(width: usize, height: usize, pixels: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

impl Panel {
    /// The picture as a PNG.
    pub(crate) fn png(&self) -> std::io::Result<Vec<u8>> {
        encode(self.width, self.height, self.rgb.as_flattened())
    }
}

fn size(shape: &[usize]) -> (usize, usize) {
    match shape {
        [.., y, x] => (*y, *x),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_is_the_inner_border() {
        let image = ArrayD::from_elem(vec![5, 5], 7u16);
        let mut mask = ArrayD::from_elem(vec![5, 5], 0u8);
        for (y, x) in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)] {
            mask[[y, x]] = 1;
        }
        let panel = outlined(&image, &mask);
        let marked = panel.rgb.iter().filter(|p| **p == OUTLINE).count();
        assert_eq!(marked, 8);
        assert_ne!(panel.rgb[12], OUTLINE);
    }

    #[test]
    fn panels_stand_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.png");
        let image = ArrayD::from_shape_fn(vec![4, 6], |i| (i[0] * 6 + i[1]) as u16);
        write(&path, &[gray(&image), gray(&image)]).unwrap();
        let reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap()))
            .read_info()
            .unwrap();
        assert_eq!(reader.info().size(), (6 + GAP as u32 + 6, 4));
    }
}

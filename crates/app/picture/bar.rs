//! The scale bar: a length that is easily read, drawn with its name.

use super::Panel;

const WHITE: [u8; 3] = [255; 3];
const BLACK: [u8; 3] = [0; 3];
/// Pixels of a glyph.
const GLYPH: [usize; 2] = [7, 5];

/// A bar of so many pixels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) micrometers: f64,
    pixels: usize,
}

impl Bar {
    /// The longest of 1, 2, 5, 10, … that takes at most a quarter of the picture; `None` where there is no room for it.
    pub(crate) fn new(width: usize, height: usize, micrometers_per_pixel: f64) -> Option<Self> {
        let most = width as f64 / 4.0 * micrometers_per_pixel;
        if !(most.is_finite() && most > 0.0) || height < 40 || width < 40 {
            return None;
        }
        let power = 10f64.powf(most.log10().floor());
        let step = [5.0, 2.0, 1.0].into_iter().find(|n| n * power <= most * (1.0 + 1e-9))?;
        let micrometers = step * power;
        let pixels = (micrometers / micrometers_per_pixel).round() as usize;
        (pixels > 0).then_some(Self { micrometers, pixels })
    }

    /// The length in words: `500 nm`, `20 µm`, `1 mm`.
    pub(crate) fn words(&self) -> String {
        let (unit, size) = match self.micrometers {
            um if um < 0.999 => ("nm", 1e-3),
            um if um < 999.0 => ("µm", 1.0),
            _ => ("mm", 1e3),
        };
        let value = self.micrometers / size;
        // Rounded to what the steps are: 0.1 + 0.2 is not to be seen.
        format!("{} {unit}", (value * 1e6).round() / 1e6)
    }

    /// Draws it at the lower right, white with a black rim, its name above it.
    pub(crate) fn draw(&self, panel: &mut Panel) {
        let scale = (panel.height.min(panel.width) / 400).max(1);
        let (margin, thick) = (6 * scale, 2 * scale);
        let (right, bottom) = (panel.width - margin, panel.height - margin);
        let mut marks: Vec<[usize; 2]> = Vec::new();
        let left = right.saturating_sub(self.pixels);
        marks.extend((bottom - thick..bottom).flat_map(|y| (left..right).map(move |x| [y, x])));
        let words = self.words();
        let wide = words.chars().count() * (GLYPH[1] + 1) * scale;
        let top = bottom.saturating_sub(thick + (GLYPH[0] + 2) * scale);
        let middle = (left + right) / 2;
        let start = middle.saturating_sub(wide / 2).min(right.saturating_sub(wide));
        for (n, c) in words.chars().enumerate() {
            for (row, bits) in glyph(c).into_iter().enumerate() {
                for column in (0..GLYPH[1]).filter(|column| bits >> (GLYPH[1] - 1 - column) & 1 == 1) {
                    let [y, x] = [top + row * scale, start + (n * (GLYPH[1] + 1) + column) * scale];
                    marks.extend((0..scale * scale).map(|k| [y + k / scale, x + k % scale]));
                }
            }
        }
        let mut dot = |y: usize, x: usize, color| {
            if y < panel.height && x < panel.width {
                panel.rgb[y * panel.width + x] = color;
            }
        };
        for &[y, x] in &marks {
            (0..9).for_each(|n| dot((y + n / 3).saturating_sub(1), (x + n % 3).saturating_sub(1), BLACK));
        }
        for &[y, x] in &marks {
            dot(y, x, WHITE);
        }
    }
}

/// Seven rows of five pixels. What names of lengths are written with; nothing for anything else.
fn glyph(c: char) -> [u8; GLYPH[0]] {
    match c {
        '0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '.' => [0, 0, 0, 0, 0, 0b01100, 0b01100],
        'n' => [0, 0, 0b10110, 0b11001, 0b10001, 0b10001, 0b10001],
        'm' => [0, 0, 0b11010, 0b10101, 0b10101, 0b10101, 0b10101],
        'µ' => [0, 0, 0b10001, 0b10001, 0b10011, 0b11101, 0b10000],
        _ => [0; GLYPH[0]],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_round_and_at_most_a_quarter() {
        let of = |width, size| Bar::new(width, 100, size).map(|bar| (bar.words(), bar.pixels));
        assert_eq!(of(400, 0.25), Some(("20 µm".to_owned(), 80)));
        assert_eq!(of(1000, 0.2), Some(("50 µm".to_owned(), 250)));
        assert_eq!(of(100, 0.01), Some(("200 nm".to_owned(), 20)));
        assert_eq!(of(1000, 10.0), Some(("2 mm".to_owned(), 200)));
        assert_eq!(of(1000, 1e-5), Some(("2 nm".to_owned(), 200)));
        assert_eq!([of(20, 1.0), of(100, 0.0), of(100, f64::NAN)], [None, None, None]);
    }

    #[test]
    fn a_bar_is_as_long_as_it_says() {
        let mut panel = Panel { width: 200, height: 100, rgb: vec![[90; 3]; 20_000] };
        let bar = Bar::new(200, 100, 0.5).unwrap();
        bar.draw(&mut panel);
        let row = &panel.rgb[93 * 200..94 * 200];
        assert_eq!((bar.words().as_str(), row.iter().filter(|p| **p == WHITE).count()), ("20 µm", 40));
        assert_eq!(row[194 - 40 - 1], BLACK);
        assert!(panel.rgb[..75 * 200].iter().all(|p| *p == [90; 3]), "above the name nothing is drawn");
    }
}

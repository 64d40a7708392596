//! Channels in colours, objects over them.

use super::Panel;

/// Colours of channels that have none: seen apart also by most who see few colours.
const COLORS: [[u8; 3]; 6] =
    [[0, 255, 0], [255, 0, 255], [0, 255, 255], [255, 255, 0], [255, 64, 64], [96, 96, 255]];
/// Share of an object's colour inside it; its rim has all of it.
const TINT: f64 = 0.35;

/// A channel: its samples, what becomes black and what its full colour.
pub(crate) struct Layer {
    pub(crate) samples: Vec<f32>,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) color: [u8; 3],
}

/// The colour of channel number `n` of several without one of its own.
pub(crate) fn color(n: usize) -> [u8; 3] {
    COLORS[n % COLORS.len()]
}

/// Reads `RRGGBB`.
pub(crate) fn parse_color(text: &str) -> Option<[u8; 3]> {
    let value = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 6)?;
    let [_, rgb @ ..] = value.to_be_bytes();
    Some(rgb)
}

/// Two percentiles of the samples that are numbers, between two of them as `numpy.percentile` has them; 0 and 1 if none is.
pub(crate) fn percentiles<'a>(samples: impl Iterator<Item = &'a f32>, percents: (f64, f64)) -> (f64, f64) {
    let mut numbers: Vec<f32> = samples.copied().filter(|v| v.is_finite()).collect();
    numbers.sort_unstable_by(f32::total_cmp);
    let Some(last) = numbers.len().checked_sub(1) else { return (0.0, 1.0) };
    let find = |percent: f64| {
        let at = last as f64 * percent / 100.0;
        let [a, b] = [at.floor(), at.ceil()].map(|n| f64::from(numbers[n as usize]));
        a + (b - a) * (at - at.floor())
    };
    (find(percents.0), find(percents.1))
}

impl Panel {
    /// The sum of all channels, each between black and its colour.
    pub(crate) fn blend(width: usize, height: usize, layers: &[Layer]) -> Self {
        let mut sums = vec![[0f64; 3]; width * height];
        for layer in layers {
            let range = layer.high - layer.low;
            for (sum, &sample) in sums.iter_mut().zip(&layer.samples) {
                let share = (f64::from(sample) - layer.low) / if range > 0.0 { range } else { 1.0 };
                // What is no number is black.
                let share = if share > 0.0 { share.min(1.0) } else { 0.0 };
                sum.iter_mut().zip(layer.color).for_each(|(sum, part)| *sum += share * f64::from(part));
            }
        }
        let rgb = sums.into_iter().map(|sum| sum.map(|v| v.round().min(255.0) as u8)).collect();
        Self { width, height, rgb }
    }

    /// Tints objects, and draws their rims. 0 is no object.
    pub(crate) fn overlay(&mut self, labels: &[u64]) {
        let (width, height) = (self.width, self.height);
        for (at, &label) in labels.iter().enumerate().filter(|(_, label)| **label != 0) {
            let (y, x) = (at / width, at % width);
            let other = |inside: bool, at: usize| inside && labels[at] != label;
            let rim = other(y > 0, at.wrapping_sub(width))
                || other(y + 1 < height, at + width)
                || other(x > 0, at.wrapping_sub(1))
                || other(x + 1 < width, at + 1);
            let share = if rim { 1.0 } else { TINT };
            for (own, tint) in self.rgb[at].iter_mut().zip(label_color(label)) {
                *own = (f64::from(*own) * (1.0 - share) + f64::from(tint) * share).round() as u8;
            }
        }
    }

    /// Objects on black, each in its colour.
    pub(crate) fn labels(width: usize, height: usize, labels: &[u64]) -> Self {
        let color = |&label: &u64| if label == 0 { [0; 3] } else { label_color(label) };
        Self { width, height, rgb: labels.iter().map(color).collect() }
    }
}

/// The colour of an object: neighbouring numbers lie far apart on the circle of hues.
pub(crate) fn label_color(label: u64) -> [u8; 3] {
    // The golden ratio as a share of 2⁶⁴.
    let hue = (label.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1u64 << 24) as f64 * 6.0;
    let saturation = [0.65, 1.0, 0.8][(label % 3) as usize];
    let channel = |n: f64| {
        let k = (n + hue) % 6.0;
        let part = k.min(4.0 - k).clamp(0.0, 1.0);
        (255.0 * (1.0 - saturation * part)).round() as u8
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn channels_add_up_to_colours() {
        let layer =
            |samples: &[f32], color| Layer { samples: samples.to_vec(), low: 10.0, high: 20.0, color };
        let (green, magenta) = (color(0), color(1));
        let panel = Panel::blend(
            4,
            1,
            &[layer(&[0.0, 15.0, 20.0, f32::NAN], green), layer(&[99.0, 10.0, 20.0, 15.0], magenta)],
        );
        assert_eq!(panel.rgb, [[255, 0, 255], [0, 128, 0], [255; 3], [128, 0, 128]]);
    }

    #[test]
    fn objects_have_a_tint_and_a_rim() {
        let mut panel = Panel { width: 5, height: 4, rgb: vec![[100; 3]; 20] };
        let labels: [u64; 20] = [0, 0, 0, 0, 0, 0, 3, 3, 3, 0, 0, 3, 3, 3, 0, 0, 3, 3, 3, 0];
        panel.overlay(&labels);
        let full = label_color(3);
        assert_eq!((panel.rgb[6], panel.rgb[0]), (full, [100; 3]));
        // The edge of the picture is no rim.
        let tint = |n: usize| (100.0 * 0.65 + f64::from(full[n]) * 0.35).round() as u8;
        assert_eq!(panel.rgb[12], [tint(0), tint(1), tint(2)]);
        assert_eq!(panel.rgb[17], [tint(0), tint(1), tint(2)]);
    }

    #[test]
    fn colours_of_many_objects_differ() {
        let colors: BTreeSet<[u8; 3]> = (1..=500).map(label_color).collect();
        assert!(colors.len() > 400, "{}", colors.len());
        assert!(colors.iter().all(|c| c.iter().any(|v| *v > 200)));
        let apart = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).map(|(a, b)| a.abs_diff(b)).max();
        assert!((1..2000).all(|n| apart(label_color(n), label_color(n + 1)) > Some(60)));
    }

    #[test]
    fn percentiles_lie_between_samples() {
        let samples = [4.0, f32::NAN, 1.0, 2.0, 3.0, f32::INFINITY, 5.0];
        assert_eq!(percentiles(samples.iter(), (0.0, 90.0)), (1.0, 4.6));
        assert_eq!(percentiles([f32::NAN].iter(), (1.0, 99.0)), (0.0, 1.0));
        assert_eq!(parse_color("0A0bFF"), Some([10, 11, 255]));
        assert_eq!([parse_color("green"), parse_color("0AFF")], [None, None]);
    }
}

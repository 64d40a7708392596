//! Which channels are drawn, in which colours, and what is dark and what is bright.

use crate::args::Preview;
use crate::commands::Failure;
use crate::picture::{Layer, Panel, color, parse_color, percentiles};
use serde_json::json;
use voxtile::op::{Axis, Dtype, Kind, Meta};

/// Channels that are drawn at most, where none are chosen.
const MOST: u64 = 6;
/// Percentiles that become black and the full colour.
const CONTRAST: (f64, f64) = (1.0, 99.8);

/// The channels that are drawn.
pub(super) struct Channels {
    numbers: Vec<u64>,
    /// Those that are left out although nobody chose.
    pub(super) hidden: u64,
    /// The three colours of pixels, which belong together.
    rgb: bool,
    meta: Meta,
}

/// A channel as it was drawn.
pub(super) struct Drawn {
    number: u64,
    name: Option<String>,
    color: [u8; 3],
    range: (f64, f64),
}

impl Channels {
    pub(super) fn of(args: &Preview, meta: &Meta) -> Result<Self, Failure> {
        let count = meta.shape[Axis::C.index()];
        let called = |n: u64, name: &str| {
            meta.channels.get(n as usize).is_some_and(|c| c.name.as_deref() == Some(name))
        };
        let seen: Vec<u64> = (0..count).filter(|n| !called(*n, "alpha")).collect();
        let rgb =
            seen == [0, 1, 2] && ["red", "green", "blue"].iter().zip(0..).all(|(name, n)| called(n, name));
        let (option, axis) = ("--channel", Axis::C);
        let Some(chosen) = &args.channel else {
            let hidden = (seen.len() as u64).saturating_sub(MOST);
            let numbers = seen.into_iter().take(MOST as usize).collect();
            return Ok(Self { numbers, hidden, rgb, meta: meta.clone() });
        };
        if !meta.axes.contains(axis) {
            return Err(Failure::NoAxis { option, axis, axes: meta.axes });
        }
        if let Some(&at) = chosen.0.iter().find(|n| **n >= count) {
            return Err(Failure::Position { option, at, axis, len: count });
        }
        let rgb = rgb && chosen.0 == seen;
        Ok(Self { numbers: chosen.0.clone(), hidden: 0, rgb, meta: meta.clone() })
    }

    /// The step that selects them, if any is left out.
    pub(super) fn step(&self) -> Vec<String> {
        if self.numbers.iter().copied().eq(0..self.meta.shape[Axis::C.index()]) {
            return Vec::new();
        }
        let numbers: Vec<String> = self.numbers.iter().map(u64::to_string).collect();
        vec![format!("channel {}", numbers.join(","))]
    }

    /// One channel is gray; several have the colours of the file, or ones of ours.
    fn color(&self, n: usize) -> [u8; 3] {
        const WHITE: [u8; 3] = [255; 3];
        if self.numbers.len() == 1 {
            return WHITE;
        }
        let own = self.meta.channels.get(self.numbers[n] as usize).and_then(|c| c.color.as_deref());
        // White says nothing among several.
        own.and_then(parse_color).filter(|own| *own != WHITE).unwrap_or_else(|| color(n))
    }

    /// What is black and what is bright in each channel.
    fn ranges(&self, planes: &[Vec<f32>], args: &Preview) -> Vec<(f64, f64)> {
        let same = |range| vec![range; planes.len()];
        match (args.range, args.contrast) {
            (Some(range), _) => same(range),
            (None, None) if self.meta.kind == Kind::Mask => same((0.0, 1.0)),
            (None, None) if self.rgb && self.meta.dtype == Dtype::U8 => same((0.0, 255.0)),
            (None, percents) => {
                let percents = percents.unwrap_or(CONTRAST);
                match self.rgb {
                    true => same(percentiles(planes.iter().flatten(), percents)),
                    false => planes.iter().map(|plane| percentiles(plane.iter(), percents)).collect(),
                }
            }
        }
    }

    pub(super) fn draw(
        &self,
        planes: Vec<Vec<f32>>,
        size: [usize; 2],
        args: &Preview,
    ) -> (Panel, Vec<Drawn>) {
        let ranges = self.ranges(&planes, args);
        let name = |n: u64| self.meta.channels.get(n as usize).and_then(|c| c.name.clone());
        let drawn: Vec<Drawn> = (0..planes.len())
            .map(|n| {
                let number = self.numbers[n];
                Drawn { number, name: name(number), color: self.color(n), range: ranges[n] }
            })
            .collect();
        let layers: Vec<Layer> = planes
            .into_iter()
            .zip(&drawn)
            .map(|(samples, d)| Layer { samples, low: d.range.0, high: d.range.1, color: d.color })
            .collect();
        (Panel::blend(size[1], size[0], &layers), drawn)
    }
}

impl Drawn {
    pub(super) fn as_json(&self) -> serde_json::Value {
        let [r, g, b] = self.color;
        json!({
            "channel": self.number, "name": self.name, "color": format!("{r:02X}{g:02X}{b:02X}"),
            "low": self.range.0, "high": self.range.1,
        })
    }

    pub(super) fn words(&self) -> String {
        let name = self.name.clone().unwrap_or_else(|| format!("channel {}", self.number));
        format!("{name} from {} to {}", short(self.range.0), short(self.range.1))
    }
}

/// A number with as many digits as a reader needs.
fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size == 0.0 || (value.fract() == 0.0 && size < 1e9) => format!("{value}"),
        _ if (0.01..1e6).contains(&size) => {
            let digits = (3 - size.log10().floor() as i32).max(0) as usize;
            format!("{value:.digits$}")
        }
        _ => format!("{value:.3e}"),
    }
}

//! Colours of label images: one for each object number, far from those of its neighbours.

use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Element as _, Tile};

/// Objects that are given colours; images of more are left to the palette of the viewer.
const MOST: u64 = 1000;

/// The largest object number of what is written.
#[derive(Debug, Default)]
pub(crate) struct Largest(AtomicU64);

impl Largest {
    /// Looks at a part of the image.
    pub(crate) fn look(&self, tile: &Tile<'_>) {
        let [nt, nc, nz, ny, _] = tile.shape();
        let largest = dispatch!(tile.dtype(), T => {
            let view = tile.view::<T>();
            let mut most = T::default();
            for row in 0..nt * nc * nz * ny {
                let (at, y) = (row / ny, row % ny);
                for &v in view.row(at / nz / nc, at / nz % nc, at % nz, y) {
                    if v > most {
                        most = v;
                    }
                }
            }
            most.to_f64()
        });
        self.0.fetch_max(largest as u64, Ordering::Relaxed);
    }

    /// The list of colours, if there are objects, and not too many.
    pub(crate) fn colors(&self) -> Option<Value> {
        let count = self.0.load(Ordering::Relaxed);
        let one = |n: u64| json!({"label-value": n, "rgba": color(n)});
        (1..=MOST).contains(&count).then(|| (1..=count).map(one).collect())
    }
}

/// Hues go on by the golden section, so that neither neighbours in number nor those of the next round are alike.
fn color(n: u64) -> [u8; 4] {
    let hue = (n as f64 * 0.618_033_988_749_895).fract() * 6.0;
    let channel = |shift: f64| {
        let x = (hue + shift) % 6.0;
        let level = (x - 3.0).abs() - 1.0;
        (55.0 + 200.0 * level.clamp(0.0, 1.0)).round() as u8
    };
    [channel(0.0), channel(4.0), channel(2.0), 255]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use voxtile_sched::model::Dtype;

    #[test]
    fn every_object_has_a_colour_of_its_own() {
        let largest = Largest::default();
        assert_eq!(largest.colors(), None);
        for part in [[3u16, 0, 700], [2, 5, 1]] {
            largest.look(&Tile::new(Dtype::U16, [1, 1, 1, 1, 3], bytemuck::cast_slice(&part)));
        }
        let colors = largest.colors().unwrap();
        assert_eq!(colors.as_array().unwrap().len(), 700);
        let different: BTreeSet<String> = (1..=700).map(|n| format!("{:?}", color(n))).collect();
        assert!(different.len() > 600, "{}", different.len());
        assert_eq!(colors[6]["label-value"], 7);
        largest.look(&Tile::new(Dtype::U16, [1, 1, 1, 1, 1], bytemuck::cast_slice(&[1001u16])));
        assert_eq!(largest.colors(), None);
    }
}

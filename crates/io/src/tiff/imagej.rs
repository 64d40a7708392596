//! The `ImageDescription` of ImageJ: lines of `key=value`.

use super::ifd::{Reader, tag};
use super::page::Page;
use super::series::{PlaneAxes, Series, follows};
use super::units;
use crate::IoError;
use std::collections::HashMap;
use voxtile_sched::model::{Axis, Spacing};

/// Whether a description was written by ImageJ.
pub(super) fn is_imagej(text: &str) -> bool {
    text.starts_with("ImageJ=")
}

/// Gives the planes of `series`, so far a plain stack, the order and size that ImageJ names.
pub(super) fn apply(
    text: &str,
    reader: &mut Reader,
    page: &Page,
    series: &mut Series,
) -> Result<(), IoError> {
    let fields: HashMap<&str, &str> = text.lines().filter_map(|l| l.split_once('=')).collect();
    let count = |key: &str| fields.get(key).and_then(|v| v.trim().parse::<u64>().ok()).unwrap_or(1).max(1);
    series.format = "ImageJ TIFF";
    series.composite = fields.get("mode").is_some_and(|m| m.trim() == "composite");

    let listed = std::mem::take(&mut series.planes);
    let pages = listed.len() as u64;
    let (images, frames, slices) = (count("images"), count("frames"), count("slices"));
    // Samples of an RGB page may be counted as channels too.
    let channels = match count("channels") {
        c if c == page.samples && images == frames.saturating_mul(slices) => 1,
        c => c,
    };
    let mut axes: PlaneAxes = vec![(Axis::T, frames), (Axis::Z, slices), (Axis::C, channels)];
    let named = axes.iter().fold(1u64, |n, a| n.saturating_mul(a.1));
    let whole = if named == 1 { images.max(pages) } else { named };
    if whole > pages && pages == 1 && follows(reader, page, whole)? {
        series.contiguous = true;
    }
    if whole > pages && pages == 1 && !series.contiguous {
        return Err(reader.header(
            &tag::name(tag::IMAGE_DESCRIPTION),
            &format!("names {whole} images, and the file has neither as many pages nor the bytes for them"),
        ));
    }
    // Programs that cut a stack often copy the description of the whole one.
    if named == 1 || (named != pages && !series.contiguous) {
        axes = vec![(Axis::Z, if series.contiguous { whole } else { pages })];
    }
    let contiguous = series.contiguous;
    series.order(&axes, |i| {
        if contiguous { u32::try_from(i).ok() } else { listed.get(i as usize).copied().flatten() }
    });

    // ImageJ's own unit goes before that of the resolution tags, which it leaves at "none".
    let unit = fields.get("unit").map(|u| u.trim()).and_then(units::word);
    if let Some(unit) = unit {
        let number = |key: &str| fields.get(key).and_then(|v| v.trim().parse::<f64>().ok());
        series.spacing[Axis::Z.index()] = number("spacing").and_then(|s| units::spacing(s, Some(unit)));
        for (axis, per_unit) in [Axis::Y, Axis::X].into_iter().zip(page.resolution.0) {
            series.spacing[axis.index()] = per_unit.and_then(|per| units::spacing(1.0 / per, Some(unit)));
        }
    }
    let interval = fields.get("finterval").and_then(|v| v.trim().parse::<f64>().ok());
    let spacing: Option<Spacing> = interval.and_then(|i| units::spacing(i, Some("second")));
    series.spacing[Axis::T.index()] = spacing;
    Ok(())
}

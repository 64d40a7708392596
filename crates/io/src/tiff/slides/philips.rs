//! Slides of Philips: levels are padded to whole tiles; the distance of their pixels says how large they are.

use super::xml::elements;
use super::{assemble, descriptions};
use crate::IoError;
use crate::tiff::files::Parts;
use crate::tiff::ifd::{Directory, tag};
use crate::tiff::series::Series;
use crate::tiff::units;
use voxtile_sched::model::Axis;

pub(super) fn find(
    description: &str,
    parts: &mut Parts,
    directories: &[Directory],
) -> Result<Vec<Series>, IoError> {
    let role = |text: &String| {
        let starts = |(start, _): &&(&str, &'static str)| text.starts_with(start);
        [("Macro", "macro"), ("Label", "label")].iter().find(starts).map(|(_, role)| *role)
    };
    let roles: Vec<Option<&'static str>> = descriptions(parts, directories)?.iter().map(role).collect();
    let distances = distances(description);
    let tiled: Vec<usize> =
        (0..parts.pages.len()).filter(|&p| parts.pages[p].tile.is_some() && roles[p].is_none()).collect();
    if tiled.first() != Some(&0) || distances.len() != tiled.len() {
        let problem = format!("names {} levels, the file has {}", distances.len(), tiled.len());
        let field = format!("XML in {}", tag::name(tag::IMAGE_DESCRIPTION));
        return Err(parts.readers[0].header(&field, &problem));
    }
    let (width, height) = (parts.pages[0].width, parts.pages[0].height);
    for (&p, distance) in tiled.iter().zip(&distances).skip(1) {
        let of = |a: usize, whole: u64| whole / ((distance[a] / distances[0][a]).round() as u64).max(1);
        let page = &mut parts.pages[p];
        let (w, h) = page.tile.unwrap_or((1, 1));
        // Rows and columns of tiles stay as many as the file has.
        page.width = unpadded(page.width, of(1, width), w);
        page.height = unpadded(page.height, of(0, height), h);
    }
    let mut main = Series::new("Philips TIFF", 0);
    for (axis, distance) in [Axis::Y, Axis::X].into_iter().zip(distances[0]) {
        main.spacing[axis.index()] = units::spacing(distance * 1000.0, Some("micrometer"));
    }
    Ok(assemble(main, parts, |p| roles[p]))
}

/// The size of a level, at most that of the page, without losing a tile.
fn unpadded(stored: u64, wanted: u64, tile: u64) -> u64 {
    let least = (stored.div_ceil(tile) - 1) * tile + 1;
    wanted.clamp(least.min(stored), stored)
}

/// Distance of pixels along y and x of each level, in millimetres.
fn distances(description: &str) -> Vec<[f64; 2]> {
    let all = elements(description);
    let mut inside = None;
    let mut out = Vec::new();
    for element in &all {
        let object = element.attributes.get("ObjectType").map(String::as_str);
        if element.name == "DataObject" {
            match (object, inside) {
                (Some("PixelDataRepresentation"), _) => inside = Some(element.depth),
                (_, Some(depth)) if element.depth <= depth => inside = None,
                _ => {}
            }
        }
        let spacing = element.attributes.get("Name").is_some_and(|n| n == "DICOM_PIXEL_SPACING");
        if element.name == "Attribute" && spacing && inside.is_some_and(|d| element.depth == d + 1) {
            let text = element.text.replace(['"', '\''], " ");
            let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
            if let [y, x] = numbers[..]
                && y > 0.0
                && x > 0.0
            {
                out.push([y, x]);
            }
        }
    }
    out
}

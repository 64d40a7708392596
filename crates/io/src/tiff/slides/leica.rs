//! Slides of Leica (SCN): XML names the page of every channel, slice and level of each of the images.

use super::xml::{Element, elements};
use super::{magnification, series};
use crate::IoError;
use crate::tiff::files::Parts;
use crate::tiff::ifd::tag;
use crate::tiff::series::Series;
use crate::tiff::units;
use std::collections::BTreeMap;
use voxtile_sched::model::Axis;

/// What the XML says of one image.
#[derive(Default)]
struct Image {
    name: Option<String>,
    /// Size of the part of the slide that it shows, in nanometres, and where that lies.
    view: Option<[f64; 4]>,
    /// Distance of slices, in nanometres.
    step: Option<f64>,
    objective: Option<f64>,
    /// For each level, the page of every channel and slice.
    levels: BTreeMap<u64, BTreeMap<(u64, u64), u64>>,
}

pub(super) fn find(description: &str, parts: &Parts) -> Result<Vec<Series>, IoError> {
    let damaged = |problem: &str| {
        let field = format!("XML in {}", tag::name(tag::IMAGE_DESCRIPTION));
        parts.readers[0].header(&field, problem)
    };
    let (slide, images) = read(&elements(description));
    let mut all = Vec::new();
    for image in images.into_iter().filter(|i| !i.levels.is_empty()) {
        let pages: Vec<&BTreeMap<(u64, u64), u64>> = image.levels.values().collect();
        let count = |of: fn(&(u64, u64)) -> u64| pages[0].keys().map(of).max().unwrap_or(0) + 1;
        let (nc, nz) = (count(|k| k.0), count(|k| k.1));
        let beyond = pages.iter().flat_map(|l| l.values()).find(|&&p| p >= parts.pages.len() as u64);
        if let Some(page) = beyond {
            return Err(damaged(&format!("names page {page}, the file has {}", parts.pages.len())));
        }
        // More planes than pages would be a lie; fewer are named one by one.
        if nc.saturating_mul(nz) > parts.pages.len() as u64 {
            return Err(damaged(&format!("names {nc} × {nz} planes, the file has {}", parts.pages.len())));
        }
        let place =
            |level: &BTreeMap<(u64, u64), u64>, i: u64| level.get(&(i / nz, i % nz)).map(|&p| p as u32);
        let Some(first) = place(pages[0], 0) else { return Err(damaged("names no first plane")) };
        let base = &parts.pages[first as usize];
        let mut series = Series::new("Leica SCN", first as usize);
        series.order(&vec![(Axis::C, nc), (Axis::Z, nz)], |i| place(pages[0], i));
        let levels = pages[1..].iter().map(|l| (0..nc * nz).map(|i| place(l, i)).collect());
        series.reduced = levels.filter(|l: &Vec<Option<u32>>| l[0].is_some()).collect();
        for planes in std::iter::once(&series.planes).chain(&series.reduced) {
            let page = |p: &Option<u32>| p.map(|p| &parts.pages[p as usize]);
            let head = page(&planes[0]);
            if planes.iter().filter_map(page).any(|p| head.is_some_and(|h| !h.same_shape(p))) {
                return Err(damaged("names pages of different sizes for one level"));
            }
        }
        let nanometers = |size: f64| units::spacing(size / 1000.0, Some("micrometer"));
        if let Some([width, height, ..]) = image.view {
            series.spacing[Axis::X.index()] = nanometers(width / base.width as f64);
            series.spacing[Axis::Y.index()] = nanometers(height / base.height as f64);
        }
        series.spacing[Axis::Z.index()] = image.step.and_then(nanometers);
        series.details.extend(image.objective.and_then(magnification).map(|o| ("objective", o)));
        series.name = image.name;
        // The picture of the whole slide, taken before the scan.
        let whole =
            image.view.zip(slide).is_some_and(|([w, h, x, y], [ww, hh])| (w, h, x, y) == (ww, hh, 0.0, 0.0));
        series.role = whole.then_some("macro");
        all.push(series);
    }
    if all.is_empty() {
        return Err(damaged("names no image"));
    }
    Ok(series::associated_last(all))
}

fn read(elements: &[Element]) -> (Option<[f64; 2]>, Vec<Image>) {
    let mut slide = None;
    let mut images: Vec<Image> = Vec::new();
    for element in elements {
        let size = || Some([element.number("sizeX")?, element.number("sizeY")?]);
        match (element.name.as_str(), images.last_mut()) {
            ("collection", _) => slide = size(),
            ("image", _) => {
                let name = element.attributes.get("name").filter(|n| !n.is_empty()).cloned();
                images.push(Image { name, ..Image::default() });
            }
            ("dimension", Some(image)) => {
                let number = |key| element.number::<u64>(key).unwrap_or(0);
                if let Some(page) = element.number("ifd") {
                    let level = image.levels.entry(number("r")).or_default();
                    level.insert((number("c"), number("z")), page);
                }
            }
            ("view", Some(image)) => {
                let offset = |key| element.number(key).unwrap_or(0.0);
                image.view = size().map(|[w, h]| [w, h, offset("offsetX"), offset("offsetY")]);
                image.step = element.number("spacingZ");
            }
            ("objective", Some(image)) => image.objective = element.text.trim().parse().ok(),
            _ => {}
        }
    }
    (slide, images)
}

//! Slides of Aperio (SVS): levels and focal planes in tiles; thumbnail, label and macro in strips.

use super::{assemble, descriptions, magnification};
use crate::IoError;
use crate::tiff::files::Parts;
use crate::tiff::ifd::Directory;
use crate::tiff::series::{self, Series};
use crate::tiff::units;
use voxtile_sched::model::Axis;

/// NewSubfileType of a label, and the bit that a macro has besides.
const REDUCED: u64 = 1;
const MACRO: u64 = 8;

/// Fields that are shown, and what they are called.
const SHOWN: [(&str, &str); 3] = [("ScanScope ID", "scanner"), ("Date", "date"), ("Time", "time")];

pub(super) fn find(
    description: &str,
    parts: &mut Parts,
    directories: &[Directory],
) -> Result<Vec<Series>, IoError> {
    let texts = descriptions(parts, directories)?;
    let pages = &parts.pages;
    let base = &pages[0];
    // Focal planes have the size of the first page.
    let same = |p: &usize| base.same_shape(&pages[*p]) && pages[*p].tile == base.tile;
    let planes: Vec<usize> = (0..pages.len()).filter(same).collect();
    let mut main = Series::new("Aperio SVS", 0);
    main.order(&vec![(Axis::Z, planes.len() as u64)], |i| Some(planes[i as usize] as u32));
    series::resolution(base, &mut main.spacing);
    describe(description, &mut main);
    let role = |p: usize| {
        if p == 0 || pages[p].tile.is_some() {
            return None;
        }
        // The line after the program's name says what the page is, of the later versions.
        let line = texts[p].lines().nth(1).unwrap_or_default().trim();
        Some(match (pages[p].subfile, line) {
            (s, _) if s & MACRO != 0 => "macro",
            (_, line) if line.starts_with("macro ") => "macro",
            (_, line) if line.starts_with("label ") => "label",
            (REDUCED, "") => "label",
            _ => "thumbnail",
        })
    };
    Ok(assemble(main, parts, role))
}

/// What the description says: `… |AppMag = 20|MPP = 0.4990|Filename = CMU-1|…`.
fn describe(text: &str, series: &mut Series) {
    let fields: Vec<(&str, &str)> = text.split('|').skip(1).filter_map(|f| f.split_once('=')).collect();
    let field = |key: &str| fields.iter().find(|(k, _)| k.trim() == key).map(|(_, v)| v.trim());
    let number = |key: &str| field(key).and_then(|v| v.parse::<f64>().ok());
    if let Some(mpp) = number("MPP") {
        for axis in [Axis::Y, Axis::X] {
            series.spacing[axis.index()] = units::spacing(mpp, Some("micrometer"));
        }
    }
    series.name = field("Filename").filter(|n| !n.is_empty()).map(str::to_owned);
    if let Some(objective) = number("AppMag").and_then(magnification) {
        series.details.push(("objective", objective));
    }
    for (key, name) in SHOWN {
        if let Some(value) = field(key).filter(|v| !v.is_empty()) {
            series.details.push((name, value.to_owned()));
        }
    }
}

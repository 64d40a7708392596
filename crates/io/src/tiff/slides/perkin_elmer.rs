//! Slides of PerkinElmer and Akoya (QPTIFF): each page says in XML what it is; channels are pages, at every level.

use super::xml::elements;
use super::{assemble, descriptions};
use crate::IoError;
use crate::tiff::files::Parts;
use crate::tiff::ifd::Directory;
use crate::tiff::series::{self, Series};
use voxtile_sched::model::{Axis, Channel};

/// What the description of a page says.
#[derive(Default)]
struct Said {
    kind: String,
    channel: Channel,
    objective: Option<String>,
}

pub(super) fn find(parts: &mut Parts, directories: &[Directory]) -> Result<Vec<Series>, IoError> {
    let said: Vec<Said> = descriptions(parts, directories)?.iter().map(|text| read(text)).collect();
    let pages = &parts.pages;
    let role = |p: usize| match said[p].kind.as_str() {
        "Thumbnail" => Some("thumbnail"),
        "Overview" => Some("macro"),
        "Label" => Some("label"),
        _ => None,
    };
    let base = &pages[0];
    let same = |p: &usize| base.same_shape(&pages[*p]) && role(*p).is_none();
    let planes: Vec<usize> = (0..pages.len()).filter(same).collect();
    let mut main = Series::new("QPTIFF", 0);
    main.order(&vec![(Axis::C, planes.len() as u64)], |i| Some(planes[i as usize] as u32));
    series::resolution(base, &mut main.spacing);
    if base.samples == 1 {
        main.channels = planes.iter().map(|&p| said[p].channel.clone()).collect();
    }
    main.details.extend(said[0].objective.clone().map(|o| ("objective", o)));
    Ok(assemble(main, parts, role))
}

fn read(text: &str) -> Said {
    let mut out = Said::default();
    // Deeper ones belong to the settings of the scan.
    for element in elements(text).into_iter().filter(|e| e.depth == 1 && !e.text.is_empty()) {
        match element.name.as_str() {
            "ImageType" => out.kind = element.text,
            "Name" => out.channel.name = Some(element.text),
            "Color" => out.channel.color = color(&element.text),
            "Objective" => {
                let number = element.text.trim_end_matches(['x', 'X']).parse::<f64>().ok();
                out.objective = number.and_then(super::magnification).or(Some(element.text));
            }
            _ => {}
        }
    }
    out
}

/// `0,0,255` as `0000FF`.
fn color(text: &str) -> Option<String> {
    let parts: Vec<u8> = text.split(',').map(|p| p.trim().parse().ok()).collect::<Option<_>>()?;
    let [r, g, b] = parts[..] else { return None };
    Some(format!("{r:02X}{g:02X}{b:02X}"))
}

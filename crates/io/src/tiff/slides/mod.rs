//! Slides of scanners: which pages are the image, which show the slide as a whole, and what the scanner says of both.
//! Pages are told by their sizes, tags and descriptions, not by their numbers.

mod aperio;
mod leica;
mod metaseries;
mod perkin_elmer;
mod philips;
#[cfg(test)]
mod tests;
mod xml;

use super::files::Parts;
use super::ifd::{Directory, Reader, tag};
use super::series::{self, Series};
use crate::{Feature, IoError};
pub(super) use metaseries::apply as metaseries;

/// Makers whose files have a layout of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    Aperio,
    Leica,
    PerkinElmer,
    Philips,
}

/// Bytes of XMP that are looked at.
const MAX_XMP: u64 = 1 << 20;

/// Who made a slide, by the first page's description.
///
/// # Errors
/// [`IoError::Unsupported`] for layouts that would be read wrongly.
pub(super) fn maker(
    reader: &mut Reader,
    first: &Directory,
    description: &str,
) -> Result<Option<Maker>, IoError> {
    if ventana(reader, first)? {
        let what = "the BIF layout of Ventana, whose tiles overlap".to_owned();
        return Err(reader.unsupported(Feature::Program(what)));
    }
    if description.contains("OverlapsXY=") && description.contains("Objective Power=") {
        let what = "the layout of Trestle, whose tiles overlap".to_owned();
        return Err(reader.unsupported(Feature::Program(what)));
    }
    Ok(if description.starts_with("Aperio ") {
        Some(Maker::Aperio)
    } else if description.contains("<PerkinElmer-QPI-ImageDescription") {
        Some(Maker::PerkinElmer)
    } else if description.contains("http://www.leica-microsystems.com/scn/") {
        Some(Maker::Leica)
    } else if description.contains("ObjectType=\"DPUfsImport\"") {
        Some(Maker::Philips)
    } else {
        None
    })
}

/// Whether the scanner of Ventana left its description in the XMP of the first page.
fn ventana(reader: &mut Reader, first: &Directory) -> Result<bool, IoError> {
    let Some(entry) = first.get(tag::XMP).filter(|e| e.count <= MAX_XMP) else { return Ok(false) };
    let bytes = reader.bytes(entry)?;
    Ok(bytes.windows(6).any(|w| w == b"<iScan"))
}

/// The images of a slide: the one that was scanned first, then those that show the slide as a whole.
pub(super) fn find(
    maker: Maker,
    description: &str,
    parts: &mut Parts,
    directories: &[Directory],
) -> Result<Vec<Series>, IoError> {
    match maker {
        Maker::Aperio => aperio::find(description, parts, directories),
        Maker::Leica => leica::find(description, parts),
        Maker::PerkinElmer => perkin_elmer::find(parts, directories),
        Maker::Philips => philips::find(description, parts, directories),
    }
}

/// The descriptions of all pages; empty where there is none.
fn descriptions(parts: &mut Parts, directories: &[Directory]) -> Result<Vec<String>, IoError> {
    let reader = &mut parts.readers[0];
    let text = |d: &Directory| Ok::<_, IoError>(reader.text(d, tag::IMAGE_DESCRIPTION)?.unwrap_or_default());
    directories.iter().map(text).collect()
}

/// An image of the pages that are `main`, with its levels among the others; each of the rest is an image by itself.
fn assemble(main: Series, parts: &Parts, role: impl Fn(usize) -> Option<&'static str>) -> Vec<Series> {
    let pages = &parts.pages;
    let mut free = series::others(pages.len(), &main.planes);
    free.retain(|&p| role(p).is_none());
    let levels = series::levels(&main, pages, &free);
    let rest = series::others(pages.len(), main.planes.iter().chain(levels.iter().flatten()));
    let format = main.format;
    let mut all = vec![Series { reduced: levels, ..main }];
    all.extend(rest.into_iter().map(|p| Series { role: role(p), ..Series::new(format, p) }));
    series::associated_last(all)
}

/// A magnification as it is shown: `20×`.
pub(super) fn magnification(value: f64) -> Option<String> {
    (value.is_finite() && value > 0.0).then(|| format!("{value}×"))
}

/// What the name of an image says it shows, if that is the slide as a whole.
pub(super) fn role_of(name: &str) -> Option<&'static str> {
    let name = name.trim().to_lowercase();
    let name = name.strip_suffix(" image").unwrap_or(&name);
    ["label", "macro", "thumbnail", "overview", "map", "barcode"].into_iter().find(|role| *role == name)
}

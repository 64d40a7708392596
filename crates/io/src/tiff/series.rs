//! Which pages of a file make one image, and what their order means.

use super::files::Parts;
use super::ifd::{Directory, Reader, tag};
use super::page::Page;
use super::{imagej, micromanager, omexml, slides, stk, units};
use crate::{Feature, IoError};
use serde_json::Value;
use voxtile_sched::model::{Axis, AxisSet, Channel, NDIM, PerAxis, Shape, Spacing};

/// An image: planes of one shape, in order, and what the file says of them.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// `TIFF`, `ImageJ TIFF`, `OME-TIFF`, …
    pub(super) format: &'static str,
    /// First page.
    pub(super) first: usize,
    /// Planes along `t`, `c` (counting pages, not samples) and `z`.
    pub(super) counts: [u64; 3],
    /// For every plane, row-major `t, c, z`, where it lies: the number of its page, or of its place behind the first
    /// page's voxels if [`contiguous`](Self::contiguous). `None` where the file has no such plane.
    pub(super) planes: Vec<Option<u32>>,
    /// Only the first plane has a directory; the others follow it without gaps.
    pub(super) contiguous: bool,
    /// Physical size along `t, c, z, y, x`.
    pub(super) spacing: PerAxis<Option<Spacing>>,
    /// One per plane along `c`, or empty.
    pub(super) channels: Vec<Channel>,
    pub(super) name: Option<String>,
    /// Whether the three samples of a pixel are separate stains and not colours.
    pub(super) composite: bool,
    /// Pages that hold smaller copies of all planes, in the same order; finest first.
    pub(super) reduced: Vec<Vec<Option<u32>>>,
    /// What it shows, if that is the slide as a whole: `macro`, `label`, …
    pub(super) role: Option<&'static str>,
    /// What else the file says, name and value.
    pub(super) details: Vec<(&'static str, String)>,
}

/// Axes of planes in the order of the file, slowest first.
pub(super) type PlaneAxes = Vec<(Axis, u64)>;

impl Series {
    pub(super) fn new(format: &'static str, first: usize) -> Self {
        Self {
            format,
            first,
            counts: [1; 3],
            planes: vec![Some(first as u32)],
            contiguous: false,
            spacing: [const { None }; NDIM],
            channels: Vec::new(),
            name: None,
            composite: false,
            reduced: Vec::new(),
            role: None,
            details: Vec::new(),
        }
    }

    /// Sets the planes from their file order: plane `i` of the file is `at(i)`.
    pub(super) fn order(&mut self, axes: &PlaneAxes, at: impl Fn(u64) -> Option<u32>) {
        let mut strides = [0; 3];
        self.counts = [1; 3];
        let mut stride = 1;
        for &(axis, n) in axes.iter().rev() {
            strides[axis.index()] = stride;
            self.counts[axis.index()] = n;
            stride *= n;
        }
        let [nt, nc, nz] = self.counts;
        self.planes = (0..nt)
            .flat_map(|t| (0..nc).flat_map(move |c| (0..nz).map(move |z| (t, c, z))))
            .map(|(t, c, z)| at(t * strides[0] + c * strides[1] + z * strides[2]))
            .collect();
    }

    /// Its size, if each plane is as large as `page`.
    pub(super) fn shape(&self, page: &Page) -> Shape {
        let [t, c, z] = self.counts;
        [t, c.saturating_mul(page.samples), z.saturating_mul(page.slices), page.height, page.width]
    }

    /// The axes that the image has: those longer than 1, `y` and `x`.
    pub(super) fn axes(&self, page: &Page) -> AxisSet {
        let shape = self.shape(page);
        let longer = [Axis::T, Axis::C, Axis::Z].into_iter().filter(|&a| shape[a.index()] > 1);
        longer.fold(AxisSet::of(&[Axis::Y, Axis::X]), AxisSet::with)
    }
}

/// The images of a file, in the order of their first pages.
pub(super) fn find(parts: &mut Parts, directories: &[Directory]) -> Result<Vec<Series>, IoError> {
    let description = parts.description(&directories[0])?;
    if omexml::is_ome(&description) {
        let mut all = associated_last(omexml::series(&description, parts)?);
        pages_of_levels(&mut all, parts);
        return Ok(all);
    }
    if let Some(maker) = slides::maker(&mut parts.readers[0], &directories[0], &description)? {
        return slides::find(maker, &description, parts, directories);
    }
    let Parts { readers, pages, .. } = parts;
    let reader = &mut readers[0];
    if let Some(all) = micromanager::series(reader, &directories[0], pages)? {
        return Ok(all);
    }
    if let Some(series) = stk::series(reader, &directories[0], &pages[0])? {
        return Ok(vec![series]);
    }
    let mut all = groups(pages);
    for series in &mut all {
        let page = &pages[series.first];
        if page.slices > 1 && !volumes(series) {
            let what = "volumetric pages in an image of several axes".to_owned();
            return Err(reader.unsupported(Feature::Other(what)));
        }
        resolution(page, &mut series.spacing);
        let count = series.planes.len() as u64;
        if (page.number != 0 && count == 1) || page.slices > 1 {
            continue;
        }
        let text = if page.number == 0 {
            description.clone()
        } else {
            reader.text(&directories[series.first], tag::IMAGE_DESCRIPTION)?.unwrap_or_default()
        };
        if imagej::is_imagej(&text) {
            imagej::apply(&text, reader, page, series)?;
        } else if text.contains("<MetaData>") {
            let second = series.planes.iter().flatten().nth(1).map(|&p| &directories[p as usize]);
            let second = second.map(|d| reader.text(d, tag::IMAGE_DESCRIPTION)).transpose()?.flatten();
            slides::metaseries(&text, second.as_deref(), series);
        } else if let Some(axes) = shaped(&text, page, count) {
            let listed = std::mem::take(&mut series.planes);
            let planes: u64 = axes.iter().map(|a| a.1).product();
            if count < planes {
                series.contiguous = follows(reader, page, planes)?;
            }
            let contiguous = series.contiguous;
            series.order(&axes, |i| {
                if contiguous { Some(i as u32) } else { listed.get(i as usize).copied().flatten() }
            });
        }
    }
    if let Some(main) = all.first().filter(|s| !s.contiguous && pages[s.first].slices == 1) {
        let levels = levels(main, pages, &others(pages.len(), &main.planes));
        let left = others(pages.len(), levels.iter().flatten());
        all.retain(|s| left.binary_search(&s.first).is_ok());
        all[0].reduced = levels;
    }
    Ok(all)
}

/// Levels that lie in pages which no image of the OME-XML names.
fn pages_of_levels(all: &mut [Series], parts: &Parts) {
    if parts.readers.len() > 1 || all[0].contiguous {
        return;
    }
    let free = others(parts.pages.len(), all.iter().flat_map(|s| &s.planes));
    all[0].reduced = levels(&all[0], &parts.pages, &free);
}

/// The pages of `count` that are not among `used`.
pub(super) fn others<'a>(count: usize, used: impl IntoIterator<Item = &'a Option<u32>>) -> Vec<usize> {
    let mut left = vec![true; count];
    for &page in used.into_iter().flatten() {
        left[page as usize] = false;
    }
    (0..count).filter(|&p| left[p]).collect()
}

/// Images of the slide as a whole behind the others.
pub(super) fn associated_last(mut all: Vec<Series>) -> Vec<Series> {
    if all.iter().all(|s| s.role.is_some()) {
        all.iter_mut().for_each(|s| s.role = None);
    }
    all.sort_by_key(|s| s.role.is_some());
    all
}

/// The levels of `main` among the pages `free`: those of one size, as many as `main` has planes, in the same order.
pub(super) fn levels(main: &Series, pages: &[Page], free: &[usize]) -> Vec<Vec<Option<u32>>> {
    let base = &pages[main.first];
    let mut sizes: Vec<(u64, u64)> = Vec::new();
    let mut found: Vec<Vec<u32>> = Vec::new();
    for &p in free.iter().filter(|&&p| is_level(base, &pages[p])) {
        let size = (pages[p].width, pages[p].height);
        match sizes.iter().position(|s| *s == size) {
            Some(n) => found[n].push(p as u32),
            None => {
                sizes.push(size);
                found.push(vec![p as u32]);
            }
        }
    }
    let mut own: Vec<u32> = main.planes.iter().flatten().copied().collect();
    own.sort_unstable();
    let order = |level: &Vec<u32>| -> Vec<Option<u32>> {
        main.planes.iter().map(|p| p.map(|p| level[own.partition_point(|&o| o < p)])).collect()
    };
    let mut out: Vec<Vec<Option<u32>>> = found.iter().filter(|l| l.len() == own.len()).map(order).collect();
    let width = |level: &Vec<Option<u32>>| level.iter().flatten().next().map(|&p| pages[p as usize].width);
    out.sort_by_key(|level| std::cmp::Reverse(width(level)));
    out
}

/// Pages that are volumes follow each other in time. Whether they are a plain stack, so that they may.
fn volumes(series: &mut Series) -> bool {
    let [t, c, z] = series.counts;
    series.counts = [z, c, t];
    t == 1 && c == 1
}

/// Pages of one shape and sample type belong together; smaller copies and masks apart from the others.
fn groups(pages: &[Page]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for (i, page) in pages.iter().enumerate() {
        let same =
            |s: &&mut Series| !page.reduced && !pages[s.first].reduced && pages[s.first].same_shape(page);
        match all.iter_mut().take(64).find(same) {
            Some(series) => series.planes.push(Some(i as u32)),
            None => all.push(Series::new("TIFF", i)),
        }
    }
    for series in &mut all {
        let planes = std::mem::take(&mut series.planes);
        series.order(&vec![(Axis::Z, planes.len() as u64)], |i| planes[i as usize]);
    }
    all
}

/// Whether `page` is a smaller copy of `base`: tiled like it (or marked as reduced), both axes smaller by one factor.
fn is_level(base: &Page, page: &Page) -> bool {
    let alike =
        base.samples == page.samples && base.bits == page.bits && base.tile.is_some() == page.tile.is_some();
    if !alike || (base.tile.is_none() && !page.reduced) || page.width == 0 || page.height == 0 {
        return false;
    }
    let (fx, fy) = (base.width as f64 / page.width as f64, base.height as f64 / page.height as f64);
    // Sizes were rounded up or down by less than a pixel, perhaps at every level in between.
    let slack = fx.max(fy) * (2.0 / page.width.min(page.height) as f64) + 0.01;
    fx > 1.2 && fy > 1.2 && (fx - fy).abs() <= slack
}

/// Whether the file is long enough to hold `planes` uncompressed planes, one behind the other from the first on.
pub(super) fn follows(reader: &mut Reader, page: &Page, planes: u64) -> Result<bool, IoError> {
    let Some((start, bytes)) = page.contiguous(reader)? else { return Ok(false) };
    Ok(bytes.checked_mul(planes).and_then(|n| n.checked_add(start)).is_some_and(|end| end <= reader.len))
}

/// The plane axes that the JSON description of tifffile names, if they fit the pages.
fn shaped(text: &str, page: &Page, count: u64) -> Option<PlaneAxes> {
    if !text.starts_with('{') {
        return None;
    }
    let json: Value = serde_json::from_str(text).ok()?;
    let shape: Vec<u64> = json.get("shape")?.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
    let tail = match (page.samples, page.planar) {
        (1, _) => vec![page.height, page.width],
        (s, true) => vec![s, page.height, page.width],
        (s, false) => vec![page.height, page.width, s],
    };
    let lead = shape.strip_suffix(tail.as_slice())?;
    let planes = lead.iter().try_fold(1u64, |n, &l| n.checked_mul(l))?;
    if planes == 0 || (planes != count && (count != 1 || json.get("truncated").is_none())) {
        return None;
    }
    let letters = json.get("axes").and_then(Value::as_str).unwrap_or_default();
    let named: Option<Vec<Axis>> =
        letters.chars().take(lead.len()).map(|c| Axis::from_name(&c.to_string())).collect();
    let longer: Vec<u64> = lead.iter().copied().filter(|&n| n > 1).collect();
    let named = named.filter(|named| {
        letters.chars().count() == shape.len()
            && named.iter().all(|a| [Axis::T, Axis::C, Axis::Z].contains(a))
            && (0..named.len()).all(|i| !named[..i].contains(&named[i]))
    });
    Some(match named {
        Some(named) => named.into_iter().zip(lead.iter().copied()).collect(),
        // The last ones of t, c, z, as for every array that names no axes; the samples are c already.
        None => match (longer.len(), page.samples) {
            (0..=3, 1) => {
                [Axis::T, Axis::C, Axis::Z][3 - longer.len()..].iter().copied().zip(longer).collect()
            }
            (2, _) => [Axis::T, Axis::Z].into_iter().zip(longer).collect(),
            _ => vec![(Axis::Z, planes)],
        },
    })
}

/// Pixels per inch up to which a resolution is one of printers and screens, not of a microscope.
const PRINT_DPI: f64 = 1200.0;

/// Pixel size from the resolution tags, if they are per inch or centimetre and not what an editor writes by itself.
pub(super) fn resolution(page: &Page, spacing: &mut PerAxis<Option<Spacing>>) {
    let (per_unit, unit) = page.resolution;
    let micrometers = match unit {
        3 => 10_000.0,
        2 if per_unit.iter().flatten().all(|&n| n > PRINT_DPI) => 25_400.0,
        _ => return,
    };
    for (axis, per_unit) in [Axis::Y, Axis::X].into_iter().zip(per_unit) {
        spacing[axis.index()] = per_unit.and_then(|n| units::spacing(micrometers / n, Some("micrometer")));
    }
}

//! Opens a TIFF: picks the image and the level, and says what is known of them.

use super::cut::{Compression, Cut, Form, Predictor, compression_name};
use super::files::Parts;
use super::look::{self, Look};
use super::page::Page;
use super::series::{self, Series};
use super::source::{Planes, Stored, TiffSource};
use crate::bytes::ByteFile;
use crate::{AssociatedImage, Codec, Feature, Info, IoError, LevelInfo, OpenOptions, Opened};
use std::path::Path;
use std::sync::Arc;
use voxtile_sched::contract::Source;
use voxtile_sched::model::{Axis, AxisSet, Channel, Meta};

/// Most images of one file that are described.
const MAX_LISTED: usize = 64;

/// Opens an image of a TIFF file, which is open.
///
/// # Errors
/// As [`crate::open`].
pub(crate) fn open(file: ByteFile, path: &Path, options: &OpenOptions) -> Result<Opened, IoError> {
    let (mut parts, directories) = Parts::of(file, path, &options.remote)?;
    let all = series::find(&mut parts, &directories)?;
    let store = path.display().to_string();
    let chosen = choose(&all, options, &store)?;
    let series = &all[chosen];

    let levels = levels(&mut parts, series)?;
    let Some(level) = levels.get(options.level) else {
        return Err(IoError::NoSuch {
            store,
            what: "level",
            asked: options.level.to_string(),
            found: (0..levels.len()).map(|n| n.to_string()).collect(),
        });
    };
    let base = &levels[0].page;
    let mut top = meta(series, base, base, options, &store)?;
    let cut = level.page.cut(parts.reader(&level.page))?;
    let meta = meta(series, base, &level.page, options, &store)?;
    let mut planes = gather(&mut parts, series, level, cut, &meta)?;
    planes.recut(parts.readers.iter().fold(0, |n, r| n.saturating_add(r.len)));

    let Some(coding) = planes.codings.first().cloned() else {
        return Err(parts.reader(base).header("TiffData", "names no plane that exists"));
    };
    let (big, big_endian) = (parts.reader(base).big, parts.reader(base).big_endian);
    let listed = listed(&parts, &all);
    let associated = associated(&parts, &all, chosen);
    let pages = parts.pages.len();
    let files = parts.readers.len();
    let missing = planes.order.iter().filter(|p| p.is_none()).count();
    let look = match options.rgb {
        true => Look::of(base, &meta, parts.reader(base))?,
        false => None,
    };
    let source: Arc<dyn Source> = Arc::new(TiffSource::new(parts.into_files(), meta, planes)?);
    let source = match look {
        Some(look) => look::apply(source, look),
        None => source,
    };
    (top.shape[1], top.axes) = (source.meta().shape[1], source.meta().axes);
    let chunk5 = source.chunk();
    let axes = source.meta().axes;
    let mut codec = compression_name(coding.compression.number());
    match coding.predictor {
        Predictor::None => {}
        Predictor::Horizontal => codec.push_str(" with horizontal predictor"),
        Predictor::Float => codec.push_str(" with floating-point predictor"),
    }
    let mut details = series.details.clone();
    details.push(("byte order", if big_endian { "big-endian" } else { "little-endian" }.to_owned()));
    let (width, height) = (cut.segment.0, cut.segment.1.min(cut.height));
    details.push(match (cut.tiled, cut.thick) {
        (false, _) => ("strip", format!("{width} × {height}")),
        (true, 1) => ("tile", format!("{width} × {height}")),
        (true, thick) => ("tile", format!("{width} × {height} × {thick} slices")),
    });
    details.push(("pages", pages.to_string()));
    if files > 1 {
        details.push(("files", files.to_string()));
    }
    if missing > 0 {
        details.push(("missing", format!("{missing} planes are not in the file; they read as 0")));
    }
    if base.colors.is_some() && !options.rgb {
        details.push(("palette", "samples are indices into a colour map".to_owned()));
    }
    match base.photometric {
        _ if options.rgb => {}
        0 => details.push(("photometric", "0 is white".to_owned())),
        5 => details.push(("photometric", "inks: cyan, magenta, yellow, black".to_owned())),
        8..=10 => details.push(("photometric", "L*a*b*, as stored".to_owned())),
        _ => {}
    }
    match cut.form() {
        Form::Native => {}
        Form::Packed => details.push(("bits per sample", cut.bits.to_string())),
        Form::Half | Form::Float24 => {
            details.push(("stored as", format!("float{}, which float32 holds exactly", cut.bits)));
        }
    }
    let details = details.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(listed).collect();
    let info = Info {
        format: match (series.format, big) {
            ("TIFF", true) => "BigTIFF".to_owned(),
            (format, true) => format!("{format} (BigTIFF)"),
            (format, false) => format.to_owned(),
        },
        bare: false,
        path: store,
        levels: levels.iter().map(|l| level_info(l, &top, base)).collect(),
        arrays: (0..all.len())
            .filter(|&i| i != chosen && all[i].role.is_none())
            .map(|i| i.to_string())
            .collect(),
        associated,
        chunk: axes.pick(&chunk5),
        shard: None,
        codec,
        details,
        output_codec: match coding.compression {
            Compression::None => Some(Codec::None),
            Compression::Lzw => Some(Codec::Lzw),
            Compression::Deflate => Some(Codec::Deflate { level: 6 }),
            Compression::Zstd => Some(Codec::Zstd { level: 3 }),
            _ => None,
        },
        fill: Vec::new(),
        chunk5,
        ..Info::default()
    };
    Ok(Opened { source, info })
}

/// The pictures of the slide as a whole but the one that was chosen.
fn associated(parts: &Parts, all: &[Series], chosen: usize) -> Vec<AssociatedImage> {
    let image = |(i, series): (usize, &Series)| {
        let page = &parts.pages[series.first];
        let name = series.role.filter(|_| i != chosen)?;
        let dtype = page.dtype().map_or_else(|feature| feature.to_string(), |d| d.numpy_name().to_owned());
        let axes = series.axes(page);
        Some(AssociatedImage { name: name.to_owned(), shape: axes.pick(&series.shape(page)), dtype })
    };
    all.iter().enumerate().filter_map(image).collect()
}

/// The images of a file that has several: number, size, axes and sample type.
fn listed(parts: &Parts, all: &[Series]) -> Vec<(String, String)> {
    let text = |(i, series): (usize, &Series)| {
        let page = &parts.pages[series.first];
        let axes = series.axes(page);
        let dims: Vec<String> = axes.pick(&series.shape(page)).iter().map(u64::to_string).collect();
        let dtype = page.dtype().map_or_else(|feature| feature.to_string(), |d| d.numpy_name().to_owned());
        let name = series.name.as_deref().map(|n| format!(", `{n}`")).unwrap_or_default();
        (format!("image {i}"), format!("{} ({axes}) {dtype}{name}", dims.join(" × ")))
    };
    let main = all.iter().enumerate().filter(|(_, s)| s.role.is_none());
    if main.clone().count() < 2 { Vec::new() } else { main.take(MAX_LISTED).map(text).collect() }
}

/// The image that was asked for by its number, or by what it shows of the slide; the first one by default.
pub(super) fn choose(all: &[Series], options: &OpenOptions, store: &str) -> Result<usize, IoError> {
    let Some(asked) = &options.array else { return Ok(0) };
    let role = all.iter().position(|s| s.role == Some(asked.as_str()));
    role.or(asked.parse().ok().filter(|&i| i < all.len())).ok_or_else(|| IoError::NoSuch {
        store: store.to_owned(),
        what: "image",
        asked: asked.clone(),
        found: all.iter().enumerate().map(|(n, s)| s.role.map_or(n.to_string(), str::to_owned)).collect(),
    })
}

/// One resolution of an image.
pub(super) struct Level {
    /// Its first plane.
    pub(super) page: Page,
    pub(super) path: String,
    at: At,
}

/// Where the pages of a level are found.
#[derive(Clone, Copy)]
enum At {
    /// They are the image's own.
    Own,
    /// They are in the list of that number.
    Pages(usize),
    /// The directory of that number below each page.
    Below(usize),
}

/// The resolutions of an image, finest first: pages of their own, or directories that its pages name.
pub(super) fn levels(parts: &mut Parts, series: &Series) -> Result<Vec<Level>, IoError> {
    let first = parts.pages[series.first].clone();
    let page = |page: &Page, at| Level { page: page.clone(), path: format!("page {}", page.number), at };
    let mut out = vec![page(&first, At::Own)];
    for (n, planes) in series.reduced.iter().enumerate() {
        if let Some(p) = planes.iter().flatten().next() {
            out.push(page(&parts.pages[*p as usize], At::Pages(n)));
        }
    }
    if !series.contiguous {
        let reader = parts.reader(&first);
        for (i, offset) in first.sub_directories(reader)?.into_iter().enumerate() {
            let page = first.sub_page(reader, offset)?;
            // There may be other things than smaller copies.
            if page.is_smaller_than(&first) {
                let path = format!("SubIFD {i} of page {}", first.number);
                out.push(Level { page, path, at: At::Below(i) });
            }
        }
    }
    out.sort_by_key(|level| std::cmp::Reverse(level.page.width.saturating_mul(level.page.height)));
    Ok(out)
}

/// Shape, axes and sizes of one level of an image.
pub(super) fn meta(
    series: &Series,
    base: &Page,
    page: &Page,
    options: &OpenOptions,
    store: &str,
) -> Result<Meta, IoError> {
    let mut axes = series.axes(base);
    let mut shape = series.shape(page);
    let counts = shape;
    let mut spacing = series.spacing.clone();
    if let Some(asked) = options.axes {
        (shape, axes) = rename(shape, axes, asked, base).ok_or_else(|| IoError::Option {
            option: "--axes",
            why: format!("`{asked}` does not fit `{store}`, which has the axes {axes} and needs as many"),
        })?;
        for axis in [Axis::T, Axis::C, Axis::Z] {
            if shape[axis.index()] != counts[axis.index()] {
                spacing[axis.index()] = None;
            }
        }
    }
    for (axis, slot) in Axis::ALL.into_iter().zip(&mut spacing) {
        if !axes.contains(axis) {
            *slot = None;
        }
        let factor = match axis {
            Axis::Y => base.height as f64 / page.height as f64,
            Axis::X => base.width as f64 / page.width as f64,
            _ => 1.0,
        };
        if let Some(s) = slot {
            s.scale *= factor;
        }
    }
    let dtype = page.dtype().map_err(|feature| IoError::Unsupported { store: store.to_owned(), feature })?;
    let mut meta = Meta::new(shape, axes, dtype);
    // No real image is larger, and below that no product of extents wraps.
    if meta.bytes() > 1 << 60 {
        let (store, field) = (store.to_owned(), "ImageWidth".to_owned());
        let problem = format!("and all other sizes are {shape:?}, more than any image has");
        return Err(IoError::Header { store, field, problem });
    }
    meta.spacing = spacing;
    meta.name.clone_from(&series.name);
    meta.made.clone_from(&series.made);
    meta.channels = channels(series, base, shape[1]);
    Ok(meta)
}

/// Size of one level in the image's own axes.
fn level_info(level: &Level, top: &Meta, base: &Page) -> LevelInfo {
    let mut shape = top.shape;
    shape[3] = level.page.height;
    shape[4] = level.page.width;
    let factors = [1.0, 1.0, 1.0, base.height as f64 / shape[3] as f64, base.width as f64 / shape[4] as f64];
    let scale = std::array::from_fn(|a| top.spacing[a].as_ref().map_or(1.0, |s| s.scale) * factors[a]);
    LevelInfo { path: level.path.clone(), shape: top.axes.pick(&shape), scale: top.axes.pick(&scale) }
}

/// Where the planes of a level lie and how they are coded.
pub(super) fn gather(
    parts: &mut Parts,
    series: &Series,
    level: &Level,
    cut: Cut,
    meta: &Meta,
) -> Result<Planes, IoError> {
    let mut planes = collect(parts, series, level, cut)?;
    // The counts under the names that the axes have now.
    planes.counts = [0, 1, 2].map(|a| match a {
        1 => meta.shape[a] / cut.samples,
        2 => meta.shape[a] / cut.slices,
        _ => meta.shape[a],
    });
    Ok(planes)
}

/// As the axes are in the file.
fn collect(parts: &mut Parts, series: &Series, level: &Level, cut: Cut) -> Result<Planes, IoError> {
    let mut planes = Planes {
        cut,
        counts: series.counts,
        order: Vec::new(),
        stored: Vec::new(),
        codings: Vec::new(),
        offsets: Vec::new(),
        lengths: Vec::new(),
    };
    if series.contiguous {
        let reader = parts.reader(&level.page);
        let Some((start, bytes)) = level.page.contiguous(reader)? else { return Ok(planes) };
        planes.codings.push(level.page.coding(reader, &cut)?);
        planes.cut.segment.1 = cut.height;
        planes.order.clone_from(&series.planes);
        let count = series.planes.len() as u64;
        planes.offsets = (0..count).map(|i| start + i * bytes).collect();
        planes.lengths = vec![bytes; count as usize];
        let stored = Stored { file: level.page.file as u32, page: level.page.number as u32, coding: 0 };
        planes.stored = vec![stored; count as usize];
        return Ok(planes);
    }
    let places = match level.at {
        At::Pages(n) => &series.reduced[n],
        _ => &series.planes,
    };
    planes.order.reserve_exact(places.len());
    // A page that is named again is stored once.
    let mut known: Vec<Option<u32>> = vec![None; parts.pages.len()];
    for place in places {
        let Some(place) = *place else {
            planes.order.push(None);
            continue;
        };
        if let Some(stored) = known[place as usize] {
            planes.order.push(Some(stored));
            continue;
        }
        let full = parts.pages[place as usize].clone();
        let reader = parts.reader(&full);
        let page = match level.at {
            At::Own | At::Pages(_) => full.clone(),
            At::Below(number) => {
                let offsets = full.sub_directories(reader)?;
                let Some(&offset) = offsets.get(number) else {
                    let problem = format!(
                        "of page {} has {} entries, number {number} is missing",
                        full.number,
                        offsets.len()
                    );
                    return Err(reader.header("SubIFDs", &problem));
                };
                full.sub_page(reader, offset)?
            }
        };
        let own = page.cut(reader)?;
        if own != cut {
            let what = format!(
                "pages that are cut differently: {} × {} and {} × {} (page {})",
                cut.segment.0, cut.segment.1, own.segment.0, own.segment.1, full.number
            );
            return Err(reader.unsupported(Feature::Other(what)));
        }
        let coding = page.coding(reader, &cut)?;
        if planes.codings.last() != Some(&coding) {
            planes.codings.push(coding);
        }
        let places = page.places(reader, &cut)?;
        planes.offsets.extend(places.offsets);
        planes.lengths.extend(places.lengths);
        known[place as usize] = Some(planes.stored.len() as u32);
        planes.order.push(known[place as usize]);
        let (file, page) = (full.file as u32, full.number as u32);
        planes.stored.push(Stored { file, page, coding: planes.codings.len() as u32 - 1 });
    }
    Ok(planes)
}

/// Gives the planes other names. Samples of a pixel remain `c`, slices of a volume `z`, pixels `y` and `x`.
fn rename(shape: [u64; 5], axes: AxisSet, asked: AxisSet, page: &Page) -> Option<([u64; 5], AxisSet)> {
    // Samples of a pixel and slices of a volume lie where they lie.
    let fixed = |a: Axis| match a {
        Axis::Y | Axis::X => true,
        Axis::C => page.samples > 1,
        Axis::Z => page.slices > 1,
        Axis::T => false,
    };
    if !asked.contains(Axis::Y) || !asked.contains(Axis::X) {
        return None;
    }
    let movable = |set: AxisSet| -> Vec<Axis> { set.iter().filter(|a| !fixed(*a)).collect() };
    let (from, to) = (movable(axes), movable(asked));
    if from.len() != to.len() || axes.iter().any(|a| fixed(a) && !asked.contains(a)) {
        // Axes of size 1 may be added.
        let more = axes.iter().all(|a| asked.contains(a));
        return more.then_some((shape, asked));
    }
    let mut out = shape;
    for a in [Axis::T, Axis::C, Axis::Z] {
        if !fixed(a) {
            out[a.index()] = 1;
        }
    }
    for (f, t) in from.into_iter().zip(to) {
        out[t.index()] = shape[f.index()];
    }
    Some((out, asked))
}

fn channels(series: &Series, page: &Page, count: u64) -> Vec<Channel> {
    let rgb = page.is_rgb() && !series.composite && series.counts[1] == 1 && count == page.samples;
    if rgb {
        let mut all = super::rgb_channels().to_vec();
        all.resize(count as usize, Channel::default());
        return all;
    }
    if series.channels.len() as u64 == count { series.channels.clone() } else { Vec::new() }
}

//! OME-XML in the `ImageDescription`: read for axes, order, sizes and channels, and written for the same.

use super::files::Parts;
use super::ifd::{Reader, tag};
use super::series::Series;
use super::{slides, units};
use crate::bytes::ByteFile;
use crate::{Feature, IoError};
use quick_xml::XmlVersion;
use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use voxtile_sched::model::{Axis, Channel, Dtype, Meta};

/// Most planes that an image may name beyond those that the file has.
const MAX_PLANES: u64 = 1 << 22;

/// The attributes of `Pixels` that hold the distance of neighbours.
const SIZES: [(Axis, &str); 4] = [
    (Axis::X, "PhysicalSizeX"),
    (Axis::Y, "PhysicalSizeY"),
    (Axis::Z, "PhysicalSizeZ"),
    (Axis::T, "TimeIncrement"),
];

/// The namespace of the annotation that says how an image was made.
const MADE: &str = "voxtile";

/// Whether a description is OME-XML.
pub(super) fn is_ome(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('<') && text.trim_end().ends_with("OME>")
}

/// One `Image` element.
#[derive(Default)]
struct Image {
    name: Option<String>,
    pixels: HashMap<String, String>,
    channels: Vec<HashMap<String, String>>,
    data: Vec<Data>,
    /// Which of the file's objectives it was taken with.
    objective: Option<String>,
}

/// One `TiffData` element: a run of planes.
#[derive(Default)]
struct Data {
    attributes: HashMap<String, String>,
    /// The file's identifier and name, where they are given.
    uuid: Option<String>,
    file_name: Option<String>,
}

/// The whole of a description.
#[derive(Default)]
struct Ome {
    uuid: Option<String>,
    images: Vec<Image>,
    /// How they were made.
    made: Option<String>,
    /// What the objectives magnify, by their identifiers.
    objectives: HashMap<String, f64>,
    /// The file that has the description instead.
    elsewhere: Option<String>,
}

/// Longest companion file that is read.
const MAX_COMPANION: u64 = 256 << 20;

/// The images that a description names; the files that they lie in are added to `parts`.
pub(super) fn series(text: &str, parts: &mut Parts) -> Result<Vec<Series>, IoError> {
    let mut ome = parse(text, &parts.readers[0])?;
    if let Some(name) = ome.elsewhere.take() {
        let path = beside(&parts.readers[0], &name)?;
        let text = companion(&path, parts)?;
        ome = parse(&text, &parts.readers[0])?;
        if ome.elsewhere.is_some() {
            return Err(damaged(&parts.readers[0], &format!("lies in {name}, which names another file")));
        }
    }
    if ome.images.is_empty() {
        return Err(damaged(&parts.readers[0], "names no image"));
    }
    let files = locate(&ome, parts)?;
    let mut all = Vec::new();
    let mut left = MAX_PLANES.max(parts.pages.len() as u64);
    for image in &ome.images {
        let mut series = image.series(parts, &files, &mut left)?;
        let magnified = image.objective.as_ref().and_then(|id| ome.objectives.get(id).copied());
        series.details.extend(magnified.and_then(slides::magnification).map(|m| ("objective", m)));
        series.role = image.name.as_deref().filter(|_| ome.images.len() > 1).and_then(slides::role_of);
        series.made.clone_from(&ome.made);
        all.push(series);
    }
    Ok(all)
}

/// The path of a file in the same directory. A name that leads elsewhere is refused.
fn beside(reader: &Reader, name: &str) -> Result<PathBuf, IoError> {
    if Path::new(name).file_name().is_none_or(|n| n != name) {
        return Err(damaged(reader, &format!("names the file {name:?}, which is not beside it")));
    }
    Ok(reader.path.with_file_name(name))
}

/// The description in a companion file: XML, or another TIFF.
fn companion(path: &Path, parts: &Parts) -> Result<String, IoError> {
    let file = ByteFile::open(path, &parts.remote)?;
    let mut head = [0; 2];
    let got = file.read_at(&mut head, 0)?;
    if matches!(&head[..got], b"II" | b"MM") {
        let (mut parts, directories) = Parts::open(path, &parts.remote)?;
        return parts.description(&directories[0]);
    }
    let mut bytes = vec![0; file.len().min(MAX_COMPANION) as usize];
    let got = file.read_at(&mut bytes, 0)?;
    bytes.truncate(got);
    let reader = &parts.readers[0];
    String::from_utf8(bytes).map_err(|_| damaged(reader, &format!("in {} is no UTF-8", path.display())))
}

/// Which of the files of `parts` has which identifier. Missing ones are opened.
fn locate(ome: &Ome, parts: &mut Parts) -> Result<HashMap<String, usize>, IoError> {
    let data = || ome.images.iter().flat_map(|i| &i.data);
    let mut uuids: Vec<&str> = data().filter_map(|d| d.uuid.as_deref()).collect();
    uuids.sort_unstable();
    uuids.dedup();
    // A file that was renamed; and old writers gave the planes of one file different names.
    if let [only] = uuids[..] {
        return Ok(HashMap::from([(only.to_owned(), 0)]));
    }
    let own = parts.readers[0].path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut files = HashMap::new();
    // Several identifiers of one file do not open it several times.
    let mut by_path: HashMap<PathBuf, usize> = HashMap::new();
    for data in data() {
        let Some(uuid) = &data.uuid else { continue };
        if files.contains_key(uuid) {
            continue;
        }
        let name = data.file_name.as_deref().unwrap_or_default();
        let file = if Some(uuid) == ome.uuid.as_ref() || name.to_lowercase() == own {
            0
        } else {
            let path = beside(&parts.readers[0], name)?;
            match by_path.get(&path) {
                Some(&known) => known,
                None => {
                    parts.add(&path)?;
                    by_path.insert(path, parts.readers.len() - 1);
                    parts.readers.len() - 1
                }
            }
        };
        files.insert(uuid.clone(), file);
    }
    Ok(files)
}

fn damaged(reader: &Reader, problem: &str) -> IoError {
    reader.header(&format!("OME-XML in {}", tag::name(tag::IMAGE_DESCRIPTION)), problem)
}

fn attributes(element: &BytesStart<'_>) -> Result<HashMap<String, String>, quick_xml::Error> {
    let mut out = HashMap::new();
    for attribute in element.attributes() {
        let attribute = attribute?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned();
        out.insert(attribute.key.local_name().as_ref().to_owned(), value);
    }
    Ok(out)
}

fn parse(text: &str, reader: &Reader) -> Result<Ome, IoError> {
    let mut xml = quick_xml::Reader::from_str(text);
    let mut ome = Ome::default();
    let mut in_uuid = false;
    let (mut in_made, mut in_value) = (false, false);
    loop {
        let event = xml.read_event().map_err(|e| damaged(reader, &e.to_string()))?;
        match event {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => {
                let name = element.local_name();
                let fields = || attributes(&element).map_err(|e| damaged(reader, &e.to_string()));
                match (name.as_ref(), ome.images.last_mut()) {
                    ("OME", _) => ome.uuid = fields()?.remove("UUID"),
                    ("Objective", _) => {
                        let mut fields = fields()?;
                        let number =
                            fields.remove("NominalMagnification").and_then(|m| m.trim().parse().ok());
                        if let Some((id, number)) = fields.remove("ID").zip(number) {
                            ome.objectives.insert(id, number);
                        }
                    }
                    ("ObjectiveSettings", Some(image)) => image.objective = fields()?.remove("ID"),
                    ("BinaryOnly", _) => ome.elsewhere = fields()?.remove("MetadataFile"),
                    ("CommentAnnotation", _) => {
                        in_made = fields()?.get("Namespace").is_some_and(|n| n == MADE);
                    }
                    ("Value", _) => in_value = in_made,
                    ("Image", _) => {
                        let name = fields()?.remove("Name").filter(|n| !n.is_empty());
                        ome.images.push(Image { name, ..Image::default() });
                    }
                    // A second `Pixels` of one image is another copy of it.
                    ("Pixels", Some(image)) if image.pixels.is_empty() => image.pixels = fields()?,
                    ("Channel", Some(image)) => image.channels.push(fields()?),
                    ("TiffData", Some(image)) => {
                        image.data.push(Data { attributes: fields()?, ..Data::default() });
                    }
                    ("UUID", Some(image)) => {
                        if let Some(data) = image.data.last_mut() {
                            data.file_name = fields()?.remove("FileName");
                            in_uuid = true;
                        }
                    }
                    _ => {}
                }
            }
            Event::Text(text) if in_uuid => {
                if let Some(data) = ome.images.last_mut().and_then(|i| i.data.last_mut()) {
                    data.uuid = Some(text.trim().to_owned());
                }
            }
            Event::Text(text) if in_value => ome.made = Some(text.trim().to_owned()),
            Event::End(_) => (in_uuid, in_value) = (false, false),
            _ => {}
        }
    }
    ome.images.retain(|i| !i.pixels.is_empty());
    if ome.images.is_empty() && ome.elsewhere.is_none() {
        return Err(damaged(reader, "names no image"));
    }
    Ok(ome)
}

impl Data {
    /// Which file the planes lie in.
    fn file(&self, files: &HashMap<String, usize>) -> usize {
        self.uuid.as_ref().and_then(|u| files.get(u)).copied().unwrap_or(0)
    }
}

impl Image {
    /// `left`: planes that this image and those after it may name.
    fn series(
        &self,
        parts: &Parts,
        files: &HashMap<String, usize>,
        left: &mut u64,
    ) -> Result<Series, IoError> {
        let (reader, pages) = (&parts.readers[0], &parts.pages);
        let size = |key: &str| match self.pixels.get(key).map(|v| v.trim().parse::<u64>()) {
            Some(Ok(n)) if n > 0 => Ok(n),
            _ => Err(damaged(reader, &format!("{key} is {:?}", self.pixels.get(key)))),
        };
        let first = match self.data.first() {
            Some(data) => {
                let file = data.file(files);
                let ifd = number(&data.attributes, "IFD").ok().flatten().unwrap_or(0);
                if ifd >= parts.pages_of(file) as u64 {
                    let has = parts.pages_of(file);
                    return Err(damaged(reader, &format!("IFD {ifd} is named, the file has {has}")));
                }
                parts.starts[file] + ifd as usize
            }
            None => 0,
        };
        let page = &pages[first];
        let mut series = Series::new("OME-TIFF", first);
        let (nt, nc, nz) = (size("SizeT")?, size("SizeC")?, size("SizeZ")?);
        if nc % page.samples != 0 {
            return Err(damaged(reader, &format!("SizeC {nc}, pixels have {} samples", page.samples)));
        }
        let nc = nc / page.samples;
        if page.slices > 1 {
            let what = "volumetric pages in an OME-TIFF".to_owned();
            return Err(reader.unsupported(Feature::Other(what)));
        }
        let planes = nt.saturating_mul(nc).saturating_mul(nz);
        let Some(rest) = left.checked_sub(planes) else {
            return Err(damaged(
                reader,
                &format!("SizeT × SizeC × SizeZ is {nt} × {nc} × {nz}, the file has {} pages", pages.len()),
            ));
        };
        *left = rest;
        let order = self.pixels.get("DimensionOrder").map_or("XYZCT", String::as_str);
        let mut axes = Vec::new();
        for letter in order.chars().skip(2).collect::<Vec<_>>().into_iter().rev() {
            match letter {
                'T' => axes.push((Axis::T, nt)),
                'C' => axes.push((Axis::C, nc)),
                'Z' => axes.push((Axis::Z, nz)),
                _ => return Err(damaged(reader, &format!("DimensionOrder is {order:?}"))),
            }
        }
        if axes.len() != 3 || (0..3).any(|i| axes[..i].iter().any(|a| a.0 == axes[i].0)) {
            return Err(damaged(reader, &format!("DimensionOrder is {order:?}")));
        }
        let listed = self.planes(parts, files, &axes, planes)?;
        series.order(&axes, |i| listed[i as usize]);
        for place in series.planes.iter().flatten() {
            if !pages[*place as usize].same_shape(page) {
                return Err(damaged(
                    reader,
                    &format!("page {place} differs from page {first} of the same image"),
                ));
            }
        }
        series.first = series.planes.iter().flatten().next().map_or(first, |&p| p as usize);
        for (axis, key) in
            [(Axis::Z, "PhysicalSizeZ"), (Axis::Y, "PhysicalSizeY"), (Axis::X, "PhysicalSizeX")]
        {
            series.spacing[axis.index()] = self.spacing(key, "µm");
        }
        series.spacing[Axis::T.index()] = self.spacing("TimeIncrement", "s");
        series.channels = self.channels();
        series.name.clone_from(&self.name);
        Ok(series)
    }

    /// The page of every plane, in the order of `DimensionOrder`.
    fn planes(
        &self,
        parts: &Parts,
        files: &HashMap<String, usize>,
        axes: &[(Axis, u64)],
        planes: u64,
    ) -> Result<Vec<Option<u32>>, IoError> {
        let reader = &parts.readers[0];
        let mut listed = vec![None; planes as usize];
        if self.data.is_empty() {
            for (i, place) in listed.iter_mut().enumerate().take(parts.pages_of(0)) {
                *place = Some(i as u32);
            }
        }
        // A plane may be named again, but not over and over.
        let mut named = 4 * planes + self.data.len() as u64;
        for data in &self.data {
            let get = |key: &str| {
                number(&data.attributes, key)
                    .map_err(|v| damaged(reader, &format!("TiffData {key} is {v:?}")))
            };
            let file = data.file(files);
            let pages = parts.pages_of(file) as u64;
            let ifd = get("IFD")?;
            let count = match get("PlaneCount")?.or(get("NumPlanes")?) {
                Some(n) => n,
                None if ifd.is_some() => 1,
                None => planes.min(pages),
            };
            let mut start = 0;
            for &(axis, n) in axes {
                let key = ["FirstT", "FirstC", "FirstZ"][axis.index()];
                let at = get(key)?.unwrap_or(0);
                if at >= n {
                    return Err(damaged(reader, &format!("TiffData {key} is {at}, the size is {n}")));
                }
                start = start * n + at;
            }
            let ifd = ifd.unwrap_or(0);
            if count > planes - start || ifd > pages || count > pages - ifd {
                return Err(damaged(
                    reader,
                    &format!(
                        "TiffData names {count} planes from plane {start} and IFD {ifd} on; there are {planes} planes and {pages} IFDs"
                    ),
                ));
            }
            let Some(rest) = named.checked_sub(count) else {
                return Err(damaged(reader, &format!("TiffData names the {planes} planes over and over")));
            };
            named = rest;
            for i in 0..count {
                listed[(start + i) as usize] = Some((parts.starts[file] as u64 + ifd + i) as u32);
            }
        }
        Ok(listed)
    }

    fn spacing(&self, key: &str, default: &str) -> Option<voxtile_sched::model::Spacing> {
        let scale = self.pixels.get(key)?.trim().parse::<f64>().ok()?;
        let unit = self.pixels.get(&format!("{key}Unit")).map_or(default, String::as_str);
        units::spacing(scale, units::word(unit))
    }

    fn channels(&self) -> Vec<Channel> {
        let channel = |fields: &HashMap<String, String>| Channel {
            name: fields.get("Name").filter(|n| !n.is_empty()).cloned(),
            color: fields
                .get("Color")
                .and_then(|c| c.trim().parse::<i32>().ok())
                .map(|rgba| format!("{:06X}", (rgba as u32) >> 8)),
        };
        let all: Vec<Channel> = self.channels.iter().map(channel).collect();
        if all.iter().all(|c| *c == Channel::default()) { Vec::new() } else { all }
    }
}

/// A whole number in an attribute; the text if it is none.
fn number(attributes: &HashMap<String, String>, key: &str) -> Result<Option<u64>, String> {
    match attributes.get(key) {
        None => Ok(None),
        Some(text) => text.trim().parse().map(Some).map_err(|_| text.clone()),
    }
}

/// OME-XML for an image whose planes follow each other in the order of `planes`, the innermost last, `samples` of `c` in
/// each; `objective`: what it magnified.
pub(super) fn describe(meta: &Meta, samples: u64, planes: &[Axis], objective: Option<f64>) -> String {
    let [t, c, z, y, x] = meta.shape;
    let kind = match meta.dtype {
        Dtype::F32 => "float",
        Dtype::F64 => "double",
        other => other.numpy_name(),
    };
    // Axes that the image lacks come in their usual order.
    let lacks = [Axis::Z, Axis::C, Axis::T].into_iter().filter(|axis| !planes.contains(axis));
    let order: String = planes.iter().rev().copied().chain(lacks).map(Axis::name).collect();
    let order = order.to_uppercase();
    let mut out = String::from(concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?>"#,
        r#"<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" "#,
        r#"xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" "#,
        r#"xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06 "#,
        r#"http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd" Creator="voxtile">"#,
    ));
    let mut put = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = out.write_fmt(text);
    };
    let name = meta.name.as_deref().map(|n| format!(r#" Name="{}""#, escape(n))).unwrap_or_default();
    if let Some(times) = objective {
        put(format_args!(
            r#"<Instrument ID="Instrument:0"><Objective ID="Objective:0:0" NominalMagnification="{times}"/></Instrument>"#
        ));
    }
    put(format_args!(r#"<Image ID="Image:0"{name}>"#));
    if objective.is_some() {
        put(format_args!(r#"<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0:0"/>"#));
    }
    put(format_args!(r#"<Pixels ID="Pixels:0" DimensionOrder="XY{order}" Type="{kind}" "#));
    put(format_args!(r#"SizeX="{x}" SizeY="{y}" SizeZ="{z}" SizeC="{c}" SizeT="{t}""#));
    if samples > 1 {
        put(format_args!(r#" Interleaved="true""#));
    }
    for (axis, key) in SIZES {
        if let Some(spacing) = &meta.spacing[axis.index()] {
            let pixel = if axis == Axis::T { None } else { Some("pixel") };
            let unit = spacing.unit.as_deref().and_then(units::symbol).or(pixel);
            if let Some(unit) = unit {
                put(format_args!(r#" {key}="{}" {key}Unit="{unit}""#, spacing.scale));
            }
        }
    }
    put(format_args!(">"));
    for i in 0..c / samples {
        let channel = (samples == 1).then(|| meta.channels.get(i as usize)).flatten();
        put(format_args!(r#"<Channel ID="Channel:0:{i}" SamplesPerPixel="{samples}""#));
        if let Some(name) = channel.and_then(|c| c.name.as_deref()) {
            put(format_args!(r#" Name="{}""#, escape(name)));
        }
        if let Some(rgb) = channel.and_then(|c| u32::from_str_radix(c.color.as_deref()?, 16).ok()) {
            put(format_args!(r#" Color="{}""#, (rgb << 8 | 0xFF) as i32));
        }
        put(format_args!("/>"));
    }
    put(format_args!(r#"<TiffData IFD="0" PlaneCount="{}"/></Pixels></Image>"#, t * (c / samples) * z));
    if let Some(made) = &meta.made {
        // JSON has other words for what XML does not take as it is.
        let text = made.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
        put(format_args!(
            r#"<StructuredAnnotations><CommentAnnotation ID="Annotation:0" Namespace="{MADE}"><Value>{text}</Value></CommentAnnotation></StructuredAnnotations>"#
        ));
    }
    put(format_args!("</OME>"));
    out
}

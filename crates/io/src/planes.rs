//! One image of many files: `slices/scan_z{z}_c{c}.tif`. The numbers in their names say where each lies.
//!
//! `{t}`, `{c}` and `{z}` stand for a number, `{c}` also for a word; `*` and `?` for what does not matter. All files have one
//! shape and sample type and lack the axes that their names number. Nothing may be missing in between.

use crate::{Info, IoError, OpenOptions, Opened, info};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use voxtile_sched::contract::{Source, StoreError};
use voxtile_sched::model::{Axis, Channel, Meta, PerAxis, Shape, TileMut};

/// Files that are kept open, each with its own buffers.
const MAX_OPEN: usize = 4;

/// The axes that names of files can number.
const NUMBERED: [Axis; 3] = [Axis::T, Axis::C, Axis::Z];

/// Whether a path is a pattern that numbers the files of one image, as `slices/scan_z{z}.tif`, and not the name of something
/// that exists.
#[must_use]
pub fn names_planes(path: &Path) -> bool {
    let numbered = |text: &str| NUMBERED.iter().any(|a| text.contains(&placeholder(*a)));
    path.to_str().is_some_and(numbered) && !path.exists()
}

fn placeholder(axis: Axis) -> String {
    format!("{{{}}}", axis.name())
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Letter(char),
    /// `?`: one letter, not a `/`.
    One,
    /// `*`: any letters but `/`.
    Any,
    /// A number, or a word.
    Number(Axis),
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut out = Vec::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let numbered = NUMBERED.into_iter().find(|a| rest.starts_with(&placeholder(*a)));
        let (part, len) = match (numbered, letter) {
            (Some(axis), _) => (Part::Number(axis), 3),
            (None, '*') => (Part::Any, 1),
            (None, '?') => (Part::One, 1),
            (None, other) => (Part::Letter(other), other.len_utf8()),
        };
        out.push(part);
        rest = &rest[len..];
    }
    out
}

/// The pattern as the file system is asked: every number is `*`.
fn wild(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Letter(letter) => glob::Pattern::escape(&letter.to_string()),
        Part::One => "?".to_owned(),
        Part::Any | Part::Number(_) => "*".to_owned(),
    };
    let mut out: String = parts.iter().map(text).collect();
    // Two in a row would be any folders.
    while out.contains("**") {
        out = out.replace("**", "*");
    }
    out
}

/// What stands in a name for each axis; an axis named twice stands for one thing.
type Found<'a> = PerAxis<Option<&'a str>>;

/// Fits a name to a pattern; numbers are as long as they can be.
fn fit<'a>(parts: &[Part], name: &'a str, found: Found<'a>) -> Option<Found<'a>> {
    let Some((part, later)) = parts.split_first() else { return name.is_empty().then_some(found) };
    let ends = |allowed: fn(char) -> bool| {
        let len = name.find(|c| !allowed(c)).unwrap_or(name.len());
        (0..=len).rev().filter(|&n| name.is_char_boundary(n))
    };
    match *part {
        Part::Letter(letter) => fit(later, name.strip_prefix(letter)?, found),
        Part::One => {
            let first = name.chars().next().filter(|&c| c != '/')?;
            fit(later, &name[first.len_utf8()..], found)
        }
        Part::Any => {
            // A number that follows is taken whole.
            let cuts = |n: usize| match later.first() {
                Some(Part::Number(axis)) => name[..n].ends_with(letters(*axis)),
                _ => false,
            };
            ends(|c| c != '/').filter(|&n| !cuts(n)).find_map(|n| fit(later, &name[n..], found))
        }
        Part::Number(axis) => ends(letters(axis)).filter(|&n| n > 0).find_map(|n| {
            let (value, rest) = name.split_at(n);
            let mut found = found;
            if found[axis.index()].is_some_and(|before| before != value) {
                return None;
            }
            found[axis.index()] = Some(value);
            fit(later, rest, found)
        }),
    }
}

/// What the number of an axis may be made of; a channel may be a word.
fn letters(axis: Axis) -> fn(char) -> bool {
    if axis == Axis::C { |c| c.is_ascii_alphanumeric() } else { |c| c.is_ascii_digit() }
}

/// The values of one axis in their order: numbers by size, words by letters.
fn ordered(values: BTreeSet<String>) -> Vec<String> {
    let mut values: Vec<String> = values.into_iter().collect();
    let number = |v: &String| v.parse::<u64>().ok();
    if values.iter().all(|v| number(v).is_some()) {
        values.sort_by_key(number);
    }
    values
}

/// The first number that is left out where the others go on by one step.
fn gap(values: &[String]) -> Option<(u64, u64, u64)> {
    let numbers: Vec<u64> = values.iter().map(|v| v.parse().ok()).collect::<Option<_>>()?;
    let step = numbers.windows(2).map(|w| w[1] - w[0]).min()?;
    let odd = numbers.windows(2).find(|w| w[1] - w[0] != step)?;
    Some((odd[0], odd[1], odd[0] + step))
}

/// Opens all files that fit a pattern as one image.
///
/// # Errors
/// As [`crate::open`], for each file; [`IoError::Pieces`] where files are missing, doubled or do not fit each other.
pub(crate) fn open(pattern: &Path, options: &OpenOptions) -> Result<Opened, IoError> {
    let name = pattern.display().to_string();
    let wrong = |why: String| IoError::Pieces { store: name.clone(), why };
    options.only_level(&name)?;
    let parts = parts(&name);
    let axes: Vec<Axis> = NUMBERED.into_iter().filter(|&a| parts.contains(&Part::Number(a))).collect();
    let paths = glob::glob(&wild(&parts)).map_err(|e| wrong(e.to_string()))?;
    let mut named: Vec<(PerAxis<String>, PathBuf)> = Vec::new();
    for path in paths.filter_map(Result::ok) {
        if let Some(found) = path.to_str().and_then(|text| fit(&parts, text, Found::default())) {
            named.push((found.map(|v| v.unwrap_or_default().to_owned()), path));
        }
    }
    if named.is_empty() {
        return Err(wrong("no file has a name like that".to_owned()));
    }
    let mut counts = [1; 5];
    let mut values: PerAxis<Vec<String>> = Default::default();
    for &axis in &axes {
        let a = axis.index();
        values[a] = ordered(named.iter().map(|(found, _)| found[a].clone()).collect());
        counts[a] = values[a].len() as u64;
        if let Some((before, after, missing)) = gap(&values[a]) {
            return Err(wrong(format!("{axis} goes from {before} to {after}: {missing} is missing")));
        }
    }
    let place = |at: &Shape| (at[0] * counts[1] + at[1]) * counts[2] + at[2];
    let known: PerAxis<HashMap<&str, u64>> =
        std::array::from_fn(|a| values[a].iter().enumerate().map(|(n, v)| (v.as_str(), n as u64)).collect());
    let mut files: Vec<Option<PathBuf>> = vec![None; (counts[0] * counts[1] * counts[2]) as usize];
    for (found, path) in named {
        let at: Shape = std::array::from_fn(|a| known[a].get(found[a].as_str()).copied().unwrap_or(0));
        if let Some(other) = files[place(&at) as usize].replace(path.clone()) {
            let both = format!("`{}` and `{}` are in the same place", other.display(), path.display());
            return Err(wrong(both));
        }
    }
    let missing = files.iter().position(Option::is_none);
    if let Some(n) = missing {
        let at = [n as u64 / counts[2] / counts[1], n as u64 / counts[2] % counts[1], n as u64 % counts[2]];
        let which: Vec<String> =
            axes.iter().map(|a| format!("{a} = {}", values[a.index()][at[a.index()] as usize])).collect();
        return Err(wrong(format!("the file with {} is missing", which.join(", "))));
    }
    let words = values[1].iter().any(|v| v.parse::<u64>().is_err());
    let channels = if words { std::mem::take(&mut values[1]) } else { Vec::new() };
    Planes::open(name, files.into_iter().flatten().collect(), counts, &axes, channels, options)
}

/// Ends of the names of files that are stacked, in a folder.
const IMAGES: [&str; 8] = ["tif", "tiff", "btf", "png", "jpg", "jpeg", "npy", "stk"];

/// A name in parts: text, then a number, then text, … Numbers are without their leading zeros.
fn pieces(name: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut words, mut numbers, mut rest) = (Vec::new(), Vec::new(), name);
    loop {
        let at = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        words.push(&rest[..at]);
        rest = &rest[at..];
        if rest.is_empty() {
            return (words, numbers);
        }
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        numbers.push(rest[..end].trim_start_matches('0'));
        rest = &rest[end..];
    }
}

/// Names in the order that people give them: numbers count by their size.
fn in_order(a: &str, b: &str) -> std::cmp::Ordering {
    let ((wa, na), (wb, nb)) = (pieces(a), pieces(b));
    for n in 0..wa.len().min(wb.len()) {
        let number = |list: &[&str]| list.get(n).map(|t| (t.len(), (*t).to_owned()));
        let order = wa[n].cmp(wb[n]).then_with(|| number(&na).cmp(&number(&nb)));
        if order.is_ne() {
            return order;
        }
    }
    a.cmp(b)
}

/// What is wrong with the numbers in sorted names that differ in nothing else.
fn flaw(names: &[String]) -> Option<String> {
    let parts: Vec<(Vec<&str>, Vec<&str>)> = names.iter().map(|n| pieces(n)).collect();
    let (words, numbers) = parts.first()?;
    if parts.iter().any(|(w, _)| w != words) {
        return None;
    }
    let differ = |n: &usize| parts.iter().any(|(_, other)| other[*n] != numbers[*n]);
    match &(0..numbers.len()).filter(differ).collect::<Vec<_>>()[..] {
        &[n] => {
            let value = |(_, numbers): &(Vec<&str>, Vec<&str>)| format!("0{}", numbers[n]);
            let values: Vec<String> = parts.iter().map(value).collect();
            if let Some(at) = values.windows(2).position(|w| w[0] == w[1]) {
                return Some(format!("`{}` and `{}` have one number", names[at], names[at + 1]));
            }
            let (before, after, missing) = gap(&values)?;
            Some(format!("the numbers go from {before} to {after}: {missing} is missing"))
        }
        [] if names.len() > 1 => Some(format!("`{}` and `{}` have one number", names[0], names[1])),
        [] => None,
        _ => Some(
            "the names number several things; name each: '{t}', '{c}', '{z}' stand for its number".to_owned(),
        ),
    }
}

/// Opens the files of a pattern or folder as one image, in the order of their names.
///
/// # Errors
/// As [`open`].
pub(crate) fn stack(place: &Path, axis: Axis, options: &OpenOptions) -> Result<Opened, IoError> {
    let name = place.display().to_string();
    let wrong = |why: String| IoError::Pieces { store: name.clone(), why };
    options.only_level(&name)?;
    let mut files = Vec::new();
    if place.is_dir() {
        for entry in std::fs::read_dir(place).map_err(IoError::io("read", place))? {
            let path = entry.map_err(IoError::io("read", place))?.path();
            let end = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
            if IMAGES.contains(&end.as_str()) {
                files.push(path);
            }
        }
    } else {
        let paths = glob::glob(&name).map_err(|e| wrong(e.to_string()))?;
        files.extend(paths.filter_map(Result::ok));
    }
    if files.is_empty() {
        return Err(wrong("no file has a name like that".to_owned()));
    }
    files.sort_by(|a, b| in_order(&a.to_string_lossy(), &b.to_string_lossy()));
    let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    if let Some(flaw) = flaw(&names) {
        return Err(wrong(flaw));
    }
    let mut counts = [1; 5];
    counts[axis.index()] = files.len() as u64;
    let options = OpenOptions { stack: None, ..options.clone() };
    Planes::open(name.clone(), files, counts, &[axis], Vec::new(), &options)
}

/// An image of many files.
struct Planes {
    name: String,
    meta: Meta,
    /// How many files lie along each axis; 1 along those that the files have themselves.
    counts: Shape,
    /// Row-major.
    files: Vec<PathBuf>,
    chunk: Shape,
    scratch: u64,
    ns_per_voxel: f64,
    options: OpenOptions,
    /// Those used last.
    open: Mutex<VecDeque<(usize, Arc<dyn Source>)>>,
}

impl Planes {
    fn open(
        name: String,
        files: Vec<PathBuf>,
        counts: Shape,
        axes: &[Axis],
        channels: Vec<String>,
        options: &OpenOptions,
    ) -> Result<Opened, IoError> {
        let wrong = |why: String| IoError::Pieces { store: name.clone(), why };
        let Opened { source: first, info } = info::open(&files[0], options)?;
        let mut meta = first.meta().clone();
        for &axis in axes {
            let a = axis.index();
            if meta.shape[a] > 1 {
                let why = format!("the names number {axis}, and `{}` has {axis} itself", files[0].display());
                return Err(wrong(why));
            }
            meta.shape[a] = counts[a];
            meta.axes = meta.axes.with(axis);
        }
        if axes.contains(&Axis::C) {
            let named = |name: String| Channel { name: Some(name), color: None };
            meta.channels = channels.into_iter().map(named).collect();
        }
        let chunk = first.chunk();
        let (mut scratch, mut ns_per_voxel) = (first.scratch(), first.ns_per_voxel());
        for file in &files[1..] {
            let Opened { source, .. } = info::open(file, options)?;
            let (is, other) = (source.meta(), first.meta());
            if (is.shape, is.dtype) != (other.shape, other.dtype) {
                let of = |m: &Meta| format!("{:?} {}", m.dims(), m.dtype);
                let (path, first) = (file.display(), files[0].display());
                return Err(wrong(format!("`{path}` is {}, and `{first}` {}", of(is), of(other))));
            }
            if source.chunk() != chunk {
                return Err(wrong(format!("`{}` is cut otherwise than the first file", file.display())));
            }
            scratch = scratch.max(source.scratch());
            ns_per_voxel = ns_per_voxel.max(source.ns_per_voxel());
        }
        let info = Info {
            format: format!("{} files of {}", files.len(), info.format),
            path: name.clone(),
            levels: vec![crate::LevelInfo {
                path: name.clone(),
                shape: meta.dims(),
                scale: meta.axes.pick(&meta.spacing.clone().map(|s| s.map_or(1.0, |s| s.scale))),
            }],
            chunk: meta.axes.pick(&chunk),
            chunk5: chunk,
            shard: None,
            ..info
        };
        let (options, open) = (options.clone(), Mutex::default());
        let source = Self { name, meta, counts, files, chunk, scratch, ns_per_voxel, options, open };
        Ok(Opened { source: Arc::new(source), info })
    }

    fn file(&self, number: usize) -> Result<Arc<dyn Source>, IoError> {
        let lock = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |open: &VecDeque<(usize, Arc<dyn Source>)>| {
            open.iter().find(|(n, _)| *n == number).map(|(_, source)| source.clone())
        };
        if let Some(source) = known(&lock()) {
            return Ok(source);
        }
        let source = info::open(&self.files[number], &self.options)?.source;
        if source.meta().shape != self.shape_of_file() || source.chunk() != self.chunk {
            let why = "it changed since it was opened".to_owned();
            return Err(IoError::Pieces { store: self.files[number].display().to_string(), why });
        }
        let mut open = lock();
        open.truncate(MAX_OPEN - 1);
        open.push_front((number, source.clone()));
        Ok(source)
    }

    fn shape_of_file(&self) -> Shape {
        std::array::from_fn(|a| if self.counts[a] > 1 { 1 } else { self.meta.shape[a] })
    }
}

impl Source for Planes {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn chunk(&self) -> Shape {
        self.chunk
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn scratch(&self) -> u64 {
        self.scratch.saturating_mul(MAX_OPEN as u64)
    }

    fn ns_per_voxel(&self) -> f64 {
        self.ns_per_voxel
    }

    fn read(&self, index: &Shape, fetched: Option<Vec<u8>>, out: TileMut<'_>) -> Result<u64, StoreError> {
        let along: Shape = std::array::from_fn(|a| if self.counts[a] > 1 { index[a] } else { 0 });
        let number = (0..along.len()).fold(0, |n, a| n * self.counts[a] + along[a]);
        let inner = std::array::from_fn(|a| if self.counts[a] > 1 { 0 } else { index[a] });
        self.file(number as usize)?.read(&inner, fetched, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, name: &str) -> Option<[String; 3]> {
        let found = fit(&parts(pattern), name, Found::default())?;
        Some([0, 1, 2].map(|a| found[a].unwrap_or_default().to_owned()))
    }

    #[test]
    fn names_say_where_a_file_lies() {
        let want = |t: &str, c: &str, z: &str| Some([t.to_owned(), c.to_owned(), z.to_owned()]);
        assert_eq!(found("a/z{z}.tif", "a/z007.tif"), want("", "", "007"));
        assert_eq!(found("*_t{t}_{c}.tif", "x_y_t3_DAPI.tif"), want("3", "DAPI", ""));
        assert_eq!(found("{c}/{c}_z{z}.tif", "GFP/GFP_z1.tif"), want("", "GFP", "1"));
        assert_eq!(found("{c}/{c}_z{z}.tif", "GFP/DAPI_z1.tif"), None);
        assert_eq!(found("z{z}.tif", "zone.tif"), None);
        assert_eq!(found("z{z}?.tif", "z12.tif"), want("", "", "1"));
        assert_eq!(found("*z{z}.tif", "a/z1.tif"), None);
        assert_eq!(found("*{z}.tif", "run7_z15.tif"), want("", "", "15"));
    }

    #[test]
    fn files_are_stacked_in_the_order_of_their_numbers() {
        let mut names = ["a/z10.tif", "a/z9.tif", "a/z009b.tif", "a/y11.tif", "a/z1.tif"];
        names.sort_by(|a, b| in_order(a, b));
        assert_eq!(names, ["a/y11.tif", "a/z1.tif", "a/z9.tif", "a/z009b.tif", "a/z10.tif"]);
        let flaw = |names: &[&str]| flaw(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!(flaw(&["x7/z1.tif", "x7/z2.tif", "x7/z3.tif"]), None);
        assert_eq!(
            flaw(&["z2.tif", "z4.tif", "z5.tif"]).unwrap(),
            "the numbers go from 2 to 4: 3 is missing"
        );
        assert_eq!(flaw(&["z1.tif", "z01.tif"]).unwrap(), "`z1.tif` and `z01.tif` have one number");
        assert!(flaw(&["z1c1.tif", "z1c2.tif", "z2c1.tif"]).unwrap().contains("several things"));
        assert_eq!(flaw(&["first.tif", "second2.tif"]), None);
    }

    #[test]
    fn what_is_left_out_is_found() {
        let values = |list: &[u64]| list.iter().map(u64::to_string).collect::<Vec<_>>();
        assert_eq!(gap(&values(&[1, 2, 3])), None);
        assert_eq!(gap(&values(&[0, 10, 20])), None);
        assert_eq!(gap(&values(&[4])), None);
        assert_eq!(gap(&values(&[1, 2, 4])), Some((2, 4, 3)));
        assert_eq!(gap(&values(&[0, 20, 30])), Some((0, 20, 10)));
        assert_eq!(ordered(["10", "9", "011"].map(str::to_owned).into()), ["9", "10", "011"]);
    }
}

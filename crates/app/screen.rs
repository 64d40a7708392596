//! Plates as inputs: an OME-Zarr plate, or files whose names say where on the plate they lie.

use crate::Error;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use voxtile_io::plate::Plate;
use voxtile_io::{IoError, Remote};

/// The images of a plate, in the order of its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Screen {
    /// Wells and fields.
    pub plate: Plate,
    /// One image for each field: a path, or a pattern that numbers its files (`A01_w{c}.tif`).
    pub images: Vec<PathBuf>,
}

/// What a part of a name can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Row,
    Column,
    Field,
    /// Of one image: `t`, `c` or `z`.
    Axis(char),
}

/// How they are written.
const KEYS: [(&str, Key); 6] = [
    ("{row}", Key::Row),
    ("{col}", Key::Column),
    ("{field}", Key::Field),
    ("{t}", Key::Axis('t')),
    ("{c}", Key::Axis('c')),
    ("{z}", Key::Axis('z')),
];

impl Key {
    /// What its text may be made of.
    fn takes(self, letter: char) -> bool {
        match self {
            Self::Row => letter.is_ascii_alphabetic(),
            Self::Column | Self::Field | Self::Axis('t' | 'z') => letter.is_ascii_digit(),
            Self::Axis(_) => letter.is_ascii_alphanumeric(),
        }
    }
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    /// `?`
    One,
    /// `*`
    Any,
    Key(Key),
}

fn parts(pattern: &str) -> Vec<Part<'_>> {
    let mut out = Vec::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let key = KEYS.iter().find(|(word, _)| rest.starts_with(word));
        let (part, len) = match (key, letter) {
            (Some((word, key)), _) => (Part::Key(*key), word.len()),
            (None, '*') => (Part::Any, 1),
            (None, '?') => (Part::One, 1),
            (None, letter) => (Part::Text(&rest[..letter.len_utf8()]), letter.len_utf8()),
        };
        out.push(part);
        rest = &rest[len..];
    }
    out
}

/// Texts that were found for keys.
type Found<'a> = BTreeMap<Key, &'a str>;

/// Fits a name to a pattern; what stands for a key is as long as it can be.
fn fit<'a>(parts: &[Part<'_>], name: &'a str, found: &Found<'a>) -> Option<Found<'a>> {
    let Some((part, later)) = parts.split_first() else { return name.is_empty().then(|| found.clone()) };
    let lengths = |takes: &dyn Fn(char) -> bool| {
        let len = name.find(|c| !takes(c)).unwrap_or(name.len());
        (0..=len).rev().filter(|&n| name.is_char_boundary(n)).collect::<Vec<_>>()
    };
    match *part {
        Part::Text(text) => fit(later, name.strip_prefix(text)?, found),
        Part::One => {
            let first = name.chars().next().filter(|&c| c != '/')?;
            fit(later, &name[first.len_utf8()..], found)
        }
        Part::Any => {
            // What follows is taken whole.
            let cuts = |n: usize| match later.first() {
                Some(Part::Key(key)) => name[..n].ends_with(|c: char| key.takes(c)),
                _ => false,
            };
            let lengths = lengths(&|c| c != '/').into_iter().filter(|&n| !cuts(n));
            lengths.into_iter().find_map(|n| fit(later, &name[n..], found))
        }
        Part::Key(key) => lengths(&|c| key.takes(c)).into_iter().filter(|&n| n > 0).find_map(|n| {
            let (text, rest) = name.split_at(n);
            let mut found = found.clone();
            match found.insert(key, text) {
                Some(before) if before != text => None,
                _ => fit(later, rest, &found),
            }
        }),
    }
}

impl Screen {
    /// Looks whether a path stands for a plate: an OME-Zarr plate, or a pattern with `{row}` and `{col}`, and perhaps
    /// `{field}`, in it, as `plate/*_{row}{col}_f{field}.tif`. Of one image are files that `{t}`, `{c}` or `{z}` number.
    ///
    /// # Errors
    /// [`Error::Io`] for a plate that cannot be read, and for a pattern that no file fits or two files of one field do;
    /// [`Error::NoImages`] for a plate without fields.
    pub fn of(input: &Path, remote: &Remote) -> Result<Option<Self>, Error> {
        if let Some(plate) = Plate::open(input, remote)? {
            let images: Vec<PathBuf> = plate.fields().iter().map(|field| input.join(field)).collect();
            if images.is_empty() {
                return Err(Error::NoImages { input: input.to_path_buf() });
            }
            return Ok(Some(Self { plate, images }));
        }
        match input.to_str() {
            Some(text) if text.contains("{row}") && text.contains("{col}") && !input.exists() => {
                Self::named(text).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The files that fit a pattern.
    fn named(pattern: &str) -> Result<Self, Error> {
        let none = || Error::NoImages { input: PathBuf::from(pattern) };
        let parts = parts(pattern);
        let axes = parts.iter().any(|part| matches!(part, Part::Key(Key::Axis(_))));
        let mut wild = String::new();
        for part in &parts {
            match part {
                Part::Text(text) => wild += &glob::Pattern::escape(text),
                Part::One => wild.push('?'),
                // Two in a row would be any folders.
                Part::Any | Part::Key(_) if wild.ends_with('*') => {}
                Part::Any | Part::Key(_) => wild.push('*'),
            }
        }
        // By place on the plate: the text of its name, and the file or pattern.
        let mut fields: BTreeMap<(String, u64, u64), PathBuf> = BTreeMap::new();
        for path in glob::glob(&wild).map_err(|_| none())?.filter_map(Result::ok) {
            let Some(found) = path.to_str().and_then(|name| fit(&parts, name, &Found::new())) else {
                continue;
            };
            let number = |key| found.get(&key).map_or(Some(0), |text| text.parse::<u64>().ok());
            let (Some(column), Some(field)) = (number(Key::Column), number(Key::Field)) else { continue };
            let text = |part: &Part<'_>| match *part {
                Part::Text(text) => text.to_owned(),
                Part::One => "?".to_owned(),
                Part::Any => "*".to_owned(),
                Part::Key(Key::Axis(axis)) => format!("{{{axis}}}"),
                Part::Key(key) => found[&key].to_owned(),
            };
            let image = if axes { parts.iter().map(text).collect::<String>().into() } else { path.clone() };
            let at = (found[&Key::Row].to_owned(), column, field);
            if let Some(other) = fields.insert(at, image.clone()).filter(|other| *other != image) {
                let why = format!("`{}` and `{}` are of one field", other.display(), image.display());
                return Err(IoError::NotAnImage { store: pattern.to_owned(), why }.into());
            }
        }
        if fields.is_empty() {
            return Err(none());
        }
        let names: Vec<_> = fields
            .keys()
            .map(|(row, column, field)| (row.clone(), column.to_string(), field.to_string()))
            .collect();
        let plate = Plate::of(&names);
        // Fields of a well come in the order of their numbers.
        let well = |w: &voxtile_io::plate::Well| {
            let of = |at: &&(String, u64, u64)| at.0 == w.row && at.1.to_string() == w.column;
            fields.keys().filter(of).map(|at| fields[at].clone()).collect::<Vec<_>>()
        };
        let images = plate.wells.iter().flat_map(well).collect();
        Ok(Self { plate, images })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_where_on_the_plate_an_image_lies() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["B02_s1_w1", "B02_s1_w2", "B02_s2_w1", "B02_s2_w2", "AA10_s1_w1", "B03_s10_w1", "B03_s9_w1"]
        {
            std::fs::write(dir.path().join(format!("x_{name}.tif")), "").unwrap();
        }
        let of = |pattern: &str| Screen::of(&dir.path().join(pattern), &Remote::new()).unwrap().unwrap();
        let screen = of("*_{row}{col}_s{field}_w{c}.tif");
        assert_eq!(screen.plate.fields(), ["B/2/0", "B/2/1", "B/3/0", "B/3/1", "AA/10/0"]);
        let names: Vec<_> =
            screen.images.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
        let want = [
            "*_B02_s1_w{c}.tif",
            "*_B02_s2_w{c}.tif",
            "*_B03_s9_w{c}.tif",
            "*_B03_s10_w{c}.tif",
            "*_AA10_s1_w{c}.tif",
        ];
        assert_eq!(names, want);
        let screen = of("x_{row}{col}_s{field}_w1.tif");
        assert_eq!(screen.images[0], dir.path().join("x_B02_s1_w1.tif"));
        assert!(matches!(
            Screen::of(&dir.path().join("x_{row}{col}_s1_*.tif"), &Remote::new()),
            Err(Error::Io(_))
        ));
        assert!(matches!(
            Screen::of(&dir.path().join("y_{row}{col}.tif"), &Remote::new()),
            Err(Error::NoImages { .. })
        ));
        assert!(Screen::of(&dir.path().join("x_{row}.tif"), &Remote::new()).unwrap().is_none());
    }
}

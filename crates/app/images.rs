//! One image or many: what the input of a command names.

use crate::{Error, Screen, identity};
use std::path::{Path, PathBuf};
use voxtile_io::{IoError, Remote, Url};

/// Ends of the names of images, in a folder of images.
const IMAGES: [&str; 9] = ["tif", "tiff", "btf", "zarr", "npy", "png", "jpg", "jpeg", "stk"];

/// What an input stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Images {
    /// One image, which need not exist; or a pattern that numbers its files (`slices/z{z}.tif`).
    One(PathBuf),
    /// Several, in the order of their names: of a pattern (`plate/*.tif`), of a folder that is no image itself, or of
    /// a text file with a path on each line. A list keeps its own order. Of a plate, its fields.
    Many(Vec<PathBuf>),
}

impl Images {
    /// Looks what a path stands for. In a text file (`.txt`), empty lines and those that begin with `#` count for
    /// nothing, and paths are relative to the file.
    ///
    /// # Errors
    /// [`Error::NoImages`] where there are none, [`Error::Io`] if a folder or list cannot be read.
    pub fn of(input: &Path, remote: &Remote) -> Result<Self, Error> {
        let none = || Error::NoImages { input: input.to_path_buf() };
        if let Some(screen) = Screen::of(input, remote)? {
            return Ok(Self::Many(screen.images));
        }
        // What else a place on the network holds is not known before it is opened.
        if Url::of(input)?.is_some() {
            return Ok(Self::One(input.to_path_buf()));
        }
        let found = if input.is_dir() && !is_zarr(input) {
            folder(input)?
        } else if input.is_file() && has_extension(input, &["txt"]) {
            list(input)?
        } else if !input.exists()
            && let Some(pattern) = input.to_str().filter(|text| text.contains(['*', '?', '[']))
            && !voxtile_io::names_planes(input)
        {
            let mut paths: Vec<PathBuf> =
                glob::glob(pattern).map_err(|_| none())?.filter_map(Result::ok).collect();
            paths.sort();
            paths
        } else {
            return Ok(Self::One(input.to_path_buf()));
        };
        if found.is_empty() { Err(none()) } else { Ok(Self::Many(found)) }
    }
}

impl Images {
    /// Names, sizes and times of the files of images: where nothing of that has changed, the images have not.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be read.
    pub fn fingerprint(images: &[PathBuf], remote: &Remote) -> Result<serde_json::Value, Error> {
        Ok(identity::as_json(&identity::files_of_all(images, remote)?))
    }
}

fn is_zarr(dir: &Path) -> bool {
    ["zarr.json", ".zarray", ".zgroup", ".zattrs"].iter().any(|name| dir.join(name).exists())
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    extensions.contains(&extension.as_str())
}

fn folder(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let cannot = |source| IoError::Io { action: "read", path: dir.to_path_buf(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if has_extension(&path, &IMAGES) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn list(file: &Path) -> Result<Vec<PathBuf>, Error> {
    let cannot = |source| IoError::Io { action: "read", path: file.to_path_buf(), source };
    let text = std::fs::read_to_string(file).map_err(cannot)?;
    let dir = file.parent().unwrap_or(Path::new(""));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let paths: Vec<PathBuf> = lines.map(|line| dir.join(line)).collect();
    // A text of which no line is a path is no list.
    Ok(if paths.iter().any(|path| path.exists()) { paths } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(images: &Images) -> Vec<String> {
        let Images::Many(paths) = images else { panic!("{images:?}") };
        paths.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn patterns_folders_and_lists_name_images() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.tif", "a.TIF", "c.png", "notes.md"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("d.zarr")).unwrap();
        std::fs::write(dir.path().join("d.zarr/zarr.json"), "{}").unwrap();
        std::fs::write(dir.path().join("list.txt"), "# today's\nc.png\n\n  a.TIF\n").unwrap();
        let of = |name: &str| Images::of(&dir.path().join(name), &Remote::new()).unwrap();
        assert_eq!(names(&of("")), ["a.TIF", "b.tif", "c.png", "d.zarr"]);
        assert_eq!(names(&of("*.tif")), ["b.tif"]);
        assert_eq!(names(&of("[ab].*")), ["a.TIF", "b.tif"]);
        assert_eq!(names(&of("list.txt")), ["c.png", "a.TIF"]);
        assert_eq!(of("d.zarr"), Images::One(dir.path().join("d.zarr")));
        assert_eq!(of("missing.tif"), Images::One(dir.path().join("missing.tif")));
        assert!(matches!(Images::of(&dir.path().join("*.czi"), &Remote::new()), Err(Error::NoImages { .. })));
    }
}

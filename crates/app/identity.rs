//! What a run is a run of: everything that the bytes of its output depend on. A later run goes on with the work of an earlier
//! one only where all of it is the same.

use serde_json::{Value, json};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use voxtile_io::{IoError, OpenOptions, OutputOptions, RawOptions};
use voxtile_sched::engine;
use voxtile_sched::model::{Border, Meta};

/// The image that is read: what was asked for, what it is, and which files it lies in, by their names, sizes and times.
pub(crate) fn of_input(files: &Files, options: &OpenOptions, meta: &Meta) -> Value {
    let OpenOptions { level, array, axes, raw, stack, rgb, remote: _ } = options;
    let raw =
        raw.as_ref().map(|RawOptions { shape, dtype, offset }| format!("{shape:?} {dtype} from {offset}"));
    let mut about = files.as_json();
    let units = meta.axes.iter().map(|axis| meta.micrometers(axis));
    let image = json!({
        "level": level, "array": array, "axes": axes.map(|axes| axes.to_string()), "raw": raw,
        "stack": format!("{stack:?}"), "rgb": format!("{rgb:?}"),
        "image": format!("{:?} {} {}", meta.dims(), meta.axes, meta.dtype), "um": units.collect::<Vec<_>>(),
    });
    if let (Value::Object(about), Value::Object(image)) = (&mut about, image) {
        about.extend(image);
    }
    about
}

/// The path, or the numbered files that it stands for.
fn files_of(path: &Path) -> Vec<PathBuf> {
    if path.exists() {
        return vec![path.to_path_buf()];
    }
    let mut pattern = String::new();
    for (n, part) in path.to_string_lossy().split('{').enumerate() {
        let rest = if n == 0 { part } else { part.split_once('}').map_or(part, |(_, rest)| rest) };
        pattern += if n == 0 { "" } else { "*" };
        pattern += rest;
    }
    glob::glob(&pattern).into_iter().flatten().flatten().collect()
}

/// How the output is written.
pub(crate) fn of_output(options: &OutputOptions, levels: &[Meta]) -> Value {
    let OutputOptions { format, chunk, shard, codec, bare, .. } = options;
    let levels: Vec<_> = levels.iter().map(Meta::dims).collect();
    json!({
        "format": format!("{format:?}"), "chunk": chunk, "shard": shard, "codec": codec.to_string(), "bare": bare,
        "levels": levels,
    })
}

/// What a pipeline is asked to do, besides its output.
pub(crate) struct About {
    pub(crate) input: Value,
    /// The words of the steps.
    pub(crate) recipe: String,
    pub(crate) border: Option<Border>,
    /// Where the objects of the result are listed, besides.
    pub(crate) table: Option<PathBuf>,
    /// What becomes of damaged chunks.
    pub(crate) on_damage: &'static str,
}

/// All of it.
pub(crate) fn of_plan(about: &About, output: &Value, plan: &engine::Plan) -> Value {
    let border = about.border.map(|border| format!("{border:?}"));
    json!({
        "version": env!("CARGO_PKG_VERSION"), "input": about.input, "recipe": about.recipe, "border": border, "on_damage": about.on_damage,
        "table": about.table.as_ref().map(|path| path.display().to_string()), "output": output, "work": plan.cut(),
    })
}

/// What is known of files without reading them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    /// When the last of them was changed, in nanoseconds.
    pub(crate) newest: u64,
    /// Which one that is.
    pub(crate) last: PathBuf,
    /// Of names, sizes and times, in any order.
    sum: u64,
}

impl Files {
    /// Those of an image, or of a part of one. Label images that lie in an image are others, and so is what only a desktop or a
    /// file server knows.
    pub(crate) fn of(path: &Path, part: Option<&str>) -> Result<Self, IoError> {
        let mut files = Self::default();
        let part = part.map(|part| path.join(part)).filter(|part| part.is_dir());
        for path in files_of(path) {
            if !path.is_dir() {
                files.add(&path, path.file_name().and_then(|name| name.to_str()).unwrap_or_default())?;
            } else if let Some(part) = &part {
                files.below(&path, "", |_, is_dir| !is_dir)?;
                files.add(part, "part")?;
            } else {
                files.add(&path, "")?;
            }
        }
        Ok(files)
    }

    /// Those of several images.
    pub(crate) fn of_all(paths: &[PathBuf]) -> Result<Self, IoError> {
        paths.iter().try_fold(Self::default(), |all, path| {
            let one = Self::of(path, None)?;
            let (newest, last) = (all.newest, all.last).max((one.newest, one.last));
            let (count, bytes) = (all.count + one.count, all.bytes + one.bytes);
            Ok(Self { count, bytes, newest, last, sum: all.sum.wrapping_add(one.sum) })
        })
    }

    pub(crate) fn as_json(&self) -> Value {
        let Self { count, bytes, newest, last: _, sum } = self;
        json!({ "files": count, "bytes": bytes, "newest": newest, "listed": format!("{sum:016x}") })
    }

    fn add(&mut self, path: &Path, name: &str) -> Result<(), IoError> {
        let there = std::fs::metadata(path).map_err(IoError::io("read", path))?;
        if !there.is_dir() {
            self.file(path, name, &there);
            return Ok(());
        }
        let foreign = |name: &str| name.starts_with('.') && !name.starts_with(".z");
        self.below(path, name, |name, is_dir| !(foreign(name) || is_dir && name == "labels"))
    }

    fn below(
        &mut self,
        dir: &Path,
        name: &str,
        is_wanted: impl Fn(&str, bool) -> bool,
    ) -> Result<(), IoError> {
        for entry in std::fs::read_dir(dir).map_err(IoError::io("read", dir))? {
            let path = entry.map_err(IoError::io("read", dir))?.path();
            let below = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is_wanted(&below, path.is_dir()) {
                self.add(&path, &format!("{name}/{below}"))?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str, there: &Metadata) {
        let since = there.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let time = since.map_or(0, |since| since.as_nanos() as u64);
        self.count += 1;
        self.bytes += there.len();
        if time >= self.newest {
            (self.newest, self.last) = (time, path.to_path_buf());
        }
        // FNV-1a of each file; the sum does not depend on their order.
        let words = [there.len().to_le_bytes(), time.to_le_bytes()];
        let bytes = name.bytes().chain(words.into_iter().flatten());
        let one = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.sum = self.sum.wrapping_add(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxtile_sched::model::{AxisSet, Dtype};

    #[test]
    fn a_file_that_changes_is_another_input() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.zarr");
        std::fs::create_dir_all(path.join("c/0")).unwrap();
        let meta = Meta::new([1, 1, 1, 4, 4], AxisSet::parse("yx").unwrap(), Dtype::U8);
        let now = || of_input(&Files::of(&path, None).unwrap(), &OpenOptions::default(), &meta);
        let mut seen = vec![now()];
        std::fs::write(path.join("c/0/0"), "abcd").unwrap();
        seen.push(now());
        std::fs::write(path.join("c/0/1"), "").unwrap();
        seen.push(now());
        assert_eq!(now(), now());
        let file = std::fs::File::options().write(true).open(path.join("c/0/1")).unwrap();
        file.set_modified(UNIX_EPOCH).unwrap();
        seen.push(now());
        std::fs::rename(path.join("c/0/1"), path.join("c/0/2")).unwrap();
        seen.push(now());
        let raised = OpenOptions { level: 1, ..OpenOptions::default() };
        seen.push(of_input(&Files::of(&path, None).unwrap(), &raised, &meta));
        for (n, one) in seen.iter().enumerate() {
            assert!(seen[..n].iter().all(|other| other != one), "{one}");
        }
    }
}

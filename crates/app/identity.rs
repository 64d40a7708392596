//! What a run is a run of: everything that the bytes of its output depend on. A later run goes on with the work of an earlier
//! one only where all of it is the same.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use voxtile_io::{Inventory, IoError, OpenOptions, OutputOptions, RawOptions, Remote, Url, Wanted};
use voxtile_sched::engine;
use voxtile_sched::model::{Border, Meta};

/// The image that is read: what was asked for, what it is, and which files it lies in, by their names, sizes and times.
pub(crate) fn of_input(files: &Inventory, options: &OpenOptions, meta: &Meta) -> Value {
    let OpenOptions { level, array, axes, raw, stack, rgb, remote: _ } = options;
    let raw =
        raw.as_ref().map(|RawOptions { shape, dtype, offset }| format!("{shape:?} {dtype} from {offset}"));
    let mut about = as_json(files);
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
    let OutputOptions { format, axis_order, chunk, shard, codec, bare, .. } = options;
    let levels: Vec<_> = levels.iter().map(Meta::dims).collect();
    json!({
        "format": format!("{format:?}"), "chunk": chunk, "shard": shard, "codec": codec.to_string(), "bare": bare,
        "levels": levels, "axis_order": axis_order.as_ref().map(ToString::to_string),
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

/// What is known of the files or objects of an image, or of a part of one, without reading them. Label images that lie in an
/// image are others, and so is what only a desktop or a file server knows.
pub(crate) fn files(path: &Path, part: Option<&str>, remote: &Remote) -> Result<Inventory, IoError> {
    if let Some(url) = Url::of(path)? {
        let part = part.map(|part| format!("{}/", part.trim_matches('/')));
        return remote.store(&url)?.inventory(
            &(Arc::new(move |key: &str| match &part {
                Some(part) => !key.contains('/') || key.starts_with(part),
                None => key.split('/').all(|name| !is_foreign(name)) && !key.starts_with("labels/"),
            }) as Wanted),
        );
    }
    let mut files = Inventory::default();
    let part = part.map(|part| path.join(part)).filter(|part| part.is_dir());
    for path in files_of(path) {
        if !path.is_dir() {
            add(&mut files, &path, path.file_name().and_then(|name| name.to_str()).unwrap_or_default())?;
        } else if let Some(part) = &part {
            add_below(&mut files, &path, "", |_, is_dir| !is_dir)?;
            add(&mut files, part, "part")?;
        } else {
            add(&mut files, &path, "")?;
        }
    }
    Ok(files)
}

/// Those of several images.
pub(crate) fn files_of_all(paths: &[PathBuf], remote: &Remote) -> Result<Inventory, IoError> {
    paths.iter().try_fold(Inventory::default(), |mut all, path| {
        all.extend(files(path, None, remote)?);
        Ok(all)
    })
}

pub(crate) fn as_json(files: &Inventory) -> Value {
    let Inventory { count, bytes, newest, last: _, sum } = files;
    json!({ "files": count, "bytes": bytes, "newest": newest, "listed": format!("{sum:016x}") })
}

fn is_foreign(name: &str) -> bool {
    name.starts_with('.') && !name.starts_with(".z")
}

fn add(files: &mut Inventory, path: &Path, name: &str) -> Result<(), IoError> {
    let there = std::fs::metadata(path).map_err(IoError::io("read", path))?;
    if there.is_dir() {
        return add_below(files, path, name, |name, is_dir| {
            !(is_foreign(name) || is_dir && name == "labels")
        });
    }
    let since = there.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let time = since.map_or(0, |since| since.as_nanos() as u64);
    files.add(name, there.len(), time, &time.to_string());
    if files.last == name {
        files.last = path.display().to_string();
    }
    Ok(())
}

fn add_below(
    files: &mut Inventory,
    dir: &Path,
    name: &str,
    is_wanted: impl Fn(&str, bool) -> bool,
) -> Result<(), IoError> {
    for entry in std::fs::read_dir(dir).map_err(IoError::io("read", dir))? {
        let path = entry.map_err(IoError::io("read", dir))?.path();
        let below = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_wanted(&below, path.is_dir()) {
            add(files, &path, &format!("{name}/{below}"))?;
        }
    }
    Ok(())
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
        let now =
            || of_input(&files(&path, None, &Remote::default()).unwrap(), &OpenOptions::default(), &meta);
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
        seen.push(of_input(&files(&path, None, &Remote::default()).unwrap(), &raised, &meta));
        for (n, one) in seen.iter().enumerate() {
            assert!(seen[..n].iter().all(|other| other != one), "{one}");
        }
    }
}

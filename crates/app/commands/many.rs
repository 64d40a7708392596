//! `run` and `convert` over many images: each is a pipeline of its own, as many side by side as there are workers.

mod rows;

use self::rows::Kept;
use super::{Done, Failure, Outcome, print, print_json, whole};
use crate::args::{EngineArgs, Global, ReadArgs, WriteArgs};
use crate::{progress, report, text};
use indicatif::ProgressBar;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use voxtile::error::{IoError, PlanError};
use voxtile::{Column, DamagedChunk, Error, Output, Pipeline, Recipe, Report, Table, Values, Workshop};
use voxtile_io::plate::{Plate, PlateWriter, field_of};
use voxtile_io::{Format, OmeVersion, RemoteWork, Standing, TableOptions, Url, Work, check_apart};

/// What stands for an image's name, without its extension, in the path of an output.
const NAME: &str = "{name}";

/// The same for all images.
pub(super) struct Job<'a> {
    pub(super) recipe: Recipe,
    pub(super) output: &'a Path,
    pub(super) table: Option<&'a Path>,
    pub(super) read: &'a ReadArgs,
    pub(super) write: &'a WriteArgs,
    pub(super) engine: &'a EngineArgs,
    pub(super) global: Global,
    /// The plate whose fields the images are.
    pub(super) plate: Option<Plate>,
}

/// Where the results of all images go.
enum Place {
    /// Into one table.
    Together(TableOptions),
    /// Each to a path of its own.
    Each(Vec<PathBuf>),
    /// Each to its field of a plate.
    Fields(Vec<PathBuf>),
}

pub(super) fn run(images: &[PathBuf], job: &Job<'_>) -> Done {
    let started = Instant::now();
    let place = job.place(images)?;
    let writer = match (&place, &job.plate) {
        (Place::Fields(_), Some(plate)) => {
            let mut output = whole(job.output, Format::ZarrV3, job.write);
            // What a run that was killed left of a plate is made again.
            output.overwrite |= job.write.resume && voxtile_io::is_unfinished(job.output);
            Some(PlateWriter::begin(output.place()?, plate, job.version())?)
        }
        _ => None,
    };
    let kept = match &place {
        Place::Together(options) => match Kept::open(images, job, options)? {
            Some(kept) => Some(kept),
            None => return job.nothing_left(images.len()),
        },
        Place::Each(_) | Place::Fields(_) => None,
    };
    let bar = progress::bar(job.global);
    bar.set_length(images.len() as u64);
    let kept = kept.as_ref();
    let all = All { images, job, place: &place, kept, bar: &bar, done: Mutex::new(BTreeMap::new()) };
    let workers = job.engine.limits.workers().clamp(1, images.len());
    let share = Share { workers: 1.max(job.engine.limits.workers() / workers), images: workers as u64 };
    all.each(&(0..images.len()).collect::<Vec<_>>(), workers, share);
    // What needs more memory than its share comes again, alone.
    let large: Vec<usize> =
        all.with(|done| done.iter().filter(|(_, r)| is_budget(r)).map(|(n, _)| *n).collect());
    all.each(&large, 1, Share { workers: job.engine.limits.workers(), images: 1 });
    bar.finish_and_clear();
    let done = std::mem::take(&mut *all.done.lock().unwrap_or_else(PoisonError::into_inner));
    if let (Some(writer), Some(plate)) = (writer, &job.plate) {
        job.fields(writer, plate.clone(), &done)?;
    }
    let outcome = job.conclude(images, &place, (done, kept), started);
    if let Some(kept) = kept {
        kept.end(outcome.is_ok(), matches!(outcome, Ok(Outcome::Done)))?;
    }
    let paths = match &place {
        Place::Each(paths) | Place::Fields(paths) if !job.write.resume => &paths[..],
        _ => &[],
    };
    if matches!(outcome, Ok(Outcome::Done)) {
        for path in paths {
            match Url::of(path)? {
                Some(_) => RemoteWork::unmark(path, &super::remote()),
                None => Work::unmark(path),
            }
        }
    }
    outcome
}

fn is_budget(result: &Result<Finished, Error>) -> bool {
    matches!(result, Err(Error::Plan(PlanError::Budget { .. })))
}

/// What became of one image.
struct Finished {
    table: Option<Table>,
    /// What of it was damaged.
    damaged: Vec<DamagedChunk>,
}

/// What one image may use.
#[derive(Clone, Copy)]
struct Share {
    workers: usize,
    /// How many images share the memory.
    images: u64,
}

struct All<'a> {
    images: &'a [PathBuf],
    job: &'a Job<'a>,
    place: &'a Place,
    kept: Option<&'a Kept>,
    bar: &'a ProgressBar,
    done: Mutex<BTreeMap<usize, Result<Finished, Error>>>,
}

impl All<'_> {
    fn with<R>(&self, look: impl FnOnce(&mut BTreeMap<usize, Result<Finished, Error>>) -> R) -> R {
        look(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rows of an earlier run, or a run of this image.
    fn one(&self, n: usize, share: Share, workshop: &Workshop) -> Result<Finished, Error> {
        if let Some(table) = self.kept.map(|kept| kept.rows(n)).transpose()?.flatten() {
            return Ok(Finished { table: Some(table), damaged: Vec::new() });
        }
        let report = self.job.one(&self.images[n], self.place.of(n), share, workshop)?;
        let finished = Finished { table: report.table, damaged: report.damaged };
        if let (Some(kept), Some(table)) = (self.kept, &finished.table) {
            kept.keep(n, table)?;
        }
        Ok(finished)
    }

    /// Runs some of the images, so many side by side.
    fn each(&self, numbers: &[usize], threads: usize, share: Share) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(numbers.len()) {
                scope.spawn(|| {
                    let workshop = Workshop::default();
                    while let Some(&n) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = self.one(n, share, &workshop);
                        let stop = result.as_ref().is_err_and(Error::is_cancelled);
                        self.with(|done| done.insert(n, result));
                        self.bar.set_position(self.with(|done| done.len()) as u64);
                        if stop {
                            return;
                        }
                    }
                });
            }
        });
    }
}

impl Place {
    fn of(&self, n: usize) -> Option<&Path> {
        match self {
            Self::Together(_) => None,
            Self::Each(paths) | Self::Fields(paths) => Some(&paths[n]),
        }
    }
}

impl Job<'_> {
    /// Refuses what cannot hold many results, before anything is read.
    fn place(&self, images: &[PathBuf]) -> Result<Place, Failure> {
        if let (Some(table), [_, _, ..]) = (self.table, images)
            && !table.to_string_lossy().contains(NAME)
        {
            return Err(Failure::ManyImages { images: images.len(), output: table.to_path_buf() });
        }
        let each = self.output.to_string_lossy().contains(NAME);
        if let (false, Some(options)) =
            (each, TableOptions::new(self.output, self.write.overwrite || self.goes_on()))
        {
            options.check().map_err(Error::from)?;
            return Ok(Place::Together(options));
        }
        let is_zarr = matches!(Format::from_path(self.output), Format::ZarrV2 | Format::ZarrV3);
        if !each && is_zarr && self.plate.is_some() {
            for image in images {
                check_apart(image, self.output)?;
            }
            let fields = self.plate.iter().flat_map(Plate::fields);
            return Ok(Place::Fields(fields.map(|field| self.output.join(field)).collect()));
        }
        Ok(Place::Each(outputs(images, self.output)?))
    }

    /// The version of OME-Zarr of a plate that is written.
    fn version(&self) -> OmeVersion {
        let v2 = self.write.zarr_format.as_deref() == Some("2");
        self.write.ome.unwrap_or(if v2 { OmeVersion::V04 } else { OmeVersion::V05 })
    }

    /// Makes a plate complete, of the fields that were written; of a run that was stopped, or without any, nothing is left.
    fn fields(
        &self,
        writer: PlateWriter,
        mut plate: Plate,
        done: &BTreeMap<usize, Result<Finished, Error>>,
    ) -> Result<(), Failure> {
        if done.values().any(|r| r.as_ref().is_err_and(Error::is_cancelled))
            || done.values().all(Result::is_err)
        {
            writer.abort();
            return Ok(());
        }
        let fields = plate.fields();
        plate.keep(&done.iter().filter(|(_, r)| r.is_ok()).map(|(n, _)| fields[*n].clone()).collect());
        Ok(writer.finish(&plate)?)
    }

    /// Whether an earlier run was stopped that made one table of all, or is complete, and this one goes on with it.
    fn goes_on(&self) -> bool {
        let is_done = || matches!(Work::standing(self.output), Ok(Standing::Done(_)));
        self.write.resume && (Work::can_go_on(self.output) || is_done())
    }

    /// Says that an earlier run made the table of all.
    fn nothing_left(&self, images: usize) -> Done {
        if self.global.json {
            print_json(&json!({ "images": images, "failed": [], "damaged": [], "seconds": 0.0 }))?;
        } else if !self.global.quiet {
            let images = text::counted(images as u64, "image");
            report::say(&format!("{images} → {}: nothing was left to do", self.output.display()));
        }
        Ok(Outcome::Done)
    }

    fn one(
        &self,
        image: &Path,
        output: Option<&Path>,
        share: Share,
        workshop: &Workshop,
    ) -> Result<Report, Error> {
        let limits = &self.engine.limits;
        let pipeline = Pipeline::open_with(image, &self.read.options())?.recipe(self.recipe.clone());
        let pipeline = self.write.keep(self.engine.apply(pipeline)).workshop(workshop);
        let pipeline = pipeline.workers(share.workers).memory(limits.memory() / share.images);
        let pipeline = match self.write.dtype {
            Some(dtype) => pipeline.dtype(dtype),
            None => pipeline,
        };
        let pipeline = match self.table {
            Some(table) => pipeline.table(named(table, image)?),
            None => pipeline,
        };
        let place = output.map_or_else(Output::nowhere, Output::to);
        let is_field = self.plate.is_some() && output.is_some_and(|path| path.starts_with(self.output));
        let place = if is_field { place.ome(self.version()) } else { place };
        // An interrupted run of many knows by the marks which of them are complete.
        pipeline.write_to(self.write.apply(place))?.mark(true).cancel_with(progress::interrupt()).run()
    }

    /// One table of all, and a line about what was done; images that failed are named one by one.
    fn conclude(
        &self,
        images: &[PathBuf],
        place: &Place,
        (done, kept): (BTreeMap<usize, Result<Finished, Error>>, Option<&Kept>),
        started: Instant,
    ) -> Done {
        if done.values().any(|r| r.as_ref().is_err_and(Error::is_cancelled)) {
            let finished = done.values().filter(|r| r.is_ok()).count();
            let kept = match place {
                Place::Each(_) => true,
                Place::Together(_) => finished > 0,
                // A plate is made whole or not at all.
                Place::Fields(_) => false,
            };
            return Err(Failure::ManyInterrupted { finished, images: images.len(), kept });
        }
        let mut joined = Table::default();
        let mut failed: Vec<(String, String)> = Vec::new();
        let mut damaged: Vec<(String, String)> = Vec::new();
        let mut finished = 0;
        for (n, result) in done {
            let image = images[n].display().to_string();
            if let Ok(report) = &result
                && !report.damaged.is_empty()
            {
                damaged.push((image.clone(), super::run::damage(&report.damaged, &images[n])));
            }
            let result =
                result.map_err(|e| report::cause(&e)).and_then(|finished| match (place, finished.table) {
                    (Place::Together(_), Some(table)) => append(&mut joined, table),
                    _ => Ok(()),
                });
            match result {
                Ok(()) => finished += 1,
                Err(why) => failed.push((image, why)),
            }
        }
        if let Place::Together(options) = place
            && finished > 0
        {
            options.write(&joined, kept.map(Kept::work)).map_err(Error::from)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        for (image, why) in &failed {
            report::say(&format!("failed: {image}: {why}"));
        }
        for (_, list) in &damaged {
            report::say(list);
        }
        if self.global.json {
            let failed: Vec<_> =
                failed.iter().map(|(image, why)| json!({ "image": image, "error": why })).collect();
            let damaged: Vec<_> =
                damaged.iter().map(|(image, list)| json!({ "image": image, "damage": list })).collect();
            print_json(
                &json!({ "images": finished, "failed": failed, "damaged": damaged, "seconds": seconds,
                    "rows": joined.rows() }),
            )?;
        } else if !self.global.quiet {
            let rows = match place {
                Place::Together(_) => format!(", {}", text::counted(joined.rows() as u64, "row")),
                Place::Each(_) | Place::Fields(_) => String::new(),
            };
            let of = if failed.is_empty() { String::new() } else { format!(" of {}", images.len()) };
            report::say(&format!(
                "{}{of} → {}{rows} in {}",
                text::counted(finished, "image"),
                self.output.display(),
                text::seconds(seconds)
            ));
        }
        let whole = failed.is_empty() && damaged.is_empty();
        Ok(if whole { Outcome::Done } else { Outcome::Damaged })
    }
}

/// A path for each image: the pattern with its name. Refuses what cannot hold them, before anything is read.
pub(super) fn outputs(images: &[PathBuf], pattern: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut taken: BTreeMap<PathBuf, &PathBuf> = BTreeMap::new();
    let mut paths = Vec::new();
    if images.len() > 1 && !pattern.to_string_lossy().contains(NAME) {
        return Err(Failure::ManyImages { images: images.len(), output: pattern.to_path_buf() });
    }
    for image in images {
        let path = named(pattern, image)?;
        if let Some(other) = taken.insert(path.clone(), image) {
            let (a, b) = (other.clone(), image.clone());
            return Err(Failure::SameName { a, b, output: path });
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let is_here = |dir: &Path| Url::of(dir).is_ok_and(|url| url.is_none());
        if let Some(dir) = dir.filter(|dir| is_here(dir) && !dir.exists()) {
            return Err(IoError::Missing { path: dir.to_path_buf() }.into());
        }
        paths.push(path);
    }
    Ok(paths)
}

/// A path in which `{name}` stands for the name of an image.
pub(super) fn named(pattern: &Path, image: &Path) -> Result<PathBuf, Error> {
    Ok(PathBuf::from(pattern.to_string_lossy().replace(NAME, &name(image)?)))
}

/// Shows something of each image, one after the other: JSON and text. One that fails is named and does not stop the others.
pub(super) fn each(
    images: &[PathBuf],
    global: Global,
    mut show: impl FnMut(&Path) -> Result<(Json, String), Failure>,
) -> Done {
    let mut objects = Vec::new();
    let mut outcome = Outcome::Done;
    for image in images {
        let name = image.display().to_string();
        match show(image) {
            Ok((mut object, _)) if global.json => {
                object["image"] = json!(name);
                objects.push(object);
            }
            Ok((_, text)) => print(&format!("{name}\n{text}\n"))?,
            Err(Failure::Library(error)) if !error.is_cancelled() => {
                let why = report::cause(&error);
                outcome = Outcome::Damaged;
                match global.json {
                    true => objects.push(json!({ "image": name, "error": why })),
                    false => report::say(&format!("failed: {name}: {why}")),
                }
            }
            Err(other) => return Err(other),
        }
    }
    if global.json {
        print_json(&Json::from(objects))?;
    }
    Ok(outcome)
}

/// The name of an image without its extension: `a.ome.zarr` is `a`. Of a field of a plate, its well and field: `B3_0`.
fn name(image: &Path) -> Result<String, Error> {
    if let Some((well, field)) = field_of(image, &super::remote())? {
        return Ok(format!("{well}_{field}"));
    }
    let name = image.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    Ok(stem.strip_suffix(".ome").unwrap_or(stem).to_owned())
}

/// Puts the rows of a table below those of another.
fn append(all: &mut Table, more: Table) -> Result<(), String> {
    if all.columns.is_empty() {
        *all = more;
        return Ok(());
    }
    let names = |table: &Table| table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    if names(all) != names(&more) {
        return Err(format!(
            "its columns are {}, those of the images before it {}",
            names(&more).join(", "),
            names(all).join(", ")
        ));
    }
    for (Column { values, .. }, more) in all.columns.iter_mut().zip(more.columns) {
        match (values, more.values) {
            (Values::Whole(a), Values::Whole(b)) => a.extend(b),
            (Values::Real(a), Values::Real(b)) => a.extend(b),
            (Values::Text(a), Values::Text(b)) => a.extend(b),
            _ => return Err(format!("its column {} holds values of another kind", more.name)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_says_the_format() {
        let names = ["p/a.tif", "a.ome.zarr", "a.b.tiff", "plain"].map(|path| name(Path::new(path)).unwrap());
        assert_eq!(names, ["a", "a", "a.b", "plain"]);
    }

    #[test]
    fn tables_of_other_columns_are_not_joined() {
        let table = |column: &str| {
            let mut table = Table::default();
            table.push(column, Values::Whole(vec![1, 2]));
            table
        };
        let mut all = Table::default();
        append(&mut all, table("label")).unwrap();
        append(&mut all, table("label")).unwrap();
        assert_eq!(all.rows(), 4);
        assert!(append(&mut all, table("z_px")).unwrap_err().contains("its columns are z_px"));
    }
}

//! The rows of images that are done, kept until the table of all of them is written.

use super::Job;
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::sync::Arc;
use voxtile::error::IoError;
use voxtile::{Column, Error, Images, Table, Values};
use voxtile_io::{Header, SpillDir, Standing, TableOptions, Work, WorkOptions};
use voxtile_sched::contract::{Heap, Journal as _, Spill as _, Unit};

/// What earlier runs and this one have done.
pub(super) struct Kept {
    work: Arc<Work>,
    heap: Arc<dyn Heap>,
    /// What a complete table is marked with.
    mark: Option<Header>,
}

fn unit(image: usize) -> Unit {
    Unit { stage: 0, pass: 0, number: image as u64 }
}

/// A store's error that went through the scheduler's words.
fn unwrapped(error: voxtile_sched::contract::StoreError, work: &Work) -> Error {
    match error.downcast::<IoError>() {
        Ok(error) => (*error).into(),
        Err(other) => {
            let path = work.directory().to_path_buf();
            IoError::Io { action: "read", path, source: std::io::Error::other(other) }.into()
        }
    }
}

impl Kept {
    /// Takes the table's place for this run; `None` where an earlier one made it.
    pub(super) fn open(
        images: &[PathBuf],
        job: &Job<'_>,
        table: &TableOptions,
    ) -> Result<Option<Self>, Error> {
        let write = job.write;
        let names: Vec<String> = images.iter().map(|image| image.display().to_string()).collect();
        let plan = json!({
            "version": env!("CARGO_PKG_VERSION"), "recipe": job.recipe.to_string(), "images": names,
            "input": Images::fingerprint(images, &crate::commands::remote())?, "border": job.engine.border.map(|border| format!("{border:?}")),
            "dtype": write.dtype.map(|dtype| dtype.to_string()),
        });
        let options = WorkOptions {
            resume: write.resume,
            overwrite: write.overwrite,
            break_lock: write.break_lock,
            durability: write.durability,
            ..WorkOptions::default()
        };
        let header = Header { plan, with: Json::Null };
        if let (true, Standing::Done(done)) = (write.resume, Work::standing(table.path())?) {
            return done.check(&header.plan, table.path()).map(|()| None).map_err(Error::from);
        }
        let work = Work::open(table.path(), &header, options)?;
        if work.is_finished() {
            return work.end(Some(&header)).map(|()| None).map_err(Error::from);
        }
        let heap = SpillDir::kept(work.clone()).heap().map_err(|error| unwrapped(error, &work))?;
        Ok(Some(Self { work, heap, mark: Some(header).filter(|_| write.resume) }))
    }

    /// The rows of an image that an earlier run has done.
    pub(super) fn rows(&self, image: usize) -> Result<Option<Table>, Error> {
        let Some(note) = self.work.noted(unit(image)) else { return Ok(None) };
        let place = note.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect::<Vec<_>>();
        let [at, len] = place[..] else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        self.heap.read(at, &mut bytes).map_err(|error| unwrapped(error, &self.work))?;
        Ok(serde_json::from_slice(&bytes).ok().and_then(|json| table(&json)))
    }

    /// Keeps the rows of an image.
    pub(super) fn keep(&self, image: usize, table: &Table) -> Result<(), Error> {
        let bytes = as_json(table).to_string().into_bytes();
        let failed = |error| unwrapped(error, &self.work);
        let at = self.heap.keep(&bytes).map_err(failed)?;
        let note: Vec<u8> = [at, bytes.len() as u64].into_iter().flat_map(u64::to_le_bytes).collect();
        self.work.done(unit(image), &note).map_err(failed)
    }

    /// What the run keeps beside its table.
    pub(super) fn work(&self) -> &Arc<Work> {
        &self.work
    }

    /// Ends the run: the table is written, or is not and what is done is kept. One that lacks images is no complete one.
    pub(super) fn end(&self, written: bool, whole: bool) -> Result<(), Error> {
        if !written && self.work.has_progress() {
            return Ok(self.work.leave()?);
        }
        if whole {
            self.work.finished()?;
        }
        Ok(self.work.end(self.mark.as_ref().filter(|_| whole))?)
    }
}

/// Real numbers as their bits: all of them come back as they were.
fn as_json(table: &Table) -> Json {
    let column = |column: &Column| match &column.values {
        Values::Whole(v) => json!({ "name": column.name, "whole": v }),
        Values::Real(v) => {
            json!({ "name": column.name, "real": v.iter().map(|n| n.to_bits()).collect::<Vec<_>>() })
        }
        Values::Text(v) => json!({ "name": column.name, "text": v }),
    };
    table.columns.iter().map(column).collect()
}

fn table(json: &Json) -> Option<Table> {
    let whole = |list: &Json| list.as_array()?.iter().map(Json::as_u64).collect::<Option<Vec<u64>>>();
    let text = |v: &Json| v.as_str().map(str::to_owned);
    let mut table = Table::default();
    for column in json.as_array()? {
        let values = if let Some(v) = column.get("whole") {
            Values::Whole(whole(v)?)
        } else if let Some(v) = column.get("real") {
            Values::Real(whole(v)?.into_iter().map(f64::from_bits).collect())
        } else {
            Values::Text(column.get("text")?.as_array()?.iter().map(text).collect::<Option<_>>()?)
        };
        table.columns.push(Column { name: text(&column["name"])?, values });
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let mut rows = Table::default();
        rows.push("image", Values::Text(vec!["a \"b\".tif".to_owned(); 3]));
        rows.push("label", Values::Whole(vec![0, 7, u64::MAX]));
        rows.push("mean", Values::Real(vec![0.1 + 0.2, f64::INFINITY, -0.0]));
        let bytes = as_json(&rows).to_string();
        assert_eq!(table(&serde_json::from_str(&bytes).unwrap()), Some(rows));
        assert_eq!(table(&json!({"name": 1})), None);
    }
}

//! `verify`: decodes every chunk, and checks metadata, levels and labels; or compares two images voxel by voxel.

pub(super) mod compare;
mod decode;
mod levels;
mod report;

use self::report::Report;
use super::{Done, Failure};
use crate::args::{Global, Verify};
use voxtile::Error;
use voxtile::error::{IoError, RunError};
use voxtile_io::survey::{Survey, survey};
use voxtile_io::{OpenOptions, Opened, open};
use voxtile_sched::contract::{Source, StoreError};
use voxtile_sched::model::{Region, Shape, voxels};

pub(super) fn verify(args: &Verify, global: Global) -> Done {
    if let Some(count) = args.sample {
        let output = open(&args.a, &args.read.options())?;
        return super::sample::sample(&output, args, count, global);
    }
    if let Some(b) = &args.b {
        let a = open(&args.a, &args.read.options())?;
        let b = open(b, &args.read.options())?;
        return compare::compare(&a.source, &b.source, args, global);
    }
    let mut report = Report::new(&args.a);
    // A level that is asked for is looked at alone.
    let asked = args.read.array.as_deref().unwrap_or_default();
    let found = match args.read.level {
        None => survey(&args.a, asked, &super::remote())?.filter(|s| !s.images.is_empty()),
        Some(_) => None,
    };
    match found {
        None => {
            let opened = open(&args.a, &args.read.options())?;
            decode::decode(&opened, "", args, global, &mut report)?;
        }
        Some(found) => hierarchy(found, args, global, &mut report)?,
    }
    report.conclude(args.strict, global)
}

/// Every level of every image.
fn hierarchy(found: Survey, args: &Verify, global: Global, report: &mut Report) -> Result<(), Failure> {
    report.structure(found.findings);
    let alone = matches!(&found.images[..], [one] if one.levels <= 1 && one.version.is_none());
    for image in &found.images {
        let mut levels: Vec<Opened> = Vec::new();
        for level in 0..image.levels {
            let options = OpenOptions { level, array: Some(image.path.clone()), ..args.read.options() };
            match open(&args.a, &options) {
                Ok(opened) => levels.push(opened),
                Err(error) if alone => return Err(error.into()),
                Err(error) => {
                    report.unreadable(&image.path, &error);
                    break;
                }
            }
        }
        for (n, opened) in levels.iter().enumerate() {
            let level = if image.version.is_some() { opened.info.levels[n].path.as_str() } else { "" };
            let place = [image.path.as_str(), level].join("/");
            decode::decode(opened, place.trim_matches('/'), args, global, report)?;
        }
        levels::compare(image, &levels, args, global, report)?;
    }
    Ok(())
}

/// An error of a store as the library's own.
pub(super) fn store_failure(error: StoreError, source: &dyn Source) -> Failure {
    match error.downcast::<IoError>() {
        Ok(error) => Failure::Library(Error::Io(error)),
        Err(source_error) => {
            let region = Region::whole(source.meta().shape);
            Failure::Library(Error::Run(RunError::Read { region, source: source_error }))
        }
    }
}

fn bytes(shape: &Shape, source: &dyn Source) -> u64 {
    voxels(shape).saturating_mul(source.meta().dtype.size() as u64)
}

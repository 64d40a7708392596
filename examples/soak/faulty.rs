//! Runs from a store that fails into one that fails, by the public library: each is tried until it is through. A try ends
//! with an error or with the right output; what it leaves is never taken for an image.

use super::jobs::Row;
use super::random::Random;
use ndarray::ArrayD;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use voxtile::{Codec, OpenOptions, Pipeline};
use voxtile_io::{ByteStore, FaultStore, Faults, Format, MemoryStore, OutputOptions, open_in};

/// Tries after which a run is given up.
const TRIES: u64 = 200;

const RECIPES: [(&str, &str); 4] = [
    ("filter", "gaussian sigma=1"),
    ("rank filter", "median size=3"),
    ("labels", "gaussian sigma=1 | threshold 2040 | label"),
    ("statistic", "threshold otsu"),
];

fn options(codec: Codec, chunk: u64) -> OutputOptions {
    OutputOptions {
        path: "store".into(),
        format: Format::ZarrV3,
        axis_order: None,
        chunk: Some([1, 1, chunk, chunk, chunk]),
        shard: None,
        codec,
        overwrite: false,
        bare: false,
        about: Default::default(),
        remote: Default::default(),
    }
}

/// Runs a recipe from one store into another.
fn process(from: Arc<dyn ByteStore>, to: &Arc<dyn ByteStore>, recipe: &str) -> Result<(), String> {
    let words = |e: &dyn std::fmt::Display| e.to_string();
    let source = open_in(from, &OpenOptions::default()).map_err(|e| words(&e))?.source;
    let pipeline =
        || Pipeline::from_source(source.clone()).step(recipe).workers(2).memory(64 << 20).tile(&[16]);
    let meta = pipeline().plan().map_err(|e| words(&e))?.result().clone();
    let sink =
        options(Codec::Gzip { level: 1 }, 16).create_in(to.clone(), &meta, &[]).map_err(|e| words(&e))?;
    pipeline().write_sink(sink).run().map_err(|e| words(&e))?;
    Ok(())
}

/// All objects of a store with their keys.
fn objects(store: &dyn ByteStore) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let mut open = vec![String::new()];
    while let Some(at) = open.pop() {
        match store.get(&at, u64::MAX) {
            Ok(Some(bytes)) if !at.is_empty() => out.push((at, bytes)),
            _ => {
                let names = store.list(&at).unwrap_or_default();
                open.extend(
                    names.iter().map(|n| if at.is_empty() { n.clone() } else { format!("{at}/{n}") }),
                );
            }
        }
    }
    out.sort();
    out
}

/// One run with its tries.
pub(crate) fn run(seed: u64) -> io::Result<Row> {
    let mut random = Random::new(seed);
    let (name, recipe) = RECIPES[random.below(RECIPES.len())];
    let mut row =
        Row { kind: "faulty", job: name, stops: 0, after: Vec::new(), skipped: 0, fault: String::new() };
    let image = ArrayD::from_shape_fn(vec![32, 48, 40], |_| (random.next() >> 52) as u16);
    let input = MemoryStore::new("input");
    let shared: Arc<dyn ByteStore> = Arc::new(input.clone());
    // Gzip notices a wrong bit.
    let pipeline = Pipeline::from_array(image).map_err(io::Error::other)?;
    let sink = options(Codec::Gzip { level: 1 }, 16).create_in(shared.clone(), pipeline.meta(), &[]);
    pipeline.write_sink(sink.map_err(io::Error::other)?).run().map_err(io::Error::other)?;
    let clean: Arc<dyn ByteStore> = Arc::new(MemoryStore::new("clean"));
    process(shared.clone(), &clean, recipe).map_err(io::Error::other)?;
    let want = objects(&*clean);
    let size: usize = want.iter().map(|(_, bytes)| bytes.len()).sum();

    let share = |random: &mut Random, most: f64| most * random.below(1000) as f64 / 1000.0;
    let reads = Faults {
        errors: share(&mut random, 0.02),
        short_reads: share(&mut random, 0.02),
        bit_flips: share(&mut random, 0.02),
        delays: (0.05, Duration::from_millis(2)),
        only: "0/c/".to_owned(),
        ..Faults::seeded(random.next())
    };
    let writes = Faults {
        errors: share(&mut random, 0.02),
        torn_writes: share(&mut random, 0.02),
        delays: (0.05, Duration::from_millis(2)),
        // At first the store is too small by half.
        quota: (random.below(4) == 0).then_some(size as u64 / 2),
        ..Faults::seeded(random.next())
    };
    let from = FaultStore::over(shared, reads);
    let below = MemoryStore::new("output");
    let to = FaultStore::new(below.clone(), writes.clone());
    let target: Arc<dyn ByteStore> = Arc::new(to.clone());
    for n in 0..TRIES {
        match process(Arc::new(from.clone()), &target, recipe) {
            Ok(()) => {
                if objects(&below) != want {
                    row.fault = "another output".to_owned();
                }
                return Ok(row);
            }
            Err(words) if words.trim().is_empty() => {
                row.fault = "an error without a word".to_owned();
                return Ok(row);
            }
            Err(_) => row.stops += 1,
        }
        if open_in(Arc::new(below.clone()), &OpenOptions::default()).is_ok() && objects(&below) != want {
            row.fault = "what a failed run has left is taken for an image".to_owned();
            return Ok(row);
        }
        // Every other time the power goes too, where a failed run has not removed all it wrote.
        if n % 2 == 1 {
            to.crash().map_err(io::Error::other)?;
        }
        below.delete_prefix("").map_err(io::Error::other)?;
        to.sync();
        to.set(Faults { quota: None, seed: writes.seed.wrapping_add(n + 1), ..writes.clone() });
    }
    row.fault = format!("not through after {TRIES} tries");
    Ok(row)
}

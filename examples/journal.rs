//! What the journal costs: the same gaussian with and without it, in turn, in one process.
//!
//! `cargo run --release --example journal -- DIR [EDGE] [RUNS]` makes a volume of EDGE³ voxels in DIR and prints, for each way of
//! running, the least wall time and the least processor time of RUNS runs. Without a journal the result goes to the same Zarr
//! through a sink that keeps nothing; every other run takes lock and journal, at each level of durability.

use std::path::Path;
use std::time::Instant;
use voxtile::{Durability, Output, Pipeline};
use voxtile_io::{Codec, Format, OutputOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("a directory, please")?;
    let edge: usize = args.next().map_or(Ok(512), |text| text.parse())?;
    let runs: usize = args.next().map_or(Ok(3), |text| text.parse())?;
    let dir = Path::new(&dir);
    let (input, output) = (dir.join("journal-in.zarr"), dir.join("journal-out.zarr"));
    if !input.exists() {
        let mut n = 7u32;
        let image = ndarray::ArrayD::from_shape_fn(vec![edge; 3], |at| {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((at[0] + 2 * at[1] + 3 * at[2]) % 1000) as u16 + (n >> 26) as u16
        });
        Pipeline::from_array(image)?.write_to(Output::to(&input).chunk(&[128]))?.run()?;
    }
    let ways = [None, Some(Durability::None), Some(Durability::Data), Some(Durability::Full)];
    let mut best = [(f64::INFINITY, f64::INFINITY); 4];
    for _ in 0..runs {
        for (way, best) in ways.iter().zip(&mut best) {
            let pipeline = Pipeline::open(&input)?.gaussian(2.0);
            let pipeline = match way {
                Some(durability) => {
                    pipeline.durability(*durability).write_to(Output::to(&output).chunk(&[128]))?
                }
                None => {
                    let meta = Pipeline::open(&input)?.gaussian(2.0).plan()?.result().clone();
                    let options = OutputOptions {
                        path: output.clone(),
                        format: Format::ZarrV3,
                        axis_order: None,
                        chunk: Some([1, 1, 128, 128, 128]),
                        shard: None,
                        codec: "blosc-zstd:3:bitshuffle".parse::<Codec>().map_err(|e| e.why)?,
                        overwrite: false,
                        bare: true,
                        about: Default::default(),
                        remote: Default::default(),
                    };
                    pipeline.write_sink(options.create(&meta, &[])?)
                }
            };
            let (wall, cpu) = (Instant::now(), cpu_seconds());
            pipeline.run()?;
            *best = (best.0.min(wall.elapsed().as_secs_f64()), best.1.min(cpu_seconds() - cpu));
            std::fs::remove_dir_all(&output)?;
        }
    }
    for (way, (wall, cpu)) in ways.iter().zip(best) {
        let name = way.map_or("no journal".to_owned(), |d| format!("journal, durability {d}"));
        println!(
            "{name}: {wall:.3} s ({:+.1} %), {cpu:.3} s of processor time ({:+.1} %)",
            (wall / best[0].0 - 1.0) * 100.0,
            (cpu / best[0].1 - 1.0) * 100.0
        );
    }
    Ok(())
}

/// Seconds that this process has computed so far, in its own code and in the system's.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |n: usize| after.split_whitespace().nth(n).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

//! `bench`: the CPU against the GPU over sizes of images, in memory: from which size the GPU pays.

mod plot;

use super::{Done, Failure, Outcome, print, print_json};
use crate::args::{Bench, Global};
use ndarray::ArrayD;
use serde_json::{Value as Json, json};
use std::fmt::Write;
use voxtile::{Device, DeviceTimes, Error, Pipeline, Recipe};
use voxtile_kernels::device;

/// What is measured where no operation is named.
const RECIPES: [&str; 5] = ["gaussian 2", "median 3", "sobel", "open 15", "threshold otsu"];
/// What only copies, on the GPU: what other kernels are held against.
const COPY: &str = "crop :";

/// One recipe on one size.
pub(super) struct Row {
    recipe: String,
    /// Voxels along each edge of the cube.
    edge: usize,
    /// Bytes of the image and of the result.
    bytes: u64,
    cpu_seconds: f64,
    gpu: Option<Gpu>,
}

struct Gpu {
    seconds: f64,
    kernel_seconds: f64,
    /// Of the copy kernel on the same size, in bytes per second.
    copy_rate: Option<f64>,
}

impl Gpu {
    /// Bytes of the image and of the result per second of kernels.
    fn rate(&self, bytes: u64) -> f64 {
        bytes as f64 / self.kernel_seconds.max(1e-9)
    }
}

pub(super) fn bench(args: &Bench, global: Global) -> Done {
    let without = match args.device {
        Device::Cpu => Some("`--device cpu` asks for none".to_owned()),
        Device::Auto => device::first().err().map(|why| why.to_string()),
        Device::Cuda | Device::Gpus(_) => {
            let _planned = Pipeline::from_array(noise(2))?.device(args.device).plan()?;
            None
        }
    };
    if let Some(why) = &without {
        eprintln!("no GPU is measured: {why}");
    }
    let asked = if args.device == Device::Auto { Device::Cuda } else { args.device };
    let gpu = without.is_none().then_some(asked);
    let recipes: Vec<&str> = match &args.recipe {
        Some(recipe) => vec![recipe],
        None => RECIPES.to_vec(),
    };
    let mut rows: Vec<Row> = Vec::new();
    for &edge in &args.sizes {
        let image = noise(edge);
        let copy = match gpu {
            Some(gpu) => {
                let (bytes, _, times) = median(&image, COPY, gpu, args)?;
                times.map(|times| bytes as f64 / times.kernel_seconds.max(1e-9))
            }
            None => None,
        };
        for recipe in &recipes {
            let (bytes, cpu_seconds, _) = median(&image, recipe, Device::Cpu, args)?;
            let gpu = match gpu {
                Some(gpu) => {
                    let (_, seconds, times) = median(&image, recipe, gpu, args)?;
                    times.map(|times| Gpu { seconds, kernel_seconds: times.kernel_seconds, copy_rate: copy })
                }
                None => None,
            };
            rows.push(Row { recipe: (*recipe).to_owned(), edge, bytes, cpu_seconds, gpu });
        }
    }
    rows.sort_by(|a, b| a.recipe.cmp(&b.recipe).then(a.edge.cmp(&b.edge)));
    let write = |path: &std::path::Path, text: String| {
        std::fs::write(path, text).map_err(|source| Failure::File {
            action: "write",
            path: path.to_owned(),
            source,
        })
    };
    if let Some(path) = &args.csv {
        write(path, csv(&rows))?;
    }
    if let Some(path) = &args.plot {
        write(path, plot::svg(&rows))?;
    }
    if global.json {
        print_json(&Json::Array(rows.iter().map(as_json).collect()))?;
    } else {
        print(&table(&rows))?;
    }
    Ok(Outcome::Done)
}

/// A cube of u16 noise, the same each time.
fn noise(edge: usize) -> ArrayD<u16> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    ArrayD::from_shape_fn(vec![edge; 3], |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 48) as u16
    })
}

/// The run of median time: bytes of image and result, seconds, and what the GPU did if one computed.
fn median(
    image: &ArrayD<u16>,
    recipe: &str,
    device: Device,
    args: &Bench,
) -> Result<(u64, f64, Option<DeviceTimes>), Failure> {
    let recipe = Recipe::parse(recipe).map_err(Error::from)?;
    let mut runs = Vec::new();
    // Once more than asked: the first opens the device and finds no warm memory.
    for n in 0..=args.repeat {
        let pipeline = Pipeline::from_array(image.clone())?.recipe(recipe.clone()).device(device);
        let pipeline = pipeline.memory(args.limits.memory()).workers(args.limits.workers());
        let (bytes, report) = pipeline.discard()?;
        if n > 0 {
            runs.push((2 * image.len() as u64 + bytes, report.seconds, report.device));
        }
    }
    runs.sort_by(|a, b| a.1.total_cmp(&b.1));
    Ok(runs.swap_remove(runs.len() / 2))
}

fn as_json(row: &Row) -> Json {
    let gpu = row.gpu.as_ref();
    json!({
        "recipe": row.recipe,
        "edge": row.edge,
        "voxels": row.edge.pow(3),
        "cpu_seconds": row.cpu_seconds,
        "gpu_seconds": gpu.map(|gpu| gpu.seconds),
        "kernel_seconds": gpu.map(|gpu| gpu.kernel_seconds),
        "kernel_gb_per_second": gpu.map(|gpu| gpu.rate(row.bytes) / 1e9),
        "share_of_copy": gpu.and_then(|gpu| Some(gpu.rate(row.bytes) / gpu.copy_rate?)),
    })
}

fn csv(rows: &[Row]) -> String {
    let mut out = String::from(
        "recipe,edge,voxels,cpu_seconds,gpu_seconds,kernel_seconds,kernel_gb_per_second,share_of_copy\n",
    );
    for row in rows {
        let (edge, voxels) = (row.edge, row.edge.pow(3));
        let _ = write!(out, "\"{}\",{edge},{voxels},{:.6}", row.recipe, row.cpu_seconds);
        match &row.gpu {
            None => out += ",,,,\n",
            Some(gpu) => {
                let share = gpu.copy_rate.map(|copy| format!("{:.4}", gpu.rate(row.bytes) / copy));
                let _ = writeln!(
                    out,
                    ",{:.6},{:.6},{:.2},{}",
                    gpu.seconds,
                    gpu.kernel_seconds,
                    gpu.rate(row.bytes) / 1e9,
                    share.unwrap_or_default()
                );
            }
        }
    }
    out
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.recipe.len()).max().unwrap_or(0).max(6);
    let mut out = format!(
        "{:width$} {:>6} {:>10} {:>10} {:>11} {:>8} {:>8} {:>8}\n",
        "recipe", "edge", "CPU ms", "GPU ms", "kernels ms", "GB/s", "of copy", "CPU/GPU"
    );
    for row in rows {
        let _ = write!(out, "{:width$} {:>6} {:>10.2}", row.recipe, row.edge, row.cpu_seconds * 1e3);
        match &row.gpu {
            None => out += &format!(" {:>10} {:>11} {:>8} {:>8} {:>8}\n", "-", "-", "-", "-", "-"),
            Some(gpu) => {
                let rate = gpu.rate(row.bytes);
                let share = gpu
                    .copy_rate
                    .map_or_else(|| "-".to_owned(), |copy| format!("{:.0} %", 100.0 * rate / copy));
                let _ = writeln!(
                    out,
                    " {:>10.2} {:>11.3} {:>8.1} {share:>8} {:>8.2}",
                    gpu.seconds * 1e3,
                    gpu.kernel_seconds * 1e3,
                    rate / 1e9,
                    row.cpu_seconds / gpu.seconds
                );
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let gpu = Gpu { seconds: 0.01, kernel_seconds: 0.001, copy_rate: Some(8e9) };
        let row = |edge, gpu| Row {
            recipe: "gaussian 2".to_owned(),
            edge,
            bytes: 4_000_000,
            cpu_seconds: 0.05,
            gpu,
        };
        vec![row(64, None), row(128, Some(gpu))]
    }

    #[test]
    fn rates_are_those_of_image_and_result() {
        let table = table(&rows());
        assert!(
            table.lines().nth(2).unwrap().ends_with("10.00       1.000      4.0     50 %     5.00"),
            "{table}"
        );
        assert_eq!(csv(&rows()).lines().nth(1), Some("\"gaussian 2\",64,262144,0.050000,,,,"));
        assert_eq!(as_json(&rows()[1])["share_of_copy"], 0.5);
    }

    #[test]
    fn a_plot_has_a_line_for_each_thing_that_was_measured() {
        let svg = plot::svg(&rows());
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    }
}

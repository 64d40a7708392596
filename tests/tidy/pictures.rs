//! `docs/pictures`: what every operation that makes an image does to a small part of a committed one. Another machine's
//! functions may round otherwise, so a few pixels may have another shade.

use crate::house::{collect, data, from_memory, root};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use voxtile::{Pipeline, Recipe};
use voxtile_kernels::ops::TABLE;
use voxtile_kernels::spec::Spec;
use voxtile_kernels::testing::Image;
use voxtile_sched::dispatch;
use voxtile_sched::model::{AxisSet, Element, Kind, Meta};

/// White pixels between before and after.
const GAP: usize = 6;
/// Shades of gray: few, so that the files are small.
const SHADES: f64 = 63.0;
/// Of how many pixels one may differ by more than a shade.
const ONE_IN: usize = 500;
/// Bytes of all pictures together.
const MOST: u64 = 1_000_000;

/// A picture in colour, row by row.
struct Picture {
    width: usize,
    rgb: Vec<[u8; 3]>,
}

impl Picture {
    fn looks_like(&self, other: &Self) -> bool {
        let far = |a: &[u8; 3], b: &[u8; 3]| {
            a.iter().zip(b).any(|(a, b)| f64::from(a.abs_diff(*b)) > 255.0 / SHADES + 1.0)
        };
        let differ = self.rgb.iter().zip(&other.rgb).filter(|(a, b)| far(a, b)).count();
        self.width == other.width && self.rgb.len() == other.rgb.len() && differ * ONE_IN <= self.rgb.len()
    }
}

/// Which image an operation is shown on, how it is cut and brought to values that suit the examples, and the recipe.
fn shown(spec: &Spec) -> (&'static str, &'static str, &'static str) {
    let (image, cut) = match spec.name {
        "gray" | "channel" | "absorbance" | "stain" | "normalize-stain" | "tissue" => {
            ("tissue.tif", "crop 20:100,30:110")
        }
        "frame" | "project" | "reslice" | "transpose" | "cumsum" | "deskew" | "affine" | "resample" => {
            ("lightsheet.tif", "crop 0:72,0:80 | rescale in=74,377 out=0,4095 | cast u16")
        }
        _ => ("nuclei.tif", "crop 60:140,70:150 | rescale in=0,215 out=0,4095 | cast u16"),
    };
    let recipe = match spec.name {
        "abs" => "expr \"input - 900\" | abs",
        "frame" => "frame 10",
        "crop" => "crop 10:60,15:75",
        "project" => "project z method=mean",
        "tissue" => "tissue factor=4 by=absorbance",
        "exp" => "rescale in=0,4095 out=0,4 | exp",
        _ => spec.example,
    };
    (image, cut, recipe)
}

/// The brightest of each line along z; up to three channels are red, green and blue, objects have any colour. Black is the
/// darkest 0.2 % and white the brightest, of each channel.
fn picture(image: &Image) -> Picture {
    let [_, channels, depth, height, width] = image.meta().shape.map(|n| n as usize);
    let values: Vec<f64> =
        dispatch!(image.meta().dtype, T => image.values::<T>().iter().map(|v| v.to_f64()).collect());
    let plane = height * width;
    let brightest = |c: usize, n: usize| {
        let along = (0..depth).map(|z| values[(c * depth + z) * plane + n]);
        along.filter(|v| v.is_finite()).fold(f64::NEG_INFINITY, f64::max)
    };
    let coloured = |label: f64| match label as u64 {
        0 => [0; 3],
        n => [37, 101, 173].map(|k| 64 + (n * k % 192) as u8),
    };
    let shades = |c: usize| -> Vec<u8> {
        let seen: Vec<f64> = (0..plane).map(|n| brightest(c, n)).collect();
        let mut sorted: Vec<f64> = seen.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| sorted.get(((sorted.len().max(1) - 1) as f64 * part) as usize).copied();
        let ends =
            if image.meta().kind == Kind::Mask { [Some(0.0), Some(1.0)] } else { [at(0.002), at(0.998)] };
        let [low, high] = ends.map(Option::unwrap_or_default);
        let shade = |v: &f64| {
            let level = ((v - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
            ((level * SHADES).round() * 255.0 / SHADES) as u8
        };
        seen.iter().map(shade).collect()
    };
    if image.meta().kind == Kind::Labels {
        return Picture { width, rgb: (0..plane).map(|n| coloured(brightest(0, n))).collect() };
    }
    let shades: Vec<Vec<u8>> = (0..channels.min(3)).map(shades).collect();
    let colour = |n: usize| [0, 1, 2].map(|c: usize| shades[c.min(shades.len() - 1)][n]);
    Picture { width, rgb: (0..plane).map(colour).collect() }
}

fn beside(left: &Picture, right: &Picture) -> Picture {
    let width = left.width + GAP + right.width;
    let height = (left.rgb.len() / left.width).max(right.rgb.len() / right.width);
    let mut rgb = vec![[255; 3]; width * height];
    for (part, from) in [(left, 0), (right, left.width + GAP)] {
        for (y, row) in part.rgb.chunks_exact(part.width).enumerate() {
            rgb[y * width + from..][..part.width].copy_from_slice(row);
        }
    }
    Picture { width, rgb }
}

fn made(spec: &Spec) -> Picture {
    let (file, cut, recipe) = shown(spec);
    let (image, _) = collect(|| Pipeline::open(data(file)).unwrap().step(cut));
    let before = match spec.name {
        "frame" => as_frames(&image),
        _ => image,
    };
    let chunk = before.meta().shape;
    let (after, _) = collect(|| from_memory(&before, chunk).recipe(Recipe::parse(recipe).unwrap()));
    beside(&picture(&before), &picture(&after))
}

/// The planes of a stack as the frames of a film: no committed image of some size has a time axis.
fn as_frames(image: &Image) -> Image {
    let [_, c, z, y, x] = image.meta().shape;
    let meta = Meta::new([z, c, 1, y, x], AxisSet::parse("tyx").unwrap(), image.meta().dtype);
    dispatch!(meta.dtype, T => Image::from_values(meta, image.values::<T>()))
}

fn read(path: &Path) -> Option<Picture> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).ok()?)).read_info().ok()?;
    let mut bytes = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut bytes).ok()?;
    let rgb = match info.color_type {
        png::ColorType::Grayscale => bytes.iter().map(|&v| [v; 3]).collect(),
        _ => bytes.as_chunks().0.to_vec(),
    };
    Some(Picture { width: info.width as usize, rgb })
}

fn write(path: &Path, picture: &Picture) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let gray = picture.rgb.iter().all(|[r, g, b]| r == g && g == b);
    let height = picture.rgb.len() / picture.width;
    let file = BufWriter::new(File::create(path).unwrap());
    let mut encoder = png::Encoder::new(file, picture.width as u32, height as u32);
    encoder.set_color(if gray { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let bytes: Vec<u8> = match gray {
        true => picture.rgb.iter().map(|[v, ..]| *v).collect(),
        false => picture.rgb.as_flattened().to_vec(),
    };
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
}

#[test]
fn every_operation_that_makes_an_image_has_its_picture() {
    let mut bytes = 0;
    let mut wrong = Vec::new();
    for spec in TABLE.iter().filter(|s| !s.makes_table()) {
        let path = root().join(format!("docs/pictures/{}.png", spec.name));
        let want = made(spec);
        if !read(&path).is_some_and(|found| found.looks_like(&want)) {
            match std::env::var_os("UPDATE_DOCS") {
                Some(_) => write(&path, &want),
                None => wrong.push(spec.name),
            }
        }
        bytes += path.metadata().map_or(0, |file| file.len());
    }
    assert!(
        wrong.is_empty(),
        "docs/pictures shows something else of {}; `UPDATE_DOCS=1 cargo test --test main tidy` makes it anew",
        wrong.join(", ")
    );
    assert!(bytes <= MOST, "docs/pictures has {bytes} bytes");
}

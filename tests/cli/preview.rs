//! Pictures: their pixels, and what is read for them.

use super::{Place, noise};
use ndarray::{ArrayD, Axis, s};

/// Rows of RGB pixels.
fn picture(place: &Place, name: &str) -> Vec<Vec<[u8; 3]>> {
    let file = std::io::BufReader::new(std::fs::File::open(place.path(name)).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    let rows = bytes.chunks(info.width as usize * 3);
    rows.map(|row| row.as_chunks::<3>().0.to_vec()).collect()
}

/// The gray level of a value between two others.
fn shade(value: f64, low: f64, high: f64) -> [u8; 3] {
    [(((value - low) / (high - low)).clamp(0.0, 1.0) * 255.0).round() as u8; 3]
}

#[track_caller]
fn same(got: &[Vec<[u8; 3]>], want: impl Fn(usize, usize) -> [u8; 3], height: usize, width: usize) {
    assert_eq!((got.len(), got[0].len()), (height, width));
    for (y, row) in got.iter().enumerate() {
        for (x, pixel) in row.iter().enumerate() {
            assert_eq!(*pixel, want(y, x), "row {y}, column {x}");
        }
    }
}

/// As `numpy.percentile` has it.
fn percentile(values: impl Iterator<Item = u16>, percent: f64) -> f64 {
    let mut values: Vec<f64> = values.map(f64::from).collect();
    values.sort_by(f64::total_cmp);
    let at = (values.len() - 1) as f64 * percent / 100.0;
    let (a, b) = (values[at.floor() as usize], values[at.ceil() as usize]);
    a + (b - a) * at.fract()
}

#[test]
fn a_small_plane_is_drawn_voxel_by_voxel() {
    let place = Place::new();
    place.copy("nuclei.tif", "in.tif");
    let image: ArrayD<u16> = place.read("in.tif");
    let answer = place.ok(&["preview", "in.tif", "a.png", "--no-scale-bar"]);
    let (low, high) = (percentile(image.iter().copied(), 1.0), percentile(image.iter().copied(), 99.8));
    same(&picture(&place, "a.png"), |y, x| shade(f64::from(image[[y, x]]), low, high), 200, 233);
    assert!(
        answer.stderr.starts_with("in.tif → a.png: 233 × 200 pixels, channel 0 from "),
        "{}",
        answer.stderr
    );
    place.ok(&["preview", "in.tif", "b.png", "--no-scale-bar", "--contrast", "20,50", "-q"]);
    let (low, high) = (percentile(image.iter().copied(), 20.0), percentile(image.iter().copied(), 50.0));
    same(&picture(&place, "b.png"), |y, x| shade(f64::from(image[[y, x]]), low, high), 200, 233);
    assert_eq!(place.names(), ["a.png", "b.png", "in.tif"]);
}

#[test]
fn slices_and_projections_of_a_volume() {
    let place = Place::new();
    let image = place.volume("in.zarr");
    let draw = |args: &[&str]| {
        place.ok(&[&["preview", "in.zarr", "p.png", "--overwrite", "--range", "0,4095"], args].concat());
        picture(&place, "p.png")
    };
    let gray = |value: f64| shade(value, 0.0, 4095.0);
    same(&draw(&[]), |y, x| gray(f64::from(image[[10, y, x]])), 33, 47);
    same(&draw(&["--z", "3"]), |y, x| gray(f64::from(image[[3, y, x]])), 33, 47);
    same(&draw(&["--y", "32"]), |z, x| gray(f64::from(image[[z, 32, x]])), 20, 47);
    same(&draw(&["--x", "0"]), |z, y| gray(f64::from(image[[z, y, 0]])), 20, 33);
    same(&draw(&["--along", "x"]), |z, y| gray(f64::from(image[[z, y, 23]])), 20, 33);
    let most = |a: usize| image.map_axis(Axis(a), |v| f64::from(*v.iter().max().unwrap()));
    let (along_z, along_y) = (most(0), most(1));
    same(&draw(&["--project", "max"]), |y, x| gray(along_z[[y, x]]), 33, 47);
    same(&draw(&["--project", "max", "--along", "y"]), |z, x| gray(along_y[[z, x]]), 20, 47);
}

#[test]
fn a_large_plane_is_made_smaller() {
    let place = Place::new();
    let image = noise(&[96, 128]);
    place.write("in.zarr", image.clone(), &[40]);
    let args = ["--size", "32", "--range", "0,4095"];
    place.ok(&[&["preview", "in.zarr", "p.png"], &args[..]].concat());
    let mean = |y: usize, x: usize| {
        let block = image.slice(s![4 * y..4 * y + 4, 4 * x..4 * x + 4]);
        f64::from((block.iter().map(|&v| f64::from(v)).sum::<f64>() / 16.0) as f32)
    };
    same(&picture(&place, "p.png"), |y, x| shade(mean(y, x), 0.0, 4095.0), 24, 32);
    // Whatever the memory; and what does not fit is refused.
    place.ok(&[&["preview", "in.zarr", "q.png", "--memory", "64MiB", "--workers", "1"], &args[..]].concat());
    assert_eq!(picture(&place, "p.png"), picture(&place, "q.png"));
    // No side is longer than was asked for.
    place.ok(&["preview", "in.zarr", "r.png", "--size", "50"]);
    let odd = picture(&place, "r.png");
    assert_eq!((odd.len(), odd[0].len()), (38, 50));
}

#[test]
fn only_the_chunks_of_the_plane_are_read() {
    let place = Place::new();
    place.write("in.zarr", noise(&[64, 256, 256]), &[16, 64, 64]);
    let json = |args: &[&str]| {
        place.ok(&[&["preview", "in.zarr", "p.png", "--overwrite", "--json"], args].concat()).json()
    };
    // 4 × 4 × 4 chunks, of which a plane touches 16.
    for args in [["--z", "5"], ["--y", "255"], ["--x", "64"]] {
        let read = json(&args);
        assert_eq!(read["reports"][0]["chunks_decoded"].as_u64(), Some(16), "{args:?}");
        let all = json(&["--project", "max"])["bytes_read"].as_u64().unwrap();
        let bytes = read["bytes_read"].as_u64().unwrap();
        assert!(bytes > 0 && 3 * bytes < all, "{bytes} of {all}");
    }
    assert_eq!(json(&["--size", "8"])["reports"][0]["chunks_decoded"].as_u64(), Some(16));
}

#[test]
fn a_pyramid_gives_the_level_that_fills_the_picture() {
    let place = Place::new();
    place.copy("five.ome.zarr", "in.ome.zarr");
    let json = |args: &[&str]| {
        let all = [&["preview", "in.ome.zarr", "p.png", "--overwrite", "--json"], args].concat();
        place.ok(&all).json()
    };
    let sizes = |json: &serde_json::Value| {
        ["level", "width", "height", "position", "t"].map(|key| json[key].as_u64().unwrap())
    };
    assert_eq!(sizes(&json(&[])), [0, 24, 20, 2, 0]);
    assert_eq!(sizes(&json(&["--size", "12", "--z", "4", "--t", "1"])), [1, 12, 10, 4, 1]);
    assert_eq!(sizes(&json(&["--size", "6"])), [1, 6, 5, 2, 0]);
    assert_eq!(sizes(&json(&["--size", "12", "--level", "0"])), [0, 12, 10, 2, 0]);
    assert_eq!(sizes(&json(&["--level", "1"])), [1, 12, 10, 2, 0]);
    // Two channels: green and magenta where the file names no colours.
    let level: ArrayD<u8> = voxtile::Pipeline::open(place.path("in.ome.zarr")).unwrap().collect().unwrap();
    let both = json(&["--range", "0,255"]);
    let colors = [&both["channels"][0]["color"], &both["channels"][1]["color"]];
    assert!(colors[0] != colors[1], "{both}");
    place.ok(&[
        "preview",
        "in.ome.zarr",
        "one.png",
        "--channel",
        "1",
        "--range",
        "0,255",
        "--t",
        "1",
        "--z",
        "0",
    ]);
    let gray = |y: usize, x: usize| [level[[1, 1, 0, y, x]]; 3];
    same(&picture(&place, "one.png"), gray, 20, 24);
}

#[test]
fn colours_of_a_slide_are_kept() {
    let place = Place::new();
    place.copy("tissue.tif", "in.tif");
    let image: ArrayD<u8> = place.read("in.tif");
    place.ok(&["preview", "in.tif", "p.png", "--no-scale-bar"]);
    same(&picture(&place, "p.png"), |y, x| [0, 1, 2].map(|c| image[[c, y, x]]), 150, 170);
    place.ok(&["preview", "in.tif", "q.png", "--contrast", "0,50"]);
    assert_ne!(picture(&place, "p.png"), picture(&place, "q.png"));
}

#[test]
fn objects_are_drawn_over_the_image() {
    let place = Place::new();
    place.copy("nuclei.tif", "in.tif");
    place.ok(&["run", "in.tif", "cells.zarr", "gaussian sigma=2 | threshold otsu | label min-size=50"]);
    let labels: ArrayD<u32> = place.read("cells.zarr");
    place.ok(&["preview", "in.tif", "plain.png"]);
    place.ok(&["preview", "in.tif", "p.png", "--labels", "cells.zarr"]);
    let (plain, drawn) = (picture(&place, "plain.png"), picture(&place, "p.png"));
    let mut rims: std::collections::BTreeMap<u32, [u8; 3]> = Default::default();
    for ((y, x), &label) in labels.view().into_dimensionality::<ndarray::Ix2>().unwrap().indexed_iter() {
        let next = |dy: i64, dx: i64| {
            labels.get([(y as i64 + dy) as usize, (x as i64 + dx) as usize].as_slice()).copied()
        };
        let rim =
            [(-1, 0), (1, 0), (0, -1), (0, 1)].iter().any(|(a, b)| next(*a, *b).is_some_and(|n| n != label));
        match (label, rim) {
            (0, _) => assert_eq!(drawn[y][x], plain[y][x]),
            (_, true) => assert_eq!(*rims.entry(label).or_insert(drawn[y][x]), drawn[y][x], "{label}"),
            _ => assert_ne!(drawn[y][x], plain[y][x]),
        }
    }
    let colors: std::collections::BTreeSet<_> = rims.values().collect();
    assert!(rims.len() > 5 && colors.len() == rims.len(), "{rims:?}");
    // A label image alone is drawn in the same colours, also smaller.
    place.ok(&["preview", "cells.zarr", "alone.png"]);
    place.ok(&["preview", "in.tif", "small.png", "--labels", "cells.zarr", "--size", "50"]);
    assert_eq!(picture(&place, "small.png").len(), 43);
}

#[test]
fn a_scale_bar_where_the_size_is_known() {
    let place = Place::new();
    place.copy("lightsheet.tif", "in.tif");
    let um = voxtile::Pipeline::open(place.path("in.tif")).unwrap().meta().micrometers(voxtile::op::Axis::X);
    let json = place.ok(&["preview", "in.tif", "with.png", "--json"]).json();
    assert_eq!(json["um_per_pixel"].as_f64(), um);
    let bar = json["scale_bar_um"].as_f64().unwrap();
    assert!(bar > 0.0 && bar / um.unwrap() <= 90.0 / 4.0, "{json}");
    let without = place.ok(&["preview", "in.tif", "without.png", "--no-scale-bar", "--json"]).json();
    assert!(without["scale_bar_um"].is_null());
    let (with, without) = (picture(&place, "with.png"), picture(&place, "without.png"));
    let row = with.len() - 7;
    let long = with[row].iter().zip(&without[row]).filter(|(a, b)| a != b && **a == [255; 3]).count();
    assert!(long <= (bar / um.unwrap()).round() as usize && long > 0, "{long}");
    assert_eq!(with[..40], without[..40]);
}

#[test]
fn a_picture_of_each_of_many() {
    let place = Place::new();
    std::fs::create_dir(place.path("plate")).unwrap();
    for name in ["a.tif", "b.tif"] {
        place.write(&format!("plate/{name}"), noise(&[20, 30]), &[16, 16]);
    }
    place.ok(&["run", "plate", "{name}.zarr", "threshold 2000 | label"]);
    let json = place.ok(&["preview", "plate", "{name}.png", "--labels", "{name}.zarr", "--json"]).json();
    assert_eq!(json[1]["image"], "plate/b.tif");
    assert_eq!(picture(&place, "a.png"), picture(&place, "b.png"));
    let refused = place.run(&["preview", "plate", "all.png", "--overwrite"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("2 images, and `all.png` can hold the result of one"),
        "{}",
        refused.stderr
    );
}

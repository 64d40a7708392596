use super::{refused, snapshot};
use crate::cli::Place;

fn options(name: &str, args: &[&str]) {
    let place = Place::new();
    place.volume("in.zarr");
    refused(&place, name, &[&["convert", "in.zarr", "out.zarr"], args].concat());
}

#[test]
fn codec() {
    options("unknown_codec", &["--codec", "lz5"]);
    options("codec_level", &["--codec", "zstd:40"]);
    options("codec_of_another_format", &["--codec", "lzw"]);
}

#[test]
fn sizes() {
    options("chunk_zero", &["--chunk", "0"]);
    options("too_many_sizes", &["--chunk", "1,2,3,4"]);
    options("shard_not_a_multiple", &["--chunk", "16", "--shard", "24"]);
}

#[test]
fn words() {
    options("unknown_dtype", &["--dtype", "u12"]);
    options("unknown_border", &["--border", "mirrored"]);
    options("bad_memory", &["--memory", "lots"]);
    options("unknown_option", &["--memroy", "1GiB"]);
}

#[test]
fn axes_of_another_rank() {
    options("axes_rank", &["--axes", "yx"]);
}

#[test]
fn level_and_array() {
    let place = Place::new();
    place.copy("zarr/ome_0_4.zarr", "in.zarr");
    refused(&place, "no_such_level", &["info", "in.zarr", "--level", "7"]);
    refused(&place, "no_such_array", &["info", "in.zarr", "--array", "labels"]);
}

#[test]
fn a_format_that_is_not_written() {
    let place = Place::new();
    place.volume("in.zarr");
    refused(&place, "output_png", &["run", "in.zarr", "out.png", "invert"]);
}

#[test]
fn options_of_another_format() {
    let place = Place::new();
    place.volume("in.zarr");
    refused(&place, "zarr_format_of_a_tiff", &["convert", "in.zarr", "out.tif", "--zarr-format", "2"]);
    refused(&place, "shard_of_a_tiff", &["convert", "in.zarr", "out.tif", "--shard", "256"]);
}

#[test]
fn output_and_input_in_one_place() {
    let place = Place::new();
    place.volume("in.zarr");
    refused(&place, "output_inside_input", &["run", "in.zarr", "in.zarr/out.zarr", "invert"]);
    refused(&place, "output_is_input", &["run", "in.zarr", "./in.zarr", "invert", "--overwrite"]);
    std::fs::create_dir(place.path("dir")).unwrap();
    std::fs::rename(place.path("in.zarr"), place.path("dir/in.zarr")).unwrap();
    refused(&place, "output_contains_input", &["run", "dir/in.zarr", "dir", "invert", "--overwrite"]);
    assert!(place.path("dir/in.zarr/zarr.json").exists());
}

#[test]
fn output_exists() {
    let place = Place::new();
    place.volume("in.zarr");
    place.volume("out.zarr");
    refused(&place, "output_exists", &["run", "in.zarr", "out.zarr", "invert"]);
    std::fs::create_dir(place.path("thesis")).unwrap();
    std::fs::write(place.path("thesis/chapter1.txt"), "years of work").unwrap();
    refused(&place, "overwrite_not_an_image", &["run", "in.zarr", "thesis", "invert", "--overwrite"]);
    assert!(place.path("thesis/chapter1.txt").exists());
}

#[test]
fn output_in_a_directory_that_is_missing() {
    let place = Place::new();
    place.volume("in.zarr");
    refused(&place, "no_directory", &["run", "in.zarr", "results/out.zarr", "invert"]);
}

/// The numbers depend on the planner; that the named budget works does not.
#[test]
fn a_budget_that_is_too_small() {
    let place = Place::new();
    place.volume("in.zarr");
    let run = |memory: &str| {
        place.run(&["run", "in.zarr", "out.zarr", "gaussian 2", "--workers", "1", "--memory", memory])
    };
    let answer = run("4MiB");
    assert_eq!(answer.code, Some(2));
    let hint = answer.stderr.lines().find_map(|l| l.strip_prefix("hint: `--memory ")).unwrap();
    let smallest = hint.split('`').next().unwrap().to_owned();
    let text: String = answer.stderr.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
    let text = text.replace("###", "##").replace("##", "#").replace("#.#", "#");
    snapshot(
        "budget",
        &["run", "in.zarr", "out.zarr", "gaussian 2", "--workers", "1", "--memory", "4MiB"],
        &text,
    );
    assert_eq!(place.names(), ["in.zarr"]);

    let mebibytes: u64 = smallest.strip_suffix("MiB").unwrap().parse().unwrap();
    assert_eq!(run(&format!("{}MiB", mebibytes - 1)).code, Some(2), "a smaller one works too");
    let works = run(&smallest);
    assert_eq!(works.code, Some(0), "{}", works.stderr);
}

#[test]
fn a_budget_below_one_chunk() {
    let place = Place::new();
    place.volume("in.zarr");
    refused(&place, "budget_below_a_chunk", &["verify", "in.zarr", "--memory", "1MiB"]);
}

#[test]
fn pictures_that_cannot_be_drawn() {
    let place = Place::new();
    place.volume("in.zarr");
    place.write("other.zarr", crate::cli::noise(&[9, 9]), &[4]);
    std::fs::write(place.path("there.png"), "").unwrap();
    let preview =
        |name: &str, args: &[&str]| refused(&place, name, &[&["preview", "in.zarr"], args].concat());
    preview("preview_not_png", &["out.jpg"]);
    preview("preview_no_axis", &["out.png", "--t", "1"]);
    preview("preview_no_channel", &["out.png", "--channel", "0"]);
    preview("preview_beyond", &["out.png", "--z", "20"]);
    preview("preview_labels", &["out.png", "--labels", "other.zarr"]);
    preview("preview_exists", &["there.png"]);
    preview("preview_no_directory", &["no/out.png"]);
    preview("preview_method", &["out.png", "--project", "most"]);
}

#[test]
fn more_threads_than_cores_need_memory() {
    let place = Place::new();
    place.volume("in.zarr");
    let answer = place.run(&["plan", "in.zarr", "median 3", "--workers", "5000", "--memory", "1GiB"]);
    assert_eq!(answer.code, Some(2));
    assert!(answer.stderr.contains("hint: `--workers "), "{}", answer.stderr);
}

#[test]
fn a_refusal_for_machines() {
    let place = Place::new();
    place.volume("in.zarr");
    let answer = place.run(&["run", "in.zarr", "out.zarr", "median 3 | gausian 2", "--json"]);
    let json = answer.json();
    assert_eq!((answer.code, json["exit"].as_u64()), (Some(2), Some(2)));
    assert!(json["error"].as_str().unwrap().contains("there is no operation `gausian`"), "{json}");
    assert_eq!(json["hint"], "`voxtile ops gaussian` explains `gaussian`");
    // What clap refuses, too.
    let answer = place.run(&["run", "in.zarr", "out.zarr", "median 3", "--json", "--chunk", "0"]);
    let json = answer.json();
    assert_eq!((answer.code, json["exit"].as_u64(), &*answer.stderr), (Some(2), Some(2), ""));
    assert!(json["error"].as_str().unwrap().contains("invalid value '0' for '--chunk <SIZES>'"), "{json}");
    assert!(answer.stderr.is_empty(), "{}", answer.stderr);
}

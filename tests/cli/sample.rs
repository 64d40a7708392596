//! What outputs record of themselves, and `verify --sample`, which makes parts of them again.

use super::Place;

const RECIPE: &str = "gaussian sigma=1 as g | expr \"input < g && input > 100\" | label";

#[test]
fn an_output_says_how_it_was_made() {
    let place = Place::new();
    place.volume("in.zarr");
    for output in ["out.zarr", "out.tif"] {
        place.ok(&["run", "in.zarr", output, RECIPE, "--border", "mirror"]);
        let made = &place.ok(&["info", output, "--json"]).json()["made"];
        let steps = made["recipe"].as_str().unwrap();
        assert_eq!(
            steps, "gaussian sigma=1 as g | expr formula=\"input < g && input > 100\" | label",
            "{output}"
        );
        assert_eq!(made["border"], "mirror", "{output}");
        assert_eq!(made["time"], "2023-11-14T22:13:20Z", "{output}");
        assert!(made["input"]["path"].as_str().unwrap().ends_with("/in.zarr"), "{made}");
        assert!(place.ok(&["info", output]).stdout.contains("made       by voxtile "), "{output}");
    }
    // What is made of an output was made by its own recipe, not by that of its input.
    place.ok(&["convert", "out.zarr", "copy.zarr"]);
    assert_eq!(place.ok(&["info", "copy.zarr", "--json"]).json()["made"]["recipe"], "");
    // Without a word about the time from the caller, equal runs write equal files.
    place.write("library.zarr", super::noise(&[8, 8]), &[8]);
    assert!(place.ok(&["info", "library.zarr", "--json"]).json()["made"].is_null());
}

#[test]
fn regions_are_made_again_and_compared() {
    let place = Place::new();
    place.volume("in.zarr");
    for (output, more) in [
        ("out.zarr", &["--chunk", "8"][..]),
        ("out.tif", &["--chunk", "16,16"]),
        ("cast.zarr", &["--dtype", "u8"]),
    ] {
        place.ok(&[&["run", "in.zarr", output, "median size=3 | gaussian sigma=1"], more].concat());
        let answer = place.ok(&["verify", output, "--sample", "5"]);
        assert!(
            answer.stdout.contains("regions made again by `median size=3 | gaussian sigma=1"),
            "{}",
            answer.stdout
        );
        assert!(answer.stdout.contains("all equal"), "{}", answer.stdout);
    }
    place.ok(&["run", "in.zarr", "labels.zarr", RECIPE]);
    place.ok(&["verify", "labels.zarr", "--sample", "3", "--seed", "9"]);
    place.ok(&["convert", "in.zarr", "copy.zarr"]);
    place.ok(&["verify", "copy.zarr", "--sample", "1000"]);
}

#[test]
fn an_output_with_another_voxel_is_found() {
    let place = Place::new();
    place.volume("in.zarr");
    place.ok(&["run", "in.zarr", "out.zarr", "invert", "--codec", "none", "--chunk", "16"]);
    let chunk = place.path("out.zarr/c/0/1/2");
    let mut bytes = std::fs::read(&chunk).unwrap();
    bytes[4] ^= 1;
    std::fs::write(&chunk, bytes).unwrap();
    let answer = place.run(&["verify", "out.zarr", "--sample", "1000"]);
    assert_eq!(answer.code, Some(1), "{}{}", answer.stdout, answer.stderr);
    assert!(
        answer.stdout.contains("1 of 18 regions differ from what `invert` makes of "),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stdout.contains("voxels z 0–15, y 16–31, x 32–46: 1 of 3 840, by 1 at most"),
        "{}",
        answer.stdout
    );
}

#[test]
fn what_cannot_be_made_again_is_refused() {
    let place = Place::new();
    place.volume("in.zarr");
    let refused = |args: &[&str], why: &str| {
        let answer = place.run(args);
        assert_eq!(answer.code, Some(2), "{}{}", answer.stdout, answer.stderr);
        assert!(answer.stderr.contains(why), "{}", answer.stderr);
    };
    refused(&["verify", "in.zarr", "--sample", "1"], "does not say how it was made");
    place.ok(&["run", "in.zarr", "out.zarr", "invert"]);
    let chunk = place.path("in.zarr/c/0/0/0");
    std::fs::copy(place.path("in.zarr/c/0/0/1"), &chunk).unwrap();
    refused(&["verify", "out.zarr", "--sample", "1"], "which has changed since");
    std::fs::remove_dir_all(place.path("in.zarr")).unwrap();
    refused(&["verify", "out.zarr", "--sample", "1"], "in.zarr` does not exist");
}

#[test]
fn code_that_a_record_names_runs_only_if_it_is_allowed() {
    let place = Place::new();
    place.volume("in.zarr");
    place.ok(&["run", "in.zarr", "out.zarr", "invert"]);
    std::fs::write(
        place.path("own.cu"),
        "__device__ Out f(const Around<In>& a, const double*) { return a(0, 0, 0); }",
    )
    .unwrap();
    let (root, file) = (place.path("out.zarr/zarr.json"), place.path("own.cu"));
    let text = std::fs::read_to_string(&root).unwrap();
    let record = text.replace("invert", &format!("kernel file={} name=f", file.display()));
    assert_ne!(record, text);
    std::fs::write(&root, record).unwrap();
    let answer = place.run(&["verify", "out.zarr", "--sample", "1"]);
    assert_eq!(answer.code, Some(2), "{}{}", answer.stdout, answer.stderr);
    assert!(answer.stderr.contains("which its record asks to run"), "{}", answer.stderr);
    let (_, hash) = answer.stderr.split_once("`--allow-kernel ").expect("a hint");
    let (hash, _) = hash.split_once('`').unwrap();
    let other =
        place.run(&["verify", "out.zarr", "--sample", "1", "--allow-kernel", &hash.replace('a', "b")]);
    assert!(other.stderr.contains("which its record asks to run"), "{}", other.stderr);
    // Allowed, it goes on to what else there is to say, as that there is no GPU.
    let allowed = place.run(&["verify", "out.zarr", "--sample", "1", "--allow-kernel", hash]);
    assert!(!allowed.stderr.contains("which its record asks to run"), "{}", allowed.stderr);
}

use super::Place;

#[test]
fn verify_decodes_every_chunk() {
    let place = Place::new();
    place.volume("in.zarr");
    assert_eq!(place.ok(&["verify", "in.zarr"]).stdout, "in.zarr: all 18 chunks decode\n");
    assert_eq!(place.ok(&["verify", "in.zarr", "--json"]).json()["chunks"], 18);
}

#[test]
fn verify_lists_what_is_damaged() {
    let place = Place::new();
    place.volume("in.zarr");
    for chunk in ["c/0/1/2", "c/1/0/0"] {
        std::fs::write(place.path("in.zarr").join(chunk), b"not a chunk").unwrap();
    }
    let answer = place.run(&["verify", "in.zarr"]);
    assert_eq!(answer.code, Some(1));
    assert!(answer.stdout.starts_with("in.zarr: 2 of 18 chunks are damaged\n"), "{}", answer.stdout);
    let (first, second) = (answer.stdout.find("c/0/1/2").unwrap(), answer.stdout.find("c/1/0/0").unwrap());
    assert!(first < second);
    assert!(answer.stdout.contains("z 0–15, y 16–31, x 32–46"), "{}", answer.stdout);
    let json = place.run(&["verify", "in.zarr", "--json"]).json();
    assert_eq!(json["damaged"].as_array().unwrap().len(), 2);
}

#[test]
fn chunks_that_are_read_in_parts_are_counted_whole() {
    let place = Place::new();
    let voxels: Vec<u8> = (0..128 * 128 * 128u32).map(|n| (n.wrapping_mul(n) >> 11) as u8).collect();
    std::fs::write(place.path("in.raw"), voxels).unwrap();
    let raw = ["--raw-shape", "128,128,128", "--raw-dtype", "u8"];
    place
        .ok(&[&["convert", "in.raw", "in.zarr", "--chunk", "64,128,128", "--codec", "none"][..], &raw]
            .concat());
    assert_eq!(place.ok(&["verify", "in.zarr"]).stdout, "in.zarr: all 2 chunks decode\n");
    std::fs::write(place.path("in.zarr/0/c/1/0/0"), [0; 1000]).unwrap();
    let answer = place.run(&["verify", "in.zarr", "--json"]);
    assert_eq!(answer.code, Some(1));
    let damaged = answer.json()["damaged"].as_array().unwrap().clone();
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    assert!(damaged[0]["voxels"].as_str().unwrap().contains("z 64–127"), "{damaged:?}");
}

#[test]
fn equal_images_of_other_chunks_are_equal() {
    let place = Place::new();
    place.volume("in.zarr");
    place.ok(&["convert", "in.zarr", "b.zarr", "--chunk", "7,11,13", "--codec", "gzip:1"]);
    assert_eq!(
        place.ok(&["verify", "in.zarr", "b.zarr"]).stdout,
        "in.zarr and b.zarr are equal: all 31 020 voxels\n"
    );
    assert_eq!(
        place.ok(&["verify", "b.zarr", "in.zarr", "--memory", "32MiB", "--workers", "1"]).code,
        Some(0)
    );
}

#[test]
fn one_voxel_that_differs_is_found() {
    let place = Place::new();
    let mut image = place.volume("a.zarr");
    image[[17, 5, 40]] ^= 3;
    image[[18, 0, 0]] ^= 8;
    place.write("b.zarr", image.clone(), &[9, 33, 10]);
    let answer = place.run(&["verify", "a.zarr", "b.zarr"]);
    assert_eq!(answer.code, Some(1));
    let (one, two) = (image[[17, 5, 40]] ^ 3, image[[17, 5, 40]]);
    let want = format!(
        "a.zarr and b.zarr differ in 2 of 31 020 voxels\n  first at z 17, y 5, x 40: {one} and {two}; largest difference 8\n"
    );
    assert_eq!(answer.stdout, want);
    let json = place.run(&["verify", "a.zarr", "b.zarr", "--json"]).json();
    assert_eq!(json["first"]["at"], serde_json::json!({ "z": 17, "y": 5, "x": 40 }));
}

#[test]
fn other_shapes_and_types_differ() {
    let place = Place::new();
    place.volume("a.zarr");
    place.ok(&["run", "a.zarr", "shape.zarr", "crop 0:19,:,:"]);
    place.ok(&["run", "a.zarr", "type.zarr", "cast f32"]);
    let shape = place.run(&["verify", "a.zarr", "shape.zarr"]);
    assert_eq!(shape.code, Some(1));
    assert_eq!(
        shape.stdout,
        "a.zarr and shape.zarr differ in shape: 20 × 33 × 47 (zyx) and 19 × 33 × 47 (zyx)\n"
    );
    let dtype = place.run(&["verify", "a.zarr", "type.zarr"]);
    assert_eq!(
        (dtype.code, dtype.stdout.as_str()),
        (Some(1), "a.zarr and type.zarr differ in type: u16 and f32\n")
    );
}

use super::refused;
use crate::cli::{Place, noise};
use std::fs;

fn convert(place: &Place, name: &str, input: &str) {
    refused(place, name, &["convert", input, "out.zarr"]);
}

#[test]
fn missing() {
    let place = Place::new();
    place.volume("scan_01.zarr");
    convert(&place, "missing_similar", "scan_1.zarr");
    convert(&place, "missing", "elsewhere/embryo.zarr");
}

#[test]
fn not_an_image() {
    let place = Place::new();
    fs::write(place.path("notes.txt"), "shopping list").unwrap();
    convert(&place, "not_an_image", "notes.txt");
    fs::create_dir(place.path("empty")).unwrap();
    convert(&place, "directory_without_zarr", "empty");
    fs::write(place.path("nothing.tif"), "").unwrap();
    convert(&place, "empty_file", "nothing.tif");
}

#[test]
fn truncated_tiff() {
    let place = Place::new();
    place.copy("nuclei.tif", "in.tif");
    let bytes = fs::read(place.path("in.tif")).unwrap();
    // One tile is damaged: of several, any may be met first.
    fs::write(place.path("short.tif"), &bytes[..bytes.len() - 50]).unwrap();
    fs::write(place.path("stub.tif"), &bytes[..6]).unwrap();
    convert(&place, "truncated_tiff", "short.tif");
    convert(&place, "truncated_tiff_header", "stub.tif");
}

#[test]
fn truncated_chunk() {
    let place = Place::new();
    place.volume("in.zarr");
    let chunk = place.path("in.zarr/c/0/1/2");
    let bytes = fs::read(&chunk).unwrap();
    fs::write(&chunk, &bytes[..bytes.len() / 2]).unwrap();
    convert(&place, "truncated_chunk", "in.zarr");
}

#[test]
fn corrupt_chunk() {
    let place = Place::new();
    let output = voxtile::Output::to(place.path("in.zarr")).chunk(&[16]).codec("zstd:3".parse().unwrap());
    voxtile::Pipeline::from_array(noise(&[20, 33, 47])).unwrap().write_to(output).unwrap().run().unwrap();
    fs::write(place.path("in.zarr/c/1/0/0"), [0u8; 100]).unwrap();
    convert(&place, "corrupt_chunk", "in.zarr");
}

#[test]
fn checksum() {
    let place = Place::new();
    place.copy("zarr/v3_crc32c.zarr", "in.zarr");
    let chunk = first_file(&place.path("in.zarr/c"));
    let mut bytes = fs::read(&chunk).unwrap();
    bytes[3] ^= 0x40;
    fs::write(&chunk, bytes).unwrap();
    convert(&place, "checksum", "in.zarr");
}

fn first_file(dir: &std::path::Path) -> std::path::PathBuf {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    if entries[0].is_dir() { first_file(&entries[0]) } else { entries[0].clone() }
}

/// Changes words of a header.
fn edited(place: &Place, from: &str, to: &str) {
    place.volume("in.zarr");
    let file = place.path("in.zarr/zarr.json");
    let text: String = fs::read_to_string(&file).unwrap().split_whitespace().collect();
    assert!(text.contains(from), "no {from} in {text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn absurd_headers() {
    for (name, from, to) in [
        ("absurd_shape", "\"shape\":[20,33,47]", "\"shape\":[9000000000000000,9000000000000000,47]"),
        ("absurd_chunk", "\"chunk_shape\":[16,16,16]", "\"chunk_shape\":[4000000000,4000000000,4000000000]"),
        ("chunk_of_zero", "\"chunk_shape\":[16,16,16]", "\"chunk_shape\":[16,0,16]"),
        ("chunk_rank", "\"chunk_shape\":[16,16,16]", "\"chunk_shape\":[16,16]"),
        ("unknown_codec_in_file", "\"blosc\"", "\"brotli\""),
        ("unknown_type_in_file", "\"uint16\"", "\"decimal16\""),
        ("header_not_json", "\"shape\":[20", "\"shape\":[20,,"),
    ] {
        let place = Place::new();
        edited(&place, from, to);
        convert(&place, name, "in.zarr");
    }
}

#[test]
fn absurd_tiff_header() {
    let place = Place::new();
    place.copy("nuclei.tif", "in.tif");
    let mut bytes = fs::read(place.path("in.tif")).unwrap();
    // The first entry of the first directory is ImageWidth.
    let ifd = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    assert_eq!(u16::from_le_bytes(bytes[ifd + 2..ifd + 4].try_into().unwrap()), 256);
    bytes[ifd + 4..ifd + 6].copy_from_slice(&4u16.to_le_bytes());
    bytes[ifd + 10..ifd + 14].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(place.path("wide.tif"), &bytes).unwrap();
    convert(&place, "absurd_tiff_width", "wide.tif");
}

#[test]
fn files_of_other_programs() {
    let place = Place::new();
    for name in ["mirax.mrxs", "overlapping.bif", "zeiss.czi"] {
        place.copy(&format!("slides/{name}"), name);
    }
    convert(&place, "format_of_a_program", "zeiss.czi");
    convert(&place, "slide_beside_its_picture", "mirax.mrxs");
    convert(&place, "slide_of_overlapping_tiles", "overlapping.bif");
}

#[test]
fn slices_that_are_missing() {
    let place = Place::new();
    for n in [1, 2, 4] {
        place.write(&format!("z{n}.tif"), noise(&[8, 8]), &[16]);
    }
    convert(&place, "slice_missing", "z{z}.tif");
    refused(&place, "slice_missing_in_a_stack", &["convert", "z*.tif", "out.zarr", "--stack", "z"]);
}

#[test]
fn tiles_that_cannot_be_kept() {
    let place = Place::new();
    place.copy("nuclei.tif", "in.tif");
    place.copy("slides/svs_jpeg.svs", "in.svs");
    refused(&place, "keep_other_codec", &["convert", "in.tif", "out.tif", "--keep-jpeg"]);
    refused(
        &place,
        "keep_between_tiles",
        &["convert", "in.svs", "out.tif", "--keep-jpeg", "--crop", "0:99,70:"],
    );
}

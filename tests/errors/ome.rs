//! OME-Zarr: labels, versions, levels.

use super::refused;
use crate::cli::Place;

/// A bare volume, and an image without voxels of that shape.
fn place() -> Place {
    let place = Place::new();
    place.volume("in.zarr");
    place.copy("nuclei.tif", "nuclei.tif");
    place.ok(&["convert", "nuclei.tif", "image.zarr"]);
    place
}

#[test]
fn labels() {
    let place = place();
    let to = "labels:image.zarr/cells";
    refused(&place, "labels_of_floats", &["run", "nuclei.tif", to, "gaussian 2"]);
    refused(&place, "labels_of_intensities", &["run", "nuclei.tif", to, "median 3"]);
    refused(&place, "labels_of_another_shape", &["run", "in.zarr", to, "threshold 9 | label"]);
    refused(
        &place,
        "labels_of_a_bare_array",
        &["run", "in.zarr", "labels:in.zarr/cells", "threshold 9 | label"],
    );
    refused(&place, "labels_without_a_name", &["run", "in.zarr", "labels:image.zarr", "threshold 9 | label"]);
}

#[test]
fn versions() {
    let place = place();
    refused(&place, "ome_version", &["convert", "in.zarr", "out.zarr", "--ome", "0.3"]);
    refused(&place, "ome_of_a_tiff", &["convert", "in.zarr", "out.tif", "--ome", "0.6"]);
    refused(
        &place,
        "ome_0_4_in_v3",
        &["convert", "in.zarr", "out.zarr", "--ome", "0.4", "--zarr-format", "3"],
    );
    refused(
        &place,
        "ome_0_6_in_v2",
        &["convert", "in.zarr", "out.zarr", "--ome", "0.6", "--zarr-format", "2"],
    );
}

#[test]
fn levels_that_are_not_there() {
    let place = place();
    refused(&place, "levels_of_a_bare_array", &["convert", "in.zarr", "out.zarr", "--pyramid=input"]);
    refused(
        &place,
        "levels_of_another_image",
        &["run", "image.zarr", "out.zarr", "invert", "--pyramid=input"],
    );
}

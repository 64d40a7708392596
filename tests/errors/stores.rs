use super::refused;
use crate::cli::Place;

#[test]
fn places_on_the_network_that_are_none() {
    let place = Place::new();
    place.volume("in.zarr");
    refused(&place, "url_scheme", &["info", "ftp://example.org/a.zarr"]);
    refused(&place, "url_with_password", &["info", "https://me:secret@example.org/a.zarr"]);
    refused(&place, "url_with_query", &["info", "https://example.org/a.tif?signature=secret"]);
    refused(&place, "url_without_bucket", &["convert", "in.zarr", "s3:///a.zarr"]);
}

#[test]
fn places_on_the_network_that_are_not_written() {
    let place = Place::new();
    place.volume("in.zarr");
    refused(&place, "write_to_web_server", &["convert", "in.zarr", "https://example.org/a.zarr"]);
    refused(&place, "write_tiff_to_bucket", &["convert", "in.zarr", "s3://bucket/a.tif"]);
    refused(&place, "write_table_to_bucket", &["run", "in.zarr", "s3://bucket/a.csv", "stats"]);
}

#[test]
fn a_server_that_is_not_there() {
    let place = Place::new();
    let nobody = ["--endpoint", "http://127.0.0.1:1", "--anonymous"];
    refused(&place, "unreachable", &[&["info", "s3://bucket/a.zarr"][..], &nobody].concat());
    refused(&place, "unreachable_web_server", &["info", "http://127.0.0.1:1/a.zarr"]);
}

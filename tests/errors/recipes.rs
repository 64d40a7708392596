use super::refused;
use crate::cli::Place;

fn recipe(name: &str, text: &str) {
    let place = Place::new();
    place.volume("in.zarr");
    refused(&place, name, &["run", "in.zarr", "out.zarr", text]);
}

#[test]
fn unknown_operation() {
    recipe("unknown_op", "median 3 | gausian sigma=2");
    recipe("unknown_op_nothing_near", "frobnicate");
}

#[test]
fn unknown_parameter() {
    recipe("unknown_param", "gaussian sigam=2");
}

#[test]
fn missing_parameter() {
    recipe("missing_param", "median 3 | gaussian");
}

#[test]
fn value_of_the_wrong_kind() {
    recipe("bad_value", "gaussian sigma=wide | median 3");
    recipe("bad_choice", "gaussian sigma=2 border=sharp");
}

#[test]
fn too_many_values() {
    recipe("too_many_values", "gaussian sigma=1,2,3,4");
}

#[test]
fn unit_without_pixel_size() {
    recipe("no_pixel_size", "gaussian sigma=0.5um");
}

#[test]
fn axis_that_is_not_there() {
    recipe("no_channel_axis", "gray | sobel");
}

#[test]
fn crop_beyond_the_image() {
    recipe("crop_outside", "crop 0:10,:,40:50");
}

#[test]
fn words_in_the_wrong_place() {
    recipe("empty_recipe", "");
    recipe("empty_step", "median 3 | | invert");
    recipe("stray_word", "median size=3, 5");
    recipe("unclosed_quote", "median size=\"3");
    recipe("as_without_name", "median 3 as");
}

#[test]
fn names_that_lead_nowhere() {
    recipe("unknown_name", "gaussian 2 as blur | median 3 on=bulr");
    recipe("unused_result", "gaussian 2 | median 3 on=input");
    recipe("too_many_inputs", "gaussian 2 as a | median 3 on=a,input");
}

#[test]
fn a_recipe_file() {
    let place = Place::new();
    place.volume("in.zarr");
    let args = ["run", "in.zarr", "out.zarr", "--recipe", "r.toml"];
    refused(&place, "recipe_file_missing", &args);
    std::fs::write(
        place.path("r.toml"),
        "[[step]]\nop = \"median\"\nsize = 3\n\n[[step]]\nop = \"gaussian\"\nsigam = 2\n",
    )
    .unwrap();
    refused(&place, "recipe_file_param", &args);
    std::fs::write(place.path("r.toml"), "[[step]\nop = \"median\"\n").unwrap();
    refused(&place, "recipe_file_syntax", &args);
}

#[test]
fn an_operation_to_explain() {
    refused(&Place::new(), "ops_unknown", &["ops", "tophut"]);
}

#[test]
fn what_this_image_does_not_allow() {
    recipe("impossible_channel", "channel 0");
    recipe("resample_nothing", "resample");
    recipe("resample_twice", "resample factor=2 shape=10");
    recipe("pad_fraction", "pad 1.5");
    recipe("sato_too_large", "sato sigmas=1e6");
    recipe("rotate90_too_often", "rotate90 k=4000000001");
    recipe("bilateral_too_small", "bilateral sigma-color=1e-20");
    recipe("tv_denoise_too_small", "tv-denoise weight=1e-300");
    recipe("affine_too_large", "affine matrix=1,0,0,0,1,0,0,0,1 shape=1000000000000,4,4");
}

#[test]
fn a_table_is_no_image() {
    recipe("table_not_last", "label | measure as m | median 3 on=m");
}

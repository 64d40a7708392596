//! `--axis-order`: files with their axes in another order than ours.

use super::Place;

#[test]
fn a_npy_file_has_its_axes_as_asked() {
    let place = Place::new();
    let image = place.volume("in.zarr");
    for (order, from) in [("zyx", [0, 1, 2]), ("xyz", [2, 1, 0]), ("yzx", [1, 0, 2]), ("xzy", [2, 0, 1])] {
        for more in [&[][..], &["--chunk", "7"], &["--tile", "5", "--chunk", "1,33,8"]] {
            place
                .ok(&[&["convert", "in.zarr", "out.npy", "--overwrite", "--axis-order", order], more]
                    .concat());
            let want = image.clone().permuted_axes(&from[..]);
            assert_eq!(place.read::<u16>("out.npy"), want, "{order} {more:?}");
        }
    }
    // Colours last, as most programs have them in memory.
    place.copy("tissue.tif", "tissue.tif");
    place.ok(&["convert", "tissue.tif", "out.npy", "--overwrite", "--axis-order", "yxc"]);
    let colours = place.read::<u8>("tissue.tif").permuted_axes(&[1, 2, 0][..]);
    assert_eq!(place.read::<u8>("out.npy"), colours);
}

#[test]
fn a_tiff_has_its_planes_as_asked() {
    let place = Place::new();
    place.copy("five.ome.zarr", "in.zarr");
    let pyramid = ["--pyramid", "--pyramid-until", "12", "--chunk", "16,16", "--overwrite"];
    place.ok(&[&["convert", "in.zarr", "usual.tif"], &pyramid[..]].concat());
    for (order, dimensions) in
        [("tczyx", "XYZCT"), ("tzcyx", "XYCZT"), ("cztyx", "XYTZC"), ("zctyx", "XYTCZ")]
    {
        let asked = ["--axis-order", order];
        place.ok(&[&["convert", "in.zarr", "out.tif"], &pyramid[..], &asked].concat());
        place.ok(&["verify", "in.zarr", "out.tif"]);
        let bytes = std::fs::read(place.path("out.tif")).unwrap();
        assert!(
            String::from_utf8_lossy(&bytes).contains(&format!("DimensionOrder=\"{dimensions}\"")),
            "{order}"
        );
        for name in ["usual.tif", "out.tif"] {
            let to = format!("{name}.zarr");
            place.ok(&["convert", name, &to, "--level", "1", "--overwrite"]);
        }
        place.ok(&["verify", "usual.tif.zarr", "out.tif.zarr"]);
    }
    place.copy("tissue.tif", "tissue.tif");
    place.ok(&["convert", "tissue.tif", "out.tif", "--overwrite", "--axis-order", "yxc"]);
    place.ok(&["verify", "tissue.tif", "out.tif"]);
}

#[test]
fn an_order_that_does_not_fit_is_refused() {
    let place = Place::new();
    place.volume("in.zarr");
    let refused = |output: &str, order: &str, words: &str| {
        let answer = place.run(&["convert", "in.zarr", output, "--axis-order", order]);
        assert_eq!(answer.code, Some(2), "{order}");
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    };
    refused("out.zarr", "xyz", "a Zarr has its axes in the order t, c, z, y, x");
    refused("out.npy", "xy", "`xy` is no order of the image's axes, zyx");
    refused("out.npy", "xyy", "each once");
    refused("out.tif", "xyz", "y by x");
    assert_eq!(place.names(), ["in.zarr"]);
}

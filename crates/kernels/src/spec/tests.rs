//! Parameters from text: lists, units, ranges, and every refusal.

use super::*;
use crate::testing::meta;
use proptest::prelude::*;
use voxtile_sched::model::{PerAxis, Spacing};

const fn param(name: &'static str, value: Value, default: Option<&'static str>) -> Param {
    Param { name, value, default, about: "" }
}

static SPEC: Spec = Spec {
    name: "toy",
    about: "takes one of everything",
    params: &[
        param("sigma", Value::Length, None),
        param("size", Value::Size, None),
        param("value", Value::Number, None),
        param("list", Value::Numbers, Some("1,2")),
        param("dtype", Value::Dtype, Some("")),
        param("axis", Value::Axis, None),
        param("ranges", Value::Ranges, None),
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "toy",
    build: Build::Chain(|_| Ok(Vec::new())),
};

/// t, z, y, x; y and x have a size of half a micrometre, z has none.
fn image() -> Meta {
    let mut image = meta("tzyx", &[2, 10, 20, 30], Dtype::U16);
    for a in [3, 4] {
        image.spacing[a] = Some(Spacing { scale: 500.0, origin: 0.0, unit: Some("nanometer".into()) });
    }
    image
}

fn with<R>(name: &str, text: &str, read: impl FnOnce(&Args<'_>) -> R) -> R {
    read(&Args::new(&SPEC, BTreeMap::from([(name, text)]), &[image()], None))
}

fn sigma(text: &str) -> Result<PerAxis<f64>, String> {
    with("sigma", text, |args| args.lengths_px("sigma")).map_err(|e| e.to_string())
}

#[test]
fn one_length_is_for_all_space_axes_and_a_list_for_the_last() {
    assert_eq!(sigma("2"), Ok([0.0, 0.0, 2.0, 2.0, 2.0]));
    assert_eq!(sigma("1, 2px"), Ok([0.0, 0.0, 0.0, 1.0, 2.0]));
    assert_eq!(sigma("0,1e1 voxels,0.5"), Ok([0.0, 0.0, 0.0, 10.0, 0.5]));
}

#[test]
fn sizes_are_whole_voxels_also_of_physical_lengths() {
    let size = |text: &str| with("size", text, |args| args.sizes_px("size")).map_err(|e| e.to_string());
    let whole = |text: &str| with("sigma", text, |args| args.whole_px("sigma")).map_err(|e| e.to_string());
    assert_eq!(size("3,1.6um,7px"), Ok([1, 1, 3, 3, 7]));
    assert_eq!(whole("2um,0.8um"), Ok([0, 0, 0, 4, 2]));
    assert_eq!(whole("3"), Ok([0, 0, 3, 3, 3]));
    assert!(size("1um").unwrap_err().contains("no pixel size along z"));
    for bad in ["0.1um,0.1um", "1.5", "0", "3 apples", "-2um,1um", "1e30um,1um"] {
        assert!(size(bad).unwrap_err().contains("whole numbers of 1 or more"), "{bad}");
    }
    assert!(whole("1.5").unwrap_err().contains("a whole number of voxels"));
    assert!(whole("1e13").unwrap_err().contains("at most 1e12"));
}

#[test]
fn physical_lengths_become_voxels() {
    for text in ["2um,1um", "2 µm, 1μm", "2000nm,0.001mm"] {
        assert_eq!(sigma(text), Ok([0.0, 0.0, 0.0, 4.0, 2.0]), "{text}");
    }
}

#[test]
fn lengths_that_mean_nothing_are_refused() {
    let cases = [
        ("2um", "`toy`: `sigma=2um` is a physical length, but the image has no pixel size along z"),
        ("1,2,3,4", "`toy`: `sigma=1,2,3,4` gives 4 values; the image has 3 axes (zyx)"),
        ("wide", "`toy`: `sigma=wide` is not a length such as 2, 2px or 0.5um"),
        ("3parsec", "`toy`: `sigma=3parsec` is not a length such as 2, 2px or 0.5um"),
        ("1,", "`toy`: `sigma=1,` is not a length such as 2, 2px or 0.5um"),
        ("-1", "`toy`: `sigma=-1` is not a length of 0 or more"),
        ("NaN", "`toy`: `sigma=NaN` is not a length such as 2, 2px or 0.5um"),
        ("1e999", "`toy`: `sigma=1e999` is not a length of 0 or more"),
    ];
    for (text, message) in cases {
        assert_eq!(sigma(text), Err(message.to_owned()));
    }
    let missing = with("size", "1", |args| args.lengths_px("sigma"));
    assert_eq!(missing.unwrap_err().to_string(), "`toy` needs `sigma`");
}

#[test]
fn sizes_are_whole_and_at_least_one() {
    let size = |text| with("size", text, |args| args.sizes_px("size"));
    assert_eq!(size("15"), Ok([1, 1, 15, 15, 15]));
    assert_eq!(size("3,5px"), Ok([1, 1, 1, 3, 5]));
    for text in ["0", "1.5", "-3", "", "3um", "99999999999999999999", "1,2,3,4"] {
        assert!(size(text).is_err(), "{text}");
    }
}

#[test]
fn ranges_stay_inside_the_image() {
    let ranges = |text| with("ranges", text, |args| args.ranges_px("ranges"));
    assert_eq!(ranges("5:10"), Ok([(0, 2), (0, 1), (0, 10), (0, 20), (5, 10)]));
    assert_eq!(ranges("1:,:,:7,4:4"), Ok([(1, 2), (0, 1), (0, 10), (0, 7), (4, 4)]));
    let message = ranges("0:31").unwrap_err().to_string();
    assert_eq!(message, "`toy`: `ranges=0:31` is not ranges inside the image, such as 0:30 along x");
    for text in ["7:6", "5", "a:b", ":,:,:,:,:", "-1:3"] {
        assert!(ranges(text).is_err(), "{text}");
    }
}

#[test]
fn numbers_are_kept_as_they_are_written() {
    let exact = |text| with("value", text, |args| args.exact("value")).ok();
    assert_eq!(exact("9007199254740993"), Some(Number::Whole((1 << 53) + 1)));
    assert_eq!(exact(" -1.5"), Some(Number::Real(-1.5)));
    assert_eq!(exact("inf"), Some(Number::Real(f64::INFINITY)));
    assert_eq!((exact("nan"), exact("otsu"), exact("1,2")), (None, None, None));
    assert_eq!(with("value", "1e3", |args| args.number("value")), Ok(1000.0));
    assert!(with("value", "one", |args| args.number("value")).is_err());
}

#[test]
fn lists_have_the_count_that_is_asked_for() {
    assert_eq!(with("size", "1", |args| args.pair("list")), Ok((1.0, 2.0)), "the default");
    assert_eq!(with("list", "3, 4 ,5", |args| args.number_list("list")), Ok(vec![3.0, 4.0, 5.0]));
    assert!(with("list", "3,4,5", |args| args.pair("list")).is_err());
    assert!(with("list", "3,,5", |args| args.number_list("list")).is_err());
    assert!(with("list", "1,inf", |args| args.number_list("list")).is_err());
}

#[test]
fn words_are_looked_up() {
    assert_eq!(with("dtype", "float32", |args| args.dtype("dtype")), Ok(Dtype::F32));
    assert_eq!(with("axis", "z", |args| args.axis("axis")), Ok(Axis::Z));
    assert!(with("axis", "z", |args| args.text("dtype").is_none()), "empty means not given");
    let message = with("dtype", "u12", |args| args.dtype("dtype")).unwrap_err().to_string();
    assert_eq!(message, "`toy`: `dtype=u12` is not one of u8, i8, u16, i16, u32, i32, u64, i64, f32, f64");
    assert!(with("axis", "w", |args| args.axis("axis")).is_err());
}

#[test]
fn the_border_of_the_step_goes_before_that_of_the_run() {
    let border = |given: &[(&'static str, &'static str)], run| {
        Args::new(&SPEC, given.iter().copied().collect(), &[image()], run).border()
    };
    assert_eq!(border(&[], None), Ok(Border::Reflect));
    assert_eq!(border(&[], Some(Border::Wrap)), Ok(Border::Wrap));
    assert_eq!(border(&[("border", "mirror")], Some(Border::Wrap)), Ok(Border::Mirror));
    assert_eq!(border(&[("border", "constant"), ("cval", "7")], None), Ok(Border::Constant(7.0)));
    assert_eq!(border(&[("cval", "7")], Some(Border::Constant(0.0))), Ok(Border::Constant(7.0)));
    let message = border(&[("border", "edge")], None).unwrap_err().to_string();
    assert_eq!(message, "`toy`: `border=edge` is not one of reflect, constant, nearest, mirror, wrap");
}

proptest! {
    #[test]
    fn rounding_down_never_rounds_up(whole: i128, real: f64) {
        for number in [Number::Whole(whole), Number::Whole(whole >> 70), Number::Real(real)] {
            if matches!(number, Number::Real(v) if v.is_nan()) { continue }
            let (f, d) = (number.floor_f32(), number.floor_f64());
            prop_assert!(f64::from(f) <= d);
            // The next float is above the number.
            match number {
                Number::Whole(v) => {
                    prop_assert!(d as i128 <= v && f as i128 <= v);
                    prop_assert!(d.next_up() as i128 > v || d.next_up().fract() != 0.0);
                }
                Number::Real(v) => {
                    prop_assert_eq!(d, v);
                    prop_assert!(f64::from(f.next_up()) > v || v == f64::INFINITY);
                }
            }
        }
    }
}

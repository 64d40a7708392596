//! The table of operations. A new one adds two lines here: its module and its entry.

mod abs;
mod absorbance;
mod affine;
mod automatic;
mod bilateral;
mod blackhat;
mod boundaries;
mod cast;
mod channel;
mod clahe;
mod clamp;
mod clear_border;
mod close;
mod concat;
mod crop;
mod cumsum;
mod deskew;
mod dilate;
mod dog;
mod downsample;
mod equalize;
mod erode;
mod exp;
mod expand;
mod expr;
mod fill_holes;
mod flip;
mod frame;
mod frangi;
mod gamma;
mod gaussian;
mod gradient;
mod gray;
mod hessian;
mod hysteresis;
mod invert;
mod keep;
mod label;
mod laplace;
mod ln;
mod log_filter;
mod markers;
mod mask;
mod match_histogram;
mod max;
mod max_size;
mod mean;
mod measure;
mod median;
mod min;
mod min_size;
mod normalize;
mod normalize_stain;
mod open;
mod pad;
mod peaks;
mod percentile;
mod prewitt;
mod project;
mod rank;
mod relabel;
mod resample;
mod rescale;
mod reslice;
mod rotate90;
mod sato;
mod scharr;
mod sobel;
mod sqrt;
mod stack;
mod stain;
mod stats;
mod std;
mod subtract_background;
mod threshold;
mod tissue;
mod tophat;
mod transpose;
mod tv_denoise;
mod unsharp;
mod variance;
mod r#where;

#[cfg(test)]
pub(crate) use project::SPEC as PROJECT;

use crate::digest::sha256;
use crate::own;
use crate::spec::Spec;
use ::std::sync::Arc;
use voxtile_sched::contract::Op;
use voxtile_sched::model::Dtype;

/// Every operation, in the order in which help and docs list them.
#[rustfmt::skip]
pub static TABLE: &[&Spec] = &[
    &cast::SPEC,
    &rescale::SPEC,
    &normalize::SPEC,
    &equalize::SPEC,
    &clahe::SPEC,
    &match_histogram::SPEC,
    &clamp::SPEC,
    &invert::SPEC,
    &gamma::SPEC,
    &ln::SPEC,
    &exp::SPEC,
    &sqrt::SPEC,
    &abs::SPEC,
    &expr::SPEC,
    &mask::SPEC,
    &r#where::SPEC,
    &threshold::SPEC,
    &gray::SPEC,
    &absorbance::SPEC,
    &stain::SPEC,
    &normalize_stain::SPEC,
    &tissue::SPEC,
    &gaussian::SPEC,
    &mean::SPEC,
    &unsharp::SPEC,
    &dog::SPEC,
    &median::SPEC,
    &percentile::SPEC,
    &rank::SPEC,
    &bilateral::SPEC,
    &tv_denoise::SPEC,
    &min::SPEC,
    &max::SPEC,
    &erode::SPEC,
    &dilate::SPEC,
    &open::SPEC,
    &close::SPEC,
    &tophat::SPEC,
    &blackhat::SPEC,
    &subtract_background::SPEC,
    &sobel::SPEC,
    &scharr::SPEC,
    &prewitt::SPEC,
    &gradient::SPEC,
    &laplace::SPEC,
    &log_filter::SPEC,
    &hessian::SPEC,
    &sato::SPEC,
    &frangi::SPEC,
    &variance::SPEC,
    &std::SPEC,
    &crop::SPEC,
    &pad::SPEC,
    &channel::SPEC,
    &frame::SPEC,
    &concat::SPEC,
    &stack::SPEC,
    &flip::SPEC,
    &rotate90::SPEC,
    &transpose::SPEC,
    &reslice::SPEC,
    &downsample::SPEC,
    &resample::SPEC,
    &affine::SPEC,
    &deskew::SPEC,
    &project::SPEC,
    &hysteresis::SPEC,
    &label::SPEC,
    &fill_holes::SPEC,
    &min_size::SPEC,
    &max_size::SPEC,
    &clear_border::SPEC,
    &keep::SPEC,
    &relabel::SPEC,
    &expand::SPEC,
    &boundaries::SPEC,
    &measure::SPEC,
    &peaks::SPEC,
    &markers::SPEC,
    &stats::SPEC,
    &cumsum::SPEC,
];

/// The step whose arithmetic is the user's own. It is no operation of ours: it needs a GPU, and has no oracle.
pub static OWN: &Spec = &own::SPEC;

/// All that a recipe may name: the operations, then the user's own.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    TABLE.iter().copied().chain([OWN])
}

/// The operation of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Spec> {
    all().find(|spec| spec.name == name)
}

/// The SHA-256 of a source that a step names, if it can be read.
#[must_use]
pub fn source_digest(file: &str) -> Option<String> {
    ::std::fs::read(file).ok().map(|source| sha256(&source))
}

/// The cast that precedes an operation on f32.
pub(crate) fn as_f32() -> Arc<dyn Op> {
    as_dtype(Dtype::F32)
}

/// A cast to that sample type.
pub(crate) fn as_dtype(to: Dtype) -> Arc<dyn Op> {
    Arc::new(cast::Cast { to })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::why;
    use crate::spec::Param;
    use crate::testing::{Float, Image, WHOLE, apply, inputs, meta, stages, steps, tabulate};
    use ::std::collections::BTreeSet;
    use voxtile_sched::model::{Dtype, Meta};

    #[test]
    fn names_are_lower_case_and_appear_once() {
        let mut seen = BTreeSet::new();
        for spec in TABLE {
            assert!(seen.insert(spec.name), "`{}` is listed twice", spec.name);
            assert!(
                spec.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "`{}`",
                spec.name
            );
            let params: BTreeSet<_> = spec.params.iter().map(|p| p.name).collect();
            assert_eq!(params.len(), spec.params.len(), "`{}` lists a parameter twice", spec.name);
            for about in spec.params.iter().map(|p| p.about).chain([spec.about]) {
                assert!(!about.is_empty() && !about.ends_with('.'), "`{}`: {about:?}", spec.name);
            }
        }
    }

    #[test]
    fn every_example_runs_and_every_stage_has_its_name() {
        for spec in TABLE {
            let image = match spec.name {
                "gray" | "channel" | "stain" | "normalize-stain" | "tissue" => {
                    Image::noise("cyx", &[3, 100, 130], Dtype::U8, 1)
                }
                "frame" => Image::noise("tyx", &[3, 100, 130], Dtype::U8, 1),
                _ => Image::noise("zyx", &[4, 100, 130], Dtype::U16, 1),
            };
            let count = inputs(spec, spec.example);
            let stages = stages(spec, spec.example, &vec![image.meta().clone(); count]).unwrap();
            let images = vec![&image; count];
            if spec.makes_table() {
                assert!(!tabulate(&stages, &images, WHOLE).columns.is_empty(), "{}", spec.example);
            } else {
                assert!(!apply(&stages, &images, WHOLE).bytes().is_empty(), "{}", spec.example);
            }
            if let [stage] = &stages[..] {
                assert_eq!(stage.op.name(), spec.name);
            }
            assert!(stages.iter().all(|s| s.op.ns_per_voxel() > 0.0), "{}", spec.example);
        }
    }

    /// What is computed without a device whatever is done: all else has kernels, of images of 8 and 16 bits and f32.
    const WITHOUT_KERNELS: [&str; 11] = [
        "clear-border: objects are found by their values, in hash tables",
        "expand distance=3: the nearest object is found line by line, with a list for each",
        "gaussian sigma=3 method=recursive: each voxel of a line follows from the one before it",
        "keep \"area > 50 and equivalent_diameter < 20\": objects are found by their values, in hash tables",
        "keep \"area > 50 and equivalent_diameter < 20\": outlines are of objects that are measured on the CPU",
        "max-size 5000: objects are found by their values, in hash tables",
        "measure intensity=input: exact sums of more than 64 bits are kept for each object and channel",
        "measure intensity=input: outlines are of objects that are measured on the CPU",
        "min-size 50: objects are found by their values, in hash tables",
        "relabel: objects are found by their values, in hash tables",
        "stats percentiles=1,50,99.8: exact sums of more than 64 bits are kept for each object and channel",
    ];

    /// What of a step has no kernels, and why, for any sample type that there are kernels of; images have so many channels.
    fn without_kernels(step: &str, channels: u64) -> BTreeSet<String> {
        let last = step.rsplit(" | ").next().unwrap();
        let spec = find(last.split(' ').next().unwrap()).unwrap();
        let (axes, sizes): (&str, &[u64]) = match spec.name {
            "gray" | "channel" | "stain" | "normalize-stain" | "tissue" | "absorbance" => {
                ("cyx", &[channels, 100, 130])
            }
            "frame" => ("tyx", &[3, 100, 130]),
            _ => ("zyx", &[4, 100, 130]),
        };
        let mut without = BTreeSet::new();
        for dtype in [Dtype::U8, Dtype::U16, Dtype::F32] {
            let mut images = vec![meta(axes, sizes, dtype); inputs(spec, step)];
            let given = images.len();
            // Refused for this type.
            let Ok(stages) = stages(spec, step, &images) else { continue };
            for stage in stages {
                let read = stage.inputs.iter().map(|from| match *from {
                    crate::spec::From::Input(n) => images[n].clone(),
                    crate::spec::From::Stage(n) => images[given + n].clone(),
                });
                let read: Vec<Meta> = read.collect();
                let Ok(made) = stage.op.output(&read) else { break };
                if !crate::testing::has_kernels(&*stage.op, &read, &made) {
                    let why =
                        stage.op.no_kernels().map_or(format!("nobody knows why, of {dtype}"), str::to_owned);
                    without.insert(format!("{last}: {why}"));
                }
                images.push(made);
            }
        }
        without
    }

    #[test]
    fn what_is_too_large_for_a_kernel_says_so() {
        let sum = |count: usize, what: &str| vec![what; count].join("+");
        let numbers = (0..25).map(|n| format!("{n}.25")).collect::<Vec<_>>().join("+");
        let taps = "median footprint=".to_owned() + &vec!["01010101"; 300].join("/");
        let cases = [
            (format!("expr \"{}\"", sum(66, "input")), why::FORMULA),
            (format!("expr \"input+{numbers}\""), why::FORMULA),
            ("bilateral sigma-color=50 size=17".to_owned(), why::DISTANCES),
            ("concat x on=a,b,c,d,e".to_owned(), why::IMAGES),
            ("stack c on=a,b,c,d,e".to_owned(), why::IMAGES),
            ("gaussian 64".to_owned(), why::WEIGHTS),
            ("gaussian sigma=64 precision=fast".to_owned(), why::WEIGHTS),
            ("downsample 33 method=mode".to_owned(), why::MODE),
            ("downsample 2 method=gaussian".to_owned(), why::AROUND),
            (taps, why::WINDOW),
            ("peaks refine=yes".to_owned(), why::REFINED),
        ];
        for (step, why) in cases {
            let without = without_kernels(&step, 3);
            assert!(without.iter().any(|said| said.ends_with(why)), "{step}: {without:?}");
        }
        let list = |count: usize| vec!["200"; count].join(",");
        for step in ["gray weights=", "absorbance white="] {
            assert!(without_kernels(&format!("{step}{}", list(16)), 16).is_empty(), "{step}");
            let without = without_kernels(&format!("{step}{}", list(17)), 17);
            assert!(without.iter().any(|said| said.ends_with(why::CHANNELS)), "{step}: {without:?}");
        }
    }

    #[test]
    fn what_has_no_kernels_says_why() {
        let more = [
            "gaussian sigma=3 method=recursive",
            "label connectivity=2",
            "project z method=std",
            "resample factor=2 method=cubic",
            "threshold local method=sauvola size=5",
        ];
        let all = TABLE.iter().map(|spec| spec.example).chain(more);
        let without: BTreeSet<String> = all.flat_map(|step| without_kernels(step, 3)).collect();
        let list: Vec<&str> = without.iter().map(String::as_str).collect();
        assert_eq!(list, WITHOUT_KERNELS);
        let readme = include_str!("../../../../README.md");
        let gpus =
            readme.lines().skip_while(|line| !line.starts_with("**GPUs.**")).take(4).collect::<String>();
        for name in list.iter().map(|step| step.split([' ', ':']).next().unwrap_or_default()) {
            assert!(
                gpus.contains(&format!("`{name}")),
                "README.md does not say that `{name}` has no kernels"
            );
        }
    }

    #[test]
    fn defaults_are_values_that_the_parameters_take() {
        for spec in TABLE {
            let image = [meta("czyx", &[3, 4, 100, 130], Dtype::U8)];
            let given = |p: &'static Param| Some((p, p.default.filter(|d| !d.is_empty())?));
            for (param, default) in spec.params.iter().filter_map(given) {
                // The example's last step, with the default in place of what it gives.
                let example = spec.example.rsplit(" | ").next().unwrap();
                let sets = |word: &str| match word.split_once('=') {
                    Some((name, _)) => name == param.name,
                    None => word != spec.name && param.name == spec.params[0].name,
                };
                let others: Vec<&str> = example.split(' ').filter(|w| !sets(w)).collect();
                let step = format!("{} {}={default}", others.join(" "), param.name);
                if let Err(refused) = stages(spec, &step, &image) {
                    panic!("{step}: {refused}");
                }
            }
        }
    }

    #[test]
    fn a_constant_that_integers_cannot_hold_is_not_rounded_at_the_edge() {
        let image = Image::noise("yx", &[7, 9], Dtype::U16, 3);
        let as_f32 = steps("cast f32", &image);
        for step in ["gaussian 1", "mean 3", "sobel"] {
            for (cval, count) in [("0.5", 2), ("-1", 2), ("70000", 2), ("7", 1)] {
                let step = format!("{step} border=constant cval={cval}");
                steps(&step, &image).assert_same(&steps(&step, &as_f32), Float::Exact, || step.clone());
                let spec = find(step.split(' ').next().unwrap()).unwrap();
                assert_eq!(stages(spec, &step, &[image.meta().clone()]).unwrap().len(), count, "{step}");
            }
        }
    }
}

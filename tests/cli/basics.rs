use super::Place;
use ndarray::ArrayD;
use voxtile::Pipeline;

#[test]
fn run_writes_what_the_library_computes() {
    let place = Place::new();
    let image = place.volume("in.zarr");
    let answer = place.ok(&["run", "in.zarr", "out.zarr", "gaussian sigma=2 | threshold 2000"]);
    let want: ArrayD<u8> =
        Pipeline::from_array(image).unwrap().gaussian(2.0).threshold(2000).collect().unwrap();
    assert_eq!(place.read::<u8>("out.zarr"), want);
    assert!(answer.stdout.is_empty());
    assert!(answer.stderr.starts_with("in.zarr → out.zarr: 20 × 33 × 47 u8, "), "{}", answer.stderr);
    assert!(place.ok(&["run", "in.zarr", "quiet.zarr", "invert", "-q"]).stderr.is_empty());
    assert_eq!(place.names(), ["in.zarr", "out.zarr", "quiet.zarr"]);
}

#[test]
fn options_do_not_change_the_voxels() {
    let place = Place::new();
    place.volume("in.zarr");
    let recipe = "median size=3 as m | gaussian sigma=1 on=m";
    place.ok(&["run", "in.zarr", "a.zarr", recipe]);
    place.ok(&["run", "in.zarr", "b.zarr", recipe, "--tile", "5,7", "--workers", "1", "--memory", "128MiB"]);
    place.ok(&["run", "in.zarr", "c.zarr", recipe, "--chunk", "8", "--shard", "16", "--codec", "zstd:1"]);
    place.ok(&["run", "in.zarr", "d.zarr", recipe, "--zarr-format", "2", "--trace", "trace.json"]);
    for other in ["b.zarr", "c.zarr", "d.zarr"] {
        assert_eq!(place.read::<f32>("a.zarr"), place.read::<f32>(other), "{other}");
    }
    assert!(place.path("d.zarr/.zarray").exists());
    let trace = std::fs::read_to_string(place.path("trace.json")).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&trace).is_ok());
}

#[test]
fn a_recipe_file_is_the_same_recipe() {
    let place = Place::new();
    place.volume("in.zarr");
    let toml = "[[step]]\nop = \"gaussian\"\nsigma = [1, 2, 2]\n\n[[step]]\nop = \"cast\"\ndtype = \"u8\"\n";
    std::fs::write(place.path("r.toml"), toml).unwrap();
    let text = place.ok(&["plan", "in.zarr", "gaussian sigma=1,2,2 | cast dtype=u8", "--json"]).json();
    let file = place.ok(&["plan", "in.zarr", "--recipe", "r.toml", "--json"]).json();
    assert_eq!(text, file);
}

#[test]
fn border_and_dtype_reach_the_plan() {
    let place = Place::new();
    let image = place.volume("in.zarr");
    place.ok(&["run", "in.zarr", "a.zarr", "gaussian sigma=2", "--border", "wrap", "--dtype", "u8"]);
    let pipeline = Pipeline::from_array(image).unwrap().gaussian(2.0).with("border", "wrap");
    let want: ArrayD<u8> = pipeline.cast(voxtile::op::Dtype::U8).collect().unwrap();
    assert_eq!(place.read::<u8>("a.zarr"), want);
}

#[test]
fn json_is_one_object_with_plan_and_report() {
    let place = Place::new();
    place.volume("in.zarr");
    let run = place.ok(&["run", "in.zarr", "out.zarr", "tophat size=5", "--json"]);
    let json = run.json();
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    let tiles: u64 =
        json["plan"]["stages"].as_array().unwrap().iter().map(|s| s["tiles"].as_u64().unwrap()).sum();
    assert_eq!(json["report"]["tiles"].as_u64(), Some(tiles));
    assert!(json["report"]["seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn plan_says_what_would_happen_and_does_nothing() {
    let place = Place::new();
    place.volume("in.zarr");
    let text =
        place.ok(&["plan", "in.zarr", "gaussian sigma=2 | median size=3", "--memory", "256MiB"]).stdout;
    for word in ["gaussian sigma=2", "median size=3", "tile", "halo"] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }
    assert_eq!(place.names(), ["in.zarr"]);
}

#[test]
fn steps_that_ask_for_the_same_statistic_share_it() {
    let place = Place::new();
    place.volume("in.zarr");
    let stages = |recipe: &str| {
        let plan = place.ok(&["plan", "in.zarr", recipe, "--json"]).json();
        plan["plan"]["stages"].as_array().unwrap().len()
    };
    let shared = "median 3 as s | threshold otsu as a | threshold triangle on=s as b | mask on=b,a";
    assert_eq!(stages(shared), 2);
    assert_eq!(stages(&shared.replace("triangle", "mean")), 3);
    assert_eq!(stages("threshold otsu as a | median 3 on=input | threshold otsu as b | mask on=b,a"), 3);
    place.ok(&["run", "in.zarr", "shared.zarr", shared, "--tile", "9"]);
    place.ok(&["run", "in.zarr", "a.zarr", "median 3 | threshold otsu"]);
    place.ok(&["run", "in.zarr", "b.zarr", "median 3 | threshold triangle"]);
    let both = place.read::<u8>("a.zarr") * place.read::<u8>("b.zarr");
    assert_eq!(place.read::<u8>("shared.zarr"), both);
}

#[test]
fn info_says_what_an_image_is() {
    let place = Place::new();
    let image = place.volume("in.zarr");
    let text = place.ok(&["info", "in.zarr", "--stats"]).stdout;
    let (min, max) = (image.iter().min().unwrap(), image.iter().max().unwrap());
    let mean = image.iter().map(|&v| f64::from(v)).sum::<f64>() / image.len() as f64;
    for words in ["20 × 33 × 47 (zyx)", "uint16", "16 × 16 × 16", &format!("{min} to {max}, mean {mean}")]
    {
        assert!(text.contains(words), "no {words} in\n{text}");
    }
    let json = place.ok(&["info", "in.zarr", "--stats", "--json"]).json();
    assert_eq!(json["shape"], serde_json::json!([20, 33, 47]));
    assert_eq!(json["stats"]["max"].as_f64(), Some(f64::from(*max)));
    let mut sorted: Vec<f64> = image.iter().map(|&v| f64::from(v)).collect();
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
    assert_eq!(json["stats"]["channels"][0]["percentiles"]["50"].as_f64(), Some(median));
    assert!(text.contains(&format!("50 %: {median}, ")), "{text}");
    let variance = sorted.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / sorted.len() as f64;
    assert!((json["stats"]["std"].as_f64().unwrap() / variance.sqrt() - 1.0).abs() < 1e-12);
    assert_eq!(json["axes"][0]["axis"], "z");
    assert!(place.ok(&["info", "in.zarr", "--json"]).json().get("stats").is_none());
}

#[test]
fn ops_lists_the_table_and_explains_each() {
    let place = Place::new();
    let list = place.ok(&["ops"]).stdout;
    for spec in voxtile_kernels::ops::all() {
        assert!(list.contains(spec.name) && list.contains(spec.about), "{}", spec.name);
        let text = place.ok(&["ops", spec.name]).stdout;
        for param in spec.params {
            assert!(text.contains(param.name) && text.contains(param.about), "{} {}", spec.name, param.name);
        }
        assert!(text.contains(spec.example));
    }
    // A kernel of the user's own comes last, and says that it is.
    assert!(
        list.contains("\n\nkernel")
            && place.ok(&["ops", "kernel"]).stdout.contains("The arithmetic is yours")
    );
    let json = place.ok(&["ops", "--json"]).json();
    let own = |spec: &serde_json::Value| spec["own"] == (spec["name"] == "kernel");
    let listed = json.as_array().unwrap();
    assert!(listed.len() == voxtile_kernels::ops::TABLE.len() + 1 && listed.iter().all(own), "{json}");
}

#[test]
fn completions_name_every_subcommand() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.ok(&["completions", shell]).stdout;
        for word in ["run", "convert", "plan", "info", "verify", "preview", "ops", "demo", "overwrite"] {
            assert!(script.contains(word), "{shell} {word}");
        }
    }
}

#[test]
fn help_is_there_for_everything() {
    let place = Place::new();
    for command in ["run", "convert", "plan", "info", "verify", "preview", "ops", "demo", "completions"] {
        assert!(place.ok(&[command, "--help"]).stdout.contains("Usage: voxtile"), "{command}");
    }
    assert!(place.ok(&["--version"]).stdout.starts_with("voxtile "));
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let answer = place.shell("{ \"$VOXTILE\" completions bash; echo $? >&2; } | true");
    assert_eq!(answer.stderr.trim(), "0");
}

//! Runs that are stopped go on, and end with the same files as one that was not. Processes are killed when their journal has
//! so many records, never after some time; one that ends before it is killed is started anew.

#![cfg(unix)]

use super::{Place, noise};
use crate::house;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

/// Records of done work in the journals of an output.
pub(crate) fn records(place: &Place, output: &str) -> usize {
    let Ok(entries) = std::fs::read_dir(place.path(&format!("{output}.voxtile-work"))) else { return 0 };
    let journals = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with("journal"));
    let count = |path: &Path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        // Pieces of files have a stage of their own, which is none of the plan.
        let own = format!(" unit {} ", u32::MAX);
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(" unit ") && !line.contains(&own)).count()
    };
    journals.map(|entry| count(&entry.path())).sum()
}

/// Starts a command and waits until so much of its work is done; `None` if it ended before.
fn try_start(place: &Place, args: &[&str], output: &str, done: usize) -> Option<Child> {
    let mut command = house::voxtile(args);
    command.current_dir(place.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while records(place, output) < done {
        if child.try_wait().unwrap().is_some() {
            let answer = child.wait_with_output().unwrap();
            assert!(answer.status.success(), "{args:?}: {}", String::from_utf8_lossy(&answer.stderr));
            return None;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "nothing is done");
        std::thread::sleep(Duration::from_millis(1));
    }
    // It may have ended since; then its journal is gone too.
    child.try_wait().unwrap().is_none().then_some(child)
}

/// The same, with all that it made removed and started anew where it ended before.
#[track_caller]
fn started(place: &Place, args: &[&str], output: &str, done: usize) -> Child {
    for _ in 0..10 {
        if let Some(child) = try_start(place, args, output, done) {
            return child;
        }
        clear(place, output);
    }
    panic!("{args:?} always ended before it could be stopped");
}

/// Removes an output and its mark.
fn clear(place: &Place, output: &str) {
    let path = place.path(output);
    let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let _ = std::fs::remove_file(path.with_file_name(format!(".{name}.voxtile-done")));
}

#[track_caller]
pub(super) fn killed(place: &Place, args: &[&str], output: &str, done: usize) {
    let mut child = started(place, args, output, done);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Puts as many other bytes into a chunk of an image, so that neither its size nor its time tells: what was there.
fn damage(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    rewrite(path, &vec![0xff; bytes.len()]);
    bytes
}

fn rewrite(path: &Path, bytes: &[u8]) {
    let time = std::fs::metadata(path).unwrap().modified().unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn signalled(place: &Place, args: &[&str], output: &str, done: usize, signal: &str) -> Output {
    let child = started(place, args, output, done);
    let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    child.wait_with_output().unwrap()
}

/// All files at a path, by name.
pub(crate) fn files(place: &Place, name: &str) -> BTreeMap<String, Vec<u8>> {
    fn add(path: &Path, name: String, out: &mut BTreeMap<String, Vec<u8>>) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                add(&entry.path(), format!("{name}/{}", entry.file_name().to_string_lossy()), out);
            }
        } else {
            out.insert(name, std::fs::read(path).unwrap());
        }
    }
    let mut out = BTreeMap::new();
    add(&place.path(name), String::new(), &mut out);
    out
}

#[track_caller]
pub(super) fn same_files(place: &Place, got: &str, want: &str) {
    let (a, b) = (files(place, got), files(place, want));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{got}{name} differs");
    }
}

/// A slow filter, one tile after the other.
const SLOW: [&str; 5] = ["bilateral sigma-color=500 size=7", "--workers", "1", "--tile", "32"];
/// The same of a plane.
const SLOW_PLANE: [&str; 7] =
    ["bilateral sigma-color=500 size=51", "--workers", "2", "--chunk", "64", "--tile", "64"];

/// Runs without disturbance into `want…` and, killed and gone on with, into `out…`: the counts of tiles of the last run.
#[track_caller]
fn resumed(input: &str, end: &str, more: &[&str], stops: &[usize]) -> (u64, u64) {
    let place = Place::new();
    match input {
        "plane" => place.write("in.zarr", noise(&[512, 512]), &[64]),
        _ => place.write("in.zarr", noise(&[96, 128, 128]), &[32]),
    }
    let (want, out) = (format!("want{end}"), format!("out{end}"));
    let command = |output: &str| -> Vec<String> {
        ["run", "in.zarr", output].iter().chain(more).map(ToString::to_string).collect()
    };
    let (undisturbed, mut again) = (command(&want), command(&out));
    place.ok(&undisturbed.iter().map(String::as_str).collect::<Vec<_>>());
    again.push("--resume".to_owned());
    let again: Vec<&str> = again.iter().map(String::as_str).collect();
    for stop in stops {
        // Where it ends too soon, all stops come again.
        let mut tries = 0;
        while try_start(&place, &again, &out, *stop)
            .map(|mut child| {
                child.kill().unwrap();
                child.wait().unwrap()
            })
            .is_none()
        {
            tries += 1;
            assert!(tries < 10, "{again:?} always ended before it could be stopped");
            clear(&place, &out);
        }
        assert!(place.path(&format!("{out}.voxtile-work")).exists());
        let look = place.run(&["info", &out]);
        assert_eq!(look.code, Some(2), "an unfinished output is taken for an image: {}", look.stdout);
    }
    let report = place.ok(&[&again[..], &["--json"]].concat()).json();
    same_files(&place, &out, &want);
    let names = [format!(".{out}.voxtile-done"), "in.zarr".to_owned(), out.clone(), want];
    assert_eq!(place.names(), names, "nothing else is left");
    let left = place.ok(&again);
    assert!(left.stderr.contains("nothing was left to do"), "{}", left.stderr);
    let count = |name: &str| report["report"][name].as_u64().unwrap();
    (count("tiles"), count("tiles_skipped"))
}

#[test]
fn chunks_go_on_where_they_were() {
    let (tiles, skipped) = resumed("volume", ".zarr", &[&SLOW[..], &["--chunk", "32"]].concat(), &[5, 17]);
    assert_eq!(tiles + skipped, 48);
    assert!(skipped >= 17, "{skipped}");
}

#[test]
fn after_nine_tenths_one_tenth_is_left() {
    let place = Place::new();
    place.write("in.zarr", noise(&[512, 512]), &[16]);
    let run = ["run", "in.zarr", "out.zarr", "median size=3", "--workers", "1", "--tile", "16", "--resume"];
    // Read first for tile 928 of 1024, by its halo.
    let chunk = place.path("in.zarr/c/30/0");
    let whole = damage(&chunk);
    let failed = place.run(&run);
    assert_eq!(failed.code, Some(2), "{}", failed.stderr);
    assert!(failed.stderr.contains("chunk `c/30/0` of `in.zarr` is damaged"), "{}", failed.stderr);
    assert!(failed.stderr.contains("--resume` goes on"), "{}", failed.stderr);
    rewrite(&chunk, &whole);
    let report = place.ok(&[&run[..], &["--json"]].concat()).json();
    let count = |name: &str| report["report"][name].as_u64().unwrap();
    assert_eq!(count("tiles") + count("tiles_skipped"), 1024);
    assert!(count("tiles") <= 1024 * 11 / 100, "{} tiles again", count("tiles"));
    place.ok(&["run", "in.zarr", "want.zarr", "median size=3", "--workers", "1", "--tile", "16"]);
    same_files(&place, "out.zarr", "want.zarr");
}

#[test]
fn shards_go_on_where_they_were() {
    let shards = ["--chunk", "16", "--shard", "32,64,64"];
    let (tiles, skipped) = resumed("volume", ".zarr", &[&SLOW[..], &shards].concat(), &[3, 7]);
    assert_eq!(tiles + skipped, 48);
    assert!(skipped >= 7 * 4, "{skipped}");
}

#[test]
fn zarr_v2_and_levels_go_on_where_they_were() {
    let levels = ["--pyramid", "--pyramid-until", "16", "--chunk", "32"];
    let (_, skipped) = resumed("volume", ".ome.zarr", &[&SLOW[..], &levels].concat(), &[6, 19]);
    assert!(skipped >= 19, "{skipped}");
    let old = ["--zarr-format", "2", "--codec", "gzip:1"];
    let (_, skipped) = resumed("volume", ".zarr", &[&SLOW[..], &levels, &old].concat(), &[30]);
    assert!(skipped >= 30, "{skipped}");
    let sharded = ["--pyramid", "--chunk", "16", "--shard", "32"];
    let (_, skipped) = resumed("volume", ".zarr", &[&SLOW[..], &sharded].concat(), &[11, 31]);
    assert!(skipped >= 31, "{skipped}");
}

#[test]
fn tiffs_go_on_where_they_were() {
    for more in [
        &["--codec", "deflate:6"][..],
        &["--codec", "none"],
        &["--pyramid", "--codec", "zstd:3", "--pyramid-until", "32"],
    ] {
        let (tiles, skipped) = resumed("plane", ".tif", &[&SLOW_PLANE[..], more].concat(), &[9, 40]);
        assert!(skipped > 30 && tiles + skipped == 64, "{more:?}: {tiles} and {skipped}");
    }
}

#[test]
fn numpy_files_go_on_where_they_were() {
    let (_, skipped) = resumed("plane", ".npy", &SLOW_PLANE, &[9, 40]);
    assert!(skipped >= 40, "{skipped}");
}

#[test]
fn durable_runs_go_on_where_they_were() {
    for level in ["data", "full"] {
        let more = [&SLOW[..], &["--chunk", "32", "--durability", level]].concat();
        let (_, skipped) = resumed("volume", ".zarr", &more, &[9]);
        assert!(skipped >= 9, "{level}: {skipped}");
    }
}

/// The statistic is found again; what was written of it is not written again.
#[test]
fn statistics_are_found_again() {
    let otsu = [
        "bilateral sigma-color=500 size=7 | threshold otsu",
        "--workers",
        "1",
        "--tile",
        "32",
        "--chunk",
        "32",
    ];
    let (_, skipped) = resumed("volume", ".zarr", &otsu, &[5, 30]);
    assert!(skipped >= 30, "{skipped}");
}

const LABEL: [&str; 7] = [
    "bilateral sigma-color=500 size=7 | threshold 2048 | label",
    "--workers",
    "1",
    "--tile",
    "32",
    "--chunk",
    "32",
];

#[test]
fn labels_go_on_in_their_first_pass() {
    // 48 tiles are looked at, then 48 are painted.
    let (_, skipped) = resumed("volume", ".zarr", &LABEL, &[7, 30]);
    assert!(skipped >= 30, "{skipped}");
    let markers = ["bilateral sigma-color=500 size=7 | markers", "--workers", "1", "--tile", "32"];
    let (_, skipped) = resumed("volume", ".tif", &[&markers[..], &["--chunk", "32,32"]].concat(), &[20]);
    assert!(skipped >= 20, "{skipped}");
}

/// A directory in the place of a chunk stops the second pass.
#[test]
fn labels_go_on_in_their_second_pass() {
    let place = Place::new();
    place.write("in.zarr", noise(&[96, 128, 128]), &[32]);
    let run = [&["run", "in.zarr", "out.zarr"], &LABEL[..], &["--resume"]].concat();
    killed(&place, &run, "out.zarr", 5);
    let wall = place.path("out.zarr/0/c/2/3/3");
    let wall = if place.path("out.zarr/0").exists() { wall } else { place.path("out.zarr/c/2/3/3") };
    std::fs::create_dir_all(wall.join("mine")).unwrap();
    let failed = place.run(&run);
    assert_eq!(failed.code, Some(2), "{}", failed.stderr);
    assert!(failed.stderr.contains("--resume` goes on"), "{}", failed.stderr);
    std::fs::remove_dir_all(&wall).unwrap();
    let report = place.ok(&[&run[..], &["--json"]].concat()).json();
    assert!(report["report"]["tiles_skipped"].as_u64().unwrap() > 60, "{report}");
    place.ok(&[&["run", "in.zarr", "want.zarr"], &LABEL[..]].concat());
    same_files(&place, "out.zarr", "want.zarr");
}

#[test]
fn tables_go_on_where_they_were() {
    let tiles = ["--workers", "1", "--tile", "32"];
    for (recipe, end, stop) in [
        ("bilateral sigma-color=500 size=7 | peaks min-distance=2", ".csv", 20),
        ("bilateral sigma-color=500 size=7 | threshold 2048 | label | measure intensity=input", ".csv", 40),
    ] {
        let (_, skipped) = resumed("volume", end, &[&[recipe], &tiles[..]].concat(), &[3, stop]);
        assert!(skipped >= stop as u64, "{recipe}: {skipped}");
    }
}

#[test]
fn a_signal_ends_cleanly_and_says_how_to_go_on() {
    let place = Place::new();
    place.write("in.zarr", noise(&[96, 128, 128]), &[32]);
    let run = [&["run", "in.zarr", "out.zarr"], &SLOW[..]].concat();
    for (signal, done) in [("-INT", 3), ("-TERM", 12)] {
        let args = if done == 3 { run.clone() } else { [&run[..], &["--resume"]].concat() };
        let output = signalled(&place, &args, "out.zarr", done, signal);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(stderr.starts_with("interrupted after "), "{stderr}");
        assert!(stderr.contains("; what is done of `out.zarr` is kept"), "{stderr}");
        let hint = "hint: `voxtile run in.zarr out.zarr 'bilateral sigma-color=500 size=7' --workers 1 --tile 32 --resume` goes on";
        assert!(stderr.contains(hint), "{stderr}");
    }
    // The command of the hint.
    let answer = place.ok(&[&run[..], &["--resume"]].concat());
    assert!(answer.stderr.contains(" were done before)"), "{}", answer.stderr);
    place.ok(&[&["run", "in.zarr", "want.zarr"], &SLOW[..]].concat());
    same_files(&place, "out.zarr", "want.zarr");
}

#[test]
fn a_stopped_run_is_not_replaced_by_accident() {
    let place = Place::new();
    place.write("in.zarr", noise(&[512, 512]), &[64]);
    for out in ["out.zarr", "out.tif"] {
        let run =
            ["run", "in.zarr", out, "bilateral sigma-color=500 size=51", "--workers", "1", "--chunk", "64"];
        killed(&place, &run, out, 4);
        let again = place.run(&run);
        assert_eq!(again.code, Some(2));
        let want = format!(
            "error: a run into `{out}` was stopped and can go on\n\nhint: `voxtile run in.zarr {out} 'bilateral sigma-color=500 size=51' --workers 1 --chunk 64 --resume` goes on, `--overwrite` starts afresh\n"
        );
        assert_eq!(again.stderr, want);
        place.ok(&[&run[..], &["--overwrite"]].concat());
        place.ok(&["info", out]);
    }
    assert_eq!(place.names(), ["in.zarr", "out.tif", "out.zarr"]);
}

#[test]
fn another_plan_is_refused_with_what_differs() {
    let place = Place::new();
    place.write("in.zarr", noise(&[96, 128, 128]), &[32]);
    let run = [&["run", "in.zarr", "out.zarr"], &SLOW[..], &["--resume"]].concat();
    killed(&place, &run, "out.zarr", 4);
    let refused = |recipe: &str, more: &[&str]| {
        let args =
            [&["run", "in.zarr", "out.zarr", recipe, "--workers", "1", "--tile", "32", "--resume"], more]
                .concat();
        let answer = place.run(&args);
        assert_eq!(answer.code, Some(2), "{}", answer.stderr);
        answer.stderr
    };
    let other = refused("median size=3", &[]);
    assert!(
        other.contains(
            "`out.zarr` was begun with another plan\n  recipe: was bilateral sigma-color=500 size=7, is median size=3\n"
        ),
        "{other}"
    );
    let codec = refused("bilateral sigma-color=500 size=7", &["--codec", "gzip:1"]);
    assert!(codec.contains("output.codec: was blosc-zstd:3:bitshuffle, is gzip:1"), "{codec}");
    let tile = place.run(&[
        "run",
        "in.zarr",
        "out.zarr",
        "bilateral sigma-color=500 size=7",
        "--workers",
        "1",
        "--tile",
        "16",
        "--resume",
    ]);
    assert!(
        tile.stderr.contains("hint: the work is cut by `--memory`, `--workers` and `--tile`"),
        "{}",
        tile.stderr
    );
    std::fs::write(place.path("in.zarr/c/0/0/0"), std::fs::read(place.path("in.zarr/c/0/0/1")).unwrap())
        .unwrap();
    let input = refused("bilateral sigma-color=500 size=7", &[]);
    assert!(input.contains("input.listed: was "), "{input}");
}

/// What was made with `--resume` and is complete is known as such, and another plan is not taken for it.
#[test]
fn a_complete_output_of_another_plan_is_refused() {
    let place = Place::new();
    place.volume("in.zarr");
    place.ok(&["run", "in.zarr", "out.tif", "max 3", "--resume"]);
    place.ok(&["run", "in.zarr", "out.tif", "max 3", "--resume"]);
    let other = place.run(&["run", "in.zarr", "out.tif", "min 3", "--resume"]);
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("recipe: was max size=3, is min size=3"), "{}", other.stderr);
    // One that nothing is known of is no output of this plan.
    place.ok(&["run", "in.zarr", "plain.tif", "max 3"]);
    let exists = place.run(&["run", "in.zarr", "plain.tif", "max 3", "--resume"]);
    assert!(exists.code == Some(2) && exists.stderr.contains("`plain.tif` exists"), "{}", exists.stderr);
}

#[test]
fn two_runs_do_not_write_to_one_output() {
    let place = Place::new();
    place.write("in.zarr", noise(&[96, 128, 128]), &[32]);
    for (out, recipe) in [
        ("out.zarr", "bilateral sigma-color=500 size=7"),
        ("out.tif", "bilateral sigma-color=500 size=7"),
        ("out.csv", "bilateral sigma-color=500 size=7 | peaks"),
    ] {
        let run = ["run", "in.zarr", out, recipe, "--workers", "1", "--tile", "32"];
        let mut first = started(&place, &run, out, 2);
        let stop = |signal: &str| {
            std::process::Command::new("kill").args([signal, &first.id().to_string()]).status().unwrap()
        };
        assert!(stop("-STOP").success());
        for more in [&[][..], &["--resume"], &["--overwrite"], &["--break-lock", "--overwrite"]] {
            let second = place.run(&[&run[..], more].concat());
            assert_eq!(second.code, Some(2), "{out} {more:?}");
            let held = format!("error: `{out}` is being written by process {}", first.id());
            assert!(second.stderr.starts_with(&held), "{}", second.stderr);
        }
        // Its owner is dead: the next run takes over.
        first.kill().unwrap();
        first.wait().unwrap();
        place.ok(&[&run[..], &["--resume"]].concat());
    }
}

/// The image that is replaced is there until the new one is complete.
#[test]
fn the_old_image_stays_until_the_new_one_is_complete() {
    let place = Place::new();
    place.write("in.zarr", noise(&[96, 128, 128]), &[32]);
    place.ok(&["run", "in.zarr", "out.zarr", "min 3"]);
    let before = place.read::<u16>("out.zarr");
    let run = [&["run", "in.zarr", "out.zarr"], &SLOW[..]].concat();
    killed(&place, &[&run[..], &["--overwrite"]].concat(), "out.zarr", 9);
    assert_eq!(place.read::<u16>("out.zarr"), before);
    let report = place.ok(&[&run[..], &["--resume", "--json"]].concat()).json();
    assert!(report["report"]["tiles_skipped"].as_u64().unwrap() >= 9, "{report}");
    place.ok(&[&["run", "in.zarr", "want.zarr"], &SLOW[..]].concat());
    same_files(&place, "out.zarr", "want.zarr");
}

#[test]
fn a_torn_journal_costs_its_last_record_only() {
    let place = Place::new();
    place.write("in.zarr", noise(&[96, 128, 128]), &[32]);
    let run = [&["run", "in.zarr", "out.zarr"], &SLOW[..], &["--resume"]].concat();
    killed(&place, &run, "out.zarr", 9);
    let path = place.path("out.zarr.voxtile-work/journal");
    let journal = std::fs::read(&path).unwrap();
    std::fs::write(&path, &journal[..journal.len() - 3]).unwrap();
    let report = place.ok(&[&run[..], &["--json"]].concat()).json();
    assert!(report["report"]["tiles_skipped"].as_u64().unwrap() >= 8, "{report}");
    place.ok(&[&["run", "in.zarr", "want.zarr"], &SLOW[..]].concat());
    same_files(&place, "out.zarr", "want.zarr");
}

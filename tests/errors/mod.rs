//! Every mistake that a user or a file can make: the whole message as a snapshot, exit code 2, nothing left behind.

mod files;
mod machine;
mod ome;
mod options;
mod recipes;
mod resume;
mod stores;

use crate::cli::Place;

/// Runs `voxtile`, which must refuse: code 2, nothing on stdout, nothing new on disk, and this message.
#[track_caller]
fn refused(place: &Place, name: &str, args: &[&str]) {
    let before = place.names();
    let answer = place.run(args);
    let (text, code) = (&answer.stderr, answer.code);
    assert_eq!(code, Some(2), "{args:?}\n{}{text}", answer.stdout);
    assert!(answer.stdout.is_empty(), "{}", answer.stdout);
    assert_eq!(place.names(), before, "something was left behind");
    snapshot(name, args, text);
}

fn snapshot(name: &str, args: &[&str], text: &str) {
    let quoted =
        |a: &&str| if a.is_empty() || a.contains([' ', '|']) { format!("'{a}'") } else { (*a).to_owned() };
    let line: Vec<String> = args.iter().map(quoted).collect();
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, format!("$ voxtile {}\n{text}", line.join(" ")));
    });
}

//! The command line: what each subcommand prints, writes and answers.

mod basics;
mod changed;
mod compare;
mod convert;
mod damage;
mod demo;
mod full;
mod interrupt;
mod labels;
mod many;
mod order;
mod parts;
mod planes;
mod plates;
mod preview;
mod pyramid;
mod replace;
mod resume;
mod resume_inside;
mod sample;
mod slides;
mod verify;

use crate::house;
use ndarray::ArrayD;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;
use voxtile::Pipeline;

/// A directory of its own, in which commands run: paths in messages are short and always the same.
pub(crate) struct Place(TempDir);

/// What a command answered.
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Runs `voxtile` here.
    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        Answer::of(&house::voxtile(args).current_dir(self.0.path()).output().expect("voxtile starts"))
    }

    /// Runs a shell line here; `$VOXTILE` is the program.
    #[cfg(unix)]
    pub(crate) fn shell(&self, line: &str) -> Answer {
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", line])
            .env("VOXTILE", env!("CARGO_BIN_EXE_voxtile"))
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .current_dir(self.0.path());
        Answer::of(&shell.output().expect("sh starts"))
    }

    /// Runs `voxtile`, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Answer {
        let answer = self.run(args);
        assert_eq!(answer.code, Some(0), "{args:?}\n{}{}", answer.stdout, answer.stderr);
        answer
    }

    /// A bare Zarr array of 20 × 33 × 47 voxels in chunks of 16³.
    pub(crate) fn volume(&self, name: &str) -> ArrayD<u16> {
        let image = noise(&[20, 33, 47]);
        self.write(name, image.clone(), &[16]);
        image
    }

    /// An array as an image.
    pub(crate) fn write(&self, name: &str, image: ArrayD<u16>, chunk: &[u64]) {
        let output = voxtile::Output::to(self.path(name)).chunk(chunk);
        Pipeline::from_array(image).unwrap().write_to(output).unwrap().run().unwrap();
    }

    /// The voxels of an image.
    pub(crate) fn read<T: voxtile::op::Element>(&self, name: &str) -> ArrayD<T> {
        Pipeline::open(self.path(name)).unwrap().collect().unwrap()
    }

    /// A copy of a committed image.
    pub(crate) fn copy(&self, data: &str, name: &str) {
        copy_tree(&house::data(data), &self.path(name));
    }

    /// Names here, in order; also hidden ones.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries =
            std::fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }
}

impl Answer {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}:\n{}", self.stdout))
    }
}

/// Reproducible values from 0 to 4095.
pub(crate) fn noise(shape: &[usize]) -> ArrayD<u16> {
    let mut n = 7u32;
    ArrayD::from_shape_fn(shape, |_| {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (n >> 20) as u16
    })
}

fn copy_tree(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}

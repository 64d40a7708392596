//! How an output was made, as its file records it, and as it is read again from there.

use crate::{OnDamage, OpenOptions};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxtile_io::{Inventory, Url};
use voxtile_sched::model::{Axis, AxisSet, Border};

/// The record of an output: what makes it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// Version of voxtile.
    pub version: String,
    /// The steps; empty for a copy.
    pub recipe: String,
    /// The image that was read.
    pub input: MadeOf,
    /// The rule beyond the image's edge of steps that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border: Option<String>,
    /// What was done about damaged chunks, unless the run would have stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_damage: Option<String>,
    /// When the run began, in UTC, where that is to be known: `2026-01-31T12:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// The image that an output was made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MadeOf {
    /// Where it lay.
    pub path: PathBuf,
    /// Resolution level.
    #[serde(default)]
    pub level: usize,
    /// Array or series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// Axes that were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axes: Option<String>,
    /// Whether its colours were asked for as red, green and blue.
    #[serde(default)]
    pub rgb: bool,
    /// The axis along which its files were one image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Its files, by which a change is noticed.
    #[serde(default)]
    pub files: MadeOfFiles,
}

/// What is known of files without reading them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeOfFiles {
    /// How many there are.
    pub count: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// When the last of them was changed, in nanoseconds since 1970.
    pub newest_ns: u64,
}

impl From<&Inventory> for MadeOfFiles {
    fn from(files: &Inventory) -> Self {
        Self { count: files.count, bytes: files.bytes, newest_ns: files.newest }
    }
}

impl MadeOf {
    /// An image that was opened; `None` for bare voxels, which the record has no words for.
    pub(crate) fn new(path: &Path, options: &OpenOptions, files: &Inventory) -> Option<Self> {
        let OpenOptions { level, array, axes, raw, stack, rgb, remote: _ } = options;
        raw.is_none().then(|| Self {
            path: match Url::of(path) {
                Ok(None) => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
                _ => path.to_owned(),
            },
            level: *level,
            array: array.clone(),
            axes: axes.map(|axes| axes.to_string()),
            rgb: *rgb,
            stack: stack.map(|axis| axis.name().to_owned()),
            files: files.into(),
        })
    }

    /// As what it is opened again.
    #[must_use]
    pub fn options(&self) -> OpenOptions {
        let axes = self.axes.as_deref().and_then(AxisSet::parse);
        OpenOptions {
            level: self.level,
            array: self.array.clone(),
            axes,
            raw: None,
            rgb: self.rgb,
            remote: voxtile_io::Remote::default(),
            stack: self.stack.as_deref().and_then(Axis::from_name),
        }
    }
}

impl Made {
    pub(crate) fn new(recipe: String, input: MadeOf, border: Option<Border>, on_damage: OnDamage) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            recipe,
            input,
            border: border.map(|border| border.name().to_owned()),
            on_damage: (on_damage != OnDamage::Stop).then(|| on_damage.name().to_owned()),
            time: None,
        }
    }

    /// Reads a record; `None` if it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The record as text.
    #[must_use]
    pub fn text(&self) -> String {
        // Text, numbers and lists of such cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The rule beyond the image's edge.
    #[must_use]
    pub fn border(&self) -> Option<Border> {
        Border::from_name(self.border.as_deref()?, 0.0)
    }
}

/// A time in seconds since 1970 in words: `2026-01-31T12:00:00Z`.
#[must_use]
pub fn time_in_words(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from the first of March, so that the odd one is the last (Hinnant's civil_from_days).
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time_in_words(0), "1970-01-01T00:00:00Z");
        assert_eq!(time_in_words(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(time_in_words(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(time_in_words(1_796_000_000), "2026-11-30T00:53:20Z");
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let input =
            MadeOf { path: "/a/b.zarr".into(), level: 1, axes: Some("zyx".into()), ..MadeOf::default() };
        let made = Made::new(
            "expr formula=\"a < b && c\"".into(),
            input,
            Border::from_name("wrap", 0.0),
            OnDamage::Skip,
        );
        assert_eq!(Made::parse(&made.text()), Some(made.clone()));
        assert_eq!(made.input.options().axes, AxisSet::parse("zyx"));
        assert_eq!(made.border(), Border::from_name("wrap", 0.0));
        for other in ["", "{}", "[1]", "{\"recipe\": 3}"] {
            assert_eq!(Made::parse(other), None, "{other}");
        }
    }
}

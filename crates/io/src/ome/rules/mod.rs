//! The rules of OME-Zarr 0.4, 0.5 and 0.6: what the attributes of one group must hold, and what they should.
//!
//! Source: the specifications of these versions and their JSON schemas (ngff.openmicroscopy.org). What a rule needs of
//! other groups and arrays, such as the rank of a level, is checked where these are known (`zarr/check`).

mod image;
mod label;
mod plate;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Map, Value};

/// A version of OME-Zarr whose rules are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OmeVersion {
    /// In Zarr v2: attributes stand at the top.
    V04,
    /// In Zarr v3: attributes stand below `ome`.
    V05,
    /// As 0.5, with coordinate systems instead of axes.
    V06,
}

impl OmeVersion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V04, Self::V05, Self::V06];

    /// As it stands in files: `0.5`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V04 => "0.4",
            Self::V05 => "0.5",
            Self::V06 => "0.6",
        }
    }

    /// The version of that name; candidates of a release count as the release.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let base = name.split_once("rc").or_else(|| name.split_once("-dev")).map_or(name, |(base, _)| base);
        Self::ALL.into_iter().find(|v| v.name() == base)
    }
}

impl std::fmt::Display for OmeVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A rule of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Rule {
    /// The version is one of those that the rules are known of.
    #[error("the version must be 0.4, 0.5 or 0.6")]
    Version,
    /// A key that must be there.
    #[error("this key must be there")]
    Missing,
    /// Text.
    #[error("must be text")]
    Text,
    /// Text with something in it.
    #[error("must be text of one letter or more")]
    NoText,
    /// A finite number.
    #[error("must be a number")]
    Number,
    /// A whole number from 0.
    #[error("must be a whole number of 0 or more")]
    Whole,
    /// A whole number from 1.
    #[error("must be a whole number of 1 or more")]
    Positive,
    /// A list.
    #[error("must be a list")]
    List,
    /// A list with entries.
    #[error("must be a list with one entry or more")]
    Empty,
    /// An object with keys.
    #[error("must be an object")]
    Object,
    /// No entry twice.
    #[error("must not repeat an entry")]
    Unique,
    /// An image has 2 to 5 axes.
    #[error("an image has 2 to 5 axes")]
    AxesCount,
    /// An image has 2 or 3 space axes.
    #[error("an image has 2 or 3 axes of type space")]
    SpaceAxes,
    /// One time axis, and one channel or custom axis at most.
    #[error("an image has at most one axis of type time, and one of type channel or of a custom type")]
    OtherAxes,
    /// Time first, then channel or custom, then space.
    #[error("axes are ordered by type: time, then channel or custom, then space")]
    AxesOrder,
    /// Exactly one scale, and after it perhaps one translation.
    #[error("a level has exactly one scale, and after it at most one translation")]
    Transforms,
    /// A list of numbers.
    #[error("must be a list of numbers")]
    Numbers,
    /// Voxels have a size.
    #[error("a scale must be greater than 0")]
    Scale,
    /// A transformation leads from the level's path to a coordinate system that is there.
    #[error("a level's transformation leads from its path to the first coordinate system")]
    Ends,
    /// `RRGGBB`.
    #[error("a colour is six hexadecimal digits")]
    Color,
    /// Four numbers of 8 bits.
    #[error("must be four whole numbers from 0 to 255")]
    Rgba,
    /// Letters and digits.
    #[error("must be letters and digits alone")]
    Alphanumeric,
    /// The path of a well.
    #[error("must be the name of a row and of a column, as `A/1`")]
    WellPath,
    /// An index of a row or column that is there.
    #[error("must be the index of a row or column that is listed")]
    WellIndex,
    /// A path below the group.
    #[error("must be the path of something below this group")]
    Path,
    /// Advice: a key that should be there.
    #[error("this key should be there")]
    Advised,
    /// Advice: the well's path should be made of its row and column.
    #[error("the path should be the names of the row and column at these indices")]
    WellName,
    /// Advice: one number for each axis. The text of the specification demands it, and its suite calls an image without it
    /// valid; one whose arrays have another rank cannot be read.
    #[error("should be one number for each axis")]
    PerAxis,
    /// Advice: a unit that the specification lists.
    #[error("a unit should be one of the words of the specification, as `micrometer` or `second`")]
    Unit,
    /// Advice: an older version, whose rules are not checked.
    #[error("an older version, whose rules are not checked")]
    OldVersion,
}

impl Rule {
    /// Whether the specification says *should* instead of *must*.
    #[must_use]
    pub fn is_advice(self) -> bool {
        matches!(self, Self::Advised | Self::PerAxis | Self::WellName | Self::Unit | Self::OldVersion)
    }
}

/// A rule that attributes break, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule.
    pub rule: Rule,
    /// Which key: `multiscales[0].axes[1].name`.
    pub at: String,
    /// What stands there, cut short.
    pub found: String,
}

impl Serialize for Breach {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("Breach", 4)?;
        out.serialize_field("at", &self.at)?;
        out.serialize_field("rule", &self.rule.to_string())?;
        out.serialize_field("advice", &self.rule.is_advice())?;
        out.serialize_field("found", &self.found)?;
        out.end()
    }
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; found {}", self.at, self.rule, self.found)
    }
}

/// The rules that the attributes of a group break: of an image, a label image, a list of labels, a plate or a well, by the
/// keys that are there. `version` is the one to hold them to; else the one that they name counts.
pub(crate) fn check(attributes: &Map<String, Value>, version: Option<OmeVersion>) -> Vec<Breach> {
    let nested = attributes.get("ome").and_then(Value::as_object);
    let ome = nested.unwrap_or(attributes);
    let mut report = Report::default();
    let named = named_version(ome, nested.is_some());
    let own = match (&named, nested) {
        (Some((at, Some(text))), _) => match OmeVersion::from_name(text) {
            Some(own) => Some(own),
            None => {
                let old = version.is_none() && text.as_str() < "0.4" && text.starts_with("0.");
                let rule = if old { Rule::OldVersion } else { Rule::Version };
                report.add(rule, at, Some(&Value::from(text.as_str())));
                return report.0;
            }
        },
        (Some((at, None)), _) => {
            report.add(Rule::Version, at, None);
            None
        }
        (None, Some(_)) => {
            report.add(Rule::Missing, "version", None);
            None
        }
        // In 0.4 the version is advised only.
        (None, None) => None,
    };
    let presumed = if nested.is_some() { OmeVersion::V05 } else { OmeVersion::V04 };
    let version = match (version, own) {
        (Some(asked), Some(own)) if asked != own => {
            report.add(Rule::Version, "version", Some(&Value::from(own.name())));
            asked
        }
        (Some(asked), _) => asked,
        (None, own) => own.unwrap_or(presumed),
    };
    let root = At::root(ome);
    let rules = Rules { version, report: &mut report };
    rules.group(&root);
    report.0
}

/// Where a group says its version, and what: `None` for a version that is no text.
fn named_version(ome: &Map<String, Value>, nested: bool) -> Option<(String, Option<String>)> {
    let text = |v: &Value| v.as_str().map(str::to_owned);
    if nested {
        return ome.get("version").map(|v| ("version".to_owned(), text(v)));
    }
    let first = ome.get("multiscales").and_then(|m| m.get(0)).map(|m| ("multiscales[0]", m));
    let others = ["plate", "well", "image-label"].into_iter().filter_map(|k| Some((k, ome.get(k)?)));
    first
        .into_iter()
        .chain(others)
        .find_map(|(at, object)| object.get("version").map(|v| (format!("{at}.version"), text(v))))
}

/// What was found so far.
#[derive(Default)]
struct Report(Vec<Breach>);

impl Report {
    fn add(&mut self, rule: Rule, at: &str, found: Option<&Value>) {
        let found = found.map_or_else(|| "nothing".to_owned(), short);
        self.0.push(Breach { rule, at: at.to_owned(), found });
    }
}

/// A value in a line of text.
fn short(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A value and its place.
struct At<'a> {
    path: String,
    value: Option<&'a Value>,
    object: Option<&'a Map<String, Value>>,
}

impl<'a> At<'a> {
    fn root(object: &'a Map<String, Value>) -> Self {
        Self { path: String::new(), value: None, object: Some(object) }
    }

    fn key(&self, key: &str) -> At<'a> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let value = self.object.and_then(|o| o.get(key));
        At { path: format!("{}{dot}{key}", self.path), value, object: value.and_then(Value::as_object) }
    }

    fn item(&self, n: usize, value: &'a Value) -> At<'a> {
        At { path: format!("{}[{n}]", self.path), value: Some(value), object: value.as_object() }
    }

    fn is_there(&self) -> bool {
        self.value.is_some()
    }
}

/// The rules of a version, at work.
struct Rules<'r> {
    version: OmeVersion,
    report: &'r mut Report,
}

impl Rules<'_> {
    fn break_at(&mut self, rule: Rule, at: &At<'_>) {
        self.report.add(rule, &at.path, at.value);
    }

    fn group(mut self, root: &At<'_>) {
        if root.key("multiscales").is_there() {
            self.image(root);
        }
        if root.key("image-label").is_there() {
            self.label(&root.key("image-label"));
        }
        if root.key("plate").is_there() {
            self.plate(&root.key("plate"));
        }
        if root.key("well").is_there() {
            self.well(&root.key("well"));
        }
        for key in ["labels", "series"] {
            if root.key(key).is_there() {
                self.paths(&root.key(key));
            }
        }
    }

    /// A list of texts that are paths below the group.
    fn paths(&mut self, at: &At<'_>) {
        for item in self.list(at, false) {
            self.below(&item);
        }
    }

    /// A path that stays in the group.
    fn below(&mut self, at: &At<'_>) {
        if let Some(path) = self.text(at)
            && (path.is_empty() || path.starts_with('/') || path.split('/').any(|p| p == ".."))
        {
            self.break_at(Rule::Path, at);
        }
    }

    /// The entries of a list that must be there.
    fn list<'a>(&mut self, at: &At<'a>, filled: bool) -> Vec<At<'a>> {
        match at.value {
            None => self.break_at(Rule::Missing, at),
            Some(Value::Array(list)) if filled && list.is_empty() => self.break_at(Rule::Empty, at),
            Some(Value::Array(list)) => return list.iter().enumerate().map(|(n, v)| at.item(n, v)).collect(),
            Some(_) => self.break_at(Rule::List, at),
        }
        Vec::new()
    }

    /// The entries of a list, which are objects, none of them twice.
    fn objects<'a>(&mut self, at: &At<'a>, filled: bool) -> Vec<At<'a>> {
        let mut out: Vec<At<'a>> = Vec::new();
        for item in self.list(at, filled) {
            if item.object.is_none() {
                self.break_at(Rule::Object, &item);
                continue;
            }
            if out.iter().any(|before| before.value == item.value) {
                self.break_at(Rule::Unique, &item);
            }
            out.push(item);
        }
        out
    }

    /// A text that must be there.
    fn text<'a>(&mut self, at: &At<'a>) -> Option<&'a str> {
        match at.value {
            None => self.break_at(Rule::Missing, at),
            Some(Value::String(text)) => return Some(text),
            Some(_) => self.break_at(Rule::Text, at),
        }
        None
    }

    /// A number that must be there.
    fn number(&mut self, at: &At<'_>) {
        match at.value {
            None => self.break_at(Rule::Missing, at),
            Some(Value::Number(_)) => {}
            Some(_) => self.break_at(Rule::Number, at),
        }
    }

    /// A whole number that must be there.
    fn whole(&mut self, at: &At<'_>) -> Option<u64> {
        match at.value {
            None => {
                self.break_at(Rule::Missing, at);
                None
            }
            Some(value) => {
                let whole = value.as_u64();
                if whole.is_none() {
                    self.break_at(Rule::Whole, at);
                }
                whole
            }
        }
    }

    /// A whole number from 1, if it is there.
    fn positive_if_there(&mut self, at: &At<'_>) {
        if at.value.is_some_and(|v| v.as_u64().is_none_or(|n| n == 0)) {
            self.break_at(Rule::Positive, at);
        }
    }

    /// A text, if it is there; advised.
    fn advised_text(&mut self, at: &At<'_>) {
        match at.value {
            None => self.break_at(Rule::Advised, at),
            Some(Value::String(_)) => {}
            Some(_) => self.break_at(Rule::Text, at),
        }
    }

    fn advise(&mut self, at: &At<'_>) {
        if !at.is_there() {
            self.break_at(Rule::Advised, at);
        }
    }
}

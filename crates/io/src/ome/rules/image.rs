//! Rules of an image: axes, levels, how channels are shown.

use super::{At, OmeVersion, Rule, Rules};
use serde_json::Value;

/// Units that the specification lists, of space and of time.
const SPACE: &str = "angstrom attometer centimeter decimeter exameter femtometer foot gigameter hectometer inch \
    kilometer megameter meter micrometer mile millimeter nanometer parsec petameter picometer terameter yard yoctometer \
    yottameter zeptometer zettameter";
const TIME: &str = "attosecond centisecond day decisecond exasecond femtosecond gigasecond hectosecond hour kilosecond \
    megasecond microsecond millisecond minute nanosecond petasecond picosecond second terasecond yoctosecond yottasecond \
    zeptosecond zettasecond";

impl Rules<'_> {
    pub(super) fn image(&mut self, root: &At<'_>) {
        for image in self.objects(&root.key("multiscales"), true) {
            let rank = match self.version {
                OmeVersion::V04 | OmeVersion::V05 => self.axes(&image.key("axes")),
                OmeVersion::V06 => self.systems(&image.key("coordinateSystems")),
            };
            for level in self.objects(&image.key("datasets"), true) {
                self.below(&level.key("path"));
                self.transforms(&level, rank);
            }
            let whole = image.key("coordinateTransformations");
            if whole.is_there() && self.version < OmeVersion::V06 {
                self.steps(&whole, rank);
            }
            if self.version == OmeVersion::V04 {
                self.advise(&image.key("version"));
            }
            for key in ["name", "type"] {
                self.advised_text(&image.key(key));
            }
            self.advise(&image.key("metadata"));
        }
        if root.key("omero").is_there() {
            self.omero(&root.key("omero"));
        }
    }

    /// Axes of an image; answers how many there are.
    fn axes(&mut self, at: &At<'_>) -> Option<usize> {
        let axes = self.list(at, false);
        if !matches!(at.value, Some(Value::Array(_))) {
            return None;
        }
        if !(2..=5).contains(&axes.len()) {
            self.break_at(Rule::AxesCount, at);
        }
        let mut names: Vec<&str> = Vec::new();
        let mut kinds = Vec::new();
        for axis in &axes {
            if axis.object.is_none() {
                self.break_at(Rule::Object, axis);
                continue;
            }
            if let Some(name) = self.text(&axis.key("name")) {
                if names.contains(&name) {
                    self.break_at(Rule::Unique, &axis.key("name"));
                }
                if name.is_empty() {
                    self.break_at(Rule::NoText, &axis.key("name"));
                }
                names.push(name);
            }
            let kind = axis.key("type");
            kinds.push(if kind.is_there() { self.text(&kind).unwrap_or_default() } else { "" });
            self.unit(axis, kinds[kinds.len() - 1]);
        }
        let count = |kind: &str| kinds.iter().filter(|k| **k == kind).count();
        let (space, time) = (count("space"), count("time"));
        if !(2..=3).contains(&space) {
            self.break_at(Rule::SpaceAxes, at);
        } else if time > 1 || kinds.len() - space - time > 1 {
            self.break_at(Rule::OtherAxes, at);
        }
        let rank = |kind: &&str| match *kind {
            "time" => 0,
            "space" => 2,
            _ => 1,
        };
        if !kinds.is_sorted_by_key(rank) {
            self.break_at(Rule::AxesOrder, at);
        }
        Some(axes.len())
    }

    /// A unit, if there is one.
    fn unit(&mut self, axis: &At<'_>, kind: &str) {
        let unit = axis.key("unit");
        if !unit.is_there() {
            return;
        }
        let known = match kind {
            "space" => SPACE,
            "time" => TIME,
            _ => "",
        };
        if let Some(word) = self.text(&unit)
            && !known.is_empty()
            && !known.split_whitespace().any(|k| k == word)
        {
            self.break_at(Rule::Unit, &unit);
        }
    }

    /// Coordinate systems; answers how many axes the first one has.
    fn systems(&mut self, at: &At<'_>) -> Option<usize> {
        let systems = self.objects(at, true);
        let mut names: Vec<&str> = Vec::new();
        let mut rank = None;
        for (n, system) in systems.iter().enumerate() {
            let name = system.key("name");
            if let Some(text) = self.text(&name) {
                if text.is_empty() {
                    self.break_at(Rule::NoText, &name);
                }
                if names.contains(&text) {
                    self.break_at(Rule::Unique, &name);
                }
                names.push(text);
            }
            let axes = self.axes(&system.key("axes"));
            if n == 0 {
                rank = axes;
            }
        }
        rank
    }

    /// How a level lies in space.
    fn transforms(&mut self, level: &At<'_>, rank: Option<usize>) {
        let at = level.key("coordinateTransformations");
        if self.version < OmeVersion::V06 {
            self.steps(&at, rank);
            return;
        }
        let list = self.objects(&at, true);
        let [step] = &list[..] else {
            if !list.is_empty() {
                self.break_at(Rule::Transforms, &at);
            }
            return;
        };
        match self.text(&step.key("type")) {
            Some("identity") | None => {}
            Some("scale") => self.numbers(&step.key("scale"), rank, true),
            Some("sequence") => {
                let inner = step.key("transformations");
                self.steps(&inner, rank);
            }
            Some(_) => self.break_at(Rule::Transforms, step),
        }
        let path = level.key("path");
        for (end, key) in [("input", "path"), ("output", "name")] {
            let end = step.key(end);
            if end.object.is_none() {
                self.break_at(if end.is_there() { Rule::Object } else { Rule::Missing }, &end);
            } else if self.text(&end.key(key)).is_some() && key == "path" && end.key(key).value != path.value
            {
                self.break_at(Rule::Ends, &end.key(key));
            }
        }
    }

    /// One scale, and after it perhaps one translation.
    fn steps(&mut self, at: &At<'_>, rank: Option<usize>) {
        let mut kinds = Vec::new();
        for step in self.list(at, true) {
            let Some(kind) = self.text(&step.key("type")) else { continue };
            kinds.push(kind);
            // Numbers may lie in an array instead.
            if matches!(kind, "scale" | "translation")
                && (!step.key("path").is_there() || step.key(kind).is_there())
            {
                self.numbers(&step.key(kind), rank, kind == "scale");
            }
        }
        if matches!(at.value, Some(Value::Array(list)) if !list.is_empty())
            && !matches!(kinds[..], ["scale"] | ["scale", "translation"])
        {
            self.break_at(Rule::Transforms, at);
        }
    }

    /// A number for each axis.
    fn numbers(&mut self, at: &At<'_>, rank: Option<usize>, positive: bool) {
        let list = match at.value {
            None => return self.break_at(Rule::Missing, at),
            Some(value) => value.as_array(),
        };
        let numbers: Option<Vec<f64>> = list.and_then(|l| l.iter().map(Value::as_f64).collect());
        match numbers {
            None => self.break_at(Rule::Numbers, at),
            Some(n) if rank.is_some_and(|rank| n.len() != rank) => self.break_at(Rule::PerAxis, at),
            Some(n) if positive && n.iter().any(|&s| s <= 0.0) => self.break_at(Rule::Scale, at),
            Some(_) => {}
        }
    }

    /// How channels are shown.
    fn omero(&mut self, at: &At<'_>) {
        if at.object.is_none() {
            return self.break_at(Rule::Object, at);
        }
        for channel in self.list(&at.key("channels"), false) {
            let color = channel.key("color");
            if let Some(text) = self.text(&color)
                && !(text.len() == 6 && text.bytes().all(|b| b.is_ascii_hexdigit()))
            {
                self.break_at(Rule::Color, &color);
            }
            let window = channel.key("window");
            match window.value {
                None => self.break_at(Rule::Missing, &window),
                Some(Value::Object(_)) => {
                    for end in ["min", "max", "start", "end"] {
                        self.number(&window.key(end));
                    }
                }
                Some(_) => self.break_at(Rule::Object, &window),
            }
            let label = channel.key("label");
            if label.is_there() {
                self.text(&label);
            }
        }
    }
}

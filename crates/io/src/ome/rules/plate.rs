//! Rules of plates and wells.

use super::{At, OmeVersion, Rule, Rules};

impl Rules<'_> {
    pub(super) fn plate(&mut self, at: &At<'_>) {
        if at.object.is_none() {
            return self.break_at(Rule::Object, at);
        }
        if self.version == OmeVersion::V04 {
            self.advise(&at.key("version"));
        }
        self.advised_text(&at.key("name"));
        let columns = self.names(&at.key("columns"));
        let rows = self.names(&at.key("rows"));
        for well in self.objects(&at.key("wells"), true) {
            let path = well.key("path");
            let text = self.text(&path);
            if let Some(text) = text
                && !text.split_once('/').is_some_and(|(a, b)| is_alphanumeric(a) && is_alphanumeric(b))
            {
                self.break_at(Rule::WellPath, &path);
            }
            let mut named = |key: &str, names: &[&str]| {
                let index = well.key(key);
                let n = self.whole(&index)?;
                let name = usize::try_from(n).ok().and_then(|n| names.get(n).map(|s| (*s).to_owned()));
                if name.is_none() && !names.is_empty() {
                    self.break_at(Rule::WellIndex, &index);
                }
                name
            };
            let (row, column) = (named("rowIndex", &rows), named("columnIndex", &columns));
            if let (Some(text), Some(row), Some(column)) = (text, row, column)
                && text.contains('/')
                && text != format!("{row}/{column}")
            {
                self.break_at(Rule::WellName, &path);
            }
        }
        self.positive_if_there(&at.key("field_count"));
        let acquisitions = at.key("acquisitions");
        if acquisitions.is_there() {
            for one in self.objects(&acquisitions, false) {
                self.whole(&one.key("id"));
                self.positive_if_there(&one.key("maximumfieldcount"));
                self.advise(&one.key("maximumfieldcount"));
                for time in ["starttime", "endtime"] {
                    if one.key(time).is_there() {
                        self.whole(&one.key(time));
                    }
                }
                self.advised_text(&one.key("name"));
            }
        }
    }

    /// Names of rows or columns.
    fn names<'a>(&mut self, at: &At<'a>) -> Vec<&'a str> {
        let mut names = Vec::new();
        for one in self.objects(at, true) {
            let name = one.key("name");
            if let Some(text) = self.text(&name) {
                if !is_alphanumeric(text) {
                    self.break_at(Rule::Alphanumeric, &name);
                }
                names.push(text);
            }
        }
        names
    }

    pub(super) fn well(&mut self, at: &At<'_>) {
        if at.object.is_none() {
            return self.break_at(Rule::Object, at);
        }
        if self.version == OmeVersion::V04 {
            self.advise(&at.key("version"));
        }
        for image in self.objects(&at.key("images"), true) {
            let path = image.key("path");
            let wide = self.version == OmeVersion::V06;
            if let Some(text) = self.text(&path)
                && !(is_alphanumeric(text) || (wide && is_node_name(text)))
            {
                self.break_at(Rule::Alphanumeric, &path);
            }
            let acquisition = image.key("acquisition");
            if acquisition.value.is_some_and(|v| !v.is_i64() && !v.is_u64()) {
                self.break_at(Rule::Whole, &acquisition);
            }
        }
    }
}

fn is_alphanumeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// What 0.6 allows besides: dots, dashes and underscores.
fn is_node_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    !text.is_empty() && text.bytes().all(good) && !text.bytes().all(|b| b == b'.') && !text.starts_with("__")
}

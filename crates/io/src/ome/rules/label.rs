//! Rules of a label image: colours, properties, the image that it belongs to.

use super::{At, OmeVersion, Rule, Rules};
use serde_json::Value;

impl Rules<'_> {
    pub(super) fn label(&mut self, at: &At<'_>) {
        if at.object.is_none() {
            return self.break_at(Rule::Object, at);
        }
        if self.version == OmeVersion::V04 {
            self.advise(&at.key("version"));
        }
        let colors = at.key("colors");
        if colors.is_there() {
            let mut values: Vec<&Value> = Vec::new();
            for color in self.list(&colors, true) {
                let value = color.key("label-value");
                self.number(&value);
                if let Some(number) = value.value {
                    if values.contains(&number) {
                        self.break_at(Rule::Unique, &value);
                    }
                    values.push(number);
                }
                let rgba = color.key("rgba");
                let is_byte = |v: &Value| v.as_u64().is_some_and(|n| n <= 255);
                let good = |list: &Vec<Value>| list.len() == 4 && list.iter().all(is_byte);
                if rgba.value.is_some_and(|v| !v.as_array().is_some_and(good)) {
                    self.break_at(Rule::Rgba, &rgba);
                }
            }
        } else {
            self.break_at(Rule::Advised, &colors);
        }
        let properties = at.key("properties");
        if properties.is_there() {
            for property in self.objects(&properties, true) {
                let value = property.key("label-value");
                match value.value {
                    None => self.break_at(Rule::Missing, &value),
                    Some(v) if v.is_i64() || v.is_u64() => {}
                    Some(_) => self.break_at(Rule::Number, &value),
                }
            }
        }
        let source = at.key("source");
        if source.is_there() {
            let image = source.key("image");
            if source.object.is_none() {
                self.break_at(Rule::Object, &source);
            } else if image.is_there() {
                self.text(&image);
            }
        }
    }
}

//! The little of XML that descriptions of scanners need.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use std::collections::HashMap;

/// An element: its name, how deep it lies (the root is 0), attributes, and the text before the next tag.
pub(super) struct Element {
    pub(super) name: String,
    pub(super) depth: usize,
    pub(super) attributes: HashMap<String, String>,
    pub(super) text: String,
}

impl Element {
    pub(super) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.attributes.get(key)?.trim().parse().ok()
    }
}

/// All elements in the order of their start; what is there before the first fault.
pub(super) fn elements(text: &str) -> Vec<Element> {
    let mut xml = quick_xml::Reader::from_str(text);
    let mut out: Vec<Element> = Vec::new();
    let mut depth = 0;
    // Whose text is read.
    let mut open = None;
    while let Ok(event) = xml.read_event() {
        match event {
            Event::Eof => break,
            Event::Start(ref element) | Event::Empty(ref element) => {
                let mut attributes = HashMap::new();
                for attribute in element.attributes().flatten() {
                    if let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) {
                        attributes.insert(attribute.key.local_name().as_ref().to_owned(), value.into_owned());
                    }
                }
                let name = element.local_name().as_ref().to_owned();
                out.push(Element { name, depth, attributes, text: String::new() });
                open = None;
                if matches!(event, Event::Start(_)) {
                    open = Some(out.len() - 1);
                    depth += 1;
                }
            }
            Event::Text(text) => {
                if let Some(n) = open {
                    out[n].text.push_str(text.trim());
                }
            }
            Event::GeneralRef(entity) => {
                if let Some(n) = open {
                    out[n].text.push_str(resolve_predefined_entity(&entity).unwrap_or(" "));
                }
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                open = None;
            }
            _ => {}
        }
    }
    out
}

//! The file that says what is done: a line for each record, its checksum in front. It is only appended to; what follows a
//! line that is cut short or damaged is not believed.

use crate::IoError;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::Path;
use voxtile_sched::contract::Unit;

/// Longest line that is read: the plan of a long recipe is some kilobytes.
const MAX_LINE: u64 = 1 << 22;

/// What a journal says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contents {
    /// The plan that the runs were of.
    pub(super) plan: Option<Value>,
    pub(super) units: HashMap<Unit, Vec<u8>>,
    /// Whether the output is complete.
    pub(super) finished: bool,
    /// Bytes that can be believed.
    pub(super) len: u64,
}

/// One record.
pub(super) enum Record<'a> {
    Plan(&'a Value),
    Unit(Unit, &'a [u8]),
    Finished,
}

impl Record<'_> {
    /// Appends its line.
    pub(super) fn append(&self, out: &mut String) {
        let mut text = String::new();
        match self {
            Self::Plan(plan) => text = format!("plan {plan}"),
            Self::Unit(Unit { stage, pass, number }, note) => {
                // Writing to a string cannot fail.
                let _ = write!(text, "unit {stage} {pass} {number} ");
                note.iter().for_each(|byte| {
                    let _ = write!(text, "{byte:02x}");
                });
            }
            Self::Finished => text.push_str("finished"),
        }
        let _ = writeln!(out, "{:08x} {text}", crc32c::crc32c(text.as_bytes()));
    }
}

impl Contents {
    /// Reads a journal; nothing where there is none.
    pub(super) fn read(path: &Path) -> Result<Self, IoError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(IoError::io("read", path)(e)),
        };
        let mut out = Self::default();
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let got = (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line);
            got.map_err(IoError::io("read", path))?;
            if !out.take(&line) {
                return Ok(out);
            }
            out.len += line.len() as u64;
        }
    }

    /// Takes the lines of an object, up to the first that cannot be believed.
    pub(super) fn take_all(&mut self, bytes: &[u8]) {
        let _ = bytes.split_inclusive(|byte| *byte == b'\n').all(|line| self.take(line));
    }

    /// Takes a line; whether it can be believed.
    fn take(&mut self, line: &[u8]) -> bool {
        let Some(line) = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()) else {
            return false;
        };
        let Some((sum, text)) = line.split_once(' ') else { return false };
        if u32::from_str_radix(sum, 16) != Ok(crc32c::crc32c(text.as_bytes())) {
            return false;
        }
        // A line that is whole and not known is of a later version, whose plan is another.
        match text.split_once(' ') {
            Some(("plan", plan)) => self.plan = serde_json::from_str(plan).ok(),
            Some(("unit", rest)) => match unit(rest) {
                Some((unit, note)) => drop(self.units.insert(unit, note)),
                None => return false,
            },
            _ => self.finished |= text == "finished",
        }
        true
    }
}

fn unit(text: &str) -> Option<(Unit, Vec<u8>)> {
    let mut words = text.splitn(4, ' ');
    let stage = words.next()?.parse().ok()?;
    let pass = words.next()?.parse().ok()?;
    let number = words.next()?.parse().ok()?;
    let hex = words.next()?.as_bytes();
    let digit = |b: u8| char::from(b).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8);
    Some((Unit { stage, pass, number }, hex.chunks(2).map(byte).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn journal() -> String {
        let mut text = String::new();
        Record::Plan(&json!({"recipe": "gaussian 2"})).append(&mut text);
        for number in 0..3 {
            let unit = Unit { stage: 1, pass: 0, number };
            Record::Unit(unit, &[7; 2][..number as usize]).append(&mut text);
        }
        text
    }

    fn read(bytes: &[u8]) -> Contents {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, bytes).unwrap();
        Contents::read(&path).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let mut text = journal();
        let found = read(text.as_bytes());
        assert_eq!(found.plan, Some(json!({"recipe": "gaussian 2"})));
        let number = |number| Unit { stage: 1, pass: 0, number };
        let want = [(number(0), vec![]), (number(1), vec![7]), (number(2), vec![7, 7])];
        assert_eq!(found.units, HashMap::from(want));
        assert!(!found.finished);
        Record::Finished.append(&mut text);
        assert!(read(text.as_bytes()).finished);
        assert_eq!(Contents::read(Path::new("/no/such/journal")).unwrap(), Contents::default());
    }

    #[test]
    fn a_torn_tail_is_ignored() {
        let text = journal();
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        for cut in 0..text.len() {
            let found = read(&text.as_bytes()[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(found.len as usize, if whole == 0 { 0 } else { ends[whole - 1] }, "{cut}");
            assert_eq!(found.units.len(), whole.saturating_sub(1), "{cut}");
        }
    }

    #[test]
    fn nothing_is_believed_after_a_damaged_line() {
        let text = journal();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let found = read(&bytes);
            assert!(found.len as usize <= at, "byte {at}");
        }
        assert_eq!(read(&[0xff; 1000]).units.len(), 0);
        // Whole lines that say nonsense.
        for nonsense in ["unit 1", "unit 1 2 x ", "unit 1 2 3 f", "unit 1 2 3 zz", "unit 99999999999 0 0 "] {
            let line = format!("{:08x} {nonsense}\n", crc32c::crc32c(nonsense.as_bytes()));
            assert_eq!(read(line.as_bytes()).len, 0, "{nonsense}");
        }
    }
}

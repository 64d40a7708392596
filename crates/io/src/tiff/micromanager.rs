//! Stacks of Micro-Manager without OME-XML: a summary and a list of all planes at fixed places of the file.

use super::ifd::{Directory, Reader, tag};
use super::page::Page;
use super::series::Series;
use super::units;
use crate::IoError;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use voxtile_sched::model::{Axis, Channel};

/// Marks at the places where the summary and the list of planes start.
const INDEX_OFFSET: u32 = 54_773_648;
const INDEX: u32 = 3_453_623;
const SUMMARY: u32 = 2_355_492;

/// Most planes that an image may have beyond those that the file has.
const MAX_PLANES: u64 = 1 << 22;

/// The images of a file, one for each stage position, if Micro-Manager wrote it.
pub(super) fn series(
    reader: &mut Reader,
    first: &Directory,
    pages: &[Page],
) -> Result<Option<Vec<Series>>, IoError> {
    if first.get(tag::MICRO_MANAGER).is_none() || reader.big || reader.len < 40 {
        return Ok(None);
    }
    let head = reader.part(8, 32, "header of Micro-Manager")?;
    let number = |reader: &Reader, i: usize| reader.u32(&head[4 * i..]);
    if number(reader, 0) != INDEX_OFFSET || number(reader, 6) != SUMMARY {
        return Ok(None);
    }
    let (index_at, summary_len) = (u64::from(number(reader, 1)), u64::from(number(reader, 7)));
    let summary = reader.part(40, summary_len, "summary of Micro-Manager")?;
    let summary: Value = serde_json::from_slice(summary.trim_ascii_end().trim_suffix_nul())
        .map_err(|e| reader.header("summary of Micro-Manager", &e.to_string()))?;
    let field = "index of Micro-Manager";
    let start = reader.part(index_at, 8, field)?;
    if reader.u32(&start) != INDEX {
        return Err(reader.header(field, "does not lie where the header says"));
    }
    let count = u64::from(reader.u32(&start[4..]));
    let table = reader.part(index_at + 8, count.saturating_mul(20), field)?;
    let rows: Vec<[u32; 5]> =
        table.chunks_exact(20).map(|row| std::array::from_fn(|i| reader.u32(&row[4 * i..]))).collect();

    let by_offset: HashMap<u64, u32> = pages.iter().enumerate().map(|(i, p)| (p.offset, i as u32)).collect();
    let size = |i: usize| rows.iter().map(|r| u64::from(r[i]) + 1).max().unwrap_or(1);
    let (nc, nz, nt) = (size(0), size(1), size(2));
    if nc.saturating_mul(nz).saturating_mul(nt) > MAX_PLANES.max(pages.len() as u64) {
        let problem = format!("names {nt} × {nc} × {nz} planes, the file has {} pages", pages.len());
        return Err(reader.header(field, &problem));
    }
    // For each position the pages by their places in t, c, z.
    let mut positions: BTreeMap<u32, HashMap<u64, u32>> = BTreeMap::new();
    for &[c, z, t, position, offset] in &rows {
        let Some(&page) = by_offset.get(&u64::from(offset)) else { continue };
        let at = (u64::from(t) * nc + u64::from(c)) * nz + u64::from(z);
        positions.entry(position).or_default().insert(at, page);
    }
    let listed = (nc * nz * nt).saturating_mul(positions.len() as u64);
    if listed > MAX_PLANES.max(pages.len() as u64) {
        let problem = format!("names {} positions of {nt} × {nc} × {nz} planes", positions.len());
        return Err(reader.header(field, &problem));
    }
    let mut out = Vec::new();
    for (position, planes) in positions {
        let Some(&shown) = planes.values().min() else { continue };
        if let Some(&odd) = planes.values().find(|&&p| !pages[p as usize].same_shape(&pages[shown as usize]))
        {
            return Err(reader.header(field, &format!("names page {odd}, which differs from page {shown}")));
        }
        let mut series = Series::new("Micro-Manager TIFF", shown as usize);
        series.order(&vec![(Axis::T, nt), (Axis::C, nc), (Axis::Z, nz)], |i| planes.get(&i).copied());
        describe(&summary, nc, &mut series);
        series.name = name(&summary, position);
        out.push(series);
    }
    Ok((!out.is_empty()).then_some(out))
}

/// What stands before the zeros at the end of a field.
trait TrimNul {
    fn trim_suffix_nul(&self) -> &[u8];
}

impl TrimNul for [u8] {
    fn trim_suffix_nul(&self) -> &[u8] {
        let end = self.iter().rposition(|&b| b != 0).map_or(0, |i| i + 1);
        &self[..end]
    }
}

/// Sizes and channels from the summary.
fn describe(summary: &Value, channels: u64, series: &mut Series) {
    let number = |key: &str| summary.get(key).and_then(Value::as_f64);
    if let Some(size) = number("PixelSize_um") {
        for axis in [Axis::Y, Axis::X] {
            series.spacing[axis.index()] = units::spacing(size, Some("micrometer"));
        }
    }
    let step = number("z-step_um").and_then(|s| units::spacing(s.abs(), Some("micrometer")));
    series.spacing[Axis::Z.index()] = step;
    let interval = number("Interval_ms").and_then(|ms| units::spacing(ms / 1000.0, Some("second")));
    series.spacing[Axis::T.index()] = interval;
    let texts = |key: &str| summary.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let (names, colors) = (texts("ChNames"), texts("ChColors"));
    if names.len() as u64 == channels {
        let color =
            |i: usize| colors.get(i).and_then(Value::as_i64).map(|rgb| format!("{:06X}", rgb & 0xFF_FFFF));
        let channel = |(i, name): (usize, &Value)| Channel {
            name: name.as_str().filter(|n| !n.is_empty()).map(str::to_owned),
            color: color(i),
        };
        series.channels = names.iter().enumerate().map(channel).collect();
    }
}

/// The name of a stage position, if the summary lists them.
fn name(summary: &Value, position: u32) -> Option<String> {
    let listed =
        ["InitialPositionList", "StagePositions"].iter().find_map(|key| summary.get(*key)?.as_array());
    let entry = listed?.get(position as usize)?;
    entry.get("Label").or(entry.get("label"))?.as_str().map(str::to_owned)
}

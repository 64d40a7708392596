//! MetaMorph stacks (STK): one directory, the other planes behind the first one, sizes in tags of their own.

use super::ifd::{Directory, Reader, tag};
use super::page::Page;
use super::series::{self, Series, follows};
use super::units;
use crate::IoError;
use voxtile_sched::model::Axis;

/// Numbers of the fields in UIC1 that are read.
const X_CALIBRATION: u32 = 4;
const Y_CALIBRATION: u32 = 5;
const CALIBRATION_UNITS: u32 = 6;

/// Longest unit that is read.
const MAX_UNIT: u64 = 256;

/// The stack of a file, if it is one of MetaMorph.
pub(super) fn series(reader: &mut Reader, first: &Directory, page: &Page) -> Result<Option<Series>, IoError> {
    let Some(planes) = first.get(tag::STK_PLANES).filter(|e| e.count > 1) else { return Ok(None) };
    let count = planes.count;
    // Per plane: distance as a fraction, then day and millisecond of making and of change.
    let place = reader.place(planes);
    let table = reader.part(place, count.saturating_mul(24), &tag::name(tag::STK_PLANES))?;
    let numbers: Vec<u32> = table.chunks_exact(4).map(|b| reader.u32(b)).collect();
    if !follows(reader, page, count)? {
        let problem = format!("names {count} planes, and the file has not the bytes for them");
        return Err(reader.header(&tag::name(tag::STK_PLANES), &problem));
    }
    let rows = || numbers.chunks_exact(6);
    let distance = |r: &[u32]| f64::from(r[0]) / f64::from(r[1].max(1));
    let deep = rows().all(|r| r[0] != 0);
    let timed = rows().zip(rows().skip(1)).all(|(a, b)| a[3] != b[3]);

    let mut out = Series::new("MetaMorph STK", 0);
    out.contiguous = true;
    let axis = if !deep && timed { Axis::T } else { Axis::Z };
    out.order(&vec![(axis, count)], |i| u32::try_from(i).ok());
    series::resolution(page, &mut out.spacing);
    let calibration = calibration(reader, first)?;
    if let Some(unit) = calibration.unit {
        for (axis, scale) in [(Axis::Y, calibration.y), (Axis::X, calibration.x)] {
            out.spacing[axis.index()] = scale.and_then(|s| units::spacing(s, Some(unit)));
        }
        if deep {
            // Some writers give the distance to the plane before, some the position; both name one step here.
            let z: Vec<f64> = rows().map(distance).collect();
            let even = z.iter().all(|&d| d == z[0]);
            let step = if even { z[0] } else { (z[1] - z[0]).abs() };
            out.spacing[Axis::Z.index()] = units::spacing(step, Some(unit));
        }
    }
    Ok(Some(out))
}

/// Sizes of a pixel.
#[derive(Default)]
struct Calibration {
    x: Option<f64>,
    y: Option<f64>,
    unit: Option<&'static str>,
}

fn calibration(reader: &mut Reader, first: &Directory) -> Result<Calibration, IoError> {
    let mut out = Calibration::default();
    let Some(entry) = first.get(tag::STK_NUMBERS) else { return Ok(out) };
    let name = tag::name(tag::STK_NUMBERS);
    // Pairs of a field's number and its value, or where that lies.
    let place = reader.place(entry);
    let table = reader.part(place, entry.count.saturating_mul(8), &name)?;
    for pair in table.chunks_exact(8) {
        let (field, at) = (reader.u32(pair), u64::from(reader.u32(&pair[4..])));
        match field {
            X_CALIBRATION | Y_CALIBRATION => {
                let fraction = reader.part(at, 8, &name)?;
                let value = f64::from(reader.u32(&fraction)) / f64::from(reader.u32(&fraction[4..]));
                let slot = if field == X_CALIBRATION { &mut out.x } else { &mut out.y };
                *slot = Some(value);
            }
            CALIBRATION_UNITS => {
                let len = reader.part(at, 4, &name)?;
                let len = u64::from(reader.u32(&len)).min(MAX_UNIT);
                let text = reader.part(at + 4, len, &name)?;
                let text = String::from_utf8_lossy(&text);
                out.unit = units::word(text.trim_matches(['\0', ' ']));
            }
            _ => {}
        }
    }
    Ok(out)
}

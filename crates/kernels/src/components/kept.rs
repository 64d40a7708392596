//! Runs as bytes: what is kept of a tile between labelling and painting.
//!
//! Per row the number of runs; per run the gap before it, its length, and the difference of its component to the one
//! before. All as variable-length numbers of seven bits a byte: a nucleus costs some three bytes a row, an empty row one.

use super::runs::Runs;
use voxtile_sched::model::{Element, TileMut};

pub(super) fn encode(runs: &Runs, labels: &[u32], out: &mut Vec<u8>) {
    let mut before = 0;
    let rows: usize = runs.shape[..4].iter().product();
    for row in 0..rows {
        let range = runs.row(row);
        put(out, range.len() as u64);
        let mut at = 0;
        for n in range {
            let run = runs.runs[n];
            put(out, u64::from(run.start - at));
            put(out, u64::from(run.end - run.start));
            let step = i64::from(labels[n]) - before;
            // Small steps in both directions become small numbers.
            put(out, ((step << 1) ^ (step >> 63)) as u64);
            (at, before) = (run.end, i64::from(labels[n]));
        }
    }
}

/// Writes `value` of the number of each voxel's component, and `elsewhere` where there is none.
///
/// # Panics
/// If `kept` is not what labelling the same tile kept, or `numbers` has too few.
pub(crate) fn paint<T: Element, N: Copy>(
    kept: &[u8],
    numbers: &[N],
    output: &mut TileMut<'_>,
    elsewhere: T,
    value: impl Fn(N) -> T,
) {
    let mut view = output.view::<T>();
    let mut from = kept;
    let mut label = 0;
    crate::pointwise::for_rows(view.shape(), |t, c, z, y| {
        let row = view.row(t, c, z, y);
        row.fill(elsewhere);
        let mut at = 0;
        for _ in 0..take(&mut from) {
            let start = at + take(&mut from) as usize;
            at = start + take(&mut from) as usize;
            let step = take(&mut from);
            label += (step >> 1) as i64 ^ -((step & 1) as i64);
            row[start..at].fill(value(numbers[label as usize]));
        }
    });
}

pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(super) fn take(from: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = from.split_first().expect("as many bytes as were kept");
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

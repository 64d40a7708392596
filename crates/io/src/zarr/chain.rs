//! The codecs of one chunk, from the bytes in the file to samples in memory.

use super::fault::Fault;
use super::foreign::Foreign;
use super::metadata::{CodecSpec, MAX_CHUNK_BYTES, Reader};
use super::step::Step;
use crate::scratch::{Buffer, Contexts};
use crate::{Damage, Feature, IoError};
use serde_json::Value;
use voxtile_sched::model::Dtype;

/// Which part of a chunk can be decoded alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// Any bytes: they lie in the file as they are.
    Bytes,
    /// Blocks of blosc.
    Blocks,
}

/// The codecs of one chunk of known shape.
pub(super) struct Chain {
    /// From bytes to bytes, in the order of encoding.
    steps: Vec<Step>,
    /// What comes before them, where it is more than an order of axes and of bytes.
    foreign: Option<Foreign>,
    /// Bytes of the decoded chunk.
    bytes: usize,
    /// Distance between neighbours along each axis of the array, in samples, as they come out of `steps`.
    strides: Vec<u64>,
    /// Bytes per sample if they must be reversed.
    swap: Option<usize>,
}

impl Chain {
    /// Checks the codecs and the size of the chunk.
    pub(super) fn new(
        reader: &Reader<'_>,
        codecs: &[CodecSpec],
        shape: &[u64],
        (dtype, is_bool): (Dtype, bool),
        fill: &[u8],
    ) -> Result<Self, IoError> {
        let bytes = shape.iter().fold(dtype.size() as u64, |n, &s| n.saturating_mul(s));
        if bytes > MAX_CHUNK_BYTES {
            return Err(reader.header(
                "chunk_shape",
                format!(
                    "{shape:?} of {dtype} is {bytes} bytes in memory; chunks up to {MAX_CHUNK_BYTES} bytes are read"
                ),
            ));
        }
        let mut steps = Vec::new();
        let mut front = codecs;
        while let Some((last, rest)) = front.split_last() {
            match Step::of(last).map_err(|f| reader.unsupported(f))? {
                Some(step) => steps.insert(0, step),
                None => break,
            }
            front = rest;
        }
        // Between two compressors lies a buffer, and there are two.
        if steps.iter().filter(|s| !matches!(s, Step::Check { .. })).count() > 3 {
            return Err(reader.unsupported(Feature::Codec(describe(codecs))));
        }
        let mut chain =
            Self { steps, foreign: None, bytes: bytes as usize, strides: strides(shape), swap: None };
        if !chain.native(reader, front, shape, dtype)? {
            let strange = front.iter().find(|c| !matches!(c.name.as_str(), "transpose" | "bytes" | "endian"));
            let name = strange.map_or_else(|| "chain without `bytes`".to_owned(), |c| c.full_name.clone());
            let foreign = Foreign::new(front, shape, dtype, is_bool, fill);
            chain.foreign = Some(foreign.ok_or_else(|| reader.unsupported(Feature::Codec(name)))?);
        }
        Ok(chain)
    }

    /// Understands transposes followed by `bytes`; `false` if there is something else.
    fn native(
        &mut self,
        reader: &Reader<'_>,
        front: &[CodecSpec],
        shape: &[u64],
        dtype: Dtype,
    ) -> Result<bool, IoError> {
        let Some((bytes, transposes)) = front.split_last() else {
            return Ok(false);
        };
        if !matches!(bytes.name.as_str(), "bytes" | "endian")
            || transposes.iter().any(|t| t.name != "transpose")
        {
            return Ok(false);
        }
        // `axes[i]` is the array's axis that lies at position i of the file.
        let mut axes: Vec<usize> = (0..shape.len()).collect();
        for transpose in transposes {
            let order: Option<Vec<usize>> = match transpose.config.get("order") {
                Some(Value::Array(list)) => list.iter().map(|v| Some(v.as_u64()? as usize)).collect(),
                Some(Value::String(s)) if s == "C" => Some((0..shape.len()).collect()),
                Some(Value::String(s)) if s == "F" => Some((0..shape.len()).rev().collect()),
                _ => None,
            };
            let order = order.filter(|order| {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                sorted.iter().copied().eq(0..shape.len())
            });
            let Some(order) = order else {
                return Err(reader.header("transpose", format!("is no order of {} axes", shape.len())));
            };
            axes = order.iter().map(|&i| axes[i]).collect();
        }
        let stored: Vec<u64> = axes.iter().map(|&a| shape[a]).collect();
        for (&axis, &stride) in axes.iter().zip(&strides(&stored)) {
            self.strides[axis] = stride;
        }
        let big = match bytes.text("endian") {
            Some("big") => true,
            Some("little") => false,
            None if dtype.size() == 1 => cfg!(target_endian = "big"),
            other => return Err(reader.header("endian", format!("is {other:?} instead of little or big"))),
        };
        self.swap = (dtype.size() > 1 && big != cfg!(target_endian = "big")).then_some(dtype.size());
        Ok(true)
    }

    /// Bytes of the decoded chunk.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Distance between neighbours along each axis of the array, in samples, in what
    /// [`decode`](Self::decode) makes.
    pub(super) fn strides(&self) -> &[u64] {
        &self.strides
    }

    /// Whether parts of a chunk can be decoded alone, because the samples lie in row-major order and nothing but
    /// blosc stands between them and the file.
    pub(super) fn parts(&self, shape: &[u64]) -> Option<Parts> {
        if self.foreign.is_some() || self.strides != strides(shape) {
            return None;
        }
        match self.steps[..] {
            [] => Some(Parts::Bytes),
            [Step::Blosc] => Some(Parts::Blocks),
            _ => None,
        }
    }

    /// The encoded length, if all codecs keep it fixed.
    pub(super) fn fixed_len(&self) -> Option<u64> {
        let fixed = self.foreign.is_none() && self.steps.iter().all(|s| matches!(s, Step::Check { .. }));
        fixed.then_some((self.bytes + 4 * self.steps.len()) as u64)
    }

    /// The most bytes that the encoded chunk can have.
    pub(super) fn max_encoded(&self) -> u64 {
        self.fixed_len().unwrap_or_else(|| self.bound() as u64)
    }

    /// Incompressible data grow a little.
    fn bound(&self) -> usize {
        let bytes = if self.foreign.is_some() { 2 * self.bytes } else { self.bytes };
        bytes + bytes / 8 + (64 << 10)
    }

    /// Bytes besides the encoded and the decoded chunk that decoding takes.
    pub(super) fn scratch(&self) -> u64 {
        let compressors = self.steps.iter().filter(|s| !matches!(s, Step::Check { .. })).count();
        let between = if self.foreign.is_some() {
            // What comes out of our steps, and what `zarrs` makes of it: twice, as its codecs allocate.
            compressors * self.bound() + 2 * self.bytes
        } else {
            compressors.saturating_sub(1) * self.bound()
        };
        between as u64 + self.steps.iter().map(|s| s.context_bytes()).sum::<u64>()
    }

    /// Nanoseconds per sample on one core.
    pub(super) fn ns_per_voxel(&self, size: usize) -> f64 {
        let own: f64 = self.steps.iter().map(|s| s.ns_per_byte()).sum();
        let foreign = if self.foreign.is_some() { 1.0 } else { 0.0 };
        // 0.15 is reading the file and one copy.
        size as f64 * (0.15 + own + foreign)
    }

    /// Decodes to `out`, which has [`bytes`](Self::bytes) bytes; samples keep the order of
    /// [`strides`](Self::strides) and of bytes in the file: see [`swap`](Self::swap).
    pub(super) fn decode(
        &self,
        encoded: &[u8],
        out: &mut [u8],
        between: &mut [Buffer; 2],
        contexts: &mut Contexts,
    ) -> Result<(), Fault> {
        let Some(foreign) = &self.foreign else {
            let got = self.run(&self.steps, encoded, out, between, contexts)?;
            return self.full(got);
        };
        if self.steps.is_empty() {
            return self.take(&foreign.decode(encoded)?, out);
        }
        let [first, second] = between;
        let mut spare = [std::mem::take(second), Buffer::default()];
        let space = first.bytes(self.bound())?;
        let got = self.run(&self.steps, encoded, space, &mut spare, contexts)?;
        [*second, _] = spare;
        self.take(&foreign.decode(first.filled(got))?, out)
    }

    fn full(&self, got: usize) -> Result<(), Fault> {
        if got == self.bytes {
            return Ok(());
        }
        Err(Damage::Length { got: got as u64, want: self.bytes as u64 }.into())
    }

    fn take(&self, decoded: &[u8], out: &mut [u8]) -> Result<(), Fault> {
        self.full(decoded.len())?;
        out.copy_from_slice(decoded);
        Ok(())
    }

    /// Undoes `steps`, the last one first; says how many bytes of `out` are filled.
    fn run(
        &self,
        steps: &[Step],
        from: &[u8],
        out: &mut [u8],
        between: &mut [Buffer],
        contexts: &mut Contexts,
    ) -> Result<usize, Fault> {
        let Some((last, rest)) = steps.split_last() else {
            let want = out.len();
            let place = out.get_mut(..from.len());
            place.ok_or(Damage::Length { got: from.len() as u64, want: want as u64 })?.copy_from_slice(from);
            return Ok(from.len());
        };
        if let Some(stripped) = last.strip(from) {
            return self.run(rest, stripped?, out, between, contexts);
        }
        if rest.is_empty() {
            return last.decode(from, out, contexts);
        }
        let Some((buffer, more)) = between.split_first_mut() else {
            return Err(Fault::codec("chain", "too many compressors"));
        };
        let got = last.decode(from, buffer.bytes(self.bound())?, contexts)?;
        self.run(rest, buffer.filled(got), out, more, contexts)
    }

    /// Brings samples into the byte order of the machine.
    pub(super) fn swap(&self, samples: &mut [u8]) {
        match self.swap {
            Some(2) => reverse::<2>(samples),
            Some(4) => reverse::<4>(samples),
            Some(8) => reverse::<8>(samples),
            _ => {}
        }
    }
}

fn reverse<const N: usize>(samples: &mut [u8]) {
    for sample in samples.as_chunks_mut::<N>().0 {
        sample.reverse();
    }
}

/// Row-major strides of a box.
pub(super) fn strides(shape: &[u64]) -> Vec<u64> {
    let mut out = vec![1; shape.len()];
    for a in (1..shape.len()).rev() {
        out[a - 1] = out[a] * shape[a];
    }
    out
}

/// Codecs for humans: `bytes, blosc(zstd, level 3, bitshuffle)`.
pub(super) fn describe(codecs: &[CodecSpec]) -> String {
    let one = |c: &CodecSpec| {
        let mut notes = Vec::new();
        if c.name == "sharding_indexed" {
            let inner = c.config.get("codecs").and_then(Value::as_array);
            notes.extend(
                inner
                    .into_iter()
                    .flatten()
                    .filter_map(|v| Some(v.as_str().or_else(|| v.get("name")?.as_str())?.to_owned())),
            );
        }
        notes.extend(c.text("cname").map(str::to_owned));
        notes.extend(["level", "clevel"].iter().filter_map(|k| Some(format!("level {}", c.number(k)?))));
        match c.config.get("shuffle") {
            Some(Value::String(s)) => notes.push(s.clone()),
            Some(Value::Number(n)) => notes.extend(match n.as_i64() {
                Some(1) => Some("shuffle".to_owned()),
                Some(2) => Some("bitshuffle".to_owned()),
                _ => None,
            }),
            _ => {}
        }
        notes.extend(c.text("endian").filter(|e| *e == "big").map(|_| "big-endian".to_owned()));
        if notes.is_empty() { c.name.clone() } else { format!("{}({})", c.name, notes.join(", ")) }
    };
    codecs.iter().map(one).collect::<Vec<_>>().join(", ")
}

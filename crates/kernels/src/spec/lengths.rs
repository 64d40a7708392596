//! Arguments that are lengths and places along the axes: voxels, or physical lengths by the size of a voxel.

use super::{ArgError, Args};
use voxtile_sched::model::{Axis, AxisSet, NDIM, PerAxis};

impl<'a> Args<'a> {
    /// Splits a list over the present axes of `axes`: one value for all of them, or the last ones in order; axes not
    /// reached get `None`.
    pub(super) fn spread(
        &self,
        name: &'static str,
        text: &'a str,
        axes: AxisSet,
    ) -> Result<PerAxis<Option<&'a str>>, ArgError> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let mut out = [None; NDIM];
        if let [one] = parts[..] {
            for a in axes.iter() {
                out[a.index()] = Some(one);
            }
            return Ok(out);
        }
        if parts.len() > axes.len() {
            return Err(ArgError::TooMany {
                op: self.spec.name,
                param: name,
                text: text.to_owned(),
                given: parts.len(),
                axes: axes.len(),
                names: axes,
            });
        }
        for (axis, part) in axes.iter().rev().zip(parts.iter().rev()) {
            out[axis.index()] = Some(*part);
        }
        Ok(out)
    }

    /// A length along an axis in voxels, and whether it was a physical one.
    fn length(&self, name: &'static str, part: &str, axis: Axis) -> Result<(f64, bool), ArgError> {
        let text = self.required(name)?;
        let digits = part.trim_end_matches(|c: char| c.is_alphabetic() || c == 'µ' || c == 'μ');
        let wanted = "a length such as 2, 2px or 0.5um";
        let value: f64 = digits.trim().parse().map_err(|_| self.wrong(name, text, wanted))?;
        let factor = match part[digits.len()..].trim() {
            "" | "px" | "voxel" | "voxels" => return Ok((value, false)),
            "nm" => 1e-3,
            "um" | "µm" | "μm" => 1.0,
            "mm" => 1e3,
            _ => return Err(self.wrong(name, text, wanted)),
        };
        let missing =
            || ArgError::NoPixelSize { op: self.spec.name, param: name, text: text.to_owned(), axis };
        let size = self.input().micrometers(axis).ok_or_else(missing)?;
        Ok((value * factor / size, true))
    }

    /// Lengths in voxels per space axis of the input; 0 along axes that are absent or not reached by the list.
    ///
    /// # Errors
    /// Missing, not a length, negative, or a physical length along an axis without pixel size.
    pub fn lengths_px(&self, name: &'static str) -> Result<PerAxis<f64>, ArgError> {
        let text = self.required(name)?;
        let axes = self.input().axes.space();
        let mut out = [0.0; NDIM];
        for (axis, part) in Axis::ALL.into_iter().zip(self.spread(name, text, axes)?) {
            let Some(part) = part else { continue };
            let (px, _) = self.length(name, part, axis)?;
            if !(px.is_finite() && px >= 0.0) {
                return Err(self.wrong(name, text, "a length of 0 or more"));
            }
            out[axis.index()] = px;
        }
        Ok(out)
    }

    /// Whole numbers of voxels, at least 1, per space axis of the input; 1 along axes that are absent or not reached
    /// by the list. Physical lengths are rounded to whole voxels.
    ///
    /// # Errors
    /// Missing, not whole numbers of 1 or more, or a physical length along an axis without pixel size.
    pub fn sizes_px(&self, name: &'static str) -> Result<PerAxis<u64>, ArgError> {
        let text = self.required(name)?;
        let wanted = || self.wrong(name, text, "whole numbers of 1 or more");
        let mut out = [1; NDIM];
        for (axis, part) in Axis::ALL.into_iter().zip(self.spread(name, text, self.input().axes.space())?) {
            let Some(part) = part else { continue };
            let digits = part.strip_suffix("px").unwrap_or(part).trim();
            out[axis.index()] = match digits.parse() {
                Ok(n) if n >= 1 => n,
                Ok(_) => return Err(wanted()),
                Err(_) => match self.length(name, part, axis) {
                    Ok((px, true)) if (0.5..1e12).contains(&px) => px.round() as u64,
                    Err(missing @ ArgError::NoPixelSize { .. }) => return Err(missing),
                    _ => return Err(wanted()),
                },
            };
        }
        Ok(out)
    }

    /// As [`lengths_px`](Self::lengths_px), in whole voxels: physical lengths are rounded, others must be whole.
    ///
    /// # Errors
    /// Those of `lengths_px`, and a fraction of a voxel.
    pub fn whole_px(&self, name: &'static str) -> Result<PerAxis<u64>, ArgError> {
        const MOST: f64 = 1e12;
        let text = self.required(name)?;
        let lengths = self.lengths_px(name)?;
        for (axis, part) in Axis::ALL.into_iter().zip(self.spread(name, text, self.input().axes.space())?) {
            let Some(part) = part else { continue };
            let (px, physical) = self.length(name, part, axis)?;
            if !physical && px.fract() != 0.0 {
                return Err(self.wrong(name, text, "a whole number of voxels"));
            }
            if px > MOST {
                return Err(self.wrong(name, text, "a length of at most 1e12 voxels"));
            }
        }
        Ok(lengths.map(|px| px.round() as u64))
    }

    /// Half-open ranges of voxels over the present axes; the whole axis where the list does not reach or says `:`.
    ///
    /// # Errors
    /// Missing, not ranges, or ranges outside the image.
    pub fn ranges_px(&self, name: &'static str) -> Result<PerAxis<(u64, u64)>, ArgError> {
        let text = self.required(name)?;
        let meta = self.input();
        let mut out: PerAxis<(u64, u64)> = meta.shape.map(|n| (0, n));
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.len() > meta.axes.len() {
            self.spread(name, text, meta.axes)?;
        }
        for (axis, part) in meta.axes.iter().rev().zip(parts.iter().rev()) {
            let len = meta.shape[axis.index()];
            let wanted = || format!("ranges inside the image, such as 0:{len} along {axis}");
            let (lo, hi) = part.split_once(':').ok_or_else(|| self.wrong(name, text, wanted()))?;
            let bound = |t: &str, default: u64| {
                if t.trim().is_empty() { Some(default) } else { t.trim().parse().ok() }
            };
            match (bound(lo, 0), bound(hi, len)) {
                (Some(lo), Some(hi)) if lo <= hi && hi <= len => out[axis.index()] = (lo, hi),
                _ => return Err(self.wrong(name, text, wanted())),
            }
        }
        Ok(out)
    }
}

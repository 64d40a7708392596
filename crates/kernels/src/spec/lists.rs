//! Arguments that are lists: of axes, of positions, of numbers per axis.

use super::{ArgError, Args};
use voxtile_sched::model::{Axis, NDIM, PerAxis};

impl<'a> Args<'a> {
    /// Axes of the input, each at most once, in the order given: `yx`, `y,x`.
    ///
    /// # Errors
    /// Missing, no axes, or axes that the image lacks.
    pub fn axes(&self, name: &'static str) -> Result<Vec<Axis>, ArgError> {
        let text = self.required(name)?;
        let has = self.input().axes;
        let wrong = || self.wrong(name, text, format!("axes of the image ({has}), each once"));
        let mut axes = Vec::new();
        for letter in text.chars().filter(|c| *c != ',' && !c.is_whitespace()) {
            let axis = Axis::from_name(letter.encode_utf8(&mut [0; 4])).ok_or_else(wrong)?;
            if axes.contains(&axis) || !has.contains(axis) {
                return Err(wrong());
            }
            axes.push(axis);
        }
        if axes.is_empty() { Err(wrong()) } else { Ok(axes) }
    }

    /// Positions along an axis as half-open ranges, neighbours joined, and whether they are one single number.
    ///
    /// # Errors
    /// Missing, an axis that the image lacks, or positions outside it.
    pub fn positions(&self, name: &'static str, axis: Axis) -> Result<(Vec<(u64, u64)>, bool), ArgError> {
        let text = self.required(name)?;
        let meta = self.input();
        let len = meta.shape[axis.index()];
        if !meta.axes.contains(axis) {
            return Err(self.impossible(name, format!("the image ({}) has no axis {axis}", meta.axes)));
        }
        let wanted =
            || format!("positions along {axis}, from 0 to {} or ranges up to {len}", len.saturating_sub(1));
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let bound = |t: &str, default: u64| {
                if t.trim().is_empty() { Some(default) } else { t.trim().parse().ok() }
            };
            let range = match part.split_once(':') {
                Some((lo, hi)) => bound(lo, 0).zip(bound(hi, len)),
                None => part.parse().ok().and_then(|k: u64| Some((k, k.checked_add(1)?))),
            };
            let (lo, hi) = range
                .filter(|(lo, hi)| lo <= hi && *hi <= len)
                .ok_or_else(|| self.wrong(name, text, wanted()))?;
            if lo == hi {
                return Err(self.impossible(name, format!("`{part}` selects nothing")));
            }
            match ranges.last_mut() {
                Some(last) if last.1 == lo => last.1 = hi,
                _ => ranges.push((lo, hi)),
            }
        }
        Ok((ranges, !text.contains([',', ':'])))
    }

    /// The parts of a list per space axis of the input; `None` along axes that are absent or not reached by it.
    ///
    /// # Errors
    /// Missing, or more parts than axes.
    pub fn space_list(&self, name: &'static str) -> Result<PerAxis<Option<&'a str>>, ArgError> {
        self.spread(name, self.required(name)?, self.input().axes.space())
    }

    /// Numbers above 0 per space axis of the input; `None` along axes that are absent or not reached by the list.
    ///
    /// # Errors
    /// Missing, or not finite numbers above 0.
    pub fn factors(&self, name: &'static str) -> Result<PerAxis<Option<f64>>, ArgError> {
        let text = self.required(name)?;
        let mut out = [None; NDIM];
        for (slot, part) in out.iter_mut().zip(self.space_list(name)?) {
            if let Some(part) = part {
                let value = part.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
                *slot = Some(value.ok_or_else(|| self.wrong(name, text, "numbers above 0"))?);
            }
        }
        Ok(out)
    }
}

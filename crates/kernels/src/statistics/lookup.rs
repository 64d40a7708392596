//! A number for every integer from one up.

use crate::device::{constants, sweep};
use crate::pointwise::Sample;
use voxtile_sched::contract::Kernels;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::model::Dtype;

/// What follows from counts of single values.
pub(crate) struct Lookup {
    /// The integer of the first number.
    pub(crate) first: i128,
    /// Not empty.
    pub(crate) values: Vec<f32>,
}

impl Lookup {
    /// The same on a device.
    pub(crate) fn kernels(&self, input: Dtype) -> Kernels {
        let from = vec![Slot::Input(0), Slot::Constants(0)];
        let first = vec![Argument::U64(self.first as u64)];
        let sweeps = vec![sweep(format!("lookup_{input}"), from, Slot::Output, first)];
        Kernels { constants: vec![constants(&self.values)], sweeps, ..Kernels::default() }
    }

    /// The numbers of a row of integers; those beyond the last have the last one's.
    pub(crate) fn row<T: Sample>(&self, from: &[T], to: &mut [f32]) {
        // In the type's own arithmetic: differences wrap and come out right.
        let (first, last) = (self.first as u64, self.values.len() - 1);
        for (to, from) in to.iter_mut().zip(from) {
            *to = self.values[(from.to_word().wrapping_sub(first) as usize).min(last)];
        }
    }
}

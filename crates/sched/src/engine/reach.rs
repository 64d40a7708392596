//! What an output region is made of, through all steps.

use super::graph::{Graph, Input};
use super::plan::Plan;
use crate::contract::{Op, Pass};
use crate::model::{Border, NDIM, Region, Shape};
use std::sync::Arc;

/// Which voxels of the sources the values of an output region are made of.
///
/// Statistics of a whole image, and objects that cross tiles, are not followed: every voxel may count for them.
#[derive(Clone)]
pub struct Reach {
    sources: Vec<Shape>,
    /// Operation, inputs, and shape of the result.
    steps: Vec<(Arc<dyn Op>, Vec<Input>, Shape)>,
    output: Input,
}

impl Plan {
    /// What output regions are made of.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::new(self.graph())
    }
}

impl Reach {
    pub(crate) fn new(graph: &Graph) -> Self {
        let steps = graph.steps.iter().map(|s| (s.op.clone(), s.inputs.clone(), s.meta.shape)).collect();
        Self { sources: graph.sources.iter().map(|m| m.shape).collect(), steps, output: graph.output }
    }

    fn shape(&self, input: Input) -> Shape {
        match input {
            Input::Source(n) => self.sources[n],
            Input::Step(n) => self.steps[n].2,
        }
    }

    /// For each source, a box that holds all voxels from which an output region is made; empty if there are none.
    #[must_use]
    pub fn of(&self, region: &Region) -> Vec<Region> {
        let mut sources = vec![Region::default(); self.sources.len()];
        let mut steps = vec![Region::default(); self.steps.len()];
        let mut want = |steps: &mut [Region], input: Input, region: &Region| {
            let slot = match input {
                Input::Source(n) => &mut sources[n],
                Input::Step(n) => &mut steps[n],
            };
            *slot = slot.hull(region);
        };
        want(&mut steps, self.output, region);
        for n in (0..self.steps.len()).rev() {
            let out = steps[n];
            if out.is_empty() {
                continue;
            }
            let (op, inputs, _) = &self.steps[n];
            for (i, &input) in inputs.iter().enumerate() {
                let image = self.shape(input);
                want(&mut steps, input, &reads(&**op, i, &out, &image));
            }
        }
        sources
    }
}

/// What a step reads of an image, inside of it.
pub(crate) fn reads(op: &dyn Op, input: usize, out: &Region, image: &Shape) -> Region {
    let out = match op.pass() {
        Pass::Fold(fold) => out.with_axis(fold.axis(), 0, image[fold.axis().index()]),
        _ => *out,
    };
    let want = op.reads(input, &out, image);
    if want.is_empty() || Region::whole(*image).contains(&want) {
        return want;
    }
    let border = op.border();
    let mut inside = Region::default();
    for a in 0..NDIM {
        let (lo, hi) = match border {
            // Both ends of the image meet.
            Border::Wrap if want.start[a] < 0 || want.end(a) > image[a] as i64 => (0, image[a] as i64),
            _ => border.needed(want.start[a], want.shape[a], image[a]),
        };
        inside.start[a] = lo;
        inside.shape[a] = (hi - lo).max(0) as u64;
    }
    inside
}

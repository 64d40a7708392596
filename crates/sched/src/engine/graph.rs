//! The graph of steps that a recipe asks for, in the user's words.

use crate::contract::{Op, Pass, Refused};
use crate::model::Meta;
use std::sync::Arc;

/// Where a step takes an input from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A source, by its number.
    Source(usize),
    /// The result of an earlier step.
    Step(usize),
}

/// A step that refuses its inputs.
#[derive(Debug, thiserror::Error)]
#[error("`{step}` {refused}")]
pub struct GraphError {
    /// The step in the user's words.
    pub step: String,
    /// Why.
    pub refused: Refused,
}

pub(crate) struct Step {
    pub(crate) op: Arc<dyn Op>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) meta: Meta,
    pub(crate) label: String,
}

/// Bytes of a result beyond which nothing is planned: 1 EiB.
const MOST_BYTES: u128 = 1 << 60;

/// Steps over sources, each step after its inputs.
///
/// ```
/// # use voxtile_sched::{engine::{Graph, Input}, model::{AxisSet, Dtype, Meta}};
/// let graph = Graph::new(vec![Meta::new([1, 1, 1, 20, 30], AxisSet::parse("yx").unwrap(), Dtype::U16)]);
/// assert_eq!(graph.output_meta().dtype, Dtype::U16); // without steps, the output is the first source
/// ```
pub struct Graph {
    pub(crate) sources: Vec<Meta>,
    pub(crate) steps: Vec<Step>,
    pub(crate) output: Input,
}

impl Graph {
    /// A graph without steps over sources of these shapes; its output is the first source.
    #[must_use]
    pub fn new(sources: Vec<Meta>) -> Self {
        Self { sources, steps: Vec::new(), output: Input::Source(0) }
    }

    /// Appends a step; `label` is how the user wrote it. It becomes the output.
    ///
    /// # Errors
    /// The operation refuses these inputs, or reduces an axis that has no voxels.
    pub fn push(
        &mut self,
        op: Arc<dyn Op>,
        inputs: &[Input],
        label: impl Into<String>,
    ) -> Result<Input, GraphError> {
        let label = label.into();
        let metas: Vec<Meta> = inputs.iter().map(|&i| self.meta(i).clone()).collect();
        let refused = |refused| GraphError { step: label.clone(), refused };
        for input in inputs {
            if let Input::Step(i) = *input
                && matches!(self.steps[i].op.pass(), Pass::Tally(_))
            {
                return Err(refused(Refused::Table { step: self.steps[i].label.clone() }));
            }
        }
        let meta = op.output(&metas).map_err(refused)?;
        let bytes =
            meta.shape.iter().fold(meta.dtype.size() as u128, |n, &m| n.saturating_mul(u128::from(m)));
        if bytes > MOST_BYTES {
            let why = format!("{:?} voxels are more than any store holds", meta.dims());
            return Err(refused(Refused::Param { param: "result", why }));
        }
        if let Pass::Fold(fold) = op.pass()
            && metas[0].shape[fold.axis().index()] == 0
        {
            let why = format!("the image has no voxels along {}", fold.axis());
            return Err(refused(Refused::Param { param: "axis", why }));
        }
        self.steps.push(Step { op, inputs: inputs.to_vec(), meta, label });
        self.output = Input::Step(self.steps.len() - 1);
        Ok(self.output)
    }

    /// Chooses the result.
    pub fn set_output(&mut self, output: Input) {
        self.output = output;
    }

    /// What is known of a source or of a step's result.
    #[must_use]
    pub fn meta(&self, input: Input) -> &Meta {
        match input {
            Input::Source(i) => &self.sources[i],
            Input::Step(i) => &self.steps[i].meta,
        }
    }

    /// Whether the result is a table instead of an image.
    #[must_use]
    pub fn makes_table(&self) -> bool {
        matches!(self.output, Input::Step(i) if matches!(self.steps[i].op.pass(), Pass::Tally(_)))
    }

    /// Whether a step that counts can only be computed on a device.
    #[must_use]
    pub fn needs_device(&self) -> bool {
        super::stage::live_steps(self).into_iter().any(|step| self.steps[step].op.needs_device())
    }

    /// What is known of the result; of a table, what is known of the image that it describes.
    #[must_use]
    pub fn output_meta(&self) -> &Meta {
        self.meta(self.output)
    }
}

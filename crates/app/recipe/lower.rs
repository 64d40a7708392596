//! From a recipe and an image to the scheduler's graph.

use super::{Arg, Place, Problem, Recipe, RecipeError, Ref, Step, What};
use std::collections::BTreeMap;
use voxtile_kernels::ops;
use voxtile_kernels::spec::{ArgError, Args, From};
use voxtile_sched::contract::Refused;
use voxtile_sched::engine::{Graph, GraphError, Input};
use voxtile_sched::model::{Border, Meta};

impl Recipe {
    /// Appends the steps to a graph; `border` is the rule of steps that name none. Returns the last result, which
    /// becomes the graph's output.
    pub(crate) fn lower(
        &self,
        graph: &mut Graph,
        source: Input,
        border: Option<Border>,
    ) -> Result<Input, RecipeError> {
        let mut results: Vec<Input> = Vec::new();
        for step in &self.steps {
            let input = |r: &Ref| match *r {
                Ref::Source => source,
                Ref::Step(i) => results[i],
            };
            let inputs: Vec<Input> = step.inputs.iter().map(input).collect();
            results.push(step.lower(graph, &inputs, border)?);
        }
        let output = results.last().copied().unwrap_or(source);
        graph.set_output(output);
        Ok(output)
    }
}

impl Step {
    fn lower(
        &self,
        graph: &mut Graph,
        inputs: &[Input],
        border: Option<Border>,
    ) -> Result<Input, RecipeError> {
        let (op, args) = match &self.what {
            What::Own(op) => {
                return graph
                    .push(op.clone(), inputs, &*self.words)
                    .map_err(|e| self.refused(op.name(), &[], e));
            }
            What::Listed { op, args } => (*op, args),
        };
        let spec = ops::find(op).expect("looked up when the recipe was read");
        let metas: Vec<Meta> = inputs.iter().map(|&i| graph.meta(i).clone()).collect();
        let given: BTreeMap<&str, &str> = args.iter().map(|a| (a.param, a.value.as_str())).collect();
        let stages = spec.stages(&Args::new(spec, given, &metas, border)).map_err(|e| {
            let place = self.place_of(args, Some(blamed(&e)));
            RecipeError::new(Problem::Argument(e), place)
        })?;
        let mut made: Vec<Input> = Vec::with_capacity(stages.len());
        let parts = stages.len();
        for stage in stages {
            let from = |f: &From| match *f {
                From::Input(i) => inputs[i],
                From::Stage(i) => made[i],
            };
            let read: Vec<Input> = stage.inputs.iter().map(from).collect();
            let whole = parts == 1 || (spec.makes_table() && made.len() + 1 == parts);
            let label =
                if whole { self.words.clone() } else { format!("{}: {}", self.words, stage.op.name()) };
            made.push(graph.push(stage.op, &read, label).map_err(|e| self.refused(op, args, e))?);
        }
        Ok(made.pop().expect("an operation has a stage"))
    }

    fn refused(&self, op: &str, args: &[Arg], error: GraphError) -> RecipeError {
        let param = match &error.refused {
            Refused::Param { param, .. } => Some(*param),
            _ => None,
        };
        let problem = Problem::Refused { op: op.to_owned(), refused: error.refused };
        RecipeError::new(problem, self.place_of(args, param))
    }

    /// Where a parameter was given; the operation itself, if it was not.
    fn place_of(&self, args: &[Arg], param: Option<&str>) -> Place {
        let span =
            args.iter().find(|a| Some(a.param) == param).map_or(self.place.span.clone(), |a| a.span.clone());
        Place { span, ..self.place.clone() }
    }
}

/// The parameter that an error is about.
fn blamed(error: &ArgError) -> &'static str {
    match error {
        ArgError::Missing { param, .. }
        | ArgError::Value { param, .. }
        | ArgError::Impossible { param, .. }
        | ArgError::NoPixelSize { param, .. }
        | ArgError::TooMany { param, .. } => param,
    }
}

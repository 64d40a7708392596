//! Stages: parts of the graph that are computed in one visit of a tile.
//!
//! A stage starts at sources or at what earlier stages wrote, and ends where something is written or merged. Steps in
//! between never leave memory; their halos add.

use super::graph::{Graph, Input};
use crate::contract::{Op, Pass};
use crate::model::{Border, Dtype, Meta, Shape};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where a stage reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A source of the graph.
    Source(usize),
    /// What the stage that ends at this step wrote.
    Temp(usize),
}

/// A value inside a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Feed(usize),
    Node(usize),
}

#[derive(Clone)]
pub(crate) struct Feed {
    pub(crate) origin: Origin,
    pub(crate) meta: Meta,
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) step: usize,
    pub(crate) op: Arc<dyn Op>,
    pub(crate) inputs: Vec<Value>,
    pub(crate) meta: Meta,
}

/// What happens to a stage's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Written, to the sink or to a temporary store.
    Write,
    /// Reduced along an axis by this step, then written.
    Fold(usize),
    /// Observed by this global step, as its input of that number; nothing is written.
    Observe(usize, usize),
    /// Worked and merged by this step, then painted and written.
    Merge(usize),
    /// Propagated by this step, then written.
    Propagate(usize),
    /// Counted into a table by this step; nothing is written.
    Tally(usize),
}

impl End {
    /// The step that takes what the stage computes, if one does.
    pub(crate) fn step(self) -> Option<usize> {
        match self {
            Self::Write => None,
            Self::Fold(step) | Self::Observe(step, _) | Self::Merge(step) => Some(step),
            Self::Propagate(step) | Self::Tally(step) => Some(step),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) feeds: Vec<Feed>,
    pub(crate) nodes: Vec<Node>,
    /// What the end takes: one value, or the inputs of the merging step.
    pub(crate) roots: Vec<Value>,
    pub(crate) end: End,
    /// The operation at the end, if it reads the roots with a footprint of its own; others take them tile by tile.
    pub(crate) reader: Option<Arc<dyn Op>>,
    /// The step whose result is written; `None` for the copy of a source and for statistics.
    pub(crate) result: Option<usize>,
    /// The image that tiles cut: the result, or what is reduced or observed.
    pub(crate) domain: Meta,
    /// What is written; equals the domain except for reductions.
    pub(crate) output: Meta,
}

impl Stage {
    pub(crate) fn meta(&self, value: Value) -> &Meta {
        match value {
            Value::Feed(i) => &self.feeds[i].meta,
            Value::Node(i) => &self.nodes[i].meta,
        }
    }

    /// Feeds first, then nodes.
    pub(crate) fn slot(&self, value: Value) -> usize {
        match value {
            Value::Feed(i) => i,
            Value::Node(i) => self.feeds.len() + i,
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.feeds.len() + self.nodes.len()
    }

    /// Type and image shape of a slot.
    pub(crate) fn slot_type(&self, slot: usize) -> (Dtype, &Shape) {
        let meta = match slot.checked_sub(self.feeds.len()) {
            None => &self.feeds[slot].meta,
            Some(n) => &self.nodes[n].meta,
        };
        (meta.dtype, &meta.shape)
    }
}

/// Whether a step's result has to be written because of what it is or of how it is read.
pub(crate) fn forced_cuts(graph: &Graph) -> BTreeSet<usize> {
    let mut cuts = BTreeSet::new();
    for (i, step) in graph.steps.iter().enumerate() {
        let whole_inputs = match step.op.pass() {
            Pass::Local | Pass::Placed(_) | Pass::Global(_) | Pass::Tally(_) => {
                let padded = |n: usize| step.op.footprint(n).is_padded();
                step.op.border() == Border::Wrap && (0..step.inputs.len()).any(padded)
            }
            Pass::Fold(_) | Pass::Merge(_) => {
                cuts.insert(i);
                false
            }
            Pass::Propagate(_) => {
                cuts.insert(i);
                true
            }
        };
        if whole_inputs {
            cuts.extend(step.inputs.iter().filter_map(|input| match input {
                Input::Step(s) => Some(*s),
                Input::Source(_) => None,
            }));
        }
    }
    cuts
}

/// The steps that the output depends on.
pub(crate) fn live_steps(graph: &Graph) -> BTreeSet<usize> {
    let mut live = BTreeSet::new();
    let mut open: Vec<Input> = vec![graph.output];
    while let Some(input) = open.pop() {
        if let Input::Step(i) = input
            && live.insert(i)
        {
            open.extend(&graph.steps[i].inputs);
        }
    }
    live
}

/// Cuts the graph into stages after the given steps, in an order in which each reads only what was written before.
pub(crate) fn stages(graph: &Graph, cuts: &BTreeSet<usize>) -> Vec<Stage> {
    let live = live_steps(graph);
    let mut ends: BTreeSet<usize> = cuts.intersection(&live).copied().collect();
    let Input::Step(last) = graph.output else {
        return vec![build(graph, &ends, &[graph.output], End::Write, None)];
    };
    ends.insert(last);
    let mut out = Vec::new();
    let mut observed = BTreeSet::new();
    for &end in &ends {
        let step = &graph.steps[end];
        let (kind, roots) = match step.op.pass() {
            Pass::Local | Pass::Placed(_) | Pass::Global(_) => (End::Write, vec![Input::Step(end)]),
            Pass::Fold(_) => (End::Fold(end), step.inputs.clone()),
            Pass::Merge(_) => (End::Merge(end), step.inputs.clone()),
            Pass::Propagate(_) => (End::Propagate(end), step.inputs.clone()),
            Pass::Tally(_) => (End::Tally(end), step.inputs.clone()),
        };
        let result = Some(end).filter(|_| !matches!(kind, End::Tally(_)));
        let stage = build(graph, &ends, &roots, kind, result);
        observe(graph, &ends, &stage, &mut observed, &mut out);
        out.push(stage);
    }
    out
}

/// Puts statistics stages before a stage for each global step in it that has none yet.
fn observe(
    graph: &Graph,
    ends: &BTreeSet<usize>,
    stage: &Stage,
    done: &mut BTreeSet<usize>,
    out: &mut Vec<Stage>,
) {
    for node in &stage.nodes {
        let Pass::Global(global) = node.op.pass() else { continue };
        let known = done.iter().any(|other| asks_the_same(graph, *other, node.step));
        if done.insert(node.step) && !known {
            for &n in global.observes() {
                let input = graph.steps[node.step].inputs[n];
                let before = build(graph, ends, &[input], End::Observe(node.step, n), None);
                observe(graph, ends, &before, done, out);
                out.push(before);
            }
        }
    }
}

/// Whether two global steps wait for one statistic of one input.
pub(crate) fn asks_the_same(graph: &Graph, a: usize, b: usize) -> bool {
    let asked = |step: usize| {
        let Step { op, inputs, .. } = &graph.steps[step];
        let Pass::Global(global) = op.pass() else { return None };
        let of: Vec<Input> = global.observes().iter().map(|&n| inputs[n]).collect();
        global.shared().map(|name| (name, of))
    };
    asked(a).is_some_and(|asked_by_a| Some(asked_by_a) == asked(b))
}

fn build(graph: &Graph, ends: &BTreeSet<usize>, roots: &[Input], end: End, result: Option<usize>) -> Stage {
    let mut stage = Stage {
        feeds: Vec::new(),
        nodes: Vec::new(),
        roots: Vec::new(),
        end,
        reader: match end {
            End::Tally(step) | End::Merge(step) => Some(graph.steps[step].op.clone()),
            _ => None,
        },
        result,
        domain: graph.meta(roots[0]).clone(),
        output: result.map_or_else(|| graph.meta(roots[0]).clone(), |r| graph.steps[r].meta.clone()),
    };
    // The end's own result is computed here, not read; for the other ends the roots may be cuts.
    let own = if end == End::Write { result } else { None };
    stage.roots = roots.iter().map(|&r| value_of(graph, ends, own, &mut stage, r)).collect();
    stage
}

/// The value of a graph input inside a stage, made on first use; nodes come out in topological order.
fn value_of(
    graph: &Graph,
    ends: &BTreeSet<usize>,
    own: Option<usize>,
    stage: &mut Stage,
    input: Input,
) -> Value {
    let origin = match input {
        Input::Source(i) => Some(Origin::Source(i)),
        Input::Step(i) if ends.contains(&i) && own != Some(i) => Some(Origin::Temp(i)),
        Input::Step(_) => None,
    };
    if let Some(origin) = origin {
        let known = stage.feeds.iter().position(|f| f.origin == origin);
        return Value::Feed(known.unwrap_or_else(|| {
            stage.feeds.push(Feed { origin, meta: graph.meta(input).clone() });
            stage.feeds.len() - 1
        }));
    }
    let Input::Step(step) = input else { unreachable!("sources are feeds") };
    if let Some(known) = stage.nodes.iter().position(|n| n.step == step) {
        return Value::Node(known);
    }
    let inputs = graph.steps[step].inputs.iter().map(|&i| value_of(graph, ends, own, stage, i)).collect();
    let Step { op, meta, .. } = &graph.steps[step];
    stage.nodes.push(Node { step, op: op.clone(), inputs, meta: meta.clone() });
    Value::Node(stage.nodes.len() - 1)
}

use super::graph::Step;

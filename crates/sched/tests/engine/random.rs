//! Random graphs over random images, tilings, chunks, workers and budgets equal step by step on the whole image.

use crate::device::Bench;
use crate::stores::{How, Image, run, run_on};
use crate::toys::{Along, Beside, Cut, Frame, Halves, Join, Mix, Shrink, Turn, whole};
use proptest::prelude::*;
use std::sync::Arc;
use voxtile_sched::contract::{Device, Op, Refused};
use voxtile_sched::engine::{Graph, Input};
use voxtile_sched::model::{Axis, Border, Halo};

const BORDERS: [Border; 5] =
    [Border::Reflect, Border::Constant(-7.0), Border::Nearest, Border::Mirror, Border::Wrap];

fn mix() -> impl Strategy<Value = Mix> {
    (proptest::array::uniform3(0u64..4), proptest::array::uniform3(0u64..4), 0usize..5).prop_map(
        |(l, h, b)| Mix {
            halo: Halo { lo: [0, 0, l[0], l[1], l[2]], hi: [0, 0, h[0], h[1], h[2]] },
            border: BORDERS[b],
        },
    )
}

/// A step and which earlier results it takes.
#[derive(Clone)]
struct Draw {
    op: Arc<dyn Op>,
    from: [prop::sample::Index; 2],
}

impl std::fmt::Debug for Draw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?} {:?}", self.op.name(), self.op.footprint(0), self.op.border(), self.from)
    }
}

fn step() -> impl Strategy<Value = Draw> {
    let three = || proptest::array::uniform3(0u64..3);
    let parts = (mix(), three(), 0usize..5, 0usize..14, any::<[prop::sample::Index; 2]>());
    parts.prop_map(|(mix, n, axis, which, from)| {
        let op: Arc<dyn Op> = match which {
            0..4 => Arc::new(mix),
            4..7 => Arc::new(Join(mix)),
            7 => Arc::new(Shrink([1, 1, n[0] + 1, n[1] + 1, n[2] + 1], mix.halo)),
            8 => Arc::new(Cut([0, 0, n[0], n[1], n[2]])),
            9 => Arc::new(Turn([[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0]][axis])),
            10 => Arc::new(Frame([0, 0, 3 * n[0], 9 * n[1], n[2]], mix.border)),
            // The extent of the first image is put in when the images are known.
            11 => Arc::new(Beside(Axis::ALL[axis], 0)),
            12 => Arc::new(Halves),
            _ => Arc::new(Along(Axis::ALL[axis])),
        };
        Draw { op, from }
    })
}

fn how() -> impl Strategy<Value = How> {
    let edge = |n: u64| proptest::array::uniform3(1u64..n);
    (edge(9), edge(9), proptest::option::of(edge(3)), proptest::option::of(edge(14)), 1usize..4).prop_map(
        |(read, write, shard, tile, workers)| How {
            read_chunk: [1, 2, read[0], read[1], read[2]],
            write_chunk: [2, 1, write[0], write[1], write[2]],
            shard: shard.map(|s| [2, 1, s[0] * write[0], s[1] * write[1], s[2] * write[2]]),
            tile: tile.map_or([None; 5], |t| [None, None, Some(t[0]), Some(t[1]), Some(t[2])]),
            workers,
            memory: 1 << 30,
            always: true,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn a_graph_equals_its_steps_on_the_whole_image(
        shape in proptest::array::uniform3(1u64..14), tc in proptest::array::uniform2(1u64..3),
        steps in proptest::collection::vec(step(), 1..5), how in how(), seed in any::<u64>(), device in any::<bool>(),
    ) {
        let shape = [tc[0], tc[1], shape[0], shape[1], shape[2]];
        let input = Image::noise(shape, "tczyx", seed);
        let mut graph = Graph::new(vec![input.meta.clone()]);
        let mut values: Vec<(Input, Image)> = vec![(Input::Source(0), input.clone())];
        for draw in &steps {
            let first = draw.from[0].get(&values).clone();
            let second = draw.from[1].get(&values).clone();
            let beside = (draw.op.name() == "beside").then(|| Axis::ALL[draw.from[0].index(5)]);
            let two = draw.op.name() == "join" || beside.is_some();
            if two && first.1.meta.shape != second.1.meta.shape {
                continue;
            }
            let op: Arc<dyn Op> = match beside {
                Some(axis) => Arc::new(Beside(axis, first.1.meta.shape[axis.index()])),
                None => draw.op.clone(),
            };
            // There is nothing to repeat.
            if draw.op.name() == "frame" && first.1.meta.shape.contains(&0) {
                continue;
            }
            // There is nothing to reduce.
            if draw.op.name() == "along" && first.1.meta.shape.contains(&0) {
                continue;
            }
            let inputs = if two { vec![first.0, second.0] } else { vec![first.0] };
            let images = if two { vec![&first.1, &second.1] } else { vec![&first.1] };
            let made = graph.push(op.clone(), &inputs, op.name()).unwrap();
            let image = whole(&op, &images);
            values.push((made, image));
        }
        let (last, want) = values.last().unwrap();
        graph.set_output(*last);
        let device = device.then(|| Bench::new() as Arc<dyn Device>);
        let (got, ..) = run_on(graph, &[input], how, device).unwrap();
        prop_assert_eq!(got.samples(), want.samples());
    }
}

#[test]
fn an_axis_without_voxels_is_not_reduced() {
    let mut graph = Graph::new(vec![Image::noise([1, 1, 3, 0, 4], "zyx", 1).meta]);
    let along = |axis| Arc::new(Along(axis));
    let refused = graph.push(along(Axis::Y), &[Input::Source(0)], "along").unwrap_err().refused;
    assert!(matches!(refused, Refused::Param { param: "axis", why } if why.contains("along y")));
    assert!(graph.push(along(Axis::Z), &[Input::Source(0)], "along").is_ok());
}

#[test]
fn an_empty_image_gives_an_empty_result() {
    let input = Image::noise([1, 1, 3, 0, 4], "zyx", 1);
    let mut graph = Graph::new(vec![input.meta.clone()]);
    let op = Mix { halo: Halo::symmetric([0, 0, 1, 1, 1]), border: Border::Reflect };
    graph.push(Arc::new(op), &[Input::Source(0)], "mix").unwrap();
    let (got, report) = run(graph, &[input], How::default()).unwrap();
    assert!(got.data.is_empty());
    assert_eq!(report.tiles, 0);
}

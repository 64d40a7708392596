//! Smaller versions that are written with the output equal those of the whole image, whatever the tiles.

use crate::stores::{Image, JOINS, Memory, MemorySpill, check_places};
use crate::toys::{Along, Mix, Shrink, whole};
use proptest::prelude::*;
use std::sync::Arc;
use voxtile_sched::contract::{Layout, Op, Sink, Source};
use voxtile_sched::engine::{Graph, Hooks, Input, Level, LevelError, Options, Plan, PlanError};
use voxtile_sched::model::{Axis, Border, Halo, Meta, PerAxis, Shape};

/// Levels of an image by these factors, each voxel of its block and so much around it; cut alike.
fn levels(image: &Meta, factors: &[Shape], halo: Halo, chunk: Shape, shard: Option<Shape>) -> Vec<Level> {
    let mut above = image.clone();
    let one = |factor: &Shape| {
        let op: Arc<dyn Op> = Arc::new(Shrink(*factor, halo));
        let meta = op.output(std::slice::from_ref(&above)).unwrap();
        above = meta.clone();
        Level { op, meta, layout: Layout { chunk, shard, scratch: 0, ns_per_voxel: 1.0 } }
    };
    factors.iter().map(one).collect()
}

fn options(tile: PerAxis<Option<u64>>, workers: usize) -> Options {
    Options { memory: 1 << 30, workers, tile, joins: JOINS, device: None, always: true }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn levels_are_those_of_the_whole_image(
        shape in proptest::array::uniform3(1u64..30), channels in 1u64..3,
        halves in proptest::collection::vec(proptest::array::uniform3(1u64..3), 1..4),
        lo in proptest::array::uniform3(0u64..4), hi in proptest::array::uniform3(0u64..4), around in any::<bool>(),
        chunk in proptest::array::uniform3(1u64..8), shard in proptest::option::of(1u64..3),
        tile in proptest::option::of(proptest::array::uniform3(1u64..14)),
        folded in any::<bool>(), workers in 1usize..4, seed in any::<u64>(),
    ) {
        let input = Image::noise([1, channels, shape[0], shape[1], shape[2]], "czyx", seed);
        let op: Arc<dyn Op> = match folded {
            true => Arc::new(Along(Axis::Z)),
            false => Arc::new(Mix { halo: Halo::symmetric([0, 0, 1, 0, 2]), border: Border::Mirror }),
        };
        let mut graph = Graph::new(vec![input.meta.clone()]);
        graph.push(op.clone(), &[Input::Source(0)], "step").unwrap();
        let chunk = [1, 1, chunk[0], chunk[1], chunk[2]];
        let around = |n: [u64; 3]| if around { [0, 0, n[0], n[1], n[2]] } else { [0; 5] };
        let halo = Halo { lo: around(lo), hi: around(hi) };
        let shard = shard.map(|n| [1, 1, n * chunk[2], 2 * chunk[3], n * chunk[4]]);
        let factors: Vec<Shape> = halves.iter().map(|h| [1, 1, h[0], h[1], h[2]]).collect();
        let levels = levels(graph.output_meta(), &factors, halo, chunk, shard);
        let empty = |meta: &Meta| Image::new(meta.clone());
        let stores: Vec<Arc<Memory>> =
            levels.iter().map(|l| Memory::new(empty(&l.meta), chunk, shard)).collect();
        let sink = Memory::with_levels(empty(graph.output_meta()), chunk, shard, &stores);
        let sources: Vec<Arc<dyn Source>> = vec![Memory::new(input.clone(), [1, 1, 4, 4, 4], None)];
        let tile = tile.map_or([None; 5], |t| [None, None, Some(t[0]), Some(t[1]), Some(t[2])]);
        let plan = Plan::with_levels(graph, &sources, sink.layout(), &levels, &options(tile, workers)).unwrap();
        plan.run(&sources, sink.clone(), &MemorySpill, &Hooks::default()).unwrap();
        let mut want = whole(&op, &[&input]);
        prop_assert_eq!(&sink.image().data, &want.data);
        for (level, store) in levels.iter().zip(&stores) {
            want = whole(&level.op, &[&want]);
            prop_assert_eq!(&store.image().data, &want.data);
        }
        check_places(&[vec![sink], stores].concat(), chunk, shard);
    }
}

#[test]
fn levels_of_more_than_blocks_and_what_lies_around_are_refused() {
    let image = Image::noise([1, 1, 1, 20, 20], "yx", 1);
    let plan = |op: Arc<dyn Op>| {
        let graph = Graph::new(vec![image.meta.clone()]);
        let meta = op.output(std::slice::from_ref(&image.meta)).unwrap();
        let layout = Layout { chunk: [1, 1, 1, 5, 4], shard: None, scratch: 0, ns_per_voxel: 1.0 };
        let sources: Vec<Arc<dyn Source>> = vec![Memory::new(image.clone(), layout.chunk, None)];
        let levels = [Level { op, meta, layout: layout.clone() }];
        Plan::with_levels(graph, &sources, &layout, &levels, &options([None; 5], 1)).map(|_| ())
    };
    let halo = Halo::symmetric([0, 0, 0, 1, 1]);
    assert!(plan(Arc::new(Shrink([1, 1, 1, 3, 2], halo))).is_ok());
    let refused: [Arc<dyn Op>; 2] = [Arc::new(Along(Axis::Y)), Arc::new(Mix { halo, border: Border::Wrap })];
    for op in refused {
        let want = LevelError::Op { op: op.name() };
        assert!(matches!(plan(op), Err(PlanError::Level(why)) if why == want));
    }
}

#[test]
fn what_waits_does_not_grow_with_the_image() {
    let bytes = |edge: u64| {
        let image = Image::new(Image::noise([1, 1, 1, 0, 0], "yx", 1).meta);
        let meta = Meta { shape: [1, 1, 1, edge, edge], ..image.meta };
        let chunk = [1, 1, 1, 16, 16];
        let factors = vec![[1, 1, 1, 2, 2]; (edge / 16).ilog2() as usize];
        let levels = levels(&meta, &factors, Halo::NONE, chunk, None);
        let sources: Vec<Arc<dyn Source>> = vec![Memory::new(Image::new(meta.clone()), chunk, None)];
        let graph = Graph::new(vec![meta]);
        let tile = [None, None, None, Some(16), Some(16)];
        let plan = Plan::with_levels(graph, &sources, &levels[0].layout, &levels, &options(tile, 2)).unwrap();
        plan.summary().stages[0].bytes.levels
    };
    let (small, large) = (bytes(256), bytes(2048));
    // Eight times the edge is three levels more, of one chunk each, and a few that are on their way.
    assert!(large < 2 * small, "{small} and {large} bytes");
}

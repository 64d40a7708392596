//! Random chains and small graphs: in small tiles on the GPU they have the bits of the whole image on the CPU.

use super::{done, emulated, put};
use crate::house::{collect, from_memory, last, read};
use crate::tiling::step;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::path::Path;
use voxtile::op::Dtype;
use voxtile::{Device, Pipeline, Recipe};
use voxtile_kernels::testing::{Float, Image, Random};

/// What the steps `A` to `D` are put into: neighbourhoods one after the other, a step that two others read, masks, objects.
const GRAPHS: [&str; 4] = [
    "A | B | C | D",
    "A as s | B as l | C on=s as r | expr \"r - l * 0.5\" | D",
    "A as s | threshold otsu as m | B on=s as r | where on=m,s,r | C",
    "A | B as s | threshold otsu | label | boundaries as m | C on=s as r | mask on=r,m | D",
];
/// Images of the same graph and sample type.
const IMAGES: [(&str, &[u64]); 2] = [("yx", &[41, 52]), ("zyx", &[7, 23, 31])];
/// How blocks and threads are ordered, and whether anything runs before somebody waits for it.
const ORDERS: [[(&str, &str); 2]; 3] = [
    [("EMULATED_ORDER", "forward"), ("EMULATED_LAZY", "0")],
    [("EMULATED_ORDER", "reverse"), ("EMULATED_LAZY", "1")],
    [("EMULATED_ORDER", "random"), ("EMULATED_LAZY", "1")],
];

/// A recipe of that form which these images allow, and how many axes its result has.
fn drawn(graph: &str, image: &Image, runner: &mut TestRunner) -> (String, usize) {
    for _ in 0..1000 {
        let mut draw = || step().new_tree(runner).unwrap().current();
        let text: String =
            graph.chars().map(|c| if c.is_ascii_uppercase() { draw() } else { c.to_string() }).collect();
        // An operation without kernels takes its whole stage to the CPU.
        let without = ["clear-border", "expand", "keep", "max-size", "min-size", "relabel"];
        if text.split([' ', '|']).any(|word| without.contains(&word)) {
            continue;
        }
        // A step that stands for several may leave one that nothing reads.
        let Ok(recipe) = Recipe::parse(&text) else { continue };
        if let Ok(plan) = from_memory(image, [1, 1, 5, 12, 14]).device(Device::Cpu).recipe(recipe).plan() {
            return (text, plan.result().axes.len());
        }
    }
    panic!("`{graph}` is always refused");
}

#[test]
fn random_graphs_have_the_same_bits_in_small_tiles() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: String| dir.path().join(name).to_str().unwrap().to_owned();
    let mut runner = TestRunner::deterministic();
    let mut random = Random::new(1);
    let mut stages = [0; 2];
    let mut case = 0;
    for graph in GRAPHS {
        for (axes, sizes) in IMAGES {
            for dtype in [Dtype::U8, Dtype::U16, Dtype::F32] {
                case += 1;
                let image = Image::noise(axes, sizes, dtype, case);
                let (text, rank) = drawn(graph, &image, &mut runner);
                let (input, output) = (path(format!("{case}.zarr")), path(format!("{case}-out.zarr")));
                put(&image, Path::new(&input));
                let tile = [2 + random.below(4), 7 + random.below(12), 7 + random.below(16)];
                let tile = last(&tile, rank).iter().map(u64::to_string).collect::<Vec<_>>().join(",");
                let args = [
                    "run",
                    &input,
                    &output,
                    &text,
                    "--tile",
                    &tile,
                    "--workers",
                    "2",
                    "--device",
                    "cuda",
                    "--verbose",
                ];
                let Some(mut command) = emulated(&args, &ORDERS[(case + case / 3) as usize % 3]) else {
                    return;
                };
                let said = done(&mut command);
                let on = ["runs    on Emulated GPU", "runs    on the CPU"]
                    .map(|place| said.matches(place).count());
                assert!(on[0] > 0, "`{text}` on {axes} {dtype}: {said}");
                stages = [stages[0] + on[0], stages[1] + on[1]];
                let recipe = Recipe::parse(&text).unwrap();
                let whole = || Pipeline::open(&input).unwrap().recipe(recipe.clone()).device(Device::Cpu);
                let (whole, _) = collect(|| whole().tile(last(&[64, 64, 64], rank)));
                read(Path::new(&output))
                    .assert_same(&whole, Float::Exact, || format!("`{text}` on {axes} {dtype} in {tile}"));
            }
        }
    }
    let [on_the_gpu, on_the_cpu] = stages;
    assert!(case == 24 && on_the_gpu > 5 * on_the_cpu, "{stages:?}");
}

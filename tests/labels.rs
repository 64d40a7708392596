//! Objects that cross tiles are those of the whole image, however it is cut.

use crate::house::{collect, data, from_memory, last, read};
use std::collections::HashSet;
use std::sync::Arc;
use voxtile::error::{PlanError, RunError};
use voxtile::{Error, Recipe};
use voxtile_io::MemorySink;
use voxtile_kernels::testing::{Fill, Float, Image, Random, meta};
use voxtile_sched::model::{Dtype, Kind, PerAxis, Shape, voxels};

/// Tiles along `t, z, y, x`: of one voxel along one axis or all, odd, flat, long, larger than any image here.
const TILES: [[u64; 4]; 13] = [
    [1, 1, 1, 1],
    [1, 1, 9, 9],
    [1, 9, 1, 9],
    [1, 9, 9, 1],
    [2, 2, 2, 2],
    [1, 3, 5, 7],
    [3, 7, 3, 4],
    [1, 5, 64, 3],
    [1, 64, 2, 64],
    [1, 64, 64, 2],
    [2, 1, 13, 64],
    [1, 4, 8, 16],
    [99, 99, 99, 99],
];

/// Axes and sizes, one to four of them.
const SHAPES: [(&str, &[u64]); 5] =
    [("x", &[97]), ("yx", &[23, 31]), ("zyx", &[9, 14, 19]), ("tyx", &[3, 11, 12]), ("tzyx", &[2, 6, 7, 11])];

/// A mask by its name.
fn mask(name: &str, axes: &str, sizes: &[u64]) -> Image {
    let mut random = Random::new(sizes.len() as u64);
    let wide = |n: u64, step: u64| n.is_multiple_of(step);
    Image::from_fn(meta(axes, sizes, Dtype::U8), |[t, _, z, y, x]: PerAxis<u64>| {
        let set = match name {
            "nothing" => false,
            "everything" => true,
            "checkerboard" => wide(t + z + y + x, 2),
            // Teeth that only their back joins, at the end of the image.
            "comb" => wide(y, 2) || x + 1 == sizes[sizes.len() - 1],
            // One line through all rows, plane by plane.
            "snake" => wide(y, 2) || (x == 0 && wide(y, 4)) || (x > 9 && x == sizes[sizes.len() - 1] - 1),
            // One line through all rows of every other plane, and from plane to plane.
            "winding" => winding([z, y, x], &sizes[sizes.len().saturating_sub(3)..]),
            "spiral" => spiral(y as i64, x as i64),
            "sparse" => random.below(100) < 12,
            "half" => random.below(100) < 45,
            "dense" => random.below(100) < 75,
            _ => unreachable!("no mask `{name}`"),
        };
        u8::from(set)
    })
}

/// Every other plane holds a line that goes through all of it, from its first voxel to its last or back; those between
/// join the ends.
fn winding([z, y, x]: [u64; 3], sizes: &[u64]) -> bool {
    let [.., rows, columns] = sizes else { return x.is_multiple_of(2) };
    // The last row of the line, and the end of it.
    let last = (rows - 1) / 2 * 2;
    let end = if last.is_multiple_of(4) { columns - 1 } else { 0 };
    if !z.is_multiple_of(2) {
        return if z % 4 == 1 { (y, x) == (last, end) } else { (y, x) == (0, 0) };
    }
    if y.is_multiple_of(2) { y <= last } else { y < last && x == if y % 4 == 1 { columns - 1 } else { 0 } }
}

/// A spiral of lines one voxel thick around the middle of a square of 25.
fn spiral(y: i64, x: i64) -> bool {
    let (y, x) = (y - 12, x - 12);
    let ring = y.abs().max(x.abs());
    (ring % 2 == 0) != (x == y + 1 && x > 0)
}

const MASKS: [&str; 10] = [
    "nothing",
    "everything",
    "checkerboard",
    "comb",
    "snake",
    "winding",
    "spiral",
    "sparse",
    "half",
    "dense",
];

/// Numbers by flooding from each first voxel in raster order; neighbours differ by one along at most `connectivity`
/// space axes.
fn flood(image: &Image, connectivity: usize) -> Vec<u32> {
    let shape = image.meta().shape;
    let set = |at: PerAxis<u64>| image.at::<u8>(at) != 0;
    let mut numbers = vec![0; voxels(&shape) as usize];
    let mut count = 0;
    for n in 0..numbers.len() {
        if numbers[n] != 0 || !set(position(&shape, n)) {
            continue;
        }
        count += 1;
        numbers[n] = count;
        let mut open = vec![position(&shape, n)];
        while let Some(at) = open.pop() {
            for near in neighbours(at, &shape, connectivity).filter(|near| set(*near)) {
                let number = &mut numbers[linear(&shape, near)];
                if *number == 0 {
                    *number = count;
                    open.push(near);
                }
            }
        }
    }
    numbers
}

fn neighbours(at: PerAxis<u64>, shape: &Shape, connectivity: usize) -> impl Iterator<Item = PerAxis<u64>> {
    let offsets = (0..27).map(|n| [0, 0, n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1]);
    let near = offsets.filter(move |o| (1..=connectivity).contains(&o.iter().filter(|d| **d != 0).count()));
    let moved = near.map(move |o: PerAxis<i64>| std::array::from_fn(|a| (at[a] as i64 + o[a]) as u64));
    moved.filter(move |p: &PerAxis<u64>| (0..5).all(|a| p[a] < shape[a]))
}

fn position(shape: &Shape, mut n: usize) -> PerAxis<u64> {
    let mut at = [0; 5];
    for a in (0..5).rev() {
        at[a] = n as u64 % shape[a];
        n /= shape[a] as usize;
    }
    at
}

fn linear(shape: &Shape, at: PerAxis<u64>) -> usize {
    (0..5).fold(0, |n, a| n * shape[a] as usize + at[a] as usize)
}

#[test]
fn labels_are_those_of_the_whole_image_in_any_tiling() {
    for (axes, sizes) in SHAPES {
        let space = axes.chars().filter(|a| "zyx".contains(*a)).count();
        for name in MASKS {
            let image = mask(name, axes, sizes);
            for connectivity in 1..=space {
                let want = flood(&image, connectivity);
                let recipe = Recipe::parse(&format!("label connectivity={connectivity}")).unwrap();
                for (n, tile) in TILES.iter().enumerate() {
                    let workers = 1 + n % 2;
                    let make =
                        || from_memory(&image, [1, 1, 4, 5, 6]).recipe(recipe.clone()).workers(workers);
                    let (got, _) = collect(|| make().tile(last(tile, sizes.len())));
                    let wanted = Image::from_values(got.meta().clone(), &want);
                    let context = || format!("{name} {axes}, connectivity {connectivity}, tile {tile:?}");
                    got.assert_same(&wanted, Float::Exact, context);
                }
            }
        }
    }
}

/// Tiles of a few voxels would take long here, so others stand for them.
#[test]
fn real_objects_are_those_of_the_whole_image_in_any_tiling() {
    for (name, level) in [("nuclei.tif", 25), ("lightsheet.tif", 115)] {
        let image = read(&data(name)).map(|v: u16| u8::from(v > level));
        let rank = image.meta().axes.len();
        let few = TILES.iter().filter(|tile| voxels(&[1, tile[0], tile[1], tile[2], tile[3]]) > 20);
        let tiles: Vec<[u64; 4]> = few.copied().chain([[1, 20, 72, 1], [1, 1, 200, 300]]).collect();
        assert!(tiles.len() > 12, "{}", tiles.len());
        for connectivity in 1..=rank {
            let want = flood(&image, connectivity);
            let recipe = Recipe::parse(&format!("label connectivity={connectivity}")).unwrap();
            for tile in &tiles {
                let make = || from_memory(&image, [1, 1, 7, 32, 32]).recipe(recipe.clone());
                let (got, _) = collect(|| make().tile(last(tile, rank)));
                let wanted = Image::from_values(got.meta().clone(), &want);
                let context = || format!("{name}, connectivity {connectivity}, tile {tile:?}");
                got.assert_same(&wanted, Float::Exact, context);
            }
        }
    }
}

/// What is not 0 is an object, and NaN is not 0; zeros of both signs are background.
#[test]
fn what_is_no_number_is_an_object() {
    let row = [f32::NAN, 0.0, f32::NAN, -0.0, f32::INFINITY, f32::NAN, -1.5];
    let image = Image::of::<f32>("x", &[7], &row);
    for (recipe, want) in [
        ("label", [1, 0, 2, 0, 3, 3, 3]),
        // Equal samples join; NaN is like itself.
        ("label per-value=yes", [1, 0, 2, 0, 3, 4, 5]),
        ("threshold 0 | label", [0, 0, 0, 0, 1, 0, 0]),
    ] {
        for tile in [1, 2, 3, 64] {
            let make = || from_memory(&image, [1, 1, 1, 1, 3]).recipe(Recipe::parse(recipe).unwrap());
            let (got, _) = collect(|| make().tile(&[tile]));
            assert_eq!(got.values::<u32>(), want, "{recipe} in tiles of {tile}");
        }
    }
}

/// What steps on labels make of the numbers of the whole image, whatever tiles both see.
#[test]
fn steps_on_labels_do_not_depend_on_tiles() {
    for (axes, sizes) in SHAPES {
        let image = mask("half", axes, sizes);
        for recipe in [
            "label | min-size 4 | relabel",
            "label | clear-border | max-size 9",
            "label connectivity=1 | keep \"area > 2 and touches_border == 0 or intensity_mean > 2\" intensity=input",
            "label dtype=u64 | expand 2.3 | boundaries outer",
        ] {
            let recipe = Recipe::parse(recipe).unwrap();
            let run = |tile: &[u64], workers: usize| {
                let make = || from_memory(&image, [1, 1, 4, 5, 6]).recipe(recipe.clone()).workers(workers);
                collect(|| make().tile(last(tile, sizes.len()))).0
            };
            let whole = run(&[99; 4], 1);
            for (n, tile) in TILES.iter().enumerate() {
                run(tile, 1 + n % 2)
                    .assert_same(&whole, Float::Exact, || format!("`{recipe}` on {axes}, tile {tile:?}"));
            }
        }
    }
}

#[test]
fn the_masks_are_what_their_names_say() {
    let parts =
        |name: &str| flood(&mask(name, "yx", &[23, 31]), 1).into_iter().collect::<HashSet<u32>>().len();
    assert_eq!(parts("everything"), 1);
    assert_eq!(parts("comb"), 2);
    assert_eq!(parts("checkerboard"), 1 + 23 * 31 / 2 + 1);
    assert!(parts("snake") < 5, "{}", parts("snake"));
    let line = mask("winding", "zyx", &[9, 14, 19]);
    assert_eq!(flood(&line, 1).into_iter().collect::<HashSet<u32>>().len(), 2);
    // A line, and not the whole.
    let set = line.values::<u8>().iter().filter(|v| **v != 0).count();
    assert!((9 * 14 * 19 / 6..9 * 14 * 19 / 3).contains(&set), "{set}");
    assert!(parts("spiral") < 30, "{}", parts("spiral"));
}

#[test]
fn more_objects_than_the_budget_holds_end_the_run() {
    // Every other voxel an object of its own.
    let image = mask("checkerboard", "zyx", &[64, 64, 64]);
    let make = || {
        let recipe = Recipe::parse("label").unwrap();
        from_memory(&image, [1, 1, 32, 32, 32]).recipe(recipe).tile(&[32, 32, 32]).workers(1)
    };
    let run = |memory: u64| {
        let meta = image.meta().with_dtype(Dtype::U32).with_kind(Kind::Labels);
        let sink = MemorySink::new(&meta, [1, 1, 32, 32, 32]).unwrap();
        make().memory(memory).write_sink(Arc::new(sink)).run()
    };
    let Err(Error::Plan(PlanError::Budget { smallest, .. })) = run(1) else {
        panic!("planned within one byte")
    };
    let Err(Error::Run(RunError::Objects { bytes, allowed, .. })) = run(smallest) else {
        panic!("131072 objects within the bytes of the tiles")
    };
    assert!(bytes > 100_000 && allowed == smallest, "{bytes} {allowed}");
    assert!(run(smallest + (131_072 * 32) + (1 << 20)).is_ok());
}

/// Chunks that are kept do not take what objects will need, whatever the budget.
#[test]
fn every_budget_leaves_room_for_objects() {
    let image = Image::filled(meta("zyx", &[160, 288, 288], Dtype::U16), Fill::Noise, 3);
    let recipe = "gaussian 1 | threshold 32000 | label | expand 3";
    for mib in [60, 64, 68, 80, 128] {
        let pipeline = from_memory(&image, [1, 1, 128, 128, 128]).recipe(Recipe::parse(recipe).unwrap());
        let meta = image.meta().with_dtype(Dtype::U32).with_kind(Kind::Labels);
        let sink = MemorySink::new(&meta, [1, 1, 128, 128, 128]).unwrap();
        let run = pipeline.workers(2).memory(mib << 20).write_sink(Arc::new(sink)).run();
        assert!(run.is_ok(), "in {mib} MiB: {:?}", run.err());
    }
}

/// The values of a label image are counted too.
#[test]
fn more_labels_than_the_budget_holds_end_the_run() {
    let image = Image::from_fn(meta("zyx", &[32, 64, 64], Dtype::U32), |[_, _, z, y, x]: PerAxis<u64>| {
        ((z * 64 + y) * 64 + x + 1) as u32
    });
    for step in ["min-size 1", "relabel"] {
        let make = || {
            let recipe = Recipe::parse(step).unwrap();
            from_memory(&image, [1, 1, 32, 32, 32]).recipe(recipe).tile(&[32, 32, 32]).workers(1)
        };
        let run = |memory: u64| {
            let meta = image.meta().with_kind(Kind::Labels);
            let sink = MemorySink::new(&meta, [1, 1, 32, 32, 32]).unwrap();
            make().memory(memory).write_sink(Arc::new(sink)).run()
        };
        let Err(Error::Plan(PlanError::Budget { smallest, .. })) = run(1) else {
            panic!("planned within one byte")
        };
        let Err(Error::Run(RunError::Objects { bytes, allowed, .. })) = run(smallest) else {
            panic!("{step}: 131072 labels within the bytes of the tiles")
        };
        assert!(bytes > 100_000 && allowed == smallest, "{step}: {bytes} {allowed}");
        assert!(run(smallest + (128 << 20)).is_ok(), "{step}");
    }
}

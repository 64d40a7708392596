//! The Merge and Propagate contracts, each with one toy operation.

use crate::stores::{How, Image, run};
use std::any::Any;
use std::sync::Arc;
use voxtile_sched::contract::{
    Footprint, Joins, Merge, Merger, Op, Part, Pass, Propagate, Refused, Resolution,
};
use voxtile_sched::engine::{Graph, Input};
use voxtile_sched::model::{Dtype, Meta, Region, Shape, Tile, TileMut};

/// Numbers the runs of positive values along x, also across tiles, in raster order of their first voxel.
struct Runs;

struct Faces {
    /// `(row, start, end)` of each run in image coordinates.
    runs: Vec<(i64, i64, i64)>,
}

#[derive(Default)]
struct Joined {
    runs: Vec<(i64, i64, i64)>,
    width: i64,
}

impl Op for Runs {
    fn name(&self) -> &'static str {
        "runs"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::U32))
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Point
    }
    fn ns_per_voxel(&self) -> f64 {
        0.5
    }
    fn pass(&self) -> Pass<'_> {
        Pass::Merge(self)
    }
    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("merged")
    }
}

fn row_of(region: &Region, image: &Shape, z: usize, y: usize) -> i64 {
    (region.start[2] + z as i64) * image[3] as i64 + region.start[3] + y as i64
}

impl Merge for Runs {
    fn local(&self, inputs: &[Tile<'_>], region: &Region, image: &Shape) -> Part {
        let view = inputs[0].view::<i32>();
        let mut runs = Vec::new();
        for z in 0..inputs[0].shape()[2] {
            for y in 0..inputs[0].shape()[3] {
                let mut start = None;
                let row = view.row(0, 0, z, y);
                for x in 0..=row.len() {
                    let on = row.get(x).is_some_and(|&v| v > 0);
                    match (on, start) {
                        (true, None) => start = Some(x),
                        (false, Some(s)) => {
                            let at = |x: usize| x as i64 + region.start[4];
                            runs.push((row_of(region, image, z, y), at(s), at(x)));
                            start = None;
                        }
                        _ => {}
                    }
                }
            }
        }
        let kept = runs.iter().flat_map(|r| [r.0, r.1, r.2]).flat_map(i64::to_le_bytes).collect();
        Part { kept, faces: Box::new(Faces { runs }) }
    }
    fn merger(&self, image: &Shape, _: &Joins) -> Box<dyn Merger> {
        Box::new(Joined { runs: Vec::new(), width: image[4] as i64 })
    }
    fn paint(&self, kept: &[u8], region: &Region, resolution: &Resolution, mut output: TileMut<'_>) {
        let all = resolution.downcast_ref::<Vec<(i64, i64, i64)>>().expect("our own");
        let values: Vec<i64> =
            kept.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
        let ny = region.shape[3] as i64;
        for z in 0..output.shape()[2] {
            for y in 0..output.shape()[3] {
                output.view::<u32>().row(0, 0, z, y).fill(0);
            }
        }
        for run in values.chunks_exact(3) {
            let number = all.iter().position(|r| r.0 == run[0] && r.1 <= run[1] && run[2] <= r.2).unwrap();
            let row = run[0] - region.start[3];
            // Rows of this toy never wrap a plane: images are one plane or tiles span y.
            let (z, y) = (row.div_euclid(ny.max(1)) * i64::from(region.shape[2] > 1), row);
            let y = if region.shape[2] > 1 { row.rem_euclid(ny) } else { y };
            let mut view = output.view::<u32>();
            let row = view.row(0, 0, z as usize, y as usize);
            let (a, b) = (run[1] - region.start[4], run[2] - region.start[4]);
            row[a as usize..b as usize].fill(number as u32 + 1);
        }
    }
}

impl Merger for Joined {
    fn absorb(&mut self, _: &Region, faces: Box<dyn Any + Send>) {
        self.runs.extend(faces.downcast::<Faces>().expect("our own").runs);
    }
    fn bytes(&self) -> u64 {
        (self.runs.len() * 24) as u64
    }
    fn finish(self: Box<Self>) -> Result<Resolution, Refused> {
        let mut runs = self.runs;
        runs.sort_unstable();
        let mut out: Vec<(i64, i64, i64)> = Vec::new();
        for run in runs {
            assert!(run.2 <= self.width);
            match out.last_mut() {
                Some(last) if last.0 == run.0 && last.2 == run.1 => last.2 = run.2,
                _ => out.push(run),
            }
        }
        Ok(Arc::new(out))
    }
}

/// Reconstruction by dilation: the marker grows under the mask until nothing changes.
struct Flood;

impl Op for Flood {
    fn name(&self) -> &'static str {
        "flood"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Point
    }
    fn ns_per_voxel(&self) -> f64 {
        5.0
    }
    fn pass(&self) -> Pass<'_> {
        Pass::Propagate(self)
    }
    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("propagated")
    }
}

impl Propagate for Flood {
    fn start(&self, inputs: &[Tile<'_>], mut state: TileMut<'_>) {
        state.copy_from(&inputs[0]);
        for y in 0..state.shape()[3] {
            let mask = inputs[1].view::<i32>();
            for (s, &m) in state.view::<i32>().row(0, 0, 0, y).iter_mut().zip(mask.row(0, 0, 0, y)) {
                *s = (*s).min(m);
            }
        }
    }
    fn relax(&self, inputs: &[Tile<'_>], mut state: TileMut<'_>, core: &Region) -> bool {
        let (ny, nx) = (state.shape()[3] as i64, state.shape()[4] as i64);
        let mask = inputs[1].view::<i32>();
        let mut any = false;
        loop {
            let mut changed = false;
            for y in core.start[3]..core.end(3) {
                for x in core.start[4]..core.end(4) {
                    let mut best = i32::MIN;
                    for (dy, dx) in [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)] {
                        let (v, u) = (y + dy, x + dx);
                        if (0..ny).contains(&v) && (0..nx).contains(&u) {
                            best = best.max(state.view::<i32>().row(0, 0, 0, v as usize)[u as usize]);
                        }
                    }
                    let best = best.min(mask.row(0, 0, 0, y as usize)[x as usize]);
                    let mut view = state.view::<i32>();
                    let slot = &mut view.row(0, 0, 0, y as usize)[x as usize];
                    if best > *slot {
                        *slot = best;
                        changed = true;
                    }
                }
            }
            if !changed {
                return any;
            }
            any = true;
        }
    }
}

pub(crate) fn tilings() -> impl Iterator<Item = How> {
    [(1, 1), (3, 5), (4, 4), (7, 2), (100, 100), (1, 100)].into_iter().map(|(y, x)| How {
        read_chunk: [1, 1, 1, 5, 6],
        write_chunk: [1, 1, 1, 4, 7],
        tile: [None, None, None, Some(y), Some(x)],
        ..How::default()
    })
}

#[test]
fn a_merge_joins_what_tiles_cut() {
    let mut input = Image::noise([1, 1, 1, 11, 23], "yx", 9);
    input.samples_mut().iter_mut().for_each(|v| *v -= 300);
    let mut want = vec![0u32; 11 * 23];
    let mut next = 0;
    for y in 0..11 {
        let mut inside = false;
        for x in 0..23 {
            let on = input.samples()[y * 23 + x] > 0;
            next += u32::from(on && !inside);
            inside = on;
            want[y * 23 + x] = if on { next } else { 0 };
        }
    }
    assert!(next > 20);
    for how in tilings() {
        let mut graph = Graph::new(vec![input.meta.clone()]);
        graph.push(Arc::new(Runs), &[Input::Source(0)], "runs").unwrap();
        let (got, _) = run(graph, std::slice::from_ref(&input), how).unwrap();
        assert_eq!(bytemuck::cast_slice::<u8, u32>(&got.data), want);
    }
}

#[test]
fn propagation_reaches_across_any_number_of_tiles() {
    // A spiral: the marker has to wind through every tile many times.
    let n = 15usize;
    let mut mask = Image::noise([1, 1, 1, n as u64, n as u64], "yx", 3);
    mask.samples_mut().fill(0);
    let (mut y, mut x, mut dir) = (0i64, 0i64, 0);
    let steps = [(0, 1), (1, 0), (0, -1), (-1, 0)];
    let free = |m: &Image, y: i64, x: i64| {
        (0..n as i64).contains(&y)
            && (0..n as i64).contains(&x)
            && m.samples()[y as usize * n + x as usize] == 0
    };
    for turn in 0..200 {
        mask.samples_mut()[y as usize * n + x as usize] = 1000 - turn;
        let ahead = |d: usize| (y + steps[d].0, x + steps[d].1, y + 2 * steps[d].0, x + 2 * steps[d].1);
        let (a, b, c, d) = ahead(dir);
        let clear = free(&mask, a, b)
            && (!(0..n as i64).contains(&c) || !(0..n as i64).contains(&d) || free(&mask, c, d));
        if !clear {
            dir = (dir + 1) % 4;
            let (a, b, ..) = ahead(dir);
            if !free(&mask, a, b) {
                break;
            }
        }
        (y, x) = (y + steps[dir].0, x + steps[dir].1);
    }
    let mut marker = mask.clone();
    marker.samples_mut().fill(0);
    marker.samples_mut()[0] = 1000;
    // Whole image: relax once over everything.
    let mut want = marker.clone();
    Flood.start(&[marker.tile(), mask.tile()], want.tile_mut());
    let all = Region::whole(want.meta.shape);
    Flood.relax(&[marker.tile(), mask.tile()], want.tile_mut(), &all);
    assert!(want.samples().iter().filter(|&&v| v > 0).count() > 60);
    for how in tilings() {
        let mut graph = Graph::new(vec![marker.meta.clone(), mask.meta.clone()]);
        graph.push(Arc::new(Flood), &[Input::Source(0), Input::Source(1)], "flood").unwrap();
        let (got, _) = run(graph, &[marker.clone(), mask.clone()], how).unwrap();
        assert_eq!(got.samples(), want.samples());
    }
}

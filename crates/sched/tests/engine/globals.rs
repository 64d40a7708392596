//! The Global contract, with toy operations: statistics of whole inputs, in one pass and in several.

use crate::passes::tilings;
use crate::stores::{How, Image, run};
use crate::toys::{Mix, whole};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Global, Op, Pass, Refused, Resolved, Statistic};
use voxtile_sched::engine::{Graph, Input, RunError};
use voxtile_sched::model::{Axis, Border, Halo, Meta, Region, Shape, Tile, TileMut};

/// Subtracts the smallest value of the whole image, found in one pass, after the largest was found in another.
struct FromMinimum;
struct Shift(i32);
struct Extreme {
    largest: bool,
    value: Option<i32>,
}

impl Op for FromMinimum {
    fn name(&self) -> &'static str {
        "from-minimum"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Point
    }
    fn ns_per_voxel(&self) -> f64 {
        0.1
    }
    fn pass(&self) -> Pass<'_> {
        Pass::Global(self)
    }
    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("resolved before it runs")
    }
}

impl Global for FromMinimum {
    fn start(&self) -> Box<dyn Statistic> {
        Box::new(Extreme { largest: true, value: None })
    }
    fn resolve(&self, statistic: Box<dyn Statistic>) -> Result<Resolved, Refused> {
        let found = statistic.into_any().downcast::<Extreme>().expect("our own");
        let value = found.value.ok_or(Refused::Param { param: "image", why: "is empty".to_owned() })?;
        Ok(if found.largest {
            Resolved::Again(Box::new(Extreme { largest: false, value: None }))
        } else {
            Resolved::Local(Arc::new(Shift(value)))
        })
    }
    fn passes(&self, _: usize) -> usize {
        2
    }
}

impl Statistic for Extreme {
    fn observe(&mut self, tile: &Tile<'_>, _: &Region) {
        let view = tile.view::<i32>();
        let [nt, nc, nz, ny, _] = tile.shape();
        for t in 0..nt {
            for c in 0..nc {
                for z in 0..nz {
                    for y in 0..ny {
                        for &v in view.row(t, c, z, y) {
                            self.take(v);
                        }
                    }
                }
            }
        }
    }
    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("our own");
        assert_eq!(self.largest, other.largest, "statistics of different passes");
        if let Some(v) = other.value {
            self.take(v);
        }
    }
    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(Self { largest: self.largest, value: None })
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Extreme {
    fn take(&mut self, v: i32) {
        let best = self.value.map_or(v, |w| if self.largest { w.max(v) } else { w.min(v) });
        self.value = Some(best);
    }
}

impl Op for Shift {
    fn name(&self) -> &'static str {
        "shift"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Point
    }
    fn ns_per_voxel(&self) -> f64 {
        0.1
    }
    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _: &mut [u8]) {
        let [nt, nc, nz, ny, _] = output.shape();
        let from = inputs[0].view::<i32>();
        let mut to = output.view::<i32>();
        for t in 0..nt {
            for c in 0..nc {
                for z in 0..nz {
                    for y in 0..ny {
                        for (o, i) in to.row(t, c, z, y).iter_mut().zip(from.row(t, c, z, y)) {
                            *o = i - self.0;
                        }
                    }
                }
            }
        }
    }
}

/// Subtracts the sum over all pixels of the largest of their channels, which must be seen together.
struct FromBrightest;
struct Brightest(i32);

impl Op for FromBrightest {
    fn name(&self) -> &'static str {
        "from-brightest"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Point
    }
    fn ns_per_voxel(&self) -> f64 {
        0.1
    }
    fn pass(&self) -> Pass<'_> {
        Pass::Global(self)
    }
    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("resolved before it runs")
    }
}

impl Global for FromBrightest {
    fn spans(&self) -> Option<Axis> {
        Some(Axis::C)
    }
    fn start(&self) -> Box<dyn Statistic> {
        Box::new(Brightest(0))
    }
    fn resolve(&self, statistic: Box<dyn Statistic>) -> Result<Resolved, Refused> {
        let Brightest(sum) = *statistic.into_any().downcast::<Brightest>().expect("our own");
        Ok(Resolved::Local(Arc::new(Shift(sum))))
    }
}

impl Statistic for Brightest {
    fn observe(&mut self, tile: &Tile<'_>, _: &Region) {
        let view = tile.view::<i32>();
        let [_, nc, nz, ny, nx] = tile.shape();
        for z in 0..nz {
            for y in 0..ny {
                for x in 0..nx {
                    self.0 += (0..nc).map(|c| view.row(0, c, z, y)[x]).max().expect("channels");
                }
            }
        }
    }
    fn merge(&mut self, other: Box<dyn Statistic>) {
        self.0 += other.into_any().downcast::<Self>().expect("our own").0;
    }
    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(Self(0))
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Adds to each voxel of its first input how often that value stands in its second, times a sum over their places, and the
/// number of all voxels of the first. The first input is observed last.
struct Occurrences;
#[derive(Clone)]
struct Seen {
    /// Of each value; none while the second input is observed.
    places: Option<Arc<BTreeMap<i32, i32>>>,
    fresh: BTreeMap<i32, i32>,
}
struct Lookup {
    places: Arc<BTreeMap<i32, i32>>,
    voxels: i32,
}

/// What the operation and its local form read: nothing of the second input.
fn first_alone(input: usize, out: &Region) -> Region {
    if input == 0 { *out } else { Region::new([0; 5], [0; 5]) }
}

impl Op for Occurrences {
    fn name(&self) -> &'static str {
        "occurrences"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }
    fn reads(&self, input: usize, out: &Region, _: &Shape) -> Region {
        first_alone(input, out)
    }
    fn ns_per_voxel(&self) -> f64 {
        1.0
    }
    fn pass(&self) -> Pass<'_> {
        Pass::Global(self)
    }
    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("resolved before it runs")
    }
}

impl Global for Occurrences {
    fn observes(&self) -> &[usize] {
        &[1, 0]
    }
    fn start(&self) -> Box<dyn Statistic> {
        Box::new(Seen { places: None, fresh: BTreeMap::new() })
    }
    fn resolve(&self, statistic: Box<dyn Statistic>) -> Result<Resolved, Refused> {
        let seen = *statistic.into_any().downcast::<Seen>().expect("our own");
        Ok(match seen.places {
            None => {
                let places = Some(Arc::new(seen.fresh));
                Resolved::Next(Box::new(Seen { places, fresh: BTreeMap::new() }))
            }
            Some(places) => {
                Resolved::Local(Arc::new(Lookup { places, voxels: seen.fresh.values().sum::<i32>() }))
            }
        })
    }
}

impl Statistic for Seen {
    fn observe(&mut self, tile: &Tile<'_>, region: &Region) {
        let view = tile.view::<i32>();
        for y in 0..tile.shape()[3] {
            for (x, &v) in view.row(0, 0, 0, y).iter().enumerate() {
                let place = 100 * (region.start[3] as i32 + y as i32) + region.start[4] as i32 + x as i32;
                *self.fresh.entry(v).or_default() += if self.places.is_some() { 1 } else { place };
            }
        }
    }
    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("our own");
        assert_eq!(self.places.is_some(), other.places.is_some(), "statistics of different inputs");
        for (v, n) in other.fresh {
            *self.fresh.entry(v).or_default() += n;
        }
    }
    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(Self { places: self.places.clone(), fresh: BTreeMap::new() })
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Op for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }
    fn reads(&self, input: usize, out: &Region, _: &Shape) -> Region {
        first_alone(input, out)
    }
    fn ns_per_voxel(&self) -> f64 {
        1.0
    }
    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _: &mut [u8]) {
        let from = inputs[0].view::<i32>();
        let mut to = output.view::<i32>();
        for y in 0..from.shape()[3] {
            for (o, i) in to.row(0, 0, 0, y).iter_mut().zip(from.row(0, 0, 0, y)) {
                *o = i + self.places.get(i).unwrap_or(&0) + self.voxels;
            }
        }
    }
}

#[test]
fn a_global_step_sees_its_whole_input_once_per_pass() {
    let input = Image::noise([1, 1, 1, 13, 17], "yx", 5);
    let mix = || Arc::new(Mix { halo: Halo::symmetric([0, 0, 0, 1, 2]), border: Border::Mirror });
    let mixed = whole(&(mix() as Arc<dyn Op>), &[&input]);
    let least = *mixed.samples().iter().min().unwrap();
    let want: Vec<i32> = mixed.samples().iter().map(|v| v - least).collect();
    for how in tilings() {
        let mut graph = Graph::new(vec![input.meta.clone()]);
        let first = graph.push(mix(), &[Input::Source(0)], "mix").unwrap();
        graph.push(Arc::new(FromMinimum), &[first], "from-minimum").unwrap();
        assert_eq!(run(graph, std::slice::from_ref(&input), how).unwrap().0.samples(), want);
    }
}

#[test]
fn a_global_step_observes_the_inputs_that_it_names_and_knows_where_their_tiles_lie() {
    let few = |shape, seed| {
        let mut image = Image::noise(shape, "yx", seed);
        image.samples_mut().iter_mut().for_each(|v| *v %= 5);
        image
    };
    let (input, other) = (few([1, 1, 1, 13, 17], 5), few([1, 1, 1, 29, 6], 6));
    let mix = || Arc::new(Mix { halo: Halo::symmetric([0, 0, 0, 1, 2]), border: Border::Mirror });
    for mixed in [false, true] {
        let seen = if mixed { whole(&(mix() as Arc<dyn Op>), &[&other]) } else { other.clone() };
        let mut places = BTreeMap::new();
        for (n, v) in seen.samples().iter().enumerate() {
            *places.entry(*v).or_insert(0) += (n / 6 * 100 + n % 6) as i32;
        }
        let want = input.samples().iter().map(|v| v + places.get(v).unwrap_or(&0) + 13 * 17);
        let want: Vec<i32> = want.collect();
        for how in tilings() {
            let mut graph = Graph::new(vec![input.meta.clone(), other.meta.clone()]);
            let second = match mixed {
                true => graph.push(mix(), &[Input::Source(1)], "mix").unwrap(),
                false => Input::Source(1),
            };
            graph.push(Arc::new(Occurrences), &[Input::Source(0), second], "occurrences").unwrap();
            let (got, _) = run(graph, &[input.clone(), other.clone()], how).unwrap();
            assert_eq!(got.samples(), want);
        }
    }
}

#[test]
fn a_statistic_sees_all_of_the_axis_that_it_spans() {
    let input = Image::noise([1, 3, 2, 9, 10], "czyx", 5);
    let plane = 2 * 9 * 10;
    let brightest = |n: usize| (0..3).map(|c| input.samples()[c * plane + n]).max().unwrap();
    let sum: i32 = (0..plane).map(brightest).sum();
    let want: Vec<i32> = input.samples().iter().map(|v| v - sum).collect();
    let cut = How { tile: [None, Some(1), None, Some(4), None], ..How::default() };
    for how in tilings().chain([cut]) {
        let mut graph = Graph::new(vec![input.meta.clone()]);
        graph.push(Arc::new(FromBrightest), &[Input::Source(0)], "from-brightest").unwrap();
        let (got, _) = run(graph, std::slice::from_ref(&input), how).unwrap();
        assert_eq!(got.samples(), want);
    }
}

#[test]
fn a_global_step_may_refuse_what_it_saw() {
    let input = Image::noise([1, 1, 1, 0, 17], "yx", 5);
    let mut graph = Graph::new(vec![input.meta.clone()]);
    graph.push(Arc::new(FromMinimum), &[Input::Source(0)], "from-minimum").unwrap();
    let error = run(graph, &[input], How::default()).unwrap_err();
    assert!(matches!(error, RunError::Refused(_)), "{error}");
}

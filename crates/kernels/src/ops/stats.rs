//! Table of what the voxels are: ends, mean, standard deviation and percentiles.
//!
//! Any type → a table, one row per channel (`c`, where the image has channels): `voxels`, `min`, `max`, `mean`, `std`,
//! `percentile_1` … for each percentile that is asked for. All time points and positions of a channel count together; of
//! floats the finite voxels, which `voxels` says how many they are. `std` is that of the population, as `numpy.std`.
//! Equal to numpy: integers of up to 32 bits exactly in `min`, `max`, `mean` and percentiles (`percentile_…` as
//! `numpy.percentile` has them by default), of 64 bits to the nearest f64; `std`, and `mean` of floats, are roundings of
//! exact sums, numpy's within 1e-12 (of f32 images compare with numpy run on `image.astype(float64)`; percentiles of f32 are
//! f32). Cost: one read, 1 ns a voxel; for types of 32 bits two, of 64 bits four.

use crate::device::why;
use crate::spec::{ArgError, Args, Build, From, Param, Spec, Stage, Value};
use crate::statistics::{Numbers, NumbersStep, Summary};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Op, Pass, Refused, Table, Tabled, Tabulator, Tally, Values};
use voxtile_sched::model::{Axis, Meta, Region, Shape, Tile, TileMut};

/// `stats percentiles=1,50,99`.
pub(super) static SPEC: Spec = Spec {
    name: "stats",
    about: "table of ends, mean, standard deviation and percentiles of each channel",
    params: &[Param {
        name: "percentiles",
        value: Value::Numbers,
        default: Some("1,25,50,75,99"),
        about: "0 to 100, a column each",
    }],
    inputs: 1,
    example: "stats percentiles=1,50,99.8",
    build: Build::Table(|args| {
        let op = Arc::new(Stats::new(args)?);
        Ok(vec![Stage { op, inputs: vec![From::Input(0)] }])
    }),
};

/// Percentiles at most: each takes its counters.
const MOST_PERCENTILES: usize = 32;

struct Stats {
    image: Meta,
    percents: Vec<f64>,
}

impl Stats {
    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        let percents = args.number_list("percentiles")?;
        let fits = |p: &f64| (0.0..=100.0).contains(p);
        let once = (1..percents.len()).all(|n| !percents[..n].contains(&percents[n]));
        if !percents.iter().all(fits) || !once || percents.len() > MOST_PERCENTILES {
            let text = args.text("percentiles").unwrap_or_default();
            let wanted = format!("numbers from 0 to 100, each once, at most {MOST_PERCENTILES}");
            return Err(args.wrong("percentiles", text, wanted));
        }
        Ok(Self { image: args.input().clone(), percents })
    }

    fn first(&self) -> Counting {
        let fresh = || Numbers::new(self.image.dtype, self.percents.clone());
        let channels = (0..self.image.shape[Axis::C.index()]).map(|_| Channel::Open(fresh())).collect();
        Counting { image: self.image.clone(), percents: self.percents.clone(), channels }
    }
}

impl Op for Stats {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn scratch(&self, tile: &Shape) -> u64 {
        tile[Axis::C.index()] * Numbers::bytes(self.image.dtype, self.percents.len())
    }

    fn ns_per_voxel(&self) -> f64 {
        if self.image.dtype.size() <= 2 { 0.6 } else { 3.0 }
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Tally(self)
    }

    fn no_kernels(&self) -> Option<&'static str> {
        Some(why::TABLE)
    }

    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("a table has no voxels")
    }
}

impl Tally for Stats {
    fn local(&self, inputs: &[Tile<'_>], region: &Region) -> Box<dyn Any + Send> {
        let (dtype, percents) = (self.image.dtype, &self.percents);
        part(&inputs[0], region, |_| Some(Numbers::new(dtype, percents.clone())))
    }

    fn tabulator(&self, _: &Meta) -> Box<dyn Tabulator> {
        Box::new(self.first())
    }

    fn passes(&self) -> usize {
        Numbers::passes(self.image.dtype)
    }
}

/// What a tile tells of each channel that is not done.
type Parts = BTreeMap<usize, Numbers>;

fn part(tile: &Tile<'_>, region: &Region, fresh: impl Fn(usize) -> Option<Numbers>) -> Box<dyn Any + Send> {
    let mut parts = Parts::new();
    let inner = Region::whole(tile.shape().map(|n| n as u64));
    for c in 0..tile.shape()[Axis::C.index()] {
        let channel = region.start[Axis::C.index()] as usize + c;
        if let Some(mut numbers) = fresh(channel) {
            numbers.take(&tile.part(&inner.with_axis(Axis::C, c as i64, 1)));
            parts.insert(channel, numbers);
        }
    }
    Box::new(parts)
}

/// The channels in one pass.
struct Counting {
    image: Meta,
    percents: Vec<f64>,
    channels: Vec<Channel>,
}

enum Channel {
    Open(Numbers),
    Done(Summary),
}

impl Tabulator for Counting {
    fn absorb(&mut self, part: Box<dyn Any + Send>) {
        let parts: Parts = *part.downcast().expect("numbers of a tile");
        for (channel, numbers) in parts {
            if let Channel::Open(own) = &mut self.channels[channel] {
                own.add(numbers);
            }
        }
    }

    fn bytes(&self) -> u64 {
        let open = self.channels.iter().filter(|c| matches!(c, Channel::Open(_))).count();
        open as u64 * Numbers::bytes(self.image.dtype, self.percents.len())
    }

    fn finish(mut self: Box<Self>) -> Result<Tabled, Refused> {
        let next = |channel| match channel {
            Channel::Open(numbers) => match numbers.next() {
                NumbersStep::Again(numbers) => Channel::Open(numbers),
                NumbersStep::Found(summary) => Channel::Done(summary),
            },
            done => done,
        };
        self.channels = std::mem::take(&mut self.channels).into_iter().map(next).collect();
        let done: Vec<&Summary> = self.channels.iter().filter_map(Channel::summary).collect();
        if done.len() < self.channels.len() {
            return Ok(Tabled::Again(Arc::new(Later(*self))));
        }
        Ok(Tabled::Done(table(&self.image, &self.percents, &done)))
    }
}

impl Channel {
    fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Done(summary) => Some(summary),
            Self::Open(_) => None,
        }
    }

    fn empty(&self) -> Self {
        match self {
            Self::Open(numbers) => Self::Open(numbers.empty()),
            Self::Done(summary) => Self::Done(summary.clone()),
        }
    }
}

/// A pass after the first.
struct Later(Counting);

impl Tally for Later {
    fn local(&self, inputs: &[Tile<'_>], region: &Region) -> Box<dyn Any + Send> {
        part(&inputs[0], region, |channel| match &self.0.channels[channel] {
            Channel::Open(numbers) => Some(numbers.empty()),
            Channel::Done(_) => None,
        })
    }

    fn tabulator(&self, _: &Meta) -> Box<dyn Tabulator> {
        let Counting { image, percents, channels } = &self.0;
        let channels = channels.iter().map(Channel::empty).collect();
        Box::new(Counting { image: image.clone(), percents: percents.clone(), channels })
    }
}

fn table(image: &Meta, percents: &[f64], channels: &[&Summary]) -> Table {
    let mut table = Table::default();
    let whole = |of: fn(&Summary) -> u64| Values::Whole(channels.iter().map(|s| of(s)).collect());
    let real = |of: &dyn Fn(&Summary) -> f64| Values::Real(channels.iter().map(|s| of(s)).collect());
    if image.axes.contains(Axis::C) {
        table.push("c", Values::Whole((0..channels.len() as u64).collect()));
    }
    table.push("voxels", whole(|s| s.voxels));
    table.push("min", real(&|s| s.min));
    table.push("max", real(&|s| s.max));
    table.push("mean", real(&|s| s.mean));
    table.push("std", real(&|s| s.std));
    for (n, percent) in percents.iter().enumerate() {
        // A dot would be a level of a table's schema.
        let name = format!("percentile_{percent}").replace('.', "_");
        table.push(name, real(&|s| s.percentiles[n]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms_table;
    use crate::testing::{Image, WHOLE, meta, stages, tabulate};
    use voxtile_sched::contract::{Table, Values};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype, Element};

    /// All voxels of a channel, sorted.
    fn oracle(image: &Image, percents: &[f64]) -> Table {
        let meta = image.meta();
        let channel = |c: u64| -> Vec<f64> {
            dispatch!(meta.dtype, T => {
                let at = |n: usize| {
                    let below: u64 = meta.shape[2..].iter().product();
                    n as u64 / below % meta.shape[1] == c
                };
                let all = image.values::<T>().iter().enumerate();
                all.filter(|(n, _)| at(*n)).map(|(_, v)| v.to_f64()).collect()
            })
        };
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for c in 0..meta.shape[1] {
            let mut values = channel(c);
            values.sort_by(f64::total_cmp);
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
            let mut row = vec![values[0], values[values.len() - 1], mean, std];
            for percent in percents {
                let at = (count - 1.0) * percent / 100.0;
                let (a, b) = (values[at.floor() as usize], values[at.ceil() as usize]);
                row.push(a + (b - a) * at.fract());
            }
            rows.push(row);
        }
        let mut table = Table::default();
        if meta.axes.contains(Axis::C) {
            table.push("c", Values::Whole((0..meta.shape[1]).collect()));
        }
        let each = meta.shape.iter().product::<u64>() / meta.shape[1];
        table.push("voxels", Values::Whole(vec![each; rows.len()]));
        let names = ["min", "max", "mean", "std"].map(str::to_owned).into_iter();
        let names = names.chain(percents.iter().map(|p| format!("percentile_{p}").replace('.', "_")));
        for (n, name) in names.enumerate() {
            table.push(name, Values::Real(rows.iter().map(|row| row[n]).collect()));
        }
        table
    }

    conforms_table!(
        by_default: &SPEC, "stats", [U8, I8, U16, I16, U32, I32, F64],
        |meta| !meta.axes.is_empty(), |images| oracle(&images[0], &[1.0, 25.0, 50.0, 75.0, 99.0]),
    );
    conforms_table!(
        a_few: &SPEC, "stats 0,12.5,100", [U16, U32],
        |meta| !meta.axes.is_empty(), |images| oracle(&images[0], &[0.0, 12.5, 100.0]),
    );

    fn real(table: &Table, name: &str) -> f64 {
        match table.column(name) {
            Some(Values::Real(values)) => values[0],
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn ends_of_a_type_and_what_is_no_number() {
        let of = |image: &Image| {
            tabulate(&stages(&SPEC, "stats 50", &[image.meta().clone()]).unwrap(), &[image], WHOLE)
        };
        let wide = of(&Image::of::<u64>("x", &[4], &[u64::MAX, 0, u64::MAX, 0]));
        assert_eq!((real(&wide, "max"), real(&wide, "mean")), (u64::MAX as f64, u64::MAX as f64 / 2.0));
        assert_eq!(real(&wide, "std"), u64::MAX as f64 / 2.0);
        let nan = [f32::NAN, 3.0, f32::INFINITY, 1.0];
        let some = of(&Image::of::<f32>("x", &[4], &nan));
        assert_eq!(some.column("voxels"), Some(&Values::Whole(vec![2])));
        assert_eq!(
            ["min", "max", "mean", "std", "percentile_50"].map(|n| real(&some, n)),
            [1.0, 3.0, 2.0, 1.0, 2.0]
        );
        for none in [of(&Image::of::<f64>("x", &[1], &[f64::NAN])), of(&Image::of::<u8>("x", &[0], &[]))] {
            assert_eq!(none.column("voxels"), Some(&Values::Whole(vec![0])));
            assert!(["min", "std", "percentile_50"].iter().all(|n| real(&none, n).is_nan()));
        }
        let far = of(&Image::of::<f64>("x", &[2], &[f64::MAX, f64::MIN]));
        assert_eq!((real(&far, "mean"), real(&far, "std")), (0.0, f64::INFINITY));
    }

    #[test]
    fn percentiles_that_are_none_are_refused() {
        let image = [meta("yx", &[3, 4], Dtype::U16)];
        for step in ["stats 101", "stats -1", "stats 5,5", "stats many"] {
            assert!(stages(&SPEC, step, &image).is_err(), "{step}");
        }
    }
}

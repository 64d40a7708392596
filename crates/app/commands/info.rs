//! `info`: what an image is.

use super::{Done, Failure, Outcome, devices, many, print, print_json, scan};
use crate::args::{Global, Info as Args};
use crate::{progress, text};
use serde_json::{Value as Json, json};
use std::fmt::Write;
use std::path::Path;
use voxtile::{Images, Made};
use voxtile_io::{Info, Opened, open};
use voxtile_kernels::statistics::{Ranks, Step};
use voxtile_sched::contract::Source;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Channel, Element, Grid, Meta, Region, Tile, voxels};

pub(super) fn info(args: &Args, global: Global) -> Done {
    let one = |input: &Path| -> Result<(Json, String), Failure> {
        let Opened { source, mut info } = open(input, &args.read.options())?;
        if info.ome.is_some() {
            let array = args.read.array.as_deref().unwrap_or_default();
            info.arrays.extend(voxtile_io::survey::labels(input, array, &super::remote()));
        }
        let stats = if args.stats { Some(statistics(&*source, args, global)?) } else { None };
        let json = as_json(&info, source.meta(), stats.as_ref());
        Ok((json, as_text(&info, source.meta(), stats.as_ref())))
    };
    // Without an image, the question is what there is to compute on.
    let Some(input) = &args.input else { return devices::devices(global) };
    match args.read.images(input)? {
        Images::One(input) => {
            let (json, text) = one(&input)?;
            if global.json {
                print_json(&json)?;
            } else {
                print(&text)?;
            }
            Ok(Outcome::Done)
        }
        Images::Many(images) => many::each(&images, global, one),
    }
}

/// Percentiles that are shown.
const PERCENTS: [f64; 7] = [0.1, 1.0, 25.0, 50.0, 75.0, 99.0, 99.9];

/// Channels whose percentiles are looked for: each takes some MiB.
const MOST_CHANNELS: u64 = 16;

/// What the voxels are, in all and of each channel.
struct Stats {
    all: Moments,
    channels: Vec<ChannelStats>,
}

struct ChannelStats {
    moments: Moments,
    /// At [`PERCENTS`]; none of more than [`MOST_CHANNELS`], and of a channel without finite voxels.
    percentiles: Vec<f64>,
}

/// Ends and mean are exact for integers of up to 32 bits; sums of the others are rounded.
#[derive(Clone, Copy, Debug)]
struct Moments {
    min: f64,
    max: f64,
    /// Of integers: exact.
    int_sum: i128,
    float_sum: f64,
    /// Of the squares of differences from the mean.
    squares: f64,
    /// Voxels that are numbers.
    count: u64,
    nan: u64,
}

impl Moments {
    const EMPTY: Self = Self {
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        int_sum: 0,
        float_sum: 0.0,
        squares: 0.0,
        count: 0,
        nan: 0,
    };

    fn of(tile: &Tile<'_>) -> Self {
        let mut moments = Self::EMPTY;
        dispatch!(tile.dtype(), T => {
            let view = tile.view::<T>();
            let [t, c, z, y, _] = tile.shape();
            let rows = || {
                (0..t * c * z * y).map(|row| {
                    let (at, y) = (row / y, row % y);
                    view.row(at / z / c, at / z % c, at % z, y)
                })
            };
            rows().for_each(|row| moments.add(row));
            let mean = moments.mean();
            let square = |v: &T| {
                let d = v.to_f64() - mean;
                if v.to_f64().is_nan() { 0.0 } else { d * d }
            };
            moments.squares = rows().map(|row| row.iter().map(square).sum::<f64>()).sum();
        });
        moments
    }

    fn add<T: Element>(&mut self, values: &[T]) {
        let (mut low, mut high) = (T::HIGHEST, T::LOWEST);
        let mut sum = 0.0;
        for &v in values {
            if v < low {
                low = v;
            }
            if v > high {
                high = v;
            }
        }
        if T::DTYPE.is_float() {
            let numbers = values.iter().map(|v| v.to_f64()).filter(|v| !v.is_nan());
            let mut count = 0;
            for v in numbers {
                sum += v;
                count += 1;
            }
            self.count += count;
            self.nan += values.len() as u64 - count;
            self.float_sum += sum;
            if count == 0 {
                return;
            }
        } else {
            self.int_sum += values.iter().map(|v| whole(*v)).sum::<i128>();
            self.count += values.len() as u64;
        }
        if !values.is_empty() {
            self.min = self.min.min(low.to_f64());
            self.max = self.max.max(high.to_f64());
        }
    }

    fn merge(self, other: &Self) -> Self {
        let squares = match (self.count, other.count) {
            (0, _) => other.squares,
            (_, 0) => self.squares,
            (a, b) => {
                let (a, b, apart) = (a as f64, b as f64, other.mean() - self.mean());
                self.squares + other.squares + apart * apart * (a / (a + b) * b)
            }
        };
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            int_sum: self.int_sum + other.int_sum,
            float_sum: self.float_sum + other.float_sum,
            squares,
            count: self.count + other.count,
            nan: self.nan + other.nan,
        }
    }

    fn mean(&self) -> f64 {
        (self.int_sum as f64 + self.float_sum) / self.count as f64
    }

    fn std(&self) -> f64 {
        (self.squares / self.count as f64).sqrt()
    }
}

/// An integer sample, exactly.
fn whole<T: Element>(value: T) -> i128 {
    let bytes = bytemuck::bytes_of(&value);
    let mut wide = [if T::DTYPE.is_signed_integer() && value < T::default() { 0xff } else { 0 }; 16];
    if cfg!(target_endian = "little") {
        wide[..bytes.len()].copy_from_slice(bytes);
    } else {
        wide[16 - bytes.len()..].copy_from_slice(bytes);
    }
    i128::from_ne_bytes(wide)
}

fn statistics(source: &dyn Source, args: &Args, global: Global) -> Result<Stats, Failure> {
    let count = source.meta().shape[Axis::C.index()];
    let mut channels: Vec<ChannelStats> =
        (0..count).map(|_| ChannelStats { moments: Moments::EMPTY, percentiles: Vec::new() }).collect();
    // Per chunk and channel, so that sums of floats do not depend on the threads.
    let passes = scan_channels(source, args, global, Vec::new, |found: &mut Vec<_>, at, tile| {
        found.push((at, Moments::of(tile)));
    })?;
    let mut found: Vec<((u64, usize), Moments)> = passes.into_iter().flatten().collect();
    found.sort_by_key(|(at, _)| *at);
    for ((_, channel), moments) in &found {
        channels[*channel].moments = channels[*channel].moments.merge(moments);
    }
    if count <= MOST_CHANNELS {
        let found = percentiles(source, args, global)?;
        channels.iter_mut().zip(found).for_each(|(channel, found)| channel.percentiles = found);
    }
    let all = channels.iter().fold(Moments::EMPTY, |all, channel| all.merge(&channel.moments));
    Ok(Stats { all, channels })
}

/// Exact percentiles of every channel: one pass for types of 8 and 16 bits, two for 32, four for 64.
fn percentiles(source: &dyn Source, args: &Args, global: Global) -> Result<Vec<Vec<f64>>, Failure> {
    let count = source.meta().shape[Axis::C.index()];
    let mut searched: Vec<Result<Ranks, Vec<f64>>> =
        (0..count).map(|_| Ok(Ranks::new(source.meta().dtype, PERCENTS.to_vec()))).collect();
    while searched.iter().any(Result::is_ok) {
        let empty = || searched.iter().map(|s| s.as_ref().ok().map(Ranks::another)).collect::<Vec<_>>();
        let observed = scan_channels(source, args, global, empty, |own, (_, channel), tile| {
            if let Some(statistic) = &mut own[channel] {
                statistic.take(tile);
            }
        })?;
        for (channel, part) in observed.into_iter().flat_map(|own| own.into_iter().enumerate()) {
            if let (Ok(ranks), Some(part)) = (&mut searched[channel], part) {
                ranks.add(&part);
            }
        }
        searched = searched
            .into_iter()
            .map(|ranks| match ranks?.next() {
                Step::Again(ranks) => Ok(ranks),
                Step::Found(values) => Err(values),
            })
            .collect();
    }
    Ok(searched.into_iter().filter_map(Result::err).collect())
}

/// Every chunk, channel by channel: `work` is given the chunk's number, the channel, and the voxels. One state for each
/// thread.
fn scan_channels<S: Send>(
    source: &dyn Source,
    args: &Args,
    global: Global,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, (u64, usize), &Tile<'_>) + Sync,
) -> Result<Vec<S>, Failure> {
    let grid = Grid::new(source.meta().shape, source.chunk());
    let each = voxels(&grid.chunk).saturating_mul(source.meta().dtype.size() as u64);
    let workers = scan::workers(&args.limits, each.saturating_add(source.scratch()))?;
    let bar = progress::bar(global);
    let failed = std::sync::Mutex::new(None);
    let states = scan::parallel(
        workers,
        grid.len(),
        &bar,
        || (scan::Buffer::default(), state()),
        |(buffer, state), n| match scan::read(source, &grid, &grid.index(n), buffer) {
            Ok(tile) => {
                let place = grid.region(&grid.index(n));
                let inner = Region::whole(place.shape);
                for c in 0..place.shape[Axis::C.index()] {
                    let channel = place.start[Axis::C.index()] as usize + c as usize;
                    let part = inner.with_axis(Axis::C, c as i64, 1);
                    work(state, (n, channel), &tile.as_tile().part(&part));
                }
                true
            }
            Err(error) => {
                failed.lock().expect("no panic while held").get_or_insert(error);
                false
            }
        },
    )?;
    if let Some(error) = failed.into_inner().expect("no panic while held") {
        return Err(super::verify::store_failure(error, source));
    }
    Ok(states.into_iter().map(|(_, state)| state).collect())
}

/// Numbers of one image or channel.
fn moments_json(s: &Moments) -> Json {
    if s.count == 0 {
        return json!({ "count": 0, "nan": s.nan });
    }
    json!({ "min": s.min, "max": s.max, "mean": s.mean(), "std": s.std(), "count": s.count, "nan": s.nan })
}

fn moments_text(s: &Moments) -> String {
    if s.count == 0 {
        return format!("none, {} NaN", s.nan);
    }
    let nan = if s.nan > 0 { format!(", {} NaN", text::count(s.nan)) } else { String::new() };
    format!("{} to {}, mean {}, std {}{nan}", s.min, s.max, s.mean(), s.std())
}

fn percentiles_text(values: &[f64]) -> String {
    let each: Vec<String> = PERCENTS.iter().zip(values).map(|(p, value)| format!("{p} %: {value}")).collect();
    each.join(", ")
}

fn as_json(info: &Info, meta: &Meta, stats: Option<&Stats>) -> Json {
    let spacing = |axis: Axis| {
        let s = meta.spacing[axis.index()].as_ref();
        json!({ "axis": axis.name(), "size": meta.shape[axis.index()],
                "scale": s.map(|s| s.scale), "origin": s.map(|s| s.origin), "unit": s.and_then(|s| s.unit.clone()) })
    };
    let channel = |c: &Channel| json!({ "name": c.name, "color": c.color });
    let mut out = json!(info);
    out["name"] = json!(meta.name);
    out["dtype"] = json!(meta.dtype.numpy_name());
    out["shape"] = json!(meta.dims());
    out["axes"] = meta.axes.iter().map(spacing).collect();
    out["channels"] = meta.channels.iter().map(channel).collect();
    out["bytes"] = json!(meta.bytes());
    out["details"] =
        info.details.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<serde_json::Map<_, _>>().into();
    if let Some(made) = meta.made.as_deref().and_then(Made::parse) {
        out["made"] = json!(made);
    }
    if let Some(stats) = stats {
        let channel = |c: &ChannelStats| {
            let mut out = moments_json(&c.moments);
            let pairs = PERCENTS.iter().zip(&c.percentiles).map(|(p, value)| (p.to_string(), json!(value)));
            out["percentiles"] = pairs.collect::<serde_json::Map<_, _>>().into();
            out
        };
        out["stats"] = moments_json(&stats.all);
        out["stats"]["channels"] = stats.channels.iter().map(channel).collect();
    }
    out
}

fn as_text(info: &Info, meta: &Meta, stats: Option<&Stats>) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: String| {
        let _ = writeln!(out, "{key:<10} {value}");
    };
    line("file", info.path.clone());
    line("format", info.format.clone());
    if let Some(name) = &meta.name {
        line("name", name.clone());
    }
    line("shape", format!("{} ({})", text::sizes(&meta.dims()), meta.axes));
    line("type", format!("{}, {} decoded", meta.dtype.numpy_name(), text::bytes(meta.bytes())));
    let sized: Vec<String> = meta.axes.iter().filter_map(|a| voxel_size(meta, a)).collect();
    line("voxel", if sized.is_empty() { "no size in the file".to_owned() } else { sized.join(", ") });
    let named: Vec<String> = meta.channels.iter().filter_map(channel_text).collect();
    if !named.is_empty() {
        line("channels", named.join(", "));
    }
    let chunks = Grid::new(meta.shape, info.chunk5).len();
    line("chunk", format!("{}, {} in all", text::sizes(&info.chunk), text::count(chunks)));
    if let Some(shard) = &info.shard {
        line("shard", text::sizes(shard));
    }
    line("codec", info.codec.clone());
    for (i, level) in info.levels.iter().enumerate().filter(|_| info.levels.len() > 1) {
        line(
            if i == 0 { "levels" } else { "" },
            format!("{i}: {} at `{}`", text::sizes(&level.shape), level.path),
        );
    }
    if !info.arrays.is_empty() {
        line("arrays", format!("{} (choose one with --array)", info.arrays.join(", ")));
    }
    for (n, image) in info.associated.iter().enumerate() {
        let what =
            format!("{}: {} {} (--array {})", image.name, text::sizes(&image.shape), image.dtype, image.name);
        line(if n == 0 { "associated" } else { "" }, what);
    }
    for (key, value) in &info.details {
        line(key, value.clone());
    }
    if let Some(made) = meta.made.as_deref().and_then(Made::parse) {
        let what = if made.recipe.is_empty() { "convert".to_owned() } else { made.recipe };
        let of = made.input.path.file_name().unwrap_or_default();
        line("made", format!("by voxtile {}: {what}, of {}", made.version, of.display()));
    }
    if let Some(stats) = stats {
        line("values", moments_text(&stats.all));
        for (n, channel) in stats.channels.iter().enumerate() {
            if stats.channels.len() > 1 {
                line(&format!("channel {n}"), moments_text(&channel.moments));
            }
            if !channel.percentiles.is_empty() {
                line(
                    if n == 0 && stats.channels.len() == 1 { "percent" } else { "" },
                    percentiles_text(&channel.percentiles),
                );
            }
        }
    }
    out
}

/// Its name, and its colour unless that is the name; white is what files say that must say something.
fn channel_text(channel: &Channel) -> Option<String> {
    const COLORS: [(&str, &str); 3] = [("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF")];
    match (channel.name.as_deref(), channel.color.as_deref().filter(|c| *c != "FFFFFF")) {
        (Some(name), Some(color)) if !COLORS.contains(&(name, color)) => Some(format!("{name} (#{color})")),
        (Some(name), _) => Some(name.to_owned()),
        (None, color) => color.map(|color| format!("#{color}")),
    }
}

fn voxel_size(meta: &Meta, axis: Axis) -> Option<String> {
    let spacing = meta.spacing[axis.index()].as_ref()?;
    Some(format!("{axis} {} {}", spacing.scale, spacing.unit.as_deref().unwrap_or("(no unit)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments<T: Element>(values: &[T]) -> Moments {
        let shape = [1, 1, 1, 2, values.len() / 2];
        Moments::of(&Tile::new(T::DTYPE, shape, bytemuck::cast_slice(values)))
    }

    #[test]
    fn integers_are_summed_exactly() {
        let s = moments(&[u64::MAX, u64::MAX, 1, 0]);
        assert_eq!(s.int_sum, 2 * i128::from(u64::MAX) + 1);
        let s = moments(&[i8::MIN, -1, 100, 3]);
        assert_eq!((s.min, s.max, s.int_sum), (-128.0, 100.0, -26));
    }

    #[test]
    fn nan_is_counted_and_left_out() {
        let s = moments(&[f32::NAN, 2.0, -1.0, f32::NAN]);
        assert_eq!((s.min, s.max, s.count, s.nan, s.mean(), s.std()), (-1.0, 2.0, 2, 2, 0.5, 1.5));
        assert_eq!(moments(&[f32::NAN, f32::NAN]).count, 0);
    }

    #[test]
    fn deviations_of_parts_add_up() {
        let values = [3.0f64, 8.0, -2.0, 1e6, 1e6 + 3.0, 7.0];
        let parts = moments(&values[..2]).merge(&Moments::EMPTY).merge(&moments(&values[2..]));
        let mean = values.iter().sum::<f64>() / 6.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 6.0;
        assert!((parts.std() / variance.sqrt() - 1.0).abs() < 1e-14);
    }
}

//! Table of objects: size, place, shape, and the intensities of other images in them.
//!
//! Label image or mask of an integer type → a table, one row per t, c and label, in that order; an object is all voxels of
//! one value above 0, wherever they lie. `measure intensity=input` or `on=labels intensity=a,b` looks at other images of
//! the same shape too. Columns: `label`, `area_px` (voxels), `area_um2` or `volume_um3` where the pixel size is known,
//! `bbox_min_z_px …` and `bbox_max_z_px …` (one past the last), `centroid_z_px …` and `centroid_z_um …`,
//! `equivalent_diameter_px`, of 2-D and 3-D objects `axis_major_px` and `axis_minor_px`, of 2-D ones `orientation_rad` and
//! `eccentricity`, `touches_border` (0 or 1); per image `intensity_mean`, `_min`, `_max`, `_sum`, `_std` (over n, not n − 1)
//! and `weighted_centroid_z_px …`, with the image's name behind them if there are several. Axes that the image lacks
//! are left out.
//!
//! Equal to `skimage.measure.regionprops_table`: whole numbers exactly, others to 1e-9. Sums are exact whatever the tiles:
//! floats count in steps of 2⁻⁸⁰, and an object with a value of 2⁴⁶ or more, or NaN, has no mean. Cost: one read, 0.5 ns a
//! voxel and 10 to 40 ns per voxel of an object and image. Memory besides the tiles: 350 bytes per object, and 200 more per
//! image.

use crate::objects::{Ellipse, Key, Object, Objects, Summary, bytes_each, ellipse};
use crate::pointwise::same_shape;
use crate::spec::{ArgError, Args, Build, From, Param, Spec, Stage, Value};
use std::any::Any;
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Op, Pass, Refused, Table, Tabled, Tabulator, Tally, Values};
use voxtile_sched::model::{Axis, Dtype, Meta, Region, Shape, Tile, TileMut};

/// `measure`.
pub(super) static SPEC: Spec = Spec {
    name: "measure",
    about: "table of objects: size, place, shape, intensities",
    params: &[Param {
        name: "intensity",
        value: Value::Names,
        default: Some(""),
        about: "images whose values in each object are summed up",
    }],
    inputs: 1,
    example: "threshold 900 | label | measure intensity=input",
    build: Build::Table(|args| {
        let inputs = (0..args.inputs().len()).map(From::Input).collect();
        Ok(vec![Stage { op: Arc::new(Measure::new(args)?), inputs }])
    }),
};

struct Measure {
    /// Names of the images beside the labels, as columns carry them.
    suffixes: Vec<String>,
    /// Sample types of these images.
    dtypes: Vec<Dtype>,
}

impl Measure {
    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        let names: Vec<&str> = args.text("intensity").map_or(Vec::new(), |text| text.split(',').collect());
        let suffix = |name: &&str| if names.len() > 1 { format!("_{}", name.trim()) } else { String::new() };
        let dtypes = args.inputs().iter().skip(1).map(|m| m.dtype).collect();
        Ok(Self { suffixes: names.iter().map(suffix).collect(), dtypes })
    }
}

impl Op for Measure {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        if matches!(inputs[0].dtype, Dtype::F32 | Dtype::F64) {
            let why = "objects are voxels of one whole number; `label` makes them".to_owned();
            return Err(Refused::Dtype { dtype: inputs[0].dtype, why });
        }
        same_shape(inputs)?;
        Ok(inputs[0].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    /// Some objects of a tile; there may be more.
    fn scratch(&self, _tile: &Shape) -> u64 {
        const SOME: u64 = 1000;
        SOME * bytes_each(self.dtypes.len())
    }

    fn ns_per_voxel(&self) -> f64 {
        1.0 + self.dtypes.len() as f64
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Tally(self)
    }

    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("a table has no voxels")
    }
}

impl Tally for Measure {
    fn local(&self, inputs: &[Tile<'_>], region: &Region) -> Box<dyn Any + Send> {
        Box::new(Objects::of(inputs, region))
    }

    fn tabulator(&self, image: &Meta) -> Box<dyn Tabulator> {
        Box::new(Rows {
            objects: Objects::default(),
            image: image.clone(),
            suffixes: self.suffixes.clone(),
            dtypes: self.dtypes.clone(),
        })
    }
}

/// The table as it grows.
struct Rows {
    objects: Objects,
    image: Meta,
    suffixes: Vec<String>,
    dtypes: Vec<Dtype>,
}

impl Tabulator for Rows {
    fn absorb(&mut self, part: Box<dyn Any + Send>) {
        self.objects.merge(*part.downcast().expect("objects of a tile"));
    }

    fn bytes(&self) -> u64 {
        self.objects.len() as u64 * bytes_each(self.dtypes.len())
    }

    fn finish(mut self: Box<Self>) -> Result<Tabled, Refused> {
        let objects = std::mem::take(&mut self.objects).sorted();
        let mut table = Table::default();
        self.identity(&objects, &mut table);
        self.place(&objects, &mut table);
        self.shape(&objects, &mut table);
        for n in 0..self.dtypes.len() {
            self.intensity(&objects, n, &mut table);
        }
        Ok(Tabled::Done(table))
    }
}

type Found = [(Key, Object)];

fn whole(objects: &Found, value: impl Fn(&Key, &Object) -> u64) -> Values {
    Values::Whole(objects.iter().map(|(key, object)| value(key, object)).collect())
}

fn real(objects: &Found, value: impl Fn(&Object) -> f64) -> Values {
    Values::Real(objects.iter().map(|(_, object)| value(object)).collect())
}

impl Rows {
    /// The space axes that exist, each with its place in `z, y, x`.
    fn axes(&self) -> Vec<(Axis, usize)> {
        self.image.axes.space().iter().map(|axis| (axis, axis.index() - Axis::Z.index())).collect()
    }

    /// Micrometres per voxel along an axis.
    fn micrometers(&self, axis: Axis) -> Option<f64> {
        self.image.spacing[axis.index()].as_ref()?.micrometers()
    }

    fn identity(&self, objects: &Found, table: &mut Table) {
        if self.image.axes.contains(Axis::T) {
            table.push("t", whole(objects, |key, _| key.0 as u64));
        }
        if self.image.axes.contains(Axis::C) {
            table.push("c", whole(objects, |key, _| key.1 as u64));
        }
        table.push("label", whole(objects, |key, _| key.2));
        table.push("area_px", whole(objects, |_, object| object.voxels));
        let axes = self.axes();
        let sizes: Option<Vec<f64>> = axes.iter().map(|(axis, _)| self.micrometers(*axis)).collect();
        if let (Some(sizes), Some(name)) =
            (sizes, ["", "length_um", "area_um2", "volume_um3"].get(axes.len()))
        {
            let each: f64 = sizes.iter().product();
            if !name.is_empty() {
                table.push(*name, real(objects, |object| object.voxels as f64 * each));
            }
        }
    }

    fn place(&self, objects: &Found, table: &mut Table) {
        let axes = self.axes();
        for &(axis, n) in &axes {
            table.push(format!("bbox_min_{axis}_px"), whole(objects, |_, o| o.low[n] as u64));
        }
        for &(axis, n) in &axes {
            table.push(format!("bbox_max_{axis}_px"), whole(objects, |_, o| o.high[n] as u64));
        }
        for &(axis, n) in &axes {
            let mean = |o: &Object| o.first[n] as f64 / o.voxels as f64;
            table.push(format!("centroid_{axis}_px"), real(objects, mean));
            if let (Some(scale), Some(spacing)) = (self.micrometers(axis), &self.image.spacing[axis.index()])
            {
                let origin = spacing.origin * (scale / spacing.scale);
                table.push(format!("centroid_{axis}_um"), real(objects, |o| origin + mean(o) * scale));
            }
        }
    }

    fn shape(&self, objects: &Found, table: &mut Table) {
        let axes = self.axes();
        if axes.is_empty() {
            return;
        }
        let rank = axes.len() as f64;
        let diameter = |o: &Object| (2.0 * rank * o.voxels as f64 / std::f64::consts::PI).powf(1.0 / rank);
        table.push("equivalent_diameter_px", real(objects, diameter));
        let indices: Vec<usize> = axes.iter().map(|(_, n)| *n).collect();
        if indices.len() > 1 {
            let of: Vec<Ellipse> = objects.iter().map(|(_, object)| ellipse(object, &indices)).collect();
            let column = |value: fn(&Ellipse) -> f64| Values::Real(of.iter().map(value).collect());
            table.push("axis_major_px", column(|e| e.major));
            table.push("axis_minor_px", column(|e| e.minor));
            if indices.len() == 2 {
                table.push("orientation_rad", column(|e| e.orientation));
                table.push("eccentricity", column(|e| e.eccentricity));
            }
        }
        let at_edge = |o: &Object| {
            axes.iter().any(|&(axis, n)| o.low[n] == 0 || o.high[n] == self.image.shape[axis.index()] as i64)
        };
        table.push("touches_border", whole(objects, |_, object| u64::from(at_edge(object))));
    }

    fn intensity(&self, objects: &Found, n: usize, table: &mut Table) {
        let suffix = &self.suffixes[n];
        let of: Vec<Summary> = objects.iter().map(|(_, o)| o.intensity(n, self.dtypes[n])).collect();
        let column = |value: fn(&Summary) -> f64| Values::Real(of.iter().map(value).collect());
        let mut push = |name: &str, values| table.push(format!("intensity_{name}{suffix}"), values);
        push("mean", column(|s| s.mean));
        push("min", column(|s| s.min));
        push("max", column(|s| s.max));
        push("sum", column(|s| s.sum));
        push("std", column(|s| s.std));
        for (axis, a) in self.axes() {
            let along = Values::Real(of.iter().map(|s| s.centroid[a]).collect());
            table.push(format!("weighted_centroid_{axis}_px{suffix}"), along);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms_table;
    use crate::testing::Image;
    use std::collections::BTreeMap;
    use voxtile_sched::contract::{Table, Values};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Element, PerAxis, voxels};

    /// t, c and label.
    type Key = (u64, u64, u64);
    type Objects = BTreeMap<Key, Vec<PerAxis<u64>>>;
    type Found = (Key, Vec<PerAxis<u64>>);

    /// The voxels of each object.
    fn objects(image: &Image) -> Objects {
        let shape = image.meta().shape;
        let mut out = Objects::new();
        for n in 0..voxels(&shape) {
            let mut at = [0; 5];
            let mut rest = n;
            for a in (0..5).rev() {
                (at[a], rest) = (rest % shape[a], rest / shape[a]);
            }
            let value = dispatch!(image.meta().dtype, T => image.at::<T>(at).to_f64());
            if value > 0.0 {
                out.entry((at[0], at[1], value as u64)).or_default().push(at);
            }
        }
        out
    }

    fn value(image: &Image, at: PerAxis<u64>) -> f64 {
        dispatch!(image.meta().dtype, T => image.at::<T>(at).to_f64())
    }

    /// Everything from lists of voxels, two passes where a mean is needed first.
    fn oracle(images: &[Image], names: &[&str]) -> Table {
        let meta = images[0].meta();
        let all: Vec<Found> = objects(&images[0]).into_iter().collect();
        let axes: Vec<Axis> = meta.axes.space().iter().collect();
        let mut table = Table::default();
        let whole = |f: &dyn Fn(&[PerAxis<u64>]) -> u64| Values::Whole(all.iter().map(|o| f(&o.1)).collect());
        let real = |f: &dyn Fn(&[PerAxis<u64>]) -> f64| Values::Real(all.iter().map(|o| f(&o.1)).collect());
        let mean = |o: &[PerAxis<u64>], axis: Axis| {
            o.iter().map(|at| at[axis.index()] as f64).sum::<f64>() / o.len() as f64
        };
        if meta.axes.contains(Axis::T) {
            table.push("t", Values::Whole(all.iter().map(|o| o.0.0).collect()));
        }
        if meta.axes.contains(Axis::C) {
            table.push("c", Values::Whole(all.iter().map(|o| o.0.1).collect()));
        }
        table.push("label", Values::Whole(all.iter().map(|o| o.0.2).collect()));
        table.push("area_px", whole(&|o| o.len() as u64));
        for &axis in &axes {
            table.push(
                format!("bbox_min_{axis}_px"),
                whole(&|o| o.iter().map(|v| v[axis.index()]).min().unwrap()),
            );
        }
        for &axis in &axes {
            let last = |o: &[PerAxis<u64>]| o.iter().map(|v| v[axis.index()]).max().unwrap() + 1;
            table.push(format!("bbox_max_{axis}_px"), whole(&last));
        }
        for &axis in &axes {
            table.push(format!("centroid_{axis}_px"), real(&|o| mean(o, axis)));
        }
        let rank = axes.len();
        table.push(
            "equivalent_diameter_px",
            real(&|o| match rank {
                1 => 2.0 * o.len() as f64 / std::f64::consts::PI,
                2 => (4.0 * o.len() as f64 / std::f64::consts::PI).sqrt(),
                _ => (6.0 * o.len() as f64 / std::f64::consts::PI).cbrt(),
            }),
        );
        if rank > 1 {
            shape(&all, &axes, &mut table);
        }
        let edge = |o: &[PerAxis<u64>]| {
            let at_edge = |v: &PerAxis<u64>, a: usize| v[a] == 0 || v[a] + 1 == meta.shape[a];
            u64::from(o.iter().any(|v| axes.iter().any(|axis| at_edge(v, axis.index()))))
        };
        table.push("touches_border", whole(&edge));
        for (image, name) in images[1..].iter().zip(names) {
            let sum = |o: &[PerAxis<u64>]| o.iter().map(|v| value(image, *v)).sum::<f64>();
            let mean = |o: &[PerAxis<u64>]| sum(o) / o.len() as f64;
            let spread = |o: &[PerAxis<u64>]| {
                let mean = mean(o);
                (o.iter().map(|v| (value(image, *v) - mean).powi(2)).sum::<f64>() / o.len() as f64).sqrt()
            };
            let fold = |f: fn(f64, f64) -> f64| {
                move |o: &[PerAxis<u64>]| o.iter().map(|v| value(image, *v)).reduce(f).unwrap()
            };
            table.push(format!("intensity_mean{name}"), real(&mean));
            table.push(format!("intensity_min{name}"), real(&fold(f64::min)));
            table.push(format!("intensity_max{name}"), real(&fold(f64::max)));
            table.push(format!("intensity_sum{name}"), real(&sum));
            table.push(format!("intensity_std{name}"), real(&spread));
            for &axis in &axes {
                let weighted = |o: &[PerAxis<u64>]| {
                    o.iter().map(|v| value(image, *v) * v[axis.index()] as f64).sum::<f64>() / sum(o)
                };
                table.push(format!("weighted_centroid_{axis}_px{name}"), real(&weighted));
            }
        }
        table
    }

    /// Axes from the tensor of inertia, turned until it is diagonal.
    fn shape(all: &[Found], axes: &[Axis], table: &mut Table) {
        let moment = |o: &[PerAxis<u64>], a: Axis, b: Axis| {
            let n = o.len() as f64;
            let mean = |axis: Axis| o.iter().map(|v| v[axis.index()] as f64).sum::<f64>() / n;
            let (p, q) = (mean(a), mean(b));
            o.iter().map(|v| (v[a.index()] as f64 - p) * (v[b.index()] as f64 - q)).sum::<f64>() / n
        };
        let (mut major, mut minor) = (Vec::new(), Vec::new());
        let (mut orientation, mut eccentricity) = (Vec::new(), Vec::new());
        for (_, o) in all {
            if let [y, x] = *axes {
                let (xx, xy, yy) = (moment(o, x, x), moment(o, x, y), moment(o, y, y));
                let root = ((xx - yy).powi(2) + 4.0 * xy * xy).sqrt();
                let (large, small) = ((xx + yy + root) / 2.0, ((xx + yy - root) / 2.0).max(0.0));
                major.push(4.0 * large.sqrt());
                minor.push(4.0 * small.sqrt());
                eccentricity.push(if large == 0.0 { 0.0 } else { (1.0 - small / large).sqrt() });
                orientation.push(angle(o, y, x));
            } else {
                let [large, middle, small] = roots(|a, b| moment(o, axes[a], axes[b]));
                let (long, short) = (10.0 * (large + middle - small), 10.0 * (middle + small - large));
                major.push(long.max(0.0).sqrt());
                // A flat object: what is left of the difference is rounding.
                minor.push(if short < 1e-12 * long { 0.0 } else { short.sqrt() });
            }
        }
        table.push("axis_major_px", Values::Real(major));
        table.push("axis_minor_px", Values::Real(minor));
        if axes.len() == 2 {
            table.push("orientation_rad", Values::Real(orientation));
            table.push("eccentricity", Values::Real(eccentricity));
        }
    }

    /// As scikit-image has it, from whole numbers: for round objects the sign of a rounding error would decide.
    fn angle(o: &[PerAxis<u64>], y: Axis, x: Axis) -> f64 {
        let sum = |f: &dyn Fn(&PerAxis<u64>) -> u64| o.iter().map(|v| f(v) as i64).sum::<i64>();
        let n = o.len() as i64;
        let moment = |a: usize, b: usize| n * sum(&|v| v[a] * v[b]) - sum(&|v| v[a]) * sum(&|v| v[b]);
        let (xx, xy, yy) =
            (moment(x.index(), x.index()), moment(y.index(), x.index()), moment(y.index(), y.index()));
        match xx == yy {
            true if xy > 0 => std::f64::consts::FRAC_PI_4,
            true => -std::f64::consts::FRAC_PI_4,
            false => 0.5 * (2.0 * xy as f64).atan2((yy - xx) as f64),
        }
    }

    /// Moments of inertia from the covariances: by the closed form of the cubic.
    fn roots(covariance: impl Fn(usize, usize) -> f64) -> [f64; 3] {
        let trace = (0..3).map(|a| covariance(a, a)).sum::<f64>();
        let m = |a: usize, b: usize| if a == b { trace } else { 0.0 } - covariance(a, b);
        let mean = (m(0, 0) + m(1, 1) + m(2, 2)) / 3.0;
        let off = m(0, 1).powi(2) + m(0, 2).powi(2) + m(1, 2).powi(2);
        let p = (((0..3).map(|a| (m(a, a) - mean).powi(2)).sum::<f64>() + 2.0 * off) / 6.0).sqrt();
        if p == 0.0 {
            return [mean; 3];
        }
        let b = |i: usize, j: usize| (m(i, j) - if i == j { mean } else { 0.0 }) / p;
        let determinant = b(0, 0) * (b(1, 1) * b(2, 2) - b(1, 2) * b(2, 1))
            - b(0, 1) * (b(1, 0) * b(2, 2) - b(1, 2) * b(2, 0))
            + b(0, 2) * (b(1, 0) * b(2, 1) - b(1, 1) * b(2, 0));
        let angle = (determinant / 2.0).clamp(-1.0, 1.0).acos() / 3.0;
        let large = mean + 2.0 * p * angle.cos();
        let small = mean + 2.0 * p * (angle + 2.0 * std::f64::consts::FRAC_PI_3).cos();
        [large, 3.0 * mean - large - small, small]
    }

    conforms_table!(
        objects_alone: &SPEC, "measure", [U8, U16, U32, I32],
        |meta| !meta.axes.space().is_empty(), |images| oracle(images, &[]),
    );
    conforms_table!(
        with_intensities: &SPEC, "measure intensity=a,b", [U8, U16],
        |meta| !meta.axes.space().is_empty(), |images| oracle(images, &["_a", "_b"]),
    );
}

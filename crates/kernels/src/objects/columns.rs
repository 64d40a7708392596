//! The table of objects: which columns there are, and what they hold.

use super::{Ellipse, Object, Summary, ellipse};
use crate::components::Key;
use crate::spec::Args;
use voxtile_sched::contract::{Table, Values};
use voxtile_sched::model::{Axis, Dtype, Meta};

/// The columns for objects of one image.
#[derive(Clone)]
pub(crate) struct Columns {
    /// The label image.
    image: Meta,
    /// Names of the images beside the labels, as columns carry them.
    suffixes: Vec<String>,
    /// Sample types of these images.
    dtypes: Vec<Dtype>,
}

type Found = [(Key, Object)];

fn whole(objects: &Found, value: impl Fn(&Key, &Object) -> u64) -> Values {
    Values::Whole(objects.iter().map(|(key, object)| value(key, object)).collect())
}

fn real(objects: &Found, value: impl Fn(&Object) -> f64) -> Values {
    Values::Real(objects.iter().map(|(_, object)| value(object)).collect())
}

impl Columns {
    /// Those of a step whose parameter `intensity` names the images beside the labels.
    pub(crate) fn new(args: &Args<'_>) -> Self {
        let names: Vec<&str> = args.text("intensity").map_or(Vec::new(), |text| text.split(',').collect());
        let suffix = |name: &&str| if names.len() > 1 { format!("_{}", name.trim()) } else { String::new() };
        Self {
            image: args.input().clone(),
            suffixes: names.iter().map(suffix).collect(),
            dtypes: args.inputs().iter().skip(1).map(|m| m.dtype).collect(),
        }
    }

    /// How many images there are beside the labels.
    pub(crate) fn images(&self) -> usize {
        self.dtypes.len()
    }

    /// One row per object, in their order.
    pub(crate) fn table(&self, objects: &Found) -> Table {
        let mut table = Table::default();
        self.identity(objects, &mut table);
        self.place(objects, &mut table);
        self.shape(objects, &mut table);
        for n in 0..self.dtypes.len() {
            self.intensity(objects, n, &mut table);
        }
        table
    }

    /// The space axes that exist, each with its place in `z, y, x`.
    fn axes(&self) -> Vec<(Axis, usize)> {
        self.image.axes.space().iter().map(|axis| (axis, axis.index() - Axis::Z.index())).collect()
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
        let sizes: Option<Vec<f64>> = axes.iter().map(|(axis, _)| self.image.micrometers(*axis)).collect();
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
            if let (Some(scale), Some(spacing)) =
                (self.image.micrometers(axis), &self.image.spacing[axis.index()])
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
        table.push("boundary_px", whole(objects, |_, object| object.boundary));
        if indices.len() == 2 {
            table.push("perimeter_px", real(objects, Object::perimeter));
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

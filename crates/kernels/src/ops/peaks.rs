//! Table of local maxima.
//!
//! Any type → a table, one row per peak: `t` and `c` where the image has them, `z_px`, `y_px`, `x_px` (and `z_um …` where
//! the pixel size is known), `value`; the highest first within each t and c, equal ones in raster order. A peak is the
//! largest voxel within `min-distance` along every space axis, and greater than `threshold` (by default the smallest
//! voxel) and than `threshold-rel` times the largest; of peaks nearer to each other than `min-distance`, which are equally
//! high, the first stays. Voxels nearer than `exclude-border` to the edge of the image are none, nor is any of an image of
//! one value. Equal to `skimage.feature.peak_local_max` in points and order, of each t and c as an image of its own.
//! `refine=yes` adds `z_refined_px` … (and `z_refined_um` …): the vertex of the parabola through the peak and its two
//! neighbours along each axis, `(a − c) / 2(a − 2b + c)` voxels from the peak, from −½ to ½; 0 on a plateau and at the edge of
//! the image.
//! Peaks are chosen when the whole image has been seen, so none is lost or counted twice where tiles meet.
//! Cost: 0.4 ns a voxel, and a look at its window (2d+1 voxels along each axis) for the few that have no greater direct
//! neighbour; plateaus that are not the highest cost a look per voxel. Memory besides the tiles: 40 bytes per run of
//! largest voxels.

use crate::device::why;
use crate::pack::{packed, unpacked};
use crate::peaks::{
    self, EXCLUDE_BORDER, MIN_DISTANCE, NUM_PEAKS, Planes, Point, Search, THRESHOLD, THRESHOLD_REL,
};
use crate::spec::{Build, From, Param, Spec, Stage, Value};
use std::any::Any;
use std::sync::Arc;
use voxtile_sched::contract::{
    Footprint, Kernels, Op, Pass, Refused, Table, Tabled, Tabulator, Tally, Values,
};
use voxtile_sched::model::{Axis, Border, Dtype, Meta, Region, Shape, Tile, TileMut};

/// `peaks min-distance=6 threshold=1000`.
pub(super) static SPEC: Spec = Spec {
    name: "peaks",
    about: "table of local maxima",
    params: &[
        MIN_DISTANCE,
        THRESHOLD,
        THRESHOLD_REL,
        EXCLUDE_BORDER,
        NUM_PEAKS,
        Param {
            name: "refine",
            value: Value::Choice(&["no", "yes"]),
            default: Some("no"),
            about: "whether columns are added with places between the voxels",
        },
    ],
    inputs: 1,
    example: "gaussian sigma=2 | peaks min-distance=5",
    build: Build::Table(|args| {
        let search = Search::new(args, args.choice("refine")? == "yes")?;
        Ok(vec![Stage { op: Arc::new(Peaks { search }), inputs: vec![From::Input(0)] }])
    }),
};

struct Peaks {
    search: Search,
}

impl Op for Peaks {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        self.search.footprint()
    }

    fn border(&self) -> Border {
        Border::Nearest
    }

    fn ns_per_voxel(&self) -> f64 {
        0.4
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Tally(self)
    }

    fn no_kernels(&self) -> Option<&'static str> {
        self.search.refined.then_some(why::REFINED)
    }

    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("a table has no voxels")
    }
}

impl Tally for Peaks {
    fn local(&self, inputs: &[Tile<'_>], region: &Region) -> Box<dyn Any + Send> {
        Box::new(self.search.tile(&inputs[0], region))
    }

    fn kernels(&self, inputs: &[Dtype], shape: &Shape) -> Option<Kernels> {
        self.search.kernels(inputs[0], shape)
    }

    fn part(&self, results: &[&[u8]], region: &Region) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(self.search.found(results, region)?))
    }

    fn pack(&self, part: &(dyn Any + Send)) -> Option<Vec<u8>> {
        part.downcast_ref::<Planes>().map(packed)
    }

    fn unpack(&self, bytes: &[u8]) -> Option<Box<dyn Any + Send>> {
        unpacked::<Planes>(bytes).map(|part| Box::new(part) as Box<dyn Any + Send>)
    }

    fn tabulator(&self, _: &Meta) -> Box<dyn Tabulator> {
        Box::new(Rows { planes: Planes::new(), search: self.search.clone() })
    }
}

/// The table as it grows.
struct Rows {
    planes: Planes,
    search: Search,
}

impl Tabulator for Rows {
    fn absorb(&mut self, part: Box<dyn Any + Send>) {
        peaks::merge(&mut self.planes, *part.downcast().expect("peaks of a tile"));
    }

    fn bytes(&self) -> u64 {
        peaks::bytes(&self.planes)
    }

    fn finish(self: Box<Self>) -> Result<Tabled, Refused> {
        let rows = self.search.points(&self.planes);
        let image = &self.search.image;
        let mut table = Table::default();
        for axis in image.axes.iter() {
            let a = axis.index();
            let name = if axis.is_space() { format!("{axis}_px") } else { axis.to_string() };
            table.push(name, Values::Whole(rows.iter().map(|row| row.at[a]).collect()));
        }
        let whole = |axis: Axis, row: &Point| row.at[axis.index()] as f64;
        let between = |axis: Axis, row: &Point| whole(axis, row) + row.shift[axis.index() - 2];
        physical(image, &rows, "", whole, &mut table);
        let refined = image.axes.space().iter().filter(|_| self.search.refined);
        for axis in refined {
            let places = rows.iter().map(|row| between(axis, row)).collect();
            table.push(format!("{axis}_refined_px"), Values::Real(places));
        }
        if self.search.refined {
            physical(image, &rows, "refined_", between, &mut table);
        }
        table.push("value", Values::Real(rows.iter().map(|row| row.value).collect()));
        Ok(Tabled::Done(table))
    }
}

/// Places in micrometres, along the axes whose pixel size is known.
fn physical(image: &Meta, rows: &[Point], name: &str, px: impl Fn(Axis, &Point) -> f64, table: &mut Table) {
    for axis in image.axes.space().iter() {
        let Some(spacing) = &image.spacing[axis.index()] else { continue };
        let Some(scale) = spacing.micrometers() else { continue };
        let origin = spacing.origin * (scale / spacing.scale);
        let place = |row: &Point| origin + px(axis, row) * scale;
        table.push(format!("{axis}_{name}um"), Values::Real(rows.iter().map(place).collect()));
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms_table;
    use crate::peaks::oracle::{Wanted, peaks, wanted};
    use crate::testing::Image;
    use voxtile_sched::contract::{Table, Values};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::Element;

    fn oracle(image: &Image, wanted: &Wanted, refined: bool) -> Table {
        let (meta, rows) = (image.meta(), peaks(image, wanted));
        let mut table = Table::default();
        for axis in meta.axes.iter() {
            let name = if axis.is_space() { format!("{axis}_px") } else { axis.to_string() };
            table.push(name, Values::Whole(rows.iter().map(|r| r.0[axis.index()]).collect()));
        }
        // The vertex of the parabola through a voxel and its two neighbours.
        for a in meta.axes.space().iter().filter(|_| refined) {
            let value = |at| dispatch!(meta.dtype, T => image.at::<T>(at).to_f64());
            let place = |(at, _): &([u64; 5], f64)| {
                let n = a.index();
                if at[n] == 0 || at[n] + 1 == meta.shape[n] {
                    return at[n] as f64;
                }
                let (mut before, mut after) = (*at, *at);
                (before[n], after[n]) = (at[n] - 1, at[n] + 1);
                let (l, m, r) = (value(before), value(*at), value(after));
                let bend = l - 2.0 * m + r;
                at[n] as f64 + if bend == 0.0 { 0.0 } else { (l - r) / (2.0 * bend) }
            };
            table.push(format!("{a}_refined_px"), Values::Real(rows.iter().map(place).collect()));
        }
        table.push("value", Values::Real(rows.iter().map(|r| r.1).collect()));
        table
    }

    conforms_table!(
        by_default: &SPEC, "peaks", [U8, U16, I32, F32],
        |meta| !meta.axes.is_empty(), |images| oracle(&images[0], &wanted(1), false),
    );
    conforms_table!(
        to_the_edge: &SPEC, "peaks min-distance=2 exclude-border=0 threshold=1", [U8, U16, F32],
        |meta| !meta.axes.is_empty(),
        |images| oracle(&images[0], &Wanted { border: 0, above: Some(1.0), ..wanted(2) }, false),
    );
    conforms_table!(
        a_few: &SPEC, "peaks min-distance=3 exclude-border=1 threshold-rel=0.5 num-peaks=3", [U8, U16],
        |meta| !meta.axes.is_empty(),
        |images| oracle(&images[0], &Wanted { border: 1, share: Some(0.5), most: 3, ..wanted(3) }, false),
    );
    conforms_table!(
        between_voxels: &SPEC, "peaks min-distance=2 exclude-border=0 refine=yes", [U8, I32, F32, F64],
        |meta| !meta.axes.is_empty(),
        |images| oracle(&images[0], &Wanted { border: 0, ..wanted(2) }, true),
    );
}

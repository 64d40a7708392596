//! Image of local maxima: at each peak its number, 0 elsewhere.
//!
//! Any type → u32 labels of the same shape. Peaks are those of `peaks` with the same parameters, and the number of one is its
//! row in that table, counted from 1; so seeds can be taken from it, and places and rows be found from each other. Peaks are
//! chosen when the whole image has been seen; a second pass paints them and does not read the image again.
//! Cost: that of `peaks`, and one write; memory besides the tiles: 40 bytes per run of largest voxels.

use crate::pack::{packed, unpacked};
use crate::peaks::{self, EXCLUDE_BORDER, MIN_DISTANCE, NUM_PEAKS, Planes, Search, THRESHOLD, THRESHOLD_REL};
use crate::spec::{Build, Spec};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use voxtile_sched::contract::{
    Footprint, Joins, Kernels, Merge, Merger, Op, Part, Pass, Refused, Resolution,
};
use voxtile_sched::model::{Border, Dtype, Kind, Meta, PerAxis, Region, Shape, Tile, TileMut};

/// `markers min-distance=6 threshold=1000`.
pub(super) static SPEC: Spec = Spec {
    name: "markers",
    about: "image of local maxima: at each peak its number in the table of `peaks`",
    params: &[MIN_DISTANCE, THRESHOLD, THRESHOLD_REL, EXCLUDE_BORDER, NUM_PEAKS],
    inputs: 1,
    example: "gaussian sigma=2 | markers min-distance=5",
    build: Build::One(|args| Ok(Arc::new(Markers { search: Search::new(args, false)? }))),
};

struct Markers {
    search: Search,
}

impl Op for Markers {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::U32).with_kind(Kind::Labels))
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
        Pass::Merge(self)
    }

    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("markers are merged")
    }
}

/// Numbers of peaks by their places.
type Marks = BTreeMap<PerAxis<u64>, u32>;

impl Merge for Markers {
    fn local(&self, inputs: &[Tile<'_>], region: &Region, _: &Shape) -> Part {
        let faces = self.search.tile(&inputs[0], region);
        Part { kept: Vec::new(), faces: Box::new(faces) }
    }

    fn kernels(&self, inputs: &[Dtype], shape: &Shape) -> Option<Kernels> {
        self.search.kernels(inputs[0], shape)
    }

    fn part(&self, results: &[&[u8]], region: &Region, _: &Shape) -> Option<Part> {
        Some(Part { kept: Vec::new(), faces: Box::new(self.search.found(results, region)?) })
    }

    fn pack(&self, faces: &(dyn Any + Send)) -> Option<Vec<u8>> {
        faces.downcast_ref::<Planes>().map(packed)
    }

    fn unpack(&self, bytes: &[u8]) -> Option<Box<dyn Any + Send>> {
        unpacked::<Planes>(bytes).map(|faces| Box::new(faces) as Box<dyn Any + Send>)
    }

    fn merger(&self, _: &Shape, _: &Joins) -> Box<dyn Merger> {
        Box::new(Gathered { planes: Planes::new(), search: self.search.clone() })
    }

    fn paint(&self, _: &[u8], region: &Region, resolution: &Resolution, mut output: TileMut<'_>) {
        let marks: &Marks = resolution.downcast_ref().expect("what markers resolve to");
        let mut out = output.view::<u32>();
        let start = region.start.map(|n| n as u64);
        let [nt, nc, nz, ny, nx] = out.shape();
        for n in 0..nt * nc * nz * ny {
            let (t, c, z, y) = (n / ny / nz / nc, n / ny / nz % nc, n / ny % nz, n % ny);
            let row = out.row(t, c, z, y);
            row.fill(0);
            let at = |x: u64| {
                [start[0] + t as u64, start[1] + c as u64, start[2] + z as u64, start[3] + y as u64, x]
            };
            for (place, number) in marks.range(at(start[4])..at(start[4] + nx as u64)) {
                row[(place[4] - start[4]) as usize] = *number;
            }
        }
    }
}

/// What the tiles hold.
struct Gathered {
    planes: Planes,
    search: Search,
}

impl Merger for Gathered {
    fn absorb(&mut self, _: &Region, faces: Box<dyn Any + Send>) {
        peaks::merge(&mut self.planes, *faces.downcast().expect("peaks of a tile"));
    }

    fn bytes(&self) -> u64 {
        peaks::bytes(&self.planes)
    }

    fn finish(self: Box<Self>) -> Result<Resolution, Refused> {
        let points = self.search.points(&self.planes);
        if u32::try_from(points.len()).is_err() {
            let why = format!("{} are more than 32 bits number", points.len());
            return Err(Refused::Param { param: "peaks", why });
        }
        let marks: Marks = points.iter().zip(1..).map(|(point, number)| (point.at, number)).collect();
        Ok(Arc::new(marks))
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::peaks::oracle::{Wanted, peaks, wanted};
    use crate::testing::Image;
    use voxtile_sched::model::{Dtype, Kind, PerAxis};

    fn oracle(image: &Image, wanted: &Wanted) -> Image {
        let rows = peaks(image, wanted);
        let meta = image.meta().with_dtype(Dtype::U32).with_kind(Kind::Labels);
        Image::from_fn(meta, |at: PerAxis<u64>| {
            rows.iter().position(|row| row.0 == at).map_or(0, |n| n as u32 + 1)
        })
    }

    /// Images of floats hold NaN here, of which the oracle knows nothing; `tests/reference.rs` has one without.
    const TYPES: [Dtype; 2] = [Dtype::U8, Dtype::U16];

    conforms!(by_default: &SPEC, "markers", |image| oracle(image, &wanted(1)), dtypes(&TYPES));
    conforms!(
        the_highest_of_each_plane: &SPEC, "markers min-distance=2 exclude-border=0 num-peaks=3",
        |image| oracle(image, &Wanted { border: 0, most: 3, ..wanted(2) }), dtypes(&TYPES),
    );
}

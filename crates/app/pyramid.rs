//! Pyramids: which smaller versions of an image are written with it, and how each is made of the one before.

use crate::Error;
use crate::output::spread;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use voxtile_io::{Format, IoError, OutputOptions};
use voxtile_kernels::ops;
use voxtile_kernels::spec::Args;
use voxtile_sched::contract::Op;
use voxtile_sched::engine::Level;
use voxtile_sched::model::{
    Axis, Border, Dtype, Kind, Meta, NDIM, PerAxis, Region, Shape, Spacing, Tile, TileMut,
};

/// Levels end where no space axis is longer than this.
const UNTIL: u64 = 256;

/// How a block of voxels becomes one voxel of the next level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// The mean, rounded half to even.
    Mean,
    /// The largest value.
    Max,
    /// The most frequent value, of several the smallest.
    Mode,
    /// The first voxel.
    Stride,
    /// The mean of what lies around the middle of the block, weighted by a Gaussian.
    Gaussian,
}

impl Reduction {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mean, Self::Max, Self::Mode, Self::Stride, Self::Gaussian];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Mode => "mode",
            Self::Stride => "stride",
            Self::Gaussian => "gaussian",
        }
    }

    /// The operation that makes a level of the one above it, and what it makes.
    fn apply(self, above: &Meta, factor: &Shape) -> (Arc<dyn Op>, Meta) {
        let factors: Vec<String> = space(above).map(|a| factor[a].to_string()).collect();
        let spec = ops::find("downsample").expect("in the table");
        let given = BTreeMap::from([("factor", factors.join(",")), ("method", self.name().to_owned())]);
        let given = given.iter().map(|(&name, value)| (name, value.as_str())).collect();
        let inputs = [above.clone()];
        let stages = spec.stages(&Args::new(spec, given, &inputs, None));
        let op = stages.expect("whole factors").pop().expect("one operation").op;
        let meta = op.output(&inputs).expect("takes every image");
        (op, meta)
    }

    /// The voxels of the level above that a region of a level is made of.
    #[must_use]
    pub fn made_of(self, above: &Meta, factor: &Shape, region: &Region) -> Region {
        let op = self.apply(above, factor).0;
        let reads = op.reads(0, region, &above.shape);
        let needed = |a: usize| op.border().needed(reads.start[a], reads.shape[a], above.shape[a]);
        Region::new(
            std::array::from_fn(|a| needed(a).0),
            std::array::from_fn(|a| (needed(a).1 - needed(a).0) as u64),
        )
    }

    /// A region of a level, made of a tile over the region `from` of the level above it, which holds all that it is
    /// [made of](Self::made_of): sample type, shape, and voxels, in words for alignment.
    #[must_use]
    pub fn reduce(
        self,
        above: &Meta,
        factor: &Shape,
        region: &Region,
        (from, tile): (&Region, &Tile<'_>),
    ) -> (Dtype, [usize; NDIM], Vec<u64>) {
        let (op, made) = self.apply(above, factor);
        let reads = op.reads(0, region, &above.shape);
        let padded = padded(&reads, op.border(), &above.shape, (from, tile));
        let shape = reads.shape.map(|n| n as usize);
        let bytes = shape.iter().product::<usize>() * tile.dtype().size();
        let input = Tile::new(tile.dtype(), shape, &bytemuck::cast_slice(&padded)[..bytes]);
        let shape = region.shape.map(|n| n as usize);
        let bytes = shape.iter().product::<usize>() * made.dtype.size();
        let mut voxels = vec![0u64; bytes.div_ceil(8)];
        let scratched = usize::try_from(op.scratch(&region.shape)).unwrap_or(0);
        let mut scratch = vec![0u64; scratched.div_ceil(8)];
        let out = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut voxels)[..bytes];
        let scratch = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut scratch)[..scratched];
        op.cpu(&[input], TileMut::new(made.dtype, shape, out), scratch);
        (made.dtype, shape, voxels)
    }

    /// What suits an image that nobody said more about: labels and masks have no means.
    fn suiting(kind: Kind) -> Self {
        match kind {
            Kind::Image => Self::Mean,
            Kind::Mask | Kind::Labels => Self::Mode,
        }
    }
}

impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Reduction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|r| r.name() == text);
        known.ok_or_else(|| format!("levels are made by {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Smaller versions of an image that are written in the same pass.
///
/// ```
/// use voxtile::{Output, Pyramid, Reduction};
/// let output = Output::to("slide.ome.zarr").pyramid(Pyramid::new().reduction(Reduction::Max).until(512));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pyramid {
    reduction: Option<Reduction>,
    factor: Vec<u64>,
    until: u64,
    /// Whether levels are copied from the input.
    pub(crate) copied: bool,
}

impl Default for Pyramid {
    fn default() -> Self {
        Self { reduction: None, factor: Vec::new(), until: UNTIL, copied: false }
    }
}

impl Pyramid {
    /// Halves toward voxels of equal edges, by means (labels and masks by their most frequent value), until no space axis
    /// is longer than 256 voxels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Levels that are those of the input, copied as they are: for Zarr, and without steps.
    #[must_use]
    pub fn of_input() -> Self {
        Self { copied: true, ..Self::default() }
    }

    /// How a block becomes a voxel. Levels made by [`Reduction::Gaussian`] wait for what lies around their blocks, which takes
    /// more memory.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Self { reduction: Some(reduction), ..self }
    }

    /// Voxels per block from each level to the next: one number for all space axes, or one for each of the last axes.
    #[must_use]
    pub fn factor(self, factors: &[u64]) -> Self {
        Self { factor: factors.to_vec(), ..self }
    }

    /// Levels are made until no space axis that is reduced is longer than this.
    #[must_use]
    pub fn until(self, voxels: u64) -> Self {
        Self { until: voxels.max(1), ..self }
    }

    /// How levels are made of an image of that kind.
    pub(crate) fn method(&self, kind: Kind) -> Reduction {
        self.reduction.unwrap_or_else(|| Reduction::suiting(kind))
    }

    /// The levels of an image that is written as `options` say.
    pub(crate) fn levels(&self, options: &OutputOptions, image: &Meta) -> Result<Vec<Level>, Error> {
        options.takes_levels(image)?;
        let mut asked = match &self.factor[..] {
            [] => None,
            sizes => Some(spread("--pyramid-factor", sizes, image.axes)?),
        };
        if options.format == Format::Tiff {
            let planes = asked.get_or_insert([None, None, None, Some(2), Some(2)]);
            if self.factor.len() == 1 {
                planes[Axis::Z.index()] = None;
            }
            if planes[Axis::Z.index()].is_some_and(|z| z > 1) {
                let why = "a TIFF keeps every plane on all levels: name y and x only".to_owned();
                return Err(IoError::Option { option: "--pyramid-factor", why }.into());
            }
        }
        let reduction = self.method(image.kind);
        if image.kind == Kind::Labels && matches!(reduction, Reduction::Mean | Reduction::Gaussian) {
            let why = "the mean of two object numbers is a third object; labels take mode, max or stride"
                .to_owned();
            return Err(IoError::Option { option: "--pyramid", why }.into());
        }
        let mut above = sized(image);
        let mut levels = Vec::new();
        while let Some(factor) = self.next(&above, asked.as_ref()) {
            let (op, meta) = reduction.apply(&above, &factor);
            levels.push(Level { op, layout: options.layout(&meta)?, meta: meta.clone() });
            above = meta;
        }
        Ok(levels)
    }

    /// Voxels per block from this level to the next, if there is one.
    fn next(&self, meta: &Meta, asked: Option<&PerAxis<Option<u64>>>) -> Option<Shape> {
        let mut factor = [1; NDIM];
        match asked {
            Some(asked) => {
                for a in space(meta) {
                    factor[a] = asked[a].unwrap_or(1).clamp(1, meta.shape[a].max(1));
                }
            }
            None => {
                let edge =
                    |a: usize| meta.spacing[a].as_ref().map_or(1.0, |s| s.micrometers().unwrap_or(s.scale));
                let shortest =
                    space(meta).filter(|&a| meta.shape[a] > 1).map(edge).fold(f64::INFINITY, f64::min);
                for a in space(meta).filter(|&a| meta.shape[a] > 1 && edge(a) < 2.0 * shortest) {
                    factor[a] = 2;
                }
            }
        }
        let goes_on = space(meta).any(|a| meta.shape[a] > self.until && (factor[a] > 1 || asked.is_none()));
        (goes_on && factor != [1; NDIM]).then_some(factor)
    }
}

/// The voxels over a region that may reach beyond the image, of a tile over the region `from`, in words for alignment.
fn padded(region: &Region, border: Border, image: &Shape, (from, tile): (&Region, &Tile<'_>)) -> Vec<u64> {
    let size = tile.dtype().size();
    let place = |a: usize, n: usize| {
        let inside = border.map(region.start[a] + n as i64, image[a]).unwrap_or(0);
        (inside - from.start[a]) as usize
    };
    let bytes = region.voxels() as usize * size;
    let mut out = vec![0u64; bytes.div_ceil(8)];
    let mut voxels = bytemuck::cast_slice_mut::<u64, u8>(&mut out)[..bytes].chunks_exact_mut(size);
    let [nt, nc, nz, ny, nx] = region.shape.map(|n| n as usize);
    let columns: Vec<usize> = (0..nx).map(|x| place(4, x)).collect();
    for t in 0..nt {
        for c in 0..nc {
            for z in 0..nz {
                for y in 0..ny {
                    let row = tile.row_bytes(place(0, t), place(1, c), place(2, z), place(3, y));
                    for (x, voxel) in columns.iter().zip(voxels.by_ref()) {
                        voxel.copy_from_slice(&row[x * size..][..size]);
                    }
                }
            }
        }
    }
    out
}

/// Indices of the space axes that the image has.
fn space(meta: &Meta) -> impl Iterator<Item = usize> + use<> {
    meta.axes.space().iter().map(Axis::index).collect::<Vec<_>>().into_iter()
}

/// The image with a voxel size along every space axis: levels tell theirs by it.
fn sized(image: &Meta) -> Meta {
    let mut meta = image.clone();
    for a in space(image) {
        meta.spacing[a].get_or_insert_with(Spacing::default);
    }
    meta
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Output;
    use voxtile_sched::model::{AxisSet, Dtype};

    fn volume(shape: [u64; 3], scale: [f64; 3]) -> Meta {
        let axes = AxisSet::parse("zyx").unwrap();
        let mut meta = Meta::new(axes.spread(&shape, 1), axes, Dtype::U16);
        for a in 0..3 {
            meta.spacing[a + 2] =
                Some(Spacing { scale: scale[a], origin: 0.0, unit: Some("micrometer".to_owned()) });
        }
        meta
    }

    fn shapes(pyramid: &Pyramid, meta: &Meta) -> Vec<Vec<u64>> {
        let info = voxtile_io::Info::default();
        let options = Output::to("o.zarr").options(&info, meta, meta, true).unwrap();
        pyramid.levels(&options, meta).unwrap().iter().map(|l| l.meta.dims()).collect()
    }

    #[test]
    fn levels_go_toward_voxels_of_equal_edges() {
        let sheet = volume([100, 2048, 2048], [4.0, 1.0, 1.0]);
        let want = [[100, 1024, 1024], [100, 512, 512], [50, 256, 256]];
        assert_eq!(shapes(&Pyramid::new(), &sheet), want);
        let coarse = volume([600, 1024, 1024], [1.0, 4.0, 4.0]);
        assert_eq!(
            shapes(&Pyramid::new(), &coarse),
            [[300, 1024, 1024], [150, 1024, 1024], [75, 512, 512], [38, 256, 256]]
        );
    }

    #[test]
    fn factors_are_as_asked() {
        let sheet = volume([100, 2048, 2047], [4.0, 1.0, 1.0]);
        let flat = Pyramid::new().factor(&[1, 4, 4]).until(200);
        assert_eq!(shapes(&flat, &sheet), [[100, 512, 512], [100, 128, 128]]);
        assert_eq!(shapes(&Pyramid::new().factor(&[1]), &sheet), Vec::<Vec<u64>>::new());
        assert_eq!(shapes(&Pyramid::new(), &volume([9, 256, 200], [1.0; 3])), Vec::<Vec<u64>>::new());
    }

    #[test]
    fn labels_keep_their_numbers() {
        let mut labels = volume([8, 512, 512], [1.0; 3]);
        labels.kind = Kind::Labels;
        let options =
            Output::to("o.zarr").options(&voxtile_io::Info::default(), &labels, &labels, true).unwrap();
        let levels = Pyramid::new().levels(&options, &labels).unwrap();
        assert_eq!(levels[0].meta.kind, Kind::Labels);
        let place = levels[0].meta.spacing[4].as_ref().map(|s| (s.scale, s.origin));
        assert_eq!(place, Some((2.0, 0.5)));
    }

    #[test]
    fn an_image_without_voxel_size_counts_in_voxels() {
        let axes = AxisSet::parse("yx").unwrap();
        let meta = Meta::new([1, 1, 1, 1000, 300], axes, Dtype::U8);
        let options = Output::to("o.zarr").options(&voxtile_io::Info::default(), &meta, &meta, true).unwrap();
        let levels = Pyramid::new().levels(&options, &meta).unwrap();
        let scales: Vec<f64> = levels.iter().map(|l| l.meta.spacing[3].as_ref().unwrap().scale).collect();
        assert_eq!(scales, [2.0, 4.0]);
    }
}

//! Where a result goes and how it is cut and encoded.

use crate::labels::LabelsOf;
use crate::{Error, Pyramid};
use std::path::{Path, PathBuf};
use voxtile_io::{
    About, AxisOrder, Codec, Format, Info, IoError, OmeVersion, OutputOptions, Remote, Shuffle,
};
use voxtile_sched::model::{AxisSet, Kind, Meta, NDIM, PerAxis, Shape};

/// An image to be written. What is not set here follows the input.
///
/// ```
/// use voxtile::Output;
/// let output = Output::to("result.ome.zarr").chunk(&[64]).shard(&[256]).codec("zstd:3".parse()?).overwrite(true);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub(crate) path: PathBuf,
    chunk: Vec<u64>,
    shard: Option<Vec<u64>>,
    codec: Option<Codec>,
    axis_order: Option<AxisOrder>,
    zarr_v2: Option<bool>,
    ome: Option<OmeVersion>,
    /// The image that a label image belongs to.
    pub(crate) labels: Option<LabelsOf>,
    pub(crate) overwrite: bool,
    /// Smaller versions that are written with it.
    pub(crate) pyramid: Option<Pyramid>,
    pub(crate) remote: Remote,
}

impl Output {
    /// An image at `path`: TIFF if it ends in `.tif` or `.tiff`, else Zarr v3; or the label image `cells` of an OME-Zarr,
    /// `labels:image.zarr/cells`.
    #[must_use]
    pub fn to(path: impl AsRef<Path>) -> Self {
        let labels = LabelsOf::parse(path.as_ref());
        let path = labels.as_ref().map_or_else(|| path.as_ref().to_path_buf(), LabelsOf::path);
        Self {
            path,
            chunk: Vec::new(),
            shard: None,
            codec: None,
            axis_order: None,
            zarr_v2: None,
            ome: None,
            labels,
            overwrite: false,
            pyramid: None,
            remote: Remote::new(),
        }
    }

    /// Settings without a place, for a plan that is only looked at.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::to("")
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How its place is reached, if that is on the network.
    pub(crate) fn reached_by(&self) -> &Remote {
        &self.remote
    }

    /// Whether there is a place.
    pub(crate) fn is_placed(&self) -> bool {
        !self.path.as_os_str().is_empty()
    }

    /// Shape of the unit that is encoded at once, in voxels: one number for all space axes, or one for each of the
    /// last axes; 1 along the others. By default the input's, else 512² in 2-D and 128³ in 3-D.
    #[must_use]
    pub fn chunk(self, sizes: &[u64]) -> Self {
        Self { chunk: sizes.to_vec(), ..self }
    }

    /// Shape of the unit that lies in one file, if that holds several chunks (Zarr v3 only); empty for none. By
    /// default the input's, if its chunks are kept.
    #[must_use]
    pub fn shard(self, sizes: &[u64]) -> Self {
        Self { shard: Some(sizes.to_vec()), ..self }
    }

    /// How chunks are encoded. By default as in the input, if the format allows that; else blosc-zstd with bit
    /// shuffle for Zarr, Deflate for TIFF.
    #[must_use]
    pub fn codec(self, codec: Codec) -> Self {
        Self { codec: Some(codec), ..self }
    }

    /// In which order a TIFF has its planes, or a `.npy` file its axes, from the outermost to the innermost: `zyxc`. By
    /// default t, c, z, y, x.
    #[must_use]
    pub fn axis_order(self, order: AxisOrder) -> Self {
        Self { axis_order: Some(order), ..self }
    }

    /// Writes Zarr v2 instead of v3.
    #[must_use]
    pub fn zarr_v2(self, yes: bool) -> Self {
        Self { zarr_v2: Some(yes), ..self }
    }

    /// Version of OME-Zarr that describes it: 0.4 is Zarr v2, later ones are v3. By default 0.5.
    #[must_use]
    pub fn ome(self, version: OmeVersion) -> Self {
        Self { ome: Some(version), ..self }
    }

    /// Writes smaller versions of the image too, in the same pass: the levels of an OME-Zarr.
    #[must_use]
    pub fn pyramid(self, pyramid: Pyramid) -> Self {
        Self { pyramid: Some(pyramid), ..self }
    }

    /// How a place on the network is reached, if the path names one: `s3://bucket/result.ome.zarr`.
    #[must_use]
    pub fn remote(self, remote: Remote) -> Self {
        Self { remote, ..self }
    }

    /// Replaces an image that exists at the path; otherwise it is refused.
    #[must_use]
    pub fn overwrite(self, yes: bool) -> Self {
        Self { overwrite: yes, ..self }
    }

    /// With what an image is written that is copied: what was not set is as in `info`.
    ///
    /// # Errors
    /// [`Error::Sizes`] and [`Error::Io`] for what does not fit the image or the format.
    pub fn options_for(&self, info: &Info, image: &Meta) -> Result<OutputOptions, Error> {
        self.options(info, image, image, true)
    }

    /// Fills in what was not set, from what is known of the input and of the result.
    /// `copies` says that there are no steps in between.
    pub(crate) fn options(
        &self,
        info: &Info,
        input: &Meta,
        result: &Meta,
        copies: bool,
    ) -> Result<OutputOptions, Error> {
        let same_values = copies && result.dtype == input.dtype;
        let mut about = About { ome: self.ome, same_values, ..About::default() };
        let format = match &self.labels {
            None => {
                about.carried.clone_from(&info.attributes);
                self.format()?
            }
            Some(labels) => {
                let image = labels.check(result, copies, &self.remote)?;
                let asked =
                    self.ome.or(self.zarr_v2.map(|v2| if v2 { OmeVersion::V04 } else { OmeVersion::V05 }));
                if let Some(asked) = asked.filter(|asked| Some(*asked) != image.ome) {
                    let why = format!(
                        "`{}` is {}, and its labels as well; not {asked}",
                        labels.image.display(),
                        image.format
                    );
                    return Err(IoError::Option { option: "--ome", why }.into());
                }
                about.ome = image.ome;
                about.labels_of = Some("../../".to_owned());
                if image.zarr_format == Some(2) { Format::ZarrV2 } else { Format::ZarrV3 }
            }
        };
        match &self.pyramid {
            Some(pyramid) if pyramid.copied => about.same_levels = true,
            Some(pyramid) => about.method = Some(pyramid.method(self.kind(result)).name()),
            None => {}
        }
        let inherited = inherited_chunk(info, input, result, format);
        let chunk = if self.chunk.is_empty() {
            inherited
        } else {
            Some(spread("--chunk", &self.chunk, result.axes)?.map(|n| n.unwrap_or(1)))
        };
        let shard = match &self.shard {
            Some(sizes) if sizes.is_empty() => None,
            Some(sizes) => Some(spread("--shard", sizes, result.axes)?.map(|n| n.unwrap_or(1))),
            None if self.chunk.is_empty() && inherited.is_some() && format == Format::ZarrV3 => {
                inherited_shard(info, input, result)
            }
            None => None,
        };
        let codec = self.codec.or(info.output_codec.filter(|c| suits(*c, format)));
        let codec = codec.unwrap_or(match format {
            Format::Tiff => Codec::Deflate { level: 6 },
            Format::Npy => Codec::None,
            Format::ZarrV2 | Format::ZarrV3 => Codec::BloscZstd { level: 3, shuffle: Shuffle::Bit },
        });
        let described = self.pyramid.is_some() || self.ome.is_some() || self.labels.is_some();
        let bare = info.bare && !described && matches!(format, Format::ZarrV2 | Format::ZarrV3);
        let (path, overwrite, remote) = (self.path.clone(), self.overwrite, self.remote.clone());
        let axis_order = self.axis_order.clone();
        Ok(OutputOptions { path, format, axis_order, chunk, shard, codec, overwrite, bare, about, remote })
    }
}

impl Output {
    /// What the name and the versions ask for.
    fn format(&self) -> Result<Format, Error> {
        let v2 = self.zarr_v2 == Some(true);
        let refuse = |option: &'static str, why: String| Err(IoError::Option { option, why }.into());
        let found = Format::from_path(&self.path);
        let kind = match found {
            Format::Tiff => "a TIFF",
            Format::Npy => "a .npy file",
            Format::ZarrV2 | Format::ZarrV3 => "",
        };
        if !kind.is_empty() && (v2 || self.ome.is_some()) {
            let option = if v2 { "--zarr-format" } else { "--ome" };
            return refuse(option, format!("`{}` is {kind} by its name", self.path.display()));
        }
        match (found, self.ome) {
            (Format::Tiff | Format::Npy, _) => Ok(found),
            (_, Some(OmeVersion::V04)) if self.zarr_v2 == Some(false) => refuse(
                "--ome",
                "OME-Zarr 0.4 is written in Zarr v2, and `--zarr-format` asks for 3".to_owned(),
            ),
            (_, Some(OmeVersion::V04)) => Ok(Format::ZarrV2),
            (_, Some(later)) if v2 => refuse(
                "--ome",
                format!("OME-Zarr {later} is written in Zarr v3, and `--zarr-format` asks for 2"),
            ),
            (zarr, _) => Ok(if v2 { Format::ZarrV2 } else { zarr }),
        }
    }

    /// What the values of a result mean where they are written.
    pub(crate) fn kind(&self, result: &Meta) -> Kind {
        if self.labels.is_some() { Kind::Labels } else { result.kind }
    }
}

/// Whether a format has a codec.
fn suits(codec: Codec, format: Format) -> bool {
    match codec {
        Codec::None => true,
        _ if format == Format::Npy => false,
        Codec::Zstd { .. } => true,
        Codec::Gzip { .. } | Codec::BloscLz4 { .. } | Codec::BloscZstd { .. } => format != Format::Tiff,
        Codec::Lzw | Codec::Deflate { .. } | Codec::Jpeg { .. } => format == Format::Tiff,
    }
}

/// The input's chunk, where it is a good one for the result. Strips of a TIFF and other bands of rows are not, and the
/// tiles of a TIFF are flat multiples of 16.
fn inherited_chunk(info: &Info, input: &Meta, result: &Meta, format: Format) -> Option<Shape> {
    let from_zarr = info.format.contains("Zarr");
    if info.chunk5.contains(&0) || result.axes.space() != input.axes.space() {
        return None;
    }
    let [_, _, z, y, x] = info.chunk5;
    if format == Format::Npy || (!from_zarr && x >= input.shape[4]) {
        return None;
    }
    if format == Format::Tiff && (z > 1 || y % 16 != 0 || x % 16 != 0) {
        return None;
    }
    let chunk = fitted(info.chunk5, input, result);
    // An image that was cropped may have no room for the input's tiles.
    (format != Format::Tiff || (chunk[3].is_multiple_of(16) && chunk[4].is_multiple_of(16))).then_some(chunk)
}

/// The input's shard, fitted to the result.
fn inherited_shard(info: &Info, input: &Meta, result: &Meta) -> Option<Shape> {
    let shard = info.shard.as_ref().filter(|s| s.len() == input.axes.len())?;
    let shard = input.axes.spread(shard, 1);
    let chunk = fitted(info.chunk5, input, result);
    // Axes that shrank have smaller chunks; the shard stays a multiple of them.
    Some(std::array::from_fn(|a| if chunk[a] == info.chunk5[a] { shard[a] } else { chunk[a] }))
}

/// A chunk of the input for a result that may lack axes or be smaller.
fn fitted(chunk: Shape, input: &Meta, result: &Meta) -> Shape {
    std::array::from_fn(|a| {
        if result.shape[a] == input.shape[a] { chunk[a] } else { chunk[a].min(result.shape[a].max(1)) }
    })
}

/// Sizes per axis from a list: one for all space axes, or the last axes in order; `None` along the others.
pub(crate) fn spread(
    option: &'static str,
    sizes: &[u64],
    axes: AxisSet,
) -> Result<PerAxis<Option<u64>>, Error> {
    let mut out = [None; NDIM];
    if let &[one] = sizes {
        for axis in axes.space().iter() {
            out[axis.index()] = Some(one);
        }
        return Ok(out);
    }
    if sizes.len() > axes.len() {
        return Err(Error::Sizes { option, given: sizes.len(), axes });
    }
    for (axis, size) in axes.iter().rev().zip(sizes.iter().rev()) {
        out[axis.index()] = Some(*size);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxtile_sched::model::Dtype;

    fn volume(shape: [u64; 3]) -> Meta {
        let axes = AxisSet::parse("zyx").unwrap();
        Meta::new(axes.spread(&shape, 1), axes, Dtype::U16)
    }

    fn zarr(chunk: [u64; 3]) -> Info {
        let chunk5 = [1, 1, chunk[0], chunk[1], chunk[2]];
        Info {
            format: "Zarr v3 array".to_owned(),
            bare: true,
            chunk: chunk.to_vec(),
            chunk5,
            ..Info::default()
        }
    }

    #[test]
    fn an_output_is_cut_as_its_input() {
        let (image, info) = (volume([300, 300, 300]), zarr([64, 128, 128]));
        let options = Output::to("o.zarr").options(&info, &image, &image, true).unwrap();
        assert_eq!(options.chunk, Some([1, 1, 64, 128, 128]));
        assert!(options.bare);
        assert_eq!(options.codec.to_string(), "blosc-zstd:3:bitshuffle");
    }

    #[test]
    fn a_smaller_result_has_no_larger_chunk() {
        let (image, info) = (volume([300, 300, 300]), zarr([64, 128, 128]));
        let options = Output::to("o.zarr").options(&info, &image, &volume([300, 300, 50]), true).unwrap();
        assert_eq!(options.chunk, Some([1, 1, 64, 128, 50]));
    }

    #[test]
    fn strips_are_not_kept() {
        let mut info = zarr([1, 8, 300]);
        info.format = "TIFF".to_owned();
        let image = volume([10, 300, 300]);
        assert_eq!(Output::to("o.zarr").options(&info, &image, &image, true).unwrap().chunk, None);
        info.chunk5 = [1, 1, 1, 240, 240];
        assert_eq!(
            Output::to("o.zarr").options(&info, &image, &image, true).unwrap().chunk,
            Some([1, 1, 1, 240, 240])
        );
    }

    #[test]
    fn a_short_list_is_for_the_last_axes() {
        let axes = AxisSet::parse("czyx").unwrap();
        assert_eq!(spread("--chunk", &[64], axes).unwrap(), [None, None, Some(64), Some(64), Some(64)]);
        assert_eq!(spread("--chunk", &[64, 32], axes).unwrap(), [None, None, None, Some(64), Some(32)]);
        assert!(matches!(spread("--chunk", &[1; 5], axes), Err(Error::Sizes { given: 5, .. })));
    }

    #[test]
    fn a_codec_goes_where_the_format_has_it() {
        let (image, mut info) = (volume([300, 300, 300]), zarr([64, 128, 128]));
        info.output_codec = Some(Codec::Gzip { level: 5 });
        let codec = |path: &str| Output::to(path).options(&info, &image, &image, true).unwrap().codec;
        assert_eq!(codec("o.zarr"), Codec::Gzip { level: 5 });
        assert_eq!(codec("o.tif"), Codec::Deflate { level: 6 });
    }
}

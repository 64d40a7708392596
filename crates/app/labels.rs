//! Label images that belong to an OME-Zarr: `labels:image.zarr/cells` is the label image `cells` of image.zarr.

use crate::Error;
use std::path::{Path, PathBuf};
use voxtile_io::{Info, IoError, OpenOptions, Remote};
use voxtile_sched::model::{Axis, Kind, Meta};

/// What such an output begins with.
const PREFIX: &str = "labels:";

/// A label image of an OME-Zarr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelsOf {
    /// The image.
    pub(crate) image: PathBuf,
    /// The label image's name in it.
    pub(crate) name: String,
}

impl LabelsOf {
    /// What a path in the words of the user stands for, if it is a label image of an OME-Zarr.
    pub(crate) fn parse(path: &Path) -> Option<Self> {
        let rest = path.to_str()?.strip_prefix(PREFIX)?;
        let (image, name) = rest.rsplit_once('/').unwrap_or((rest, ""));
        Some(Self { image: PathBuf::from(image), name: name.to_owned() })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.image.join("labels").join(&self.name)
    }

    /// What is known of the image that the result belongs to. Refuses a result that is no label image of it.
    pub(crate) fn check(&self, result: &Meta, copies: bool, remote: &Remote) -> Result<Info, Error> {
        let named = !self.name.is_empty() && !self.name.starts_with('.') && !self.name.starts_with("__");
        if !named || self.image.as_os_str().is_empty() {
            let why = format!("`{PREFIX}{}/{}` names no label image", self.image.display(), self.name);
            return Err(IoError::Option { option: "labels", why }.into());
        }
        let opened =
            voxtile_io::open(&self.image, &OpenOptions { remote: remote.clone(), ..OpenOptions::default() })?;
        let image = opened.source.meta();
        if opened.info.ome.is_none() {
            let why = format!("`{}` is no OME-Zarr image ({})", self.image.display(), opened.info.format);
            return Err(IoError::Option { option: "labels", why }.into());
        }
        // What is copied is what the user says it is.
        if result.dtype.is_float() || (result.kind == Kind::Image && !copies) {
            let is = if result.dtype.is_float() {
                format!("{} voxels, which number no objects", result.dtype)
            } else {
                "intensities, which number no objects".to_owned()
            };
            return Err(Error::NoLabelImage { is });
        }
        let unlike = Axis::ALL.into_iter().any(|axis| {
            let wanted = if axis == Axis::C { 1 } else { image.shape[axis.index()] };
            result.shape[axis.index()] != wanted
        });
        if unlike {
            let sizes = |meta: &Meta| {
                let axes = meta.axes.without(Axis::C);
                axes.iter().map(|a| format!("{a} {}", meta.shape[a.index()])).collect::<Vec<_>>().join(", ")
            };
            let mut labels = sizes(result);
            let channels = result.shape[Axis::C.index()];
            if channels > 1 {
                labels += &format!(", of {channels} channels");
            }
            let (image, path) = (sizes(image), self.image.clone());
            return Err(Error::LabelsBeside { labels, image, path });
        }
        Ok(opened.info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_image_is_named_in_its_image() {
        let of = |text: &str| LabelsOf::parse(Path::new(text)).map(|l| (l.image, l.name));
        assert_eq!(of("labels:a/b.zarr/cells"), Some((PathBuf::from("a/b.zarr"), "cells".to_owned())));
        assert_eq!(of("labels:b.zarr"), Some((PathBuf::from("b.zarr"), String::new())));
        assert_eq!(of("b.zarr/labels/cells"), None);
        assert_eq!(
            LabelsOf::parse(Path::new("labels:b.zarr/cells")).unwrap().path(),
            Path::new("b.zarr/labels/cells")
        );
    }
}

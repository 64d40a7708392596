//! What is known of an image besides its voxels.

use super::{Axis, AxisSet, Dtype, NDIM, PerAxis, Shape};

/// What the values mean. Pyramids, tables and colours depend on it; arithmetic does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// Intensities.
    #[default]
    Image,
    /// 0 and 1.
    Mask,
    /// Object numbers, 0 is background.
    Labels,
}

/// Physical size and place of voxels along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Spacing {
    /// Distance between neighbouring voxels, in `unit`.
    pub scale: f64,
    /// Position of the first voxel's centre, in `unit`.
    pub origin: f64,
    /// Unit word as OME-Zarr writes it (`micrometer`, `second`); `None` if the file names none.
    pub unit: Option<String>,
}

impl Default for Spacing {
    fn default() -> Self {
        Self { scale: 1.0, origin: 0.0, unit: None }
    }
}

impl Spacing {
    /// Micrometres per voxel, if the unit is a length.
    #[must_use]
    pub fn micrometers(&self) -> Option<f64> {
        let factor = match self.unit.as_deref()? {
            "angstrom" | "Å" => 1e-4,
            "picometer" | "pm" => 1e-6,
            "nanometer" | "nm" => 1e-3,
            "micrometer" | "um" | "µm" | "μm" | "micron" | "microns" => 1.0,
            "millimeter" | "mm" => 1e3,
            "centimeter" | "cm" => 1e4,
            "meter" | "m" => 1e6,
            "inch" | "in" => 25_400.0,
            _ => return None,
        };
        Some(self.scale * factor)
    }
}

/// Name and display colour of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Channel {
    /// Name, as the microscope gave it.
    pub name: Option<String>,
    /// `RRGGBB`, hexadecimal.
    pub color: Option<String>,
}

/// Shape, axes, sample type and physical size of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// Size, `t, c, z, y, x`; 1 along axes that are absent.
    pub shape: Shape,
    /// The axes that the image has.
    pub axes: AxisSet,
    /// Sample type.
    pub dtype: Dtype,
    /// What the values mean.
    pub kind: Kind,
    /// Physical size per axis; `None` where the file says nothing.
    pub spacing: PerAxis<Option<Spacing>>,
    /// Channel names and colours; empty if unknown.
    pub channels: Vec<Channel>,
    /// The image's own name, if the file carries one.
    pub name: Option<String>,
    /// How the image was made, as text of whoever made it, if the file carries that.
    pub made: Option<String>,
}

impl Meta {
    /// An image of intensities without physical size.
    #[must_use]
    pub fn new(shape: Shape, axes: AxisSet, dtype: Dtype) -> Self {
        Self {
            shape,
            axes,
            dtype,
            kind: Kind::Image,
            spacing: [const { None }; NDIM],
            channels: Vec::new(),
            name: None,
            made: None,
        }
    }

    /// The same image with another sample type.
    #[must_use]
    pub fn with_dtype(&self, dtype: Dtype) -> Self {
        Self { dtype, ..self.clone() }
    }

    /// The same image with another meaning of its values.
    #[must_use]
    pub fn with_kind(&self, kind: Kind) -> Self {
        Self { kind, ..self.clone() }
    }

    /// Bytes of the whole image; saturates.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        super::voxels(&self.shape).saturating_mul(self.dtype.size() as u64)
    }

    /// Size along the axes that the image has, slowest first.
    #[must_use]
    pub fn dims(&self) -> Vec<u64> {
        self.axes.pick(&self.shape)
    }

    /// Micrometres per voxel along a space axis.
    #[must_use]
    pub fn micrometers(&self, axis: Axis) -> Option<f64> {
        self.spacing[axis.index()].as_ref()?.micrometers()
    }
}

//! Numbers of connected components.
//!
//! Mask or image of any type → u32 or u64 labels of the same shape. Foreground is what is not 0 (NaN is not 0).
//! Components join along the space axes; every t and c is labelled on its own, with numbers that go on from one to the
//! next. Numbers count from 1 in raster order of each component's first voxel: equal to `scipy.ndimage.label` with a
//! structure that has no neighbours along t and c. `per-value` joins equal samples only, as `skimage.measure.label` does
//! for images of several values. `min-size`, `max-size` and `clear-border` drop components by what they are in the whole
//! image, then number those that stay. Tiles are labelled alone and joined across their faces; a second pass paints the
//! runs that the first kept, and does not read the image again. More than 2³² − 1 components, counted per tile, end a run
//! in u32; `dtype=u64` counts them.
//! Cost: one read and one write, 0.1 to 8 ns a voxel by how broken up the foreground is. Memory besides the tiles: 30
//! bytes per component and tile that it touches, 42 in u64, and the faces of tiles that wait for a neighbour; disk for
//! the runs, 3 bytes each. Components that take more than the budget leaves beside the plan end the run.

use crate::components::{Marks, Same, Selection, Writes};
use crate::spec::{ArgError, Args, Build, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::contract::{Joining, Op};

/// `label min-size=50`.
pub(super) static SPEC: Spec = Spec {
    name: "label",
    about: "numbers of connected components",
    params: &[
        CONNECTIVITY,
        Param {
            name: "min-size",
            value: Value::Number,
            default: Some("1"),
            about: "fewest voxels of a component that stays",
        },
        Param {
            name: "max-size",
            value: Value::Number,
            default: Some(""),
            about: "most voxels of a component that stays",
        },
        Param {
            name: "clear-border",
            value: Value::Choice(&["no", "yes"]),
            default: Some("no"),
            about: "whether components that touch the edge of the image are dropped",
        },
        Param {
            name: "per-value",
            value: Value::Choice(&["no", "yes"]),
            default: Some("no"),
            about: "whether only equal samples join",
        },
        Param {
            name: "dtype",
            value: Value::Choice(&["u32", "u64"]),
            default: Some("u32"),
            about: "sample type of the numbers; u64 for more than 4294967295 components",
        },
    ],
    inputs: 1,
    example: "threshold 900 | label min-size=50",
    build: Build::One(build),
};

/// The parameter `connectivity` of whatever joins foreground.
pub(super) const CONNECTIVITY: Param = Param {
    name: "connectivity",
    value: Value::Number,
    default: Some("1"),
    about: "along how many axes neighbours may differ: 1 faces, 2 edges too, 3 corners too",
};

/// What `connectivity` says.
pub(super) fn connectivity(args: &Args<'_>) -> Result<u8, ArgError> {
    let asked = args.whole("connectivity", 1..=3)? as u8;
    let axes = args.input().axes.space().len().max(1);
    if usize::from(asked) > axes {
        let why = format!("neighbours in an image of {axes} space axes differ along {axes} at most");
        return Err(args.impossible("connectivity", why));
    }
    Ok(asked)
}

fn build(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    let least = args.whole("min-size", 1..=u64::MAX)?;
    let most = if args.text("max-size").is_some() { args.whole("max-size", 1..=u64::MAX)? } else { u64::MAX };
    if most < least {
        let wanted = format!("{least} or more, as `min-size` says");
        return Err(args.wrong("max-size", &most.to_string(), wanted));
    }
    let inner = args.choice("clear-border")? == "yes";
    Ok(Arc::new(Selection {
        name: SPEC.name,
        joining: Joining {
            connectivity: connectivity(args)?,
            voxels: least..=most,
            marked: inner.then_some(false),
            wide: args.choice("dtype")? == "u64",
        },
        same: if args.choice("per-value")? == "yes" { Same::Value } else { Same::NonZero },
        marks: if inner { Marks::Edge(args.input().axes.space()) } else { Marks::Nothing },
        writes: Writes::Numbers,
    }))
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::components::oracle::{Foreground, inside, numbers};
    use crate::conforms;
    use crate::testing::Image;
    use voxtile_sched::model::{Axis, Dtype, PerAxis};

    /// Numbers of the components that `stays` keeps, which sees their voxels.
    fn oracle(
        image: &Image,
        foreground: Foreground,
        connectivity: usize,
        stays: impl Fn(&[PerAxis<u64>]) -> bool,
    ) -> Image {
        let found = numbers(image, foreground, connectivity, stays);
        let meta = image.meta().with_dtype(Dtype::U32);
        Image::from_fn(meta, |at: PerAxis<u64>| found.get(&at).copied().unwrap_or(0))
    }

    conforms!(faces: &SPEC, "label", |image| oracle(image, Foreground::NonZero, 1, |_| true));
    conforms!(
        edges_and_sizes: &SPEC, "label connectivity=2 min-size=2 max-size=9",
        |image| oracle(image, Foreground::NonZero, 2, |v| (2..=9).contains(&v.len())),
        only(|meta| meta.axes.space().len() > 1),
    );
    conforms!(
        corners: &SPEC, "label connectivity=3",
        |image| oracle(image, Foreground::NonZero, 3, |_| true),
        only(|meta| meta.axes.contains(Axis::Z)),
    );
    conforms!(
        wide: &SPEC, "label connectivity=2 dtype=u64",
        |image| oracle(image, Foreground::NonZero, 2, |_| true).map(|number: u32| u64::from(number)),
        dtypes(&[Dtype::U8]), only(|meta| meta.axes.space().len() > 1),
    );
    conforms!(values: &SPEC, "label per-value=yes", |image| oracle(image, Foreground::Value, 1, |_| true));
    conforms!(
        inner: &SPEC, "label clear-border=yes",
        |image| oracle(image, Foreground::NonZero, 1, |v| inside(image.meta(), v)),
    );
}

//! A box cut out of the image.
//!
//! Any type → same type, every axis, also `t` and `c`. Half-open ranges as in numpy, one per axis, the last ones where
//! the list is shorter: `0:100,50:150`, `:` for all of an axis. The position of the first voxel moves along, and the
//! names of the channels that stay are kept. Cost: a copy; no scratch. What lies outside is not read.

use crate::cut::Cut;
use crate::spec::{Build, Param, Spec, Value};
use std::sync::Arc;

/// `crop 0:100,50:150`.
pub(super) static SPEC: Spec = Spec {
    name: "crop",
    about: "a box cut out of the image",
    params: &[Param {
        name: "ranges",
        value: Value::Ranges,
        default: None,
        about: "half-open ranges in voxels over the last axes: `10:20,:,0:512`",
    }],
    inputs: 1,
    example: "crop 10:90,20:120",
    build: Build::One(|args| {
        Ok(Arc::new(Cut { name: SPEC.name, ranges: args.ranges_px("ranges")?, dropped: None }))
    }),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Channel, Dtype, Meta, NDIM, PerAxis, Spacing};

    fn oracle(image: &Image, ranges: PerAxis<(u64, u64)>) -> Image {
        let meta = Meta { shape: ranges.map(|(lo, hi)| hi - lo), ..image.meta().clone() };
        dispatch!(image.meta().dtype, T => Image::from_fn(meta, |[t, c, z, y, x]| {
            let [t0, c0, z0, y0, x0] = ranges.map(|(lo, _)| lo);
            image.at::<T>([t + t0, c + c0, z + z0, y + y0, x + x0])
        }))
    }

    fn last(image: &Image, y: (u64, u64), x: (u64, u64)) -> Image {
        let all = image.meta().shape.map(|n| (0, n));
        oracle(image, [all[0], all[1], all[2], y, x])
    }

    conforms!(
        two_axes: &SPEC, "crop 1:3,2:5",
        |image| last(image, (1, 3), (2, 5)),
        only(|m| m.axes.contains(Axis::Y) && m.shape[3] >= 3 && m.shape[4] >= 5),
    );
    conforms!(
        open_ends: &SPEC, "crop ranges=2:",
        |image| last(image, (0, image.meta().shape[3]), (2, image.meta().shape[4])),
        only(|m| m.shape[4] >= 2),
    );
    conforms!(
        nothing_left: &SPEC, "crop 4:4",
        |image| last(image, (0, image.meta().shape[3]), (4, 4)),
        only(|m| m.shape[4] >= 4),
    );
    conforms!(everything: &SPEC, "crop :", |image| image.clone());
    conforms!(batch_axes: &SPEC, "crop 1:2,1:3,:,0:2,:", |image| {
        oracle(image, [(1, 2), (1, 3), (0, 3), (0, 2), (0, 6)])
    }, only(|m| m.axes.len() == NDIM));

    #[test]
    fn position_and_channel_names_move_along() {
        let mut image = meta("cyx", &[3, 10, 10], Dtype::U8);
        image.spacing[4] = Some(Spacing { scale: 0.5, origin: 10.0, unit: Some("micrometer".into()) });
        image.channels = ["r", "g", "b"].map(|n| Channel { name: Some(n.into()), color: None }).to_vec();
        let stages = stages(&SPEC, "crop 1:3,:,4:8", std::slice::from_ref(&image)).unwrap();
        let cropped = stages[0].op.output(&[image]).unwrap();
        let spacing = cropped.spacing[4].as_ref().unwrap();
        assert_eq!((spacing.scale, spacing.origin), (0.5, 12.0));
        let names: Vec<_> = cropped.channels.iter().map(|c| c.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["g", "b"]);
    }

    #[test]
    fn ranges_outside_the_image_are_refused() {
        let image = meta("yx", &[10, 10], Dtype::U8);
        for text in ["crop 5:11", "crop 6:5", "crop 1:2,3:4,5:6", "crop 5", "crop a:b", "crop -3:5"] {
            assert!(stages(&SPEC, text, std::slice::from_ref(&image)).is_err(), "{text}");
        }
    }
}

//! Fills the voxels of a buffer that lie outside the image, by the border rule.

use crate::dispatch;
use crate::model::{Border, Element, NDIM, PerAxis, Region, Shape, Tile, TileMut};

/// Fills what lies outside an image of shape `image`. The buffer covers `region`; its voxels inside `inside` are there.
/// Voxels whose source is not in `inside` belong to no read and are left as they are.
pub(crate) fn fill(
    buffer: &mut TileMut<'_>,
    region: &Region,
    inside: &Region,
    image: &Shape,
    border: Border,
) {
    let here = inside.intersect(region);
    dispatch!(buffer.dtype(), T => fill_typed::<T>(buffer, region, &here, image, border));
}

fn fill_typed<T: Element>(
    buffer: &mut TileMut<'_>,
    region: &Region,
    inside: &Region,
    image: &Shape,
    border: Border,
) {
    if let Border::Constant(value) = border {
        return fill_constant(buffer, region, image, T::from_f64(value));
    }
    let mut view = buffer.view::<T>();
    let strides = view.strides();
    let data = view.raw();
    // Along x first, on rows inside; then whole rows along y, then planes: each axis sees the ones before it filled.
    let mut done: Region = *inside;
    for axis in (0..NDIM).rev() {
        let full = Region::new(region.start, region.shape);
        let place = |p: i64| (p - full.start[axis]) as usize * strides[axis];
        let outside = |p: &i64| !(0..image[axis] as i64).contains(p);
        let answered = |p: i64| {
            let source = border.map(p, image[axis])?;
            (inside.start[axis]..inside.end(axis)).contains(&source).then(|| (place(p), place(source)))
        };
        let pairs: Vec<(usize, usize)> =
            (region.start[axis]..region.end(axis)).filter(outside).filter_map(answered).collect();
        if pairs.is_empty() {
            continue;
        }
        for_rows(&done, &full, &strides, axis, |base, len| {
            for &(to, from) in &pairs {
                match len {
                    1 => data[base + to] = data[base + from],
                    _ => data.copy_within(base + from..base + from + len, base + to),
                }
            }
        });
        done.start[axis] = region.start[axis];
        done.shape[axis] = region.shape[axis];
    }
}

/// Every voxel outside the image, whatever is inside; the whole buffer may lie outside.
fn fill_constant<T: Element>(buffer: &mut TileMut<'_>, region: &Region, image: &Shape, value: T) {
    let mut view = buffer.view::<T>();
    let [nt, nc, nz, ny, nx] = view.shape();
    let outside = |a: usize, k: usize| !(0..image[a] as i64).contains(&(region.start[a] + k as i64));
    // Voxels of a row before the image's first and from one past its last.
    let clamp = |p: i64| (p - region.start[4]).clamp(0, nx as i64) as usize;
    let (first, end) = (clamp(0), clamp(image[4] as i64));
    for t in 0..nt {
        for c in 0..nc {
            for z in 0..nz {
                for y in 0..ny {
                    let row = view.row(t, c, z, y);
                    if outside(0, t) || outside(1, c) || outside(2, z) || outside(3, y) {
                        row.fill(value);
                    } else {
                        row[..first].fill(value);
                        row[end..].fill(value);
                    }
                }
            }
        }
    }
}

/// Calls `each(offset, len)` for the contiguous runs of `done`, with `axis` fixed at the buffer's first position.
fn for_rows(
    done: &Region,
    full: &Region,
    strides: &PerAxis<usize>,
    axis: usize,
    mut each: impl FnMut(usize, usize),
) {
    let lo: PerAxis<usize> = std::array::from_fn(|a| (done.start[a] - full.start[a]) as usize);
    let n: PerAxis<usize> = std::array::from_fn(|a| if a == axis { 1 } else { done.shape[a] as usize });
    let first = |a: usize| if a == axis { 0 } else { lo[a] * strides[a] };
    let origin: usize = (0..NDIM).map(first).sum();
    let len = n[NDIM - 1];
    for t in 0..n[0] {
        for c in 0..n[1] {
            for z in 0..n[2] {
                for y in 0..n[3] {
                    each(origin + t * strides[0] + c * strides[1] + z * strides[2] + y * strides[3], len);
                }
            }
        }
    }
}

/// A periodic read, cut into boxes that lie in the image: `(region in the image, place in the wanted region)`.
pub(crate) fn periodic(want: &Region, image: &Shape) -> Vec<(Region, PerAxis<i64>)> {
    let mut out = vec![(Region::default(), [0i64; NDIM])];
    for a in 0..NDIM {
        let n = image[a] as i64;
        let mut segments = Vec::new();
        let mut p = want.start[a];
        while p < want.end(a) && n > 0 {
            let from = p.rem_euclid(n);
            let len = (n - from).min(want.end(a) - p);
            segments.push((p - want.start[a], from, len as u64));
            p += len;
        }
        out = out
            .into_iter()
            .flat_map(|(r, at)| {
                segments.iter().map(move |&(to, from, len)| {
                    let (mut r, mut at) = (r, at);
                    r.start[a] = from;
                    r.shape[a] = len;
                    at[a] = to;
                    (r, at)
                })
            })
            .collect();
    }
    out
}

/// Copies the common voxels of two tiles that cover the given regions of one image.
pub(crate) fn copy_common(to: &mut TileMut<'_>, to_region: &Region, from: &Tile<'_>, from_region: &Region) {
    let common = to_region.intersect(from_region);
    if common.is_empty() {
        return;
    }
    let back = |r: &Region| common.translate(&r.start.map(|s| -s));
    to.part(&back(to_region)).copy_from(&from.part(&back(from_region)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dtype, Halo};
    use proptest::prelude::*;

    fn value(p: &[i64; 5]) -> i32 {
        p.iter().fold(7, |v, &x| v * 31 + x as i32)
    }

    proptest! {
        #[test]
        fn every_voxel_outside_is_answered_by_the_rule(
            z in 1u64..6, y in 1u64..6, x in 1u64..6, lo in proptest::array::uniform3(0u64..5),
            hi in proptest::array::uniform3(0u64..5), which in 0usize..4,
        ) {
            let image = [1, 1, z, y, x];
            let border = [Border::Reflect, Border::Mirror, Border::Nearest, Border::Constant(-3.0)][which];
            let halo = Halo { lo: [0, 0, lo[0], lo[1], lo[2]], hi: [0, 0, hi[0], hi[1], hi[2]] };
            let inside = Region::whole(image);
            let region = inside.grow(&halo);
            let mut data = vec![99i32; region.voxels() as usize];
            let shape = region.shape.map(|n| n as usize);
            let mut tile = TileMut::new(Dtype::I32, shape, bytemuck::cast_slice_mut(&mut data));
            let positions: Vec<[i64; 5]> = crate::model::Grid::new(region.shape, [1; 5]).iter()
                .map(|i| std::array::from_fn(|a| i[a] as i64 + region.start[a])).collect();
            {
                let mut view = tile.view::<i32>();
                for p in &positions {
                    if (0..5).all(|a| (0..image[a] as i64).contains(&p[a])) {
                        let at: [usize; 5] = std::array::from_fn(|a| (p[a] - region.start[a]) as usize);
                        view.row(at[0], at[1], at[2], at[3])[at[4]] = value(p);
                    }
                }
            }
            fill(&mut tile, &region, &inside, &image, border);
            for (p, got) in positions.iter().zip(&data) {
                let mapped: Option<Vec<i64>> = (0..5).map(|a| border.map(p[a], image[a])).collect();
                let want = mapped.map_or(-3, |m| value(&m.try_into().unwrap()));
                prop_assert_eq!(*got, want, "at {:?}", p);
            }
        }

        #[test]
        fn periodic_boxes_cover_the_wanted_region_once(n in 1u64..6, start in -9i64..9, len in 0u64..15) {
            let image = [1, 1, 1, 1, n];
            let want = Region::new([0, 0, 0, 0, start], [1, 1, 1, 1, len]);
            let mut seen = vec![None; len as usize];
            for (r, at) in periodic(&want, &image) {
                for i in 0..r.shape[4] as i64 {
                    seen[(at[4] + i) as usize] = Some(r.start[4] + i);
                }
            }
            for (i, s) in seen.iter().enumerate() {
                prop_assert_eq!(*s, Some((start + i as i64).rem_euclid(n as i64)));
            }
        }
    }
}

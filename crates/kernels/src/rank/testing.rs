//! The plain definition of a filter over a window, which the oracles of the operations share.

use super::window::{Origin, Window};
use crate::testing::Image;
use std::cmp::Ordering;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Border, Element, NDIM, PerAxis};

/// Which of the sorted values of a window is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Rank {
    Least,
    Middle,
    Largest,
    /// That one, counted from 0.
    At(usize),
    /// So many hundredths of the way, as scipy rounds it.
    Percent(f64),
}

/// Numbers by value, −0 before 0, NaN last.
fn order<T: Element>(a: &T, b: &T) -> Ordering {
    let (x, y) = (a.to_f64(), b.to_f64());
    match (x.is_nan(), y.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) if T::DTYPE.is_float() => x.total_cmp(&y),
        (false, false) => a.partial_cmp(b).expect("integers"),
    }
}

/// A filter over a box of that size. Along axes that the image lacks the box is one voxel.
pub(crate) fn oracle(image: &Image, size: [u64; 3], origin: Origin, border: Border, rank: Rank) -> Image {
    let meta = image.meta();
    let mut sizes: PerAxis<u64> = [1, 1, size[0], size[1], size[2]];
    for axis in Axis::ALL.into_iter().filter(|&a| !meta.axes.contains(a)) {
        sizes[axis.index()] = 1;
    }
    let halo = Window::new(sizes, origin, border, meta.dtype).halo;
    let reach = std::array::from_fn(|a| halo.lo[a + NDIM - 3].max(halo.hi[a + NDIM - 3]) as i64);
    let inside = |d: [i64; 3]| {
        (0..3).all(|a| -(halo.lo[a + NDIM - 3] as i64) <= d[a] && d[a] <= halo.hi[a + NDIM - 3] as i64)
    };
    oracle_over(image, reach, &inside, border, rank)
}

/// The definition: around every voxel the values at all distances `z, y, x` in the window are collected and sorted, and
/// one of them is taken. Distances along axes that the image lacks are left out; none is larger than `reach`.
pub(crate) fn oracle_over(
    image: &Image,
    reach: [i64; 3],
    window: &dyn Fn([i64; 3]) -> bool,
    border: Border,
    rank: Rank,
) -> Image {
    let meta = image.meta().clone();
    let along = |a: usize| {
        let reach = if meta.axes.contains(Axis::ALL[a + NDIM - 3]) { reach[a] } else { 0 };
        -reach..=reach
    };
    let mut distances = Vec::new();
    for z in along(0) {
        for y in along(1) {
            distances.extend(along(2).map(|x| [z, y, x]).filter(|&d| window(d)));
        }
    }
    dispatch!(meta.dtype, T => Image::from_fn(meta.clone(), |p| {
        let mut values: Vec<T> = distances.iter().map(|distance| {
            let mut at = p;
            for a in 0..3 {
                let place = p[a + NDIM - 3] as i64 + distance[a];
                match border.map(place, meta.shape[a + NDIM - 3]) {
                    Some(inside) => at[a + NDIM - 3] = inside as u64,
                    None => {
                        let Border::Constant(value) = border else { unreachable!("all others name a voxel") };
                        return T::from_f64(value);
                    }
                }
            }
            image.at::<T>(at)
        }).collect();
        values.sort_by(order);
        let last = values.len() - 1;
        values[match rank {
            Rank::Least => 0,
            Rank::Middle => values.len() / 2,
            Rank::Largest => last,
            Rank::At(n) => n,
            Rank::Percent(percent) => last.min((values.len() as f64 * percent / 100.0) as usize),
        }]
    }))
}

/// The sums of squares up to `radius²`.
pub(crate) fn ball(radius: i64) -> impl Fn([i64; 3]) -> bool {
    move |[z, y, x]| z * z + y * y + x * x <= radius * radius
}

/// What `footprint=0110/1111/0001` draws, or its reflection, as distances.
pub(crate) fn drawn(reflected: bool) -> impl Fn([i64; 3]) -> bool {
    move |[z, y, x]| {
        let [y, x] = if reflected { [-y, -x] } else { [y, x] };
        z == 0 && [(-1, -1), (-1, 0), (0, -2), (0, -1), (0, 0), (0, 1), (1, 1)].contains(&(y, x))
    }
}

/// The difference of two images, stopping at the ends of an integer type.
pub(crate) fn minus(a: &Image, b: &Image) -> Image {
    dispatch!(a.meta().dtype, T => {
        let mut other = b.values::<T>().iter();
        a.map(|v: T| {
            let w = *other.next().expect("images of one shape");
            if T::DTYPE.is_float() {
                return difference_of_floats(v, w);
            }
            let wide = |v: T| {
                let mut bytes = [if v < T::default() { 0xff } else { 0 }; 16];
                bytes[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&v));
                i128::from_ne_bytes(bytes)
            };
            let exact = (wide(v) - wide(w)).clamp(wide(T::LOWEST), wide(T::HIGHEST));
            bytemuck::pod_read_unaligned(&exact.to_ne_bytes()[..size_of::<T>()])
        })
    })
}

/// Of `f32` in `f32`: `f64` would round the same difference once more.
fn difference_of_floats<T: Element>(a: T, b: T) -> T {
    if size_of::<T>() == 4 {
        T::from_f64(f64::from(a.to_f32() - b.to_f32()))
    } else {
        T::from_f64(a.to_f64() - b.to_f64())
    }
}

/// Boxes and borders that every operation over a box is tested with: odd, even, of one voxel, flat, longer than the
/// image. The filters of two stages, `composed`, are built of ones so tested: odd and even boxes.
macro_rules! conforms_over_boxes {
    ($name:literal, $naive:ident, composed) => {
        $crate::conforms!(odd: &SPEC, concat!($name, " 3"), |image| $naive(image, [3; 3], Border::Reflect));
        $crate::conforms!(even: &SPEC, concat!($name, " 4 border=mirror"), |image| $naive(
            image, [4; 3], Border::Mirror
        ));
        $crate::conforms!(two: &SPEC, concat!($name, " 2 border=constant cval=7"), |image| $naive(
            image, [2; 3], Border::Constant(7.0)
        ));
    };
    ($name:literal, $naive:ident) => {
        $crate::rank::testing::conforms_over_boxes!($name, $naive, composed);
        $crate::conforms!(five: &SPEC, concat!($name, " 5 border=wrap"), |image| $naive(
            image, [5; 3], Border::Wrap
        ));
        $crate::conforms!(one: &SPEC, concat!($name, " 1"), |image| $naive(image, [1; 3], Border::Reflect));
        $crate::conforms!(flat: &SPEC, concat!($name, " 1,6,3 border=nearest"), |image| $naive(
            image, [1, 6, 3], Border::Nearest
        ), only(|meta| meta.axes.space().len() == 3));
        $crate::conforms!(long: &SPEC, concat!($name, " 21"), |image| $naive(
            image, [21; 3], Border::Reflect
        ), only(|meta| meta.axes.space().len() == 1));
    };
}
pub(crate) use conforms_over_boxes;

/// Windows that are no boxes: a ball with a level for each length of its runs, a diamond with more lengths than that, a
/// flat one, and sets that a text draws, neither symmetric nor without gaps.
macro_rules! conforms_over_sets {
    ($name:literal, $naive:ident) => {
        $crate::conforms!(ball: &SPEC, concat!($name, " shape=ball radius=3"), |image| $naive(
            image, [3; 3], &$crate::rank::testing::ball(3), Border::Reflect
        ));
        $crate::conforms!(
            many_lengths: &SPEC, concat!($name, " shape=diamond radius=17 border=wrap"),
            |image| $naive(image, [17; 3], &|[_, y, x]| y.abs() + x.abs() <= 17, Border::Wrap),
            only(|meta| meta.axes.space().len() == 2 && meta.shape[4] < 20)
        );
        $crate::conforms!(
            rods: &SPEC, concat!($name, " shape=diamond radius=2,0,1 border=constant cval=9"),
            |image| $naive(image, [2, 0, 1], &|[z, _, x]| z.abs() + 2 * x.abs() <= 2, Border::Constant(9.0)),
            only(|meta| meta.axes.space().len() == 3)
        );
        $crate::conforms!(drawn: &SPEC, concat!($name, " footprint=0110/1111/0001 border=wrap"), |image| $naive(
            image, [1, 1, 2], &$crate::rank::testing::drawn(false), Border::Wrap
        ), only(|meta| meta.axes.space().len() > 1));
        $crate::conforms!(
            far: &SPEC, concat!($name, " footprint=10001//00000//00000 border=mirror"),
            |image| $naive(image, [1, 0, 2], &|d| d == [-1, 0, -2] || d == [-1, 0, 2], Border::Mirror),
            only(|meta| meta.axes.space().len() == 3)
        );
    };
}
pub(crate) use conforms_over_sets;

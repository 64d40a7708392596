//! The parts against their definitions, and whole streams that are damaged. That samples equal libjpeg-turbo's is tested
//! on the files of `tests/data`, by `tiff/tests.rs` and `picture.rs`.

use super::enlarge::Rows;
use super::headers::{Frame, Headers};
use super::idct::{Portable, Transform};
use super::{Colors, Decoder, Fault, Wanted};
use proptest::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::path::Path;

/// A frame header behind the start of a stream: components as `(across, down)`.
fn frame_header(width: u16, height: u16, factors: &[(u8, u8)]) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 8 + 3 * factors.len() as u8, 8];
    out.extend(height.to_be_bytes().iter().chain(&width.to_be_bytes()));
    out.push(factors.len() as u8);
    for (i, (across, down)) in factors.iter().enumerate() {
        out.extend([i as u8 + 1, across << 4 | down, 0]);
    }
    out
}

fn frame(width: u16, height: u16, factors: &[(u8, u8)]) -> Frame {
    let mut headers = Headers::default();
    assert!(headers.read(&frame_header(width, height, factors), 0).unwrap().is_none());
    headers.frame.unwrap()
}

fn transformed<T: Transform>(block: &[i16; 64], quant: &[i16; 64], last: usize) -> [u8; 64] {
    // Rows that are further apart than a block is wide.
    let mut out = [7; 11 * 7 + 8];
    T::inverse(block, quant, last, &mut out, 11);
    std::array::from_fn(|i| out[i / 8 * 11 + i % 8])
}

fn place_of_last(block: &[i16; 64]) -> usize {
    (0..64).rev().find(|&k| block[usize::from(super::huffman::PLACES[k])] != 0).unwrap_or(0)
}

/// The sums of cosines, in double precision.
fn cosines(block: &[i16; 64]) -> [f64; 64] {
    let basis = |n: usize, x: usize| {
        let norm = if n == 0 { FRAC_1_SQRT_2 } else { 1.0 };
        norm * ((2 * x + 1) as f64 * n as f64 * PI / 16.0).cos() / 2.0
    };
    std::array::from_fn(|i| {
        let (y, x) = (i / 8, i % 8);
        let sum: f64 = (0..64).map(|c| f64::from(block[c]) * basis(c / 8, y) * basis(c % 8, x)).sum();
        (sum + 128.0).clamp(0.0, 255.0)
    })
}

#[test]
fn coefficients_go_along_diagonals() {
    let places = &super::huffman::PLACES;
    assert_eq!(places[..12], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25]);
    assert_eq!(places[58..64], [61, 54, 47, 55, 62, 63]);
    let mut sorted = places[..64].to_vec();
    sorted.sort_unstable();
    assert!(sorted.iter().copied().eq(0..64));
}

proptest! {
    #[test]
    fn the_transform_is_a_sum_of_cosines(
        values in prop::collection::vec((0..64usize, -300..300i16), 0..20),
        mean in -1000..1000i16,
        few in any::<bool>(),
    ) {
        let mut block = [0; 64];
        for (k, value) in values {
            block[usize::from(super::huffman::PLACES[if few { k % 10 } else { k }])] = value;
        }
        block[0] = mean;
        let got = transformed::<Portable>(&block, &[1; 64], place_of_last(&block));
        for (got, want) in got.iter().zip(cosines(&block)) {
            prop_assert!((f64::from(*got) - want).abs() < 0.6, "{got} instead of {want}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn vectors_and_plain_numbers_give_the_same(
        values in prop::collection::vec((0..64usize, any::<i16>()), 0..70),
        quant in prop::collection::vec(1..300i16, 64),
        bound in 1..=64usize,
        wild in any::<bool>(),
    ) {
        if !std::arch::is_x86_feature_detected!("avx2") {
            return Ok(());
        }
        let mut block = [0; 64];
        for (k, value) in values {
            let place = super::huffman::PLACES[k % bound];
            block[usize::from(place)] = if wild { value } else { value % 500 };
        }
        let (quant, last) = (quant.try_into().unwrap(), place_of_last(&block));
        let (plain, wide) = (
            transformed::<Portable>(&block, &quant, last),
            transformed::<super::idct::Avx2>(&block, &quant, last),
        );
        prop_assert_eq!(plain, wide);
    }

    #[test]
    fn rows_are_enlarged_by_quarters(
        width in 1..40u16,
        height in 1..20u16,
        factors in prop::sample::select(vec![(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4), (4, 2), (3, 3)]),
        seed in any::<u32>(),
    ) {
        let frame = frame(width, height, &[factors, (1, 1)]);
        let (w, h) = (usize::from(width), usize::from(height));
        let bytes: usize = frame.components.iter().map(|c| c.rows * c.stride).sum();
        let mut state = u64::from(seed) | 1;
        let planes: Vec<u8> = (0..bytes)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let mut out = vec![0; 2 * w * h];
        Rows::default().finish(&frame, &planes, false, &mut out).unwrap();
        let c = &frame.components[1];
        // Beyond the edge is the edge.
        let stored = |y: i64, x: i64| {
            let (y, x) = (y.clamp(0, c.height as i64 - 1) as usize, x.clamp(0, c.width as i64 - 1) as usize);
            u32::from(planes[c.start + y * c.stride + x])
        };
        let (fx, fy) = (i64::from(factors.0), i64::from(factors.1));
        for (i, got) in out[w * h..].iter().enumerate() {
            let (y, x) = (i as i64 / w as i64, i as i64 % w as i64);
            let (ny, nx) = (y / fy, x / fx);
            let (oy, ox) = (ny + 2 * (y % 2) - 1, nx + 2 * (x % 2) - 1);
            let (left, above) = (x % 2 == 0, y % 2 == 0);
            let want = match (fx, fy) {
                (2, 1) if c.width > 2 => (3 * stored(ny, nx) + stored(ny, ox) + if left { 1 } else { 2 }) / 4,
                (1, 2) => (3 * stored(ny, nx) + stored(oy, nx) + if above { 1 } else { 2 }) / 4,
                (2, 2) if c.width > 2 => {
                    let (near, far) = (stored(ny, nx) * 3 + stored(oy, nx), stored(ny, ox) * 3 + stored(oy, ox));
                    (3 * near + far + if left { 8 } else { 7 }) / 16
                }
                _ => stored(ny, nx),
            };
            prop_assert_eq!(u32::from(*got), want, "y {}, x {}", y, x);
        }
    }

    #[test]
    fn changed_bytes_end_as_errors_or_samples(
        file in 0..FILES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
    ) {
        let (mut stream, wanted) = stream(FILES[file]);
        // Half of the changes where tables and sizes are.
        for (at, value, head) in changes {
            let len = if head { stream.len().min(700) } else { stream.len() };
            stream[at.index(len)] = value;
        }
        let mut out = vec![0; wanted.width * wanted.rows.1 * wanted.samples];
        let mut decoder = Decoder::default();
        let first = decoder.decode(None, &stream, &wanted, &mut out);
        // What is left of one stream does not matter to the next.
        let mut again = vec![1; out.len()];
        prop_assert_eq!(&decoder.decode(None, &stream, &wanted, &mut again), &first);
        if first.is_ok() {
            prop_assert_eq!(out, again);
        }
    }
}

const FILES: [&str; 12] = [
    "gray.jpg",
    "gray_fine.jpg",
    "ycbcr_420.jpg",
    "ycbcr_411.jpg",
    "restart.jpg",
    "scans_24.jpg",
    "scans_44.jpg",
    "wild.jpg",
    "progressive.jpg",
    "progressive_gray.jpg",
    "progressive_422.jpg",
    "progressive_wild.jpg",
];

/// A file of `tests/data/other`.
fn stream(name: &str) -> (Vec<u8>, Wanted) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/other");
    let stream = std::fs::read(folder.join(name)).unwrap();
    let mut headers = Headers::default();
    headers.read(&stream, 0).unwrap();
    let frame = headers.frame.unwrap();
    let (rows, samples) = ((frame.height, frame.height), frame.components.len());
    (stream, Wanted { width: frame.width, rows, samples, colors: Colors::AsMarked })
}

#[test]
fn a_stream_that_is_cut_off_is_damaged() {
    let mut decoder = Decoder::default();
    for name in FILES {
        let (whole, wanted) = stream(name);
        let mut out = vec![0; wanted.width * wanted.rows.1 * wanted.samples];
        decoder.decode(None, &whole, &wanted, &mut out).unwrap();
        for len in 0..whole.len() - 2 {
            let cut = decoder.decode(None, &whole[..len], &wanted, &mut out);
            assert!(matches!(cut, Err(Fault(_))), "{name}, {len} of {} bytes", whole.len());
        }
    }
}

#[test]
fn colors_are_those_of_the_definition() {
    for y in (0..=255u8).step_by(3) {
        for cb in (0..=255u8).step_by(5) {
            for cr in 0..=255u8 {
                let (mut r, mut g, mut b) = ([0], [0], [0]);
                super::colors::to_rgb(&[y], &[cb], &[cr], &mut r, &mut g, &mut b);
                let (y, cb, cr) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
                let want = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
                for (got, want) in [r[0], g[0], b[0]].into_iter().zip(want) {
                    assert!((f64::from(got) - want.clamp(0.0, 255.0)).abs() < 0.51, "{got}, {want}");
                }
            }
        }
    }
}

#[test]
fn headers_that_cannot_be_are_refused_before_allocating() {
    let wanted = Wanted { width: 64, rows: (1, 64), samples: 1, colors: Colors::AsStored };
    let mut out = vec![0; 64 * 64];
    let mut why = |stream: &[u8]| match Decoder::default().decode(None, stream, &wanted, &mut out) {
        Err(Fault(why)) => why,
        other => panic!("{other:?}"),
    };
    let scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0];
    let with_scan = |frame: Vec<u8>| [&frame[..], &scan].concat();
    assert!(why(&with_scan(frame_header(65535, 65535, &[(1, 1)]))).contains("65535 × 65535"));
    assert!(why(&with_scan(frame_header(0, 64, &[(1, 1)]))).contains("size of 0 × 64"));
    assert!(
        why(&with_scan(frame_header(64, 64, &[(3, 1), (2, 1), (1, 1)]))).contains("sampled 3 × 1 and 2 × 1")
    );
    assert!(why(&with_scan(frame_header(64, 64, &[(0, 1)]))).contains("sampling factors"));
    assert!(why(&with_scan(frame_header(64, 64, &[(1, 1)]))).contains("quantization table"));
    let mut deep = with_scan(frame_header(64, 64, &[(1, 1)]));
    deep[6] = 12;
    assert!(why(&deep).contains("12 bits"));
    let lossless = [0xFF, 0xD8, 0xFF, 0xC3, 0, 2];
    assert!(why(&lossless).contains("SOF3"));
    let crowded = [&[0xFF, 0xD8, 0xFF, 0xC4, 0, 22, 0, 3][..], &[0; 15], &[1, 2, 3], &scan].concat();
    assert!(why(&crowded).contains("more codes than there can be"));
    let progressive = |frame: &[(u8, u8)], first: u8, last: u8, bits: u8| {
        let mut stream = with_scan(frame_header(64, 64, frame));
        let end = stream.len();
        stream[3] = 0xC2;
        stream[end - 3..].copy_from_slice(&[first, last, bits]);
        stream
    };
    let one = [(1, 1)];
    assert!(why(&progressive(&one, 0, 63, 0)).contains("coefficients 0 to 63, which cannot be"));
    assert!(why(&progressive(&one, 9, 8, 0)).contains("coefficients 9 to 8, which cannot be"));
    assert!(why(&progressive(&one, 1, 64, 0)).contains("coefficients 1 to 64, which cannot be"));
    assert!(why(&progressive(&one, 0, 0, 14)).contains("which cannot be"));
    assert!(why(&progressive(&one, 1, 5, 0x21)).contains("in an order that cannot be"));
    assert!(why(&progressive(&one, 0, 0, 1)).contains("quantization table"));
    assert!(why(&progressive(&one, 1, 5, 1)).contains("Huffman table"));
    assert!(why(&progressive(&one, 0, 0, 0)[..20]).contains("headers"));
}

//! Frames of ours and of c-blosc, each read by the other.

use super::beside::{Ours, ROOM, c_decode, c_encode};
use crate::{Codec, OpenOptions, Shuffle};
use std::path::Path;
use voxtile_sched::model::{Grid, TileMut};

const SHUFFLES: [Shuffle; 3] = [Shuffle::None, Shuffle::Byte, Shuffle::Bit];

fn codecs(levels: &[u8]) -> impl Iterator<Item = Codec> {
    let both = |level, shuffle| [Codec::BloscLz4 { level, shuffle }, Codec::BloscZstd { level, shuffle }];
    levels.iter().flat_map(move |&level| SHUFFLES.into_iter().flat_map(move |s| both(level, s)))
}

/// Bytes of several kinds: noise, a ramp with noise, one value, one value with few others, and noise that ends early.
fn contents(len: usize) -> [(&'static str, Vec<u8>); 5] {
    let mut state = 9u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 24
    };
    let ramp = (0..len).map(|i| ((i / 40) as u32 + noise() / 50) as u8).collect();
    let spots = (0..len).map(|_| if noise() == 0 && noise() < 8 { noise() as u8 } else { 3 }).collect();
    let early = (0..len).map(|i| if 3 * i < len { noise() as u8 } else { 0 }).collect();
    let pure = (0..len).map(|_| noise() as u8).collect();
    [("noise", pure), ("ramp", ramp), ("constant", vec![7; len]), ("spots", spots), ("early", early)]
}

/// Encodes both ways, and decodes both frames with both decoders.
fn both_ways(content: &[u8], size: usize, codec: Codec, ours: &mut Ours, case: &str) {
    let case = format!("{case}: {} bytes, {size} per sample, {codec}", content.len());
    let mut out = vec![0; content.len()];
    let mut frames = [vec![0xAA; content.len() + ROOM], vec![0xBB; content.len() + ROOM]];
    let lens =
        [ours.encode(content, &mut frames[0], size, codec), c_encode(content, &mut frames[1], size, codec)];
    for (name, (frame, len)) in ["ours", "c-blosc's"].iter().zip(frames.iter().zip(lens)) {
        let frame = &frame[..len];
        for (by, decode) in [true, false].into_iter().zip(["us", "c-blosc"]) {
            out.fill(0x55);
            let got = if by { ours.decode(frame, &mut out) } else { c_decode(frame, &mut out) };
            assert_eq!(got, Some(content.len()), "{case}: {name} by {decode}");
            assert!(out == content, "{case}: {name} by {decode}");
        }
    }
}

#[test]
fn frames_of_any_length_and_sample_go_both_ways() {
    let ours = &mut Ours::default();
    for len in [0, 1, 2, 3, 7, 126, 127, 128, 129, 130, 200, 255, 256, 1000, 2047, 2048, 4099] {
        for (name, content) in contents(len) {
            for size in [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 32, 255] {
                for codec in codecs(&[0, 1, 3, 6]) {
                    both_ways(&content, size, codec, ours, name);
                }
            }
        }
    }
}

#[test]
fn frames_of_many_blocks_go_both_ways() {
    let ours = &mut Ours::default();
    for len in [1 << 15, (1 << 18) - 1, 1 << 18, (1 << 19) + 24, 1_100_003] {
        for (name, content) in contents(len) {
            for size in [1, 2, 3, 4, 8] {
                for codec in codecs(&[1, 2, 3, 5]) {
                    both_ways(&content, size, codec, ours, name);
                }
            }
        }
    }
    let [_, (name, ramp), ..] = contents(2_200_004);
    for codec in codecs(&[4, 6, 7]) {
        both_ways(&ramp, 4, codec, ours, name);
    }
    for codec in codecs(&[8, 9]) {
        both_ways(&ramp[..70_000], 2, codec, ours, name);
    }
}

#[test]
fn a_frame_depends_on_its_content_and_codec_alone() {
    let used = &mut Ours::default();
    let contents = contents(600_000);
    let sizes = [1, 2, 4];
    for codec in codecs(&[1, 3, 5, 2]) {
        for ((name, content), size) in contents.iter().zip(sizes.into_iter().cycle()) {
            let mut frames = [vec![0xAA; content.len() + ROOM], vec![0xBB; content.len() + ROOM]];
            let len = used.encode(content, &mut frames[0], size, codec);
            assert_eq!(Ours::default().encode(content, &mut frames[1], size, codec), len, "{name}, {codec}");
            assert!(frames[0][..len] == frames[1][..len], "{name}, {codec}");
        }
    }
}

#[test]
fn what_does_not_shrink_is_stored() {
    let ours = &mut Ours::default();
    let mut frame = vec![0; 300_000 + ROOM];
    let [(_, noise), .., (_, early)] = contents(300_000);
    for codec in codecs(&[1, 3, 9]) {
        assert_eq!(ours.encode(&noise, &mut frame, 2, codec), noise.len() + ROOM, "{codec}");
        assert_eq!(frame[2] & 0x2, 0x2, "{codec}");
        assert!(ours.encode(&early, &mut frame, 2, codec) < early.len() / 2, "{codec}");
    }
    for codec in codecs(&[0]) {
        assert_eq!(ours.encode(&early, &mut frame, 2, codec), early.len() + ROOM, "{codec}");
    }
}

/// The chunks of a small image, one after another, and the size of its samples.
fn image(path: &str) -> (Vec<u8>, usize) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data")).join(path);
    let source = crate::open(&path, &OpenOptions::default()).unwrap().source;
    let dtype = source.meta().dtype;
    let grid = Grid::new(source.meta().shape, source.chunk());
    let mut out = Vec::new();
    for index in grid.iter() {
        let shape = grid.region(&index).shape.map(|n| n as usize);
        let bytes = shape.iter().product::<usize>() * dtype.size();
        let mut chunk = vec![0u64; bytes.div_ceil(8)];
        let place = &mut bytemuck::cast_slice_mut(&mut chunk)[..bytes];
        source.read(&index, None, TileMut::new(dtype, shape, place)).unwrap();
        out.extend_from_slice(&bytemuck::cast_slice(&chunk)[..bytes]);
    }
    (out, dtype.size())
}

#[test]
fn images_are_no_more_than_a_hundredth_larger_than_with_c_blosc() {
    let ours = &mut Ours::default();
    for path in ["lightsheet.tif", "nuclei.tif"] {
        let (content, size) = image(path);
        let mut frame = vec![0; content.len() + ROOM];
        for codec in codecs(&[1, 2, 3, 4, 5, 6]) {
            let len = ours.encode(&content, &mut frame, size, codec);
            let usual = c_encode(&content, &mut frame, size, codec);
            let most = usual + usual / 100;
            assert!(len <= most, "{path}, {codec}: {len} bytes, {usual} with c-blosc");
        }
    }
}

//! Large chunks presented as slabs, and parts of blosc frames.

use super::super::blosc;
use super::super::fault::Fault;
use super::*;
use crate::scratch::{Buffer, Contexts};
use voxtile_sched::model::{Dtype, Tile};

const SHAPE: Shape = [1, 1, 150, 130, 140];
const CHUNK: Shape = [1, 1, 128, 128, 128];

/// A smooth image with noise: neither constant nor incompressible.
fn image() -> Vec<u16> {
    let mut state = 7u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as u16
    };
    let [.., nz, ny, nx] = SHAPE.map(|n| n as u16);
    (0..nz)
        .flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| 20 * z + 3 * y + x)))
        .map(|v| v + noise())
        .collect()
}

fn written(codec: &str, shard: Option<Shape>, voxels: &[u16]) -> Written {
    let out = Written::new(Format::ZarrV3, codec, shard, true);
    let meta = Meta::new(SHAPE, AxisSet::SPACE, Dtype::U16);
    let sink = contract::Store::create(&out, &meta, CHUNK).unwrap();
    let whole = Tile::new(meta.dtype, SHAPE.map(|n| n as usize), bytemuck::cast_slice(voxels));
    let grid = Grid::new(meta.shape, CHUNK);
    for (order, index) in grid.iter().enumerate() {
        let place = voxtile_sched::contract::Place { index, order: order as u64 };
        sink.write(place, &whole.part(&grid.region(&index))).unwrap();
    }
    sink.finish().unwrap();
    out
}

#[test]
fn large_chunks_are_read_in_slabs() {
    let voxels = image();
    for (codec, shard, planes) in [
        ("none", None, 8),
        ("blosc-lz4:5:shuffle", None, 8),
        ("blosc-zstd:1:bitshuffle", None, 8),
        ("blosc-zstd:1", None, 8),
        ("blosc-zstd:1:bitshuffle", Some([1, 1, 2, 1, 2]), 8),
        ("none", Some([1, 1, 2, 1, 2]), 8),
        ("zstd:1", None, 128),
    ] {
        let out = written(codec, shard, &voxels);
        let opened = open(&out.path(), &OpenOptions::default()).unwrap();
        assert_eq!(opened.source.chunk(), [1, 1, planes, 128, 128], "{codec} {shard:?}");
        assert_eq!(opened.info.chunk5, CHUNK, "{codec}: chunks as they are stored");
        check_source(&*opened.source, bytemuck::cast_slice(&voxels));
    }
}

#[test]
fn a_slab_reads_its_own_bytes() {
    let out = written("blosc-zstd:1:bitshuffle", None, &image());
    let whole = std::fs::metadata(out.path().join("c/0/0/0")).unwrap().len();
    let one = read_chunk(&out.path(), [0, 0, 3, 0, 0]).unwrap();
    assert!(one < whole / 8, "{one} of {whole} bytes for a sixteenth of the voxels");
}

#[test]
fn damage_is_met_by_the_slabs_that_need_it() {
    for codec in ["none", "blosc-zstd:1:bitshuffle", "blosc-lz4:5:shuffle"] {
        let out = written(codec, None, &image());
        let file = out.path().join("c/0/0/0");
        let good = std::fs::read(&file).unwrap();
        let slab = |z: u64| read_chunk(&out.path(), [0, 0, z, 0, 0]);
        std::fs::write(&file, &good[..good.len() - 1]).unwrap();
        let last = 128 / open(&out.path(), &OpenOptions::default()).unwrap().source.chunk()[2] - 1;
        assert!(matches!(slab(last), Err(IoError::Damaged { chunk, .. }) if chunk == "c/0/0/0"), "{codec}");
        assert_eq!(slab(0).is_ok(), codec != "none", "{codec}: a file of a wrong length");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(slab(0).unwrap(), 0, "{codec}: no file is fill");
    }
}

/// Decodes a part of a frame in memory.
fn part(frame: &[u8], content: usize, range: std::ops::Range<usize>) -> Result<Vec<u8>, Fault> {
    let mut bring = |offset: usize, len: usize, into: &mut Buffer| {
        let from = frame.get(offset..).unwrap_or_default();
        let got = &from[..len.min(from.len())];
        into.bytes(got.len())?.copy_from_slice(got);
        Ok(got.len())
    };
    let mut out = vec![0; range.len()];
    let (mut encoded, mut partial) = (Buffer::default(), Buffer::default());
    let contexts = &mut Contexts::default();
    blosc::decode_part(&mut bring, content, range, &mut out, (&mut encoded, &mut partial), contexts)?;
    Ok(out)
}

fn every_part_is_right(name: &str, frame: &[u8]) {
    let content = u32::from_le_bytes(frame[4..8].try_into().unwrap()) as usize;
    let mut whole = vec![0; content];
    blosc::decode(frame, &mut whole, &mut Contexts::default()).unwrap();
    let step = (content / 7).max(1);
    for start in (0..content).step_by(step) {
        for len in [1, step, content / 2, content] {
            let range = start..(start + len).min(content);
            let got = part(frame, content, range.clone());
            assert_eq!(got.unwrap(), whole[range.clone()], "{name}: {range:?}");
        }
    }
    assert!(part(frame, content + 1, 0..1).is_err(), "{name}: another length is damage");
}

#[test]
fn parts_of_the_frames_of_others_are_parts_of_the_whole() {
    let mut frames = 0;
    for entry in std::fs::read_dir(data("")).unwrap() {
        let root = entry.unwrap().path();
        let name = root.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains("blosc") || !name.ends_with(".zarr") || name.contains("shard") {
            continue;
        }
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let file = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if !file.starts_with(".z") && file != "zarr.json" {
                    every_part_is_right(&name, &std::fs::read(&path).unwrap());
                    frames += 1;
                }
            }
        }
    }
    assert!(frames > 50, "{frames} frames");
}

/// A frame of many blocks of 512 bytes, stored one after another, the content of each different.
fn many_blocks() -> Vec<u8> {
    const BLOCKS: u32 = 400;
    let table_end = 16 + 4 * BLOCKS;
    let mut frame = vec![2, 1, 0x10 | 1 << 5, 1];
    for word in [512 * BLOCKS, 512, table_end + 516 * BLOCKS] {
        frame.extend(word.to_le_bytes());
    }
    frame.extend((0..BLOCKS).flat_map(|n| (table_end + 516 * n).to_le_bytes()));
    for n in 0..BLOCKS {
        frame.extend(512u32.to_le_bytes());
        frame.extend((0..512).map(|i| (n + i % 3) as u8));
    }
    frame
}

#[test]
fn offsets_of_many_blocks_are_found() {
    let frame = many_blocks();
    assert_eq!(blosc::block_bytes(&frame), Some(512));
    every_part_is_right("many blocks", &frame);
}

#[test]
fn blocks_may_lie_in_any_order() {
    let frame = many_blocks();
    let table = 16..16 + 4 * 400;
    let start = |n: usize| {
        u32::from_le_bytes(frame[table.start + 4 * n..table.start + 4 * n + 4].try_into().unwrap()) as usize
    };
    let end = |n: usize| if n == 399 { frame.len() } else { start(n + 1) };
    let mut order: Vec<usize> = (0..400).collect();
    order.sort_by_key(|n| n * 37 % 400);
    let mut shuffled = frame[..table.end].to_vec();
    for n in order {
        let at = (shuffled.len() as u32).to_le_bytes();
        shuffled[table.start + 4 * n..table.start + 4 * n + 4].copy_from_slice(&at);
        shuffled.extend(&frame[start(n)..end(n)]);
    }
    assert_ne!(shuffled, frame);
    every_part_is_right("blocks in another order", &shuffled);
}

#[test]
fn no_damage_of_a_frame_panics() {
    let frame = many_blocks();
    let content = 400 * 512;
    for at in (0..16 + 4 * 8).chain((1600..frame.len()).step_by(997)) {
        for flip in [1, 0x10, 0x80, 0xff] {
            let mut bad = frame.clone();
            bad[at] ^= flip;
            let _ = part(&bad, content, 100..3000);
            let _ = part(&bad, content, content - 700..content);
        }
    }
    for cut in [0, 3, 15, 16, 17, 300, 1616, frame.len() / 2, frame.len() - 1] {
        assert!(part(&frame[..cut], content, 0..content).is_err(), "{cut} bytes");
    }
}

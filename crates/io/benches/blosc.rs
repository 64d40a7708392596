//! Our blosc codec beside c-blosc, on the same buffers in the same run, one core: bytes of the frames, and how many times
//! as fast as c-blosc we encode, decode frames that c-blosc made, and decode ours. Every frame is decoded by both and
//! compared before the clock counts.
//!
//! `cargo bench -p voxtile-io --bench blosc [-- CODEC… ARRAY.npy…]`. Without codecs those that people use, without arrays
//! some that are made here. Time is what the thread had of a CPU, where the system tells; the lower quartile of the runs,
//! which take turns.

use std::time::Instant;
use voxtile_io::Codec;
use voxtile_io::beside::{Ours, ROOM, c_decode, c_encode};

const CODECS: &[&str] = &[
    "blosc-zstd:1:bitshuffle",
    "blosc-zstd:2:bitshuffle",
    "blosc-zstd:3:bitshuffle",
    "blosc-zstd:5:bitshuffle",
    "blosc-zstd:1:shuffle",
    "blosc-zstd:3:shuffle",
    "blosc-zstd:5:shuffle",
    "blosc-zstd:3:noshuffle",
    "blosc-lz4:5:bitshuffle",
    "blosc-lz4:5:shuffle",
];
const RUNS: usize = 9;

/// Name, bytes per sample, samples.
type Array = (String, usize, Vec<u8>);

/// Noise that is always the same.
fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    }
}

fn made() -> Vec<Array> {
    let side = 128usize;
    let mut random = noise(7);
    let wave = |n: usize, p: f32| (n as f32 / p).sin();
    let volume: Vec<f32> = (0..side * side * side)
        .map(|i| {
            let (z, y, x) = (i / side / side, i / side % side, i % side);
            let bright = (wave(z, 5.0) + wave(y, 7.0) + wave(x, 6.0) - 1.2).max(0.0) * 900.0;
            bright + 300.0 + 40.0 * (random() + random() + random() + random() - 2.0) * 1.7
        })
        .collect();
    // A mean over 25 along x and y, as a filter gives it.
    let mean = |i: usize| {
        let around = (0..5).flat_map(|b| (0..5).map(move |a| i + b * side + a));
        around.filter_map(|n| volume.get(n)).sum::<f32>() / 25.0
    };
    let tissue = |i: usize| {
        let (y, x) = (i / 512 % 512, i % 512);
        180.0 + 50.0 * wave(y, 60.0) * wave(x, 45.0) + 12.0 * random()
    };
    vec![
        ("volume".into(), 2, bytemuck::cast_slice(&to(&volume, |&v| v as u16)).to_vec()),
        ("filtered".into(), 4, bytemuck::cast_slice(&to(0..volume.len(), mean)).to_vec()),
        ("mask".into(), 1, to(&volume, |&v| u8::from(v > 900.0))),
        ("labels".into(), 4, bytemuck::cast_slice(&to(0..volume.len(), |i| label(&volume, i))).to_vec()),
        ("slide".into(), 1, to((0..3 * 512 * 512).map(tissue), |v| v as u8)),
    ]
}

fn to<T, U>(from: impl IntoIterator<Item = T>, f: impl FnMut(T) -> U) -> Vec<U> {
    from.into_iter().map(f).collect()
}

/// Which bump of the volume a bright voxel belongs to.
fn label(volume: &[f32], i: usize) -> u32 {
    let (z, y, x) = (i >> 14, i >> 7 & 127, i & 127);
    if volume[i] > 900.0 { (z / 31 * 25 + y / 44 * 5 + x / 37 + 1) as u32 } else { 0 }
}

/// The samples of a `.npy` file.
fn npy(path: &str) -> Array {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = String::from_utf8_lossy(&bytes[10..header]);
    let size = text.split("'descr': '").nth(1).and_then(|t| t[2..].split('\'').next()?.parse().ok());
    let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".npy");
    (name.to_owned(), size.unwrap_or_else(|| panic!("{path}: {text}")), bytes[header..].to_vec())
}

/// Seconds that this thread has been on a CPU, or the time of day.
fn clock(start: Instant) -> f64 {
    let scheduled = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let busy = scheduled.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    busy.map_or_else(|| start.elapsed().as_secs_f64(), |ns| ns * 1e-9)
}

/// Seconds of each of some tasks, which take turns.
fn seconds<const N: usize>(mut tasks: [&mut dyn FnMut(); N]) -> [f64; N] {
    let start = Instant::now();
    let mut times = [const { Vec::new() }; N];
    for _ in 0..RUNS {
        for (task, times) in tasks.iter_mut().zip(&mut times) {
            let from = clock(start);
            // Often enough that a tick of the clock does not matter.
            let mut count = 0;
            while count == 0 || clock(start) - from < 0.008 {
                task();
                count += 1;
            }
            times.push((clock(start) - from) / f64::from(count));
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[RUNS / 4]
    })
}

fn compare((name, size, content): &Array, codec: Codec) {
    let (size, len) = (*size, content.len());
    let ours = &mut Ours::default();
    let (mut frame, mut usual, mut out) = (vec![0; len + ROOM], vec![0; len + ROOM], vec![0; len]);
    let bytes = ours.encode(content, &mut frame, size, codec);
    let usual_bytes = c_encode(content, &mut usual, size, codec);
    for frame in [&frame[..bytes], &usual[..usual_bytes]] {
        for by_us in [true, false] {
            out.fill(1);
            let got = if by_us { ours.decode(frame, &mut out) } else { c_decode(frame, &mut out) };
            assert!(got == Some(len) && out == *content, "{name}, {codec}: decoded to something else");
        }
    }
    let (mut space, mut second) = (vec![0; len + ROOM], Ours::default());
    let (mut a, mut b, mut c) = (vec![0; len], vec![0; len], vec![0; len]);
    let [encode, c_encode] =
        seconds([&mut || assert_eq!(ours.encode(content, &mut frame, size, codec), bytes), &mut || {
            assert_eq!(c_encode(content, &mut space, size, codec), usual_bytes);
        }]);
    let [decode, c_decode, own] = seconds([
        &mut || assert!(second.decode(&usual[..usual_bytes], &mut a).is_some()),
        &mut || assert!(c_decode(&usual[..usual_bytes], &mut b).is_some()),
        &mut || assert!(ours.decode(&frame[..bytes], &mut c).is_some()),
    ]);
    let speed = |seconds: f64| len as f64 / seconds / 1e9;
    println!(
        "{name:<10} {codec:<24} {:>+7.2} % {:>8.3} | {:>6.2} {:>5.2}x | {:>6.2} {:>5.2}x | {:>6.2} {:>5.2}x",
        100.0 * (bytes as f64 / usual_bytes as f64 - 1.0),
        len as f64 / bytes as f64,
        speed(encode),
        c_encode / encode,
        speed(decode),
        c_decode / decode,
        speed(own),
        c_decode / own,
    );
}

fn main() {
    let (mut codecs, mut arrays) = (Vec::new(), Vec::new());
    for arg in std::env::args().skip(1).filter(|a| !a.starts_with("--")) {
        match arg.parse::<Codec>() {
            _ if arg.ends_with(".npy") => arrays.push(npy(&arg)),
            Ok(codec) => codecs.push(codec),
            Err(e) => panic!("{e}"),
        }
    }
    if codecs.is_empty() {
        codecs = CODECS.iter().map(|c| c.parse().expect("a codec")).collect();
    }
    if arrays.is_empty() {
        arrays = made();
    }
    println!(
        "{:<10} {:<24} {:>9} {:>8} | {:>14} | {:>14} | {:>14}",
        "array", "codec", "bytes", "ratio", "encode GB/s", "decode theirs", "decode ours"
    );
    for codec in codecs {
        for array in &arrays {
            compare(array, codec);
        }
    }
}

//! Damage by seed: what a broken disk, a cut download or somebody with bad intentions makes of a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Numbers from a seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of one seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Numbers that headers are written with to make readers stumble.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    3,
    7,
    8,
    255,
    256,
    65_535,
    65_536,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    1 << 33,
    0x7FFF_FFFF_FFFF_FFFF,
    u64::MAX,
];

/// Images below a folder, as one opens them: files, and directories with Zarr metadata. Sorted.
pub(crate) fn images(below: &Path) -> io::Result<Vec<PathBuf>> {
    const FILES: [&str; 7] = ["tif", "tiff", "svs", "png", "jpg", "npy", "stk"];
    const ZARR: [&str; 4] = ["zarr.json", ".zarray", ".zgroup", ".zattrs"];
    let mut found = Vec::new();
    let mut open = vec![below.to_owned()];
    while let Some(at) = open.pop() {
        if ZARR.iter().any(|name| at.join(name).is_file()) {
            found.push(at);
            continue;
        }
        for entry in fs::read_dir(&at)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
            if path.is_dir() {
                open.push(path);
            } else if FILES.contains(&extension.as_str()) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a file or directory; what is copied may be written.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::write(to, fs::read(from)?);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        copy(&path, &to.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// Files of an image, metadata first.
fn files(image: &Path) -> io::Result<Vec<PathBuf>> {
    if !image.is_dir() {
        return Ok(vec![image.to_owned()]);
    }
    let mut out = Vec::new();
    let mut open = vec![image.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at)? {
            let path = entry?.path();
            if path.is_dir() { open.push(path) } else { out.push(path) }
        }
    }
    let chunk = |path: &PathBuf| !is_metadata(path);
    out.sort_by_key(|path| (chunk(path), path.clone()));
    Ok(out)
}

fn is_metadata(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    name == "zarr.json" || name.starts_with(".z")
}

/// Damages one file of an image, and says how.
pub(crate) fn damage(image: &Path, random: &mut Random) -> io::Result<String> {
    let all = files(image)?;
    let metadata = all.iter().filter(|path| is_metadata(path)).count();
    // Half of the time where the metadata are.
    let pick =
        if metadata > 0 && random.below(2) == 0 { random.below(metadata) } else { random.below(all.len()) };
    let Some(path) = all.get(pick) else { return Ok("nothing".to_owned()) };
    let mut bytes = fs::read(path)?;
    let what = if is_metadata(path) && random.below(3) > 0 {
        number_in_text(&mut bytes, random)
    } else {
        change(&mut bytes, random)
    };
    fs::write(path, bytes)?;
    let name = path.strip_prefix(image).ok().filter(|p| !p.as_os_str().is_empty());
    Ok(name.map_or(what.clone(), |name| format!("{}: {what}", name.display())))
}

/// Damages bytes, and says how.
pub(crate) fn change(bytes: &mut Vec<u8>, random: &mut Random) -> String {
    if bytes.is_empty() {
        return "empty".to_owned();
    }
    let len = bytes.len();
    // Headers stand at the ends more often than in the middle.
    let place = |random: &mut Random| match random.below(3) {
        0 => random.below(len.min(256)),
        1 => len - 1 - random.below(len.min(1024)),
        _ => random.below(len),
    };
    match random.below(5) {
        0 => {
            let flips = 1 + random.below(16);
            for _ in 0..flips {
                let at = place(random);
                bytes[at] ^= 1 << random.below(8);
            }
            format!("{flips} bits flipped")
        }
        1 => {
            let keep = random.below(len);
            bytes.truncate(keep);
            format!("cut to {keep} of {len} bytes")
        }
        2 => {
            let size = 1 + random.below(len.min(4096));
            let (a, b) = (random.below(len - size + 1), random.below(len - size + 1));
            for i in 0..size {
                bytes.swap(a + i, b + i);
            }
            format!("{size} bytes at {a} and {b} swapped")
        }
        3 => {
            let size = 1 + random.below(len.min(512));
            let at = random.below(len - size + 1);
            let value = [0, 0xFF, b' '][random.below(3)];
            bytes[at..at + size].fill(value);
            format!("{size} bytes at {at} are {value:#04x}")
        }
        _ => {
            let size = [1, 2, 4, 8][random.below(4)].min(len);
            let at = place(random).min(len - size);
            let number = NUMBERS[random.below(NUMBERS.len())];
            let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
            let new = if random.below(2) == 0 { &little[..size] } else { &big[8 - size..] };
            bytes[at..at + size].copy_from_slice(new);
            format!("{size} bytes at {at} are the number {number}")
        }
    }
}

/// Replaces a number in a JSON document by another, or a word by another length of itself.
fn number_in_text(bytes: &mut Vec<u8>, random: &mut Random) -> String {
    let mut numbers = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = at + bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if end > at {
            numbers.push(at..end);
        }
        at = end + 1;
    }
    if numbers.is_empty() {
        return change(bytes, random);
    }
    let range = numbers.swap_remove(random.below(numbers.len()));
    let new = match random.below(4) {
        0 => format!("-{}", NUMBERS[random.below(NUMBERS.len())]),
        1 => "1e308".to_owned(),
        _ => NUMBERS[random.below(NUMBERS.len())].to_string(),
    };
    let old = String::from_utf8_lossy(&bytes[range.clone()]).into_owned();
    let start = range.start;
    bytes.splice(range, new.bytes());
    format!("the number {old} at {start} is {new}")
}

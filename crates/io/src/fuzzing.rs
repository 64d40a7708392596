//! What programs that feed readers with arbitrary bytes call: the targets under `fuzz/`, and the tests that replay what
//! they have found. Every entry takes any bytes and returns; whatever the bytes are, it must not panic, hang, or take more
//! memory than the bytes can justify. No part of the public interface.

use crate::beside::{Ours, ROOM, c_decode};
use crate::jpeg::{Colors, Decoder, Wanted, size};
use crate::zarr::open_in;
use crate::{
    Buffer, ByteRange, ByteStore, ByteWriter, Codec, IoError, MemoryStore, OpenOptions, Opened, Shuffle,
    Standing, Work, WorkOptions,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_sched::contract::{Journal as _, Source, Unit};
use voxtile_sched::model::{Grid, Shape, TileMut, voxels};

/// Chunks of one image that are read, and the most bytes that one of them may decode to.
const CHUNKS: u64 = 6;
const MOST: u64 = 8 << 20;

/// An entry: takes any bytes.
pub type Entry = fn(&[u8]);

/// The entries by the names of their targets.
pub const TARGETS: [(&str, Entry); 8] = [
    ("tiff", tiff),
    ("zarr_metadata", zarr_metadata),
    ("shard_index", shard_index),
    ("blosc", blosc),
    ("jpeg", jpeg),
    ("ome_xml", ome_xml),
    ("npy", npy),
    ("journal", journal),
];

/// Reads what was opened: a few chunks from both ends.
fn read(opened: Result<Opened, IoError>) {
    let Ok(Opened { source, info }) = opened else { return };
    let _ = serde_json::to_string(&info);
    let source: &dyn Source = &*source;
    let grid = Grid::new(source.meta().shape, source.chunk());
    let len = grid.len();
    if len == u64::MAX || source.scratch() > 4 * MOST {
        return;
    }
    let picks = (0..len.min(CHUNKS)).chain(len.saturating_sub(2)..len);
    for index in picks.map(|n| grid.index(n)) {
        chunk(source, &grid, &index);
    }
}

fn chunk(source: &dyn Source, grid: &Grid, index: &Shape) {
    let dtype = source.meta().dtype;
    let shape = grid.region(index).shape;
    let bytes = voxels(&shape).saturating_mul(dtype.size() as u64);
    if bytes == 0 || bytes > MOST {
        return;
    }
    let mut words = vec![0u64; (bytes as usize).div_ceil(8)];
    let out = &mut bytemuck::cast_slice_mut(&mut words)[..bytes as usize];
    let tile = TileMut::new(dtype, shape.map(|n| n as usize), out);
    let _ = source.read(index, None, tile);
}

/// A file of this process and thread, with these bytes; or a directory.
struct Scratch(PathBuf);

impl Scratch {
    fn path(extension: &str) -> PathBuf {
        let name = format!("voxtile-{}-{:?}.{extension}", std::process::id(), std::thread::current().id());
        std::env::temp_dir().join(name)
    }

    fn new(extension: &str, bytes: &[u8]) -> Option<Self> {
        let path = Self::path(extension);
        std::fs::write(&path, bytes).ok()?;
        Some(Self(path))
    }

    fn directory(extension: &str) -> Option<Self> {
        let path = Self::path(extension);
        std::fs::create_dir(&path).ok()?;
        Some(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let path = &self.0;
        // Nothing can be done about one that stays.
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
}

fn file(extension: &str, bytes: &[u8]) {
    let Some(scratch) = Scratch::new(extension, bytes) else { return };
    let path: &Path = &scratch.0;
    read(crate::open(path, &OpenOptions::default()));
    read(crate::open(path, &OpenOptions { level: 1, ..OpenOptions::default() }));
    read(crate::open(path, &OpenOptions { array: Some("1".to_owned()), ..OpenOptions::default() }));
}

/// A whole file that is no `.npy` file and no picture: TIFF, with all of its codecs.
pub fn tiff(bytes: &[u8]) {
    if bytes.starts_with(b"II") || bytes.starts_with(b"MM") {
        file("tif", bytes);
    }
}

/// A `.npy` file or a PNG.
pub fn npy(bytes: &[u8]) {
    if bytes.starts_with(crate::npy::MAGIC) || bytes.starts_with(b"\x89PNG") {
        file("npy", bytes);
    }
}

/// A JPEG stream, decoded alone.
pub fn jpeg(bytes: &[u8]) {
    let Ok((width, height, samples)) = size(bytes) else { return };
    if width * height * samples > 1 << 20 {
        return;
    }
    let mut out = vec![0; width * height * samples];
    for colors in [Colors::AsMarked, Colors::AsStored] {
        let wanted = Wanted { width, rows: (height, height), samples, colors };
        let _ = Decoder::default().decode(None, bytes, &wanted, &mut out);
    }
}

/// OME-XML, or another description, in a TIFF of four pages of 2 × 2 pixels.
pub fn ome_xml(text: &[u8]) {
    file("ome.tif", &tiff_around(text));
}

fn tiff_around(text: &[u8]) -> Vec<u8> {
    const PAGES: u32 = 4;
    const ENTRIES: u16 = 9;
    let text_at = 8;
    // Fewer bytes would lie in the entry itself.
    let len = (text.len() as u32).max(5);
    let pixels = text_at + len.next_multiple_of(4);
    let first = pixels + 4 * PAGES;
    let size = 2 + 12 * u32::from(ENTRIES) + 4;
    let mut out = b"II*\0".to_vec();
    out.extend(first.to_le_bytes());
    out.extend(text);
    out.resize(first as usize, b' ');
    for page in 0..PAGES {
        let entries: [(u16, u16, u32, u32); ENTRIES as usize] = [
            (256, 4, 1, 2),
            (257, 4, 1, 2),
            (258, 4, 1, 8),
            (259, 4, 1, 1),
            (270, 2, len, text_at),
            (273, 4, 1, pixels + 4 * page),
            (277, 4, 1, 1),
            (278, 4, 1, 2),
            (279, 4, 1, 4),
        ];
        out.extend(ENTRIES.to_le_bytes());
        for (tag, kind, count, value) in entries {
            out.extend(tag.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        let next = if page + 1 < PAGES { first + (page + 1) * size } else { 0 };
        out.extend(next.to_le_bytes());
    }
    out
}

/// Documents and chunks in memory: what one name does not have, another one stands for.
struct Fixed {
    documents: BTreeMap<String, Vec<u8>>,
    chunk: Vec<u8>,
}

impl ByteStore for Fixed {
    fn name(&self) -> String {
        "fuzzed".to_owned()
    }

    fn size(&self, key: &str) -> Result<Option<u64>, IoError> {
        Ok(self.object(key).map(|b| b.len() as u64))
    }

    fn get_range(
        &self,
        key: &str,
        range: ByteRange,
        limit: u64,
        into: &mut Buffer,
    ) -> Result<Option<usize>, IoError> {
        let Some(bytes) = self.object(key) else { return Ok(None) };
        let (offset, len) = range.of(bytes.len() as u64);
        if len > limit {
            return Err(IoError::Memory { bytes: len });
        }
        let part = &bytes[offset as usize..(offset + len) as usize];
        into.bytes(part.len())?.copy_from_slice(part);
        Ok(Some(part.len()))
    }

    fn put(&self, _: &str, _: &[u8]) -> Result<(), IoError> {
        Ok(())
    }

    fn put_new(&self, _: &str, _: &[u8]) -> Result<bool, IoError> {
        Ok(false)
    }

    fn begin(&self, key: &str) -> Result<Box<dyn ByteWriter>, IoError> {
        MemoryStore::new("nothing").begin(key)
    }

    fn delete(&self, _: &str) -> Result<(), IoError> {
        Ok(())
    }

    fn delete_prefix(&self, _: &str) -> Result<(), IoError> {
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, IoError> {
        Ok(if prefix.is_empty() { vec!["0".to_owned(), "a".to_owned()] } else { Vec::new() })
    }
}

impl Fixed {
    fn object(&self, key: &str) -> Option<&Vec<u8>> {
        const DOCUMENTS: [&str; 4] = ["zarr.json", ".zarray", ".zattrs", ".zgroup"];
        let known = DOCUMENTS.iter().any(|name| key.rsplit('/').next() == Some(name));
        self.documents.get(key).or((!known).then_some(&self.chunk))
    }

    fn open(documents: &[(&str, &[u8])], chunk: &[u8]) -> Result<Opened, IoError> {
        let owned = |(key, bytes): &(&str, &[u8])| ((*key).to_owned(), bytes.to_vec());
        let documents = documents.iter().map(owned).collect();
        let store: Arc<dyn ByteStore> = Arc::new(Self { documents, chunk: chunk.to_vec() });
        open_in(store, &OpenOptions::default())
    }
}

/// Metadata of Zarr: a document, a zero byte, and the bytes of every chunk. The first character of the document says
/// which one it is: `{` is `zarr.json`, `2{` `.zarray`, `a{` `.zattrs` beside an array of one level.
pub fn zarr_metadata(bytes: &[u8]) {
    const ARRAY: &[u8] = br#"{"zarr_format":2,"shape":[2,3],"chunks":[2,2],"dtype":"<u2","order":"C","compressor":null,"fill_value":1,"filters":null}"#;
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    let (document, chunk) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    read(match document {
        [b'2', rest @ ..] => Fixed::open(&[(".zarray", rest)], chunk),
        [b'a', rest @ ..] => Fixed::open(&[(".zattrs", rest), ("0/.zarray", ARRAY)], chunk),
        [b'g', rest @ ..] => Fixed::open(&[("zarr.json", rest), ("0/.zarray", ARRAY)], chunk),
        _ => Fixed::open(&[("zarr.json", document), ("0/zarr.json", document)], chunk),
    });
}

/// The bytes of a shard of 4 × 4 inner chunks, with the index at its end or, after a first byte of `s`, at its start.
pub fn shard_index(bytes: &[u8]) {
    match bytes {
        [b's', shard @ ..] => read(shard_around("start", shard)),
        [b'e', shard @ ..] => read(shard_around("end", shard)),
        _ => {}
    }
}

fn shard_around(at: &str, shard: &[u8]) -> Result<Opened, IoError> {
    let document = format!(
        r#"{{"zarr_format":3,"node_type":"array","shape":[7,8],"data_type":"uint16","fill_value":3,
        "chunk_grid":{{"name":"regular","configuration":{{"chunk_shape":[8,8]}}}},
        "chunk_key_encoding":{{"name":"default"}},
        "codecs":[{{"name":"sharding_indexed","configuration":{{"chunk_shape":[2,2],"index_location":"{at}",
        "codecs":[{{"name":"bytes","configuration":{{"endian":"little"}}}}],
        "index_codecs":[{{"name":"bytes","configuration":{{"endian":"little"}}}}]}}}}]}}"#
    );
    Fixed::open(&[("zarr.json", document.as_bytes())], shard)
}

/// The frame of every chunk; the first byte chooses the sample type and the shape of chunks. The same bytes are also
/// encoded and decoded.
///
/// # Panics
/// If other bytes come back.
pub fn blosc(bytes: &[u8]) {
    if let Some((&kind, frame)) = bytes.split_first() {
        read(frame_around(kind, frame));
        round_trip(kind, frame);
    }
}

/// Encodes any bytes, often enough for several blocks, and decodes them here and with c-blosc.
fn round_trip(kind: u8, bytes: &[u8]) {
    let shuffle = [Shuffle::None, Shuffle::Byte, Shuffle::Bit][usize::from(kind) % 3];
    let level = kind / 3 % 7;
    let codec =
        if kind < 128 { Codec::BloscLz4 { level, shuffle } } else { Codec::BloscZstd { level, shuffle } };
    let size = [1, 2, 3, 4, 8, 16, 255][bytes.first().map_or(0, |&b| usize::from(b) % 7)];
    let content = bytes.repeat(1 + bytes.get(1).map_or(0, |&b| usize::from(b) * 16));
    let content = &content[..content.len().min(600_000)];
    let mut ours = Ours::default();
    let mut frame = vec![0; content.len() + ROOM];
    let len = ours.encode(content, &mut frame, size, codec);
    let mut out = vec![1; content.len()];
    for by_us in [true, false] {
        out.fill(1);
        let got =
            if by_us { ours.decode(&frame[..len], &mut out) } else { c_decode(&frame[..len], &mut out) };
        assert!(got == Some(content.len()) && out == content, "{codec} of samples of {size} bytes");
    }
}

fn frame_around(kind: u8, frame: &[u8]) -> Result<Opened, IoError> {
    let dtype = ["|u1", "<u2", "<f4", "<f8"][usize::from(kind) % 4];
    // Large chunks are read in slabs, from parts of the frame.
    let chunk = ["[4,5]", "[16,33]", "[1024,1024]", "[512,4096]"][usize::from(kind / 4) % 4];
    let document = format!(
        r#"{{"zarr_format":2,"shape":[1025,1030],"chunks":{chunk},"dtype":"{dtype}","order":"C","fill_value":0,
        "filters":null,"compressor":{{"id":"blosc","cname":"lz4","clevel":5,"shuffle":1,"blocksize":0}}}}"#
    );
    Fixed::open(&[(".zarray", document.as_bytes())], frame)
}

/// The journal of a run that was stopped: lines that get their checksums, but for those that begin with `!`. What it can be
/// gone on with takes a note, and gives it back.
pub fn journal(lines: &[u8]) {
    const NOTE: (Unit, &[u8]) = (Unit { stage: 3, pass: 1, number: 41 }, b"note");
    let Some(place) = Scratch::directory("journal") else { return };
    let output = place.0.join("out.tif");
    let dir = Work::dir_of(&output);
    let begun = std::fs::create_dir(&dir).and_then(|()| std::fs::write(dir.join("journal"), summed(lines)));
    let Ok(Standing::Begun(header)) =
        begun.and_then(|()| Work::standing(&output).map_err(std::io::Error::other))
    else {
        return;
    };
    let _ = Work::can_go_on(&output);
    let options = WorkOptions { resume: true, ..WorkOptions::default() };
    let open = || Work::open(&output, &header, options).expect("its own plan");
    let first = open();
    first.done(NOTE.0, NOTE.1).expect("a place for it");
    let known = first.pieces(0).count();
    drop(first);
    let second = open();
    assert_eq!(second.noted(NOTE.0).as_deref(), Some(NOTE.1));
    assert_eq!(second.pieces(0).count(), known);
}

/// Lines with their checksums.
fn summed(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines.split_inclusive(|&b| b == b'\n') {
        match line {
            [b'!', raw @ ..] => out.extend(raw),
            _ => {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                out.extend(format!("{:08x} ", crc32c::crc32c(text)).bytes());
                out.extend(line);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(below: &str) -> Vec<(String, Vec<u8>)> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(below);
        let Ok(entries) = std::fs::read_dir(&dir) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
        paths.sort();
        paths.into_iter().map(|p| (p.display().to_string(), std::fs::read(&p).unwrap())).collect()
    }

    #[test]
    fn what_fuzzing_has_found_stays_mended() {
        let mut replayed = 0;
        for (target, entry) in TARGETS {
            for dir in [format!("tests/data/hostile/{target}"), format!("fuzz/corpus/{target}")] {
                for (name, bytes) in files(&dir) {
                    let done = std::panic::catch_unwind(|| entry(&bytes));
                    assert!(done.is_ok(), "{target} panics on {name}");
                    replayed += 1;
                }
            }
        }
        assert!(replayed > TARGETS.len(), "{replayed} files");
    }

    #[test]
    fn what_stands_around_the_bytes_is_an_image() {
        // A mistake there would leave a target with nothing to test.
        let xml = br#"<OME><Image ID="Image:0"><Pixels SizeX="2" SizeY="2" SizeZ="4" SizeC="1" SizeT="1" DimensionOrder="XYZCT"><TiffData/></Pixels></Image></OME>"#;
        let scratch = Scratch::new("tif", &tiff_around(xml)).unwrap();
        let opened = crate::open(&scratch.0, &OpenOptions::default()).unwrap();
        assert_eq!((opened.info.format.as_str(), opened.source.meta().shape), ("OME-TIFF", [1, 1, 4, 2, 2]));
        assert_eq!(shard_around("end", b"").unwrap().source.meta().shape, [1, 1, 1, 7, 8]);
        for kind in 0..16 {
            frame_around(kind, b"").unwrap();
        }
        let dir = Scratch::directory("begun").unwrap();
        let output = dir.0.join("out.tif");
        std::fs::create_dir(Work::dir_of(&output)).unwrap();
        let lines = summed(b"plan {\"plan\": 7}\nunit 0 0 1 \n!torn");
        std::fs::write(Work::dir_of(&output).join("journal"), lines).unwrap();
        assert!(matches!(Work::standing(&output), Ok(Standing::Begun(header)) if header.plan == 7));
        assert!(Work::can_go_on(&output));
    }
}

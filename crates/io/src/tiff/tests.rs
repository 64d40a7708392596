//! TIFF against what tifffile reads from the same files (`tests/data/tiff`, made by `make_tiff.py`), hostile files,
//! and what is written.

use crate::{Codec, Feature, Format, IoError, OpenOptions, OutputOptions, contract};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_sched::contract::{Place, Sink, Source, StoreError};
use voxtile_sched::model::{AxisSet, Channel, Dtype, Grid, Meta, Shape, Spacing, Tile, TileMut};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/tiff")
}

fn expectations() -> Value {
    serde_json::from_str(&std::fs::read_to_string(data().join("expected.json")).unwrap()).unwrap()
}

fn aligned(len: usize) -> Vec<u64> {
    vec![0xA5A5_A5A5_A5A5_A5A5; len.div_ceil(8)]
}

fn read_chunk(source: &dyn Source, index: &Shape) -> Result<Vec<u8>, StoreError> {
    let region = Grid::new(source.meta().shape, source.chunk()).region(index);
    let dtype = source.meta().dtype;
    let len = region.voxels() as usize * dtype.size();
    let mut space = aligned(len);
    let bytes = &mut bytemuck::cast_slice_mut(&mut space)[..len];
    source.read(index, None, TileMut::new(dtype, region.shape.map(|n| n as usize), bytes))?;
    Ok(bytes.to_vec())
}

/// All voxels, row-major.
pub(in crate::tiff) fn read_all(source: &dyn Source) -> Vec<u8> {
    let meta = source.meta();
    let grid = Grid::new(meta.shape, source.chunk());
    let mut space = aligned(meta.bytes() as usize);
    let bytes = &mut bytemuck::cast_slice_mut(&mut space)[..meta.bytes() as usize];
    let mut whole = TileMut::new(meta.dtype, meta.shape.map(|n| n as usize), bytes);
    for index in grid.iter() {
        let region = grid.region(&index);
        let mut chunk = read_chunk(source, &index).unwrap_or_else(|e| panic!("{}: {e}", source.name()));
        let mut space = aligned(chunk.len());
        let space = &mut bytemuck::cast_slice_mut(&mut space)[..chunk.len()];
        space.copy_from_slice(&chunk);
        chunk.clear();
        whole.part(&region).copy_from(&Tile::new(meta.dtype, region.shape.map(|n| n as usize), space));
    }
    bytes.to_vec()
}

fn list(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}

#[test]
fn every_file_is_read_as_tifffile_reads_it() {
    let all = expectations();
    let all = all["expected"].as_object().unwrap();
    assert!(all.len() > 50, "{} files", all.len());
    for (name, want) in all {
        let opened = crate::open(&data().join(name), &OpenOptions::default())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let meta = opened.source.meta();
        assert_eq!(meta.dtype.numpy_name(), want["dtype"].as_str().unwrap(), "{name}");
        assert_eq!(meta.axes.to_string(), want["axes"].as_str().unwrap(), "{name}");
        assert_eq!(meta.dims(), list(&want["shape"]), "{name}");
        let voxels = read_all(&*opened.source);
        if let Some(crc) = want["crc32"].as_u64() {
            assert_eq!(u64::from(libdeflater::crc32(&voxels)), crc, "{name}");
        } else {
            let tolerance = want["tolerance"].as_u64().unwrap() as u8;
            let lossy = std::fs::read(data().join(name).with_extension("raw")).unwrap();
            assert_eq!(voxels.len(), lossy.len(), "{name}");
            let worst = voxels.iter().zip(&lossy).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(tolerance), "{name}: differs by {worst:?}");
        }
        if let Some(scale) = want["scale"].as_array() {
            let got: Vec<f64> =
                meta.axes.pick(&meta.spacing.each_ref().map(|s| s.as_ref().map_or(1.0, |s| s.scale)));
            let want_scale: Vec<f64> = scale.iter().map(|s| s.as_f64().unwrap()).collect();
            assert!(got.iter().zip(&want_scale).all(|(a, b)| (a / b - 1.0).abs() < 1e-6), "{name}: {got:?}");
            assert_eq!(meta.spacing[4].as_ref().unwrap().unit.as_deref(), want["unit"].as_str(), "{name}");
        }
        if let Some(format) = want["format"].as_str() {
            assert_eq!(opened.info.format, format, "{name}");
        }
        if let Some(stored) = want["stored"].as_str() {
            let told = opened.info.details.iter().any(|(key, value)| {
                matches!(key.as_str(), "stored as" | "bits per sample")
                    && value.starts_with(stored.trim_end_matches(" bits"))
            });
            assert!(told, "{name}: {:?}", opened.info.details);
        }
        if let Some(images) = want["images"].as_u64() {
            assert_eq!(opened.info.arrays.len() as u64 + 1, images, "{name}");
            let options = OpenOptions { array: Some("1".to_owned()), ..OpenOptions::default() };
            let other = crate::open(&data().join(name), &options).unwrap();
            let crc = libdeflater::crc32(&read_all(&*other.source));
            assert_eq!(u64::from(crc), want["image_1"].as_u64().unwrap(), "{name} image 1");
        }
        if let Some(channels) = want["channels"].as_array() {
            let got: Vec<Vec<Option<&str>>> =
                meta.channels.iter().map(|c| vec![c.name.as_deref(), c.color.as_deref()]).collect();
            let want: Vec<Vec<Option<&str>>> =
                channels.iter().map(|c| c.as_array().unwrap().iter().map(Value::as_str).collect()).collect();
            assert_eq!(got, want, "{name}");
        }
        if let Some(levels) = want["levels"].as_array() {
            let got: Vec<Vec<u64>> = opened.info.levels.iter().map(|l| l.shape.clone()).collect();
            assert_eq!(got, levels.iter().map(list).collect::<Vec<_>>(), "{name}");
            let options = OpenOptions { level: 1, ..OpenOptions::default() };
            let level = crate::open(&data().join(name), &options).unwrap();
            assert_eq!(level.source.meta().dims(), got[1], "{name}");
            let crc = libdeflater::crc32(&read_all(&*level.source));
            assert_eq!(u64::from(crc), want["level_1"].as_u64().unwrap(), "{name} level 1");
            let beyond = OpenOptions { level: got.len(), ..OpenOptions::default() };
            assert!(matches!(
                crate::open(&data().join(name), &beyond),
                Err(IoError::NoSuch { what: "level", .. })
            ));
        }
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let all = expectations();
    for (name, word) in all["refused"].as_object().unwrap() {
        match crate::open(&data().join(name), &OpenOptions::default()) {
            Err(e @ IoError::Unsupported { .. }) => {
                assert!(e.to_string().contains(word.as_str().unwrap()), "{name}: {e}");
            }
            Err(e) => panic!("{name}: {e}"),
            Ok(_) => panic!("{name} was opened"),
        }
    }
}

#[test]
fn axes_can_be_renamed() {
    let open = |name: &str, axes: &str| {
        let options = OpenOptions { axes: AxisSet::parse(axes), ..OpenOptions::default() };
        crate::open(&data().join(name), &options).map(|o| (o.source.meta().shape, read_all(&*o.source)))
    };
    let (shape, as_z) = open("pages.tif", "zyx").unwrap();
    assert_eq!(shape, [1, 1, 5, 30, 40]);
    assert_eq!(open("pages.tif", "tyx").unwrap(), ([5, 1, 1, 30, 40], as_z.clone()));
    assert_eq!(open("pages.tif", "tzyx").unwrap(), (shape, as_z.clone()));
    assert!(matches!(open("pages.tif", "yx"), Err(IoError::Option { option: "--axes", .. })));
    assert!(matches!(open("rgb_u8_tiles.tif", "zyx"), Err(IoError::Option { option: "--axes", .. })));
}

#[test]
fn other_images_of_a_file_are_chosen_by_number() {
    let open = |n: &str| {
        let options = OpenOptions { array: Some(n.to_owned()), ..OpenOptions::default() };
        crate::open(&data().join("micromanager.tif"), &options).map(|o| o.source.meta().shape)
    };
    assert_eq!(open("0").unwrap(), [2, 2, 3, 16, 20]);
    assert_eq!(open("1").unwrap(), [2, 2, 3, 16, 20]);
    assert!(matches!(open("9"), Err(IoError::NoSuch { what: "image", .. })));
    let info = crate::open(&data().join("micromanager.tif"), &OpenOptions::default()).unwrap().info;
    let told = |key: &str| info.details.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    for key in ["image 0", "image 1"] {
        assert!(told(key).unwrap().starts_with("2 × 2 × 3 × 16 × 20 (tczyx) uint16"), "{:?}", told(key));
    }
}

#[test]
fn what_is_stored_otherwise_becomes_colours_for_looking() {
    let open = |name: &str, rgb| {
        let options = OpenOptions { rgb, ..OpenOptions::default() };
        crate::open(&data().join(name), &options).unwrap_or_else(|e| panic!("{name}: {e}")).source
    };
    // Gray with 0 for white, of 12 bits.
    let white = "seq-1c-12b-miniswhite-47c39b31.tiff";
    let words = |bytes: Vec<u8>| -> Vec<u16> {
        bytes.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect()
    };
    let stored = words(read_all(&*open(white, false)));
    let want: Vec<u16> = stored.iter().map(|v| 4095 - v).collect();
    assert_eq!(words(read_all(&*open(white, true))), want);
    // Inks.
    let (stored, shown) = (open("cmyk.tif", false), open("cmyk.tif", true));
    assert_eq!(shown.meta().shape, [1, 3, 1, 41, 53]);
    let (stored, shown) = (read_all(&*stored), read_all(&*shown));
    for (n, v) in shown.iter().enumerate() {
        let (ink, black) = (f64::from(stored[n]), f64::from(stored[3 * 41 * 53 + n % (41 * 53)]));
        assert_eq!(f64::from(*v), ((255.0 - ink) * (255.0 - black) / 255.0).round(), "{n}");
    }
    // A palette of four bits: as many colours as the map has, each where its index was.
    let (stored, shown) = (open("palette-1c-4b.tiff", false), open("palette-1c-4b.tiff", true));
    assert_eq!((shown.meta().shape, shown.meta().dtype), ([1, 3, 1, 151, 157], Dtype::U8));
    assert_eq!(shown.meta().channels, super::rgb_channels());
    let (stored, shown) = (read_all(&*stored), read_all(&*shown));
    let color = |n: usize| [0, 1, 2].map(|c| shown[c * stored.len() + n]);
    let mut map = std::collections::HashMap::new();
    for (n, index) in stored.iter().enumerate() {
        assert_eq!(*map.entry(*index).or_insert_with(|| color(n)), color(n), "index {index}");
    }
    let distinct: std::collections::HashSet<_> = map.values().collect();
    assert!(distinct.len() > 4, "{map:?}");
    // Alpha is left out, colours stay.
    let (stored, shown) = (open("rgba_u16_predictor.tif", false), open("rgba_u16_predictor.tif", true));
    assert_eq!(read_all(&*shown), read_all(&*stored)[..3 * 41 * 53 * 2]);
    // What has its colours already is as it was.
    assert_eq!(read_all(&*open("rgb_u8_tiles.tif", true)), read_all(&*open("rgb_u8_tiles.tif", false)));
}

#[test]
fn a_smaller_copy_of_every_page_makes_a_level() {
    let file = data().join("pages_and_thumbnails.tif");
    let open = |level| crate::open(&file, &OpenOptions { level, ..OpenOptions::default() }).unwrap();
    let (stack, small) = (open(0), open(1));
    assert_eq!(stack.info.levels.len(), 2);
    assert_eq!(small.source.meta().shape, [1, 1, 5, 8, 10]);
    let (stack, small) = (read_all(&*stack.source), read_all(&*small.source));
    let sample = |bytes: &[u8], at: usize| [bytes[2 * at], bytes[2 * at + 1]];
    for (n, (z, y, x)) in
        (0..5).flat_map(|z| (0..8).flat_map(move |y| (0..10).map(move |x| (z, y, x)))).enumerate()
    {
        assert_eq!(sample(&small, n), sample(&stack, (z * 30 + 4 * y) * 40 + 4 * x), "{z} {y} {x}");
    }
}

#[test]
fn a_missing_file_of_several_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["files_0.ome.tif", "files_1.ome.tif"] {
        std::fs::copy(data().join(name), dir.path().join(name)).unwrap();
    }
    match crate::open(&dir.path().join("files_0.ome.tif"), &OpenOptions::default()) {
        Err(IoError::Missing { path }) => assert!(path.ends_with("files_2.ome.tif")),
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("opened"),
    }
    // A name that leads out of the directory is not followed.
    let path = changed(dir.path(), "files_0.ome.tif", |b| {
        let at = b.windows(15).position(|w| w == b"files_1.ome.tif").unwrap();
        b[at..at + 15].copy_from_slice(b"../../../passwd");
    });
    assert!(refusal(&path).contains("which is not beside it"));
}

/// As ImageJ writes stacks of more than 4 GB: offsets of 32 bits reach the first plane only.
#[test]
fn a_stack_of_more_than_4_gib_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(data().join("imagej_one_directory.tif")).unwrap();
    let (plane, images) = (20 * 24 * 2, 5_000_000u64);
    let at = bytes.windows(8).position(|w| w == b"images=6").unwrap();
    let end = at + bytes[at..].iter().position(|&b| b == 0).unwrap();
    let mut text = format!("images={images}").into_bytes();
    text.resize(end - at, b'\n');
    bytes[at..end].copy_from_slice(&text);
    let first = bytes.len() - 6 * plane;
    let path = dir.path().join("large.tif");
    let file = std::fs::File::create(&path).unwrap();
    use std::os::unix::fs::FileExt as _;
    file.write_all_at(&bytes[..first], 0).unwrap();
    // All but the last plane is a hole.
    let last = first as u64 + (images - 1) * plane as u64;
    file.write_all_at(&bytes[first..first + plane], last).unwrap();
    let source = crate::open(&path, &OpenOptions::default()).unwrap().source;
    assert_eq!(source.meta().shape, [1, 1, images, 20, 24]);
    assert!(last > u64::from(u32::MAX));
    let got = read_chunk(&*source, &[0, 0, images - 1, 0, 0]).unwrap();
    let want: Vec<u8> = bytes[first..first + plane].chunks(2).flat_map(|b| [b[1], b[0]]).collect();
    assert_eq!(got, want);
}

/// A copy of a file with some bytes changed.
fn changed(dir: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = std::fs::read(data().join(name)).unwrap();
    change(&mut bytes);
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Position of a tag's entry in the first directory of a little-endian classic file.
fn entry(bytes: &[u8], tag: u16) -> usize {
    let at = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    (0..count).map(|i| at + 2 + 12 * i).find(|&e| bytes[e..e + 2] == tag.to_le_bytes()).unwrap()
}

fn refusal(path: &Path) -> String {
    match crate::open(path, &OpenOptions::default()) {
        Err(e @ IoError::Header { .. }) => e.to_string(),
        Err(e) => panic!("another error: {e}"),
        Ok(_) => panic!("opened"),
    }
}

#[test]
fn headers_that_lie_are_refused_before_allocating() {
    let dir = tempfile::tempdir().unwrap();
    let set = |tag: u16, at: usize, value: u32| {
        changed(dir.path(), "lzw_u16_predictor_tiles.tif", |b| {
            let e = entry(b, tag) + at;
            b[e..e + 4].copy_from_slice(&value.to_le_bytes());
        })
    };
    // Four thousand million tiles.
    assert!(refusal(&set(324, 4, u32::MAX)).contains("TileOffsets"));
    assert!(refusal(&set(256, 8, u32::MAX)).contains("more than any image has"));
    assert!(refusal(&set(256, 8, 1 << 20)).contains("entries for"));
    assert!(refusal(&set(325, 8, u32::MAX - 5)).contains("TileByteCounts"));
    assert!(refusal(&set(277, 8, 0)).contains("SamplesPerPixel"));
    let huge = crate::open(&set(322, 8, 1 << 28), &OpenOptions::default());
    assert!(matches!(huge, Err(IoError::Unsupported { feature: Feature::Other(_), .. })));

    let first =
        |value: u32| changed(dir.path(), "plain.tif", |b| b[4..8].copy_from_slice(&value.to_le_bytes()));
    assert!(refusal(&first(u32::MAX)).contains("IFD 0 starts at"));
    assert!(refusal(&first(0)).contains("no first directory"));
    let looped = changed(dir.path(), "plain.tif", |b| {
        let at = u32::from_le_bytes(b[4..8].try_into().unwrap()) as usize;
        let count = usize::from(u16::from_le_bytes([b[at], b[at + 1]]));
        let next = at + 2 + 12 * count;
        let first: [u8; 4] = b[4..8].try_into().unwrap();
        b[next..next + 4].copy_from_slice(&first);
    });
    assert!(refusal(&looped).contains("as one before it"));
    let text = changed(dir.path(), "plain.tif", |b| *b = b"words, not an image".to_vec());
    assert!(matches!(crate::open(&text, &OpenOptions::default()), Err(IoError::NotAnImage { .. })));
    let gone = crate::open(&dir.path().join("gone.tif"), &OpenOptions::default());
    assert!(matches!(gone, Err(IoError::Missing { .. })));
}

#[test]
fn damage_names_the_tile_and_its_pixels() {
    let dir = tempfile::tempdir().unwrap();
    let message = |path: &Path, index: Shape| {
        let opened = crate::open(path, &OpenOptions::default()).unwrap();
        let error = read_chunk(&*opened.source, &index).expect_err("damage is found");
        let error = error.downcast::<IoError>().unwrap();
        assert!(matches!(*error, IoError::Damaged { .. }), "{error}");
        error.to_string()
    };
    let lost = changed(dir.path(), "lzw_u16_predictor_tiles.tif", |b| {
        let e = entry(b, 324);
        let offsets = u32::from_le_bytes(b[e + 8..e + 12].try_into().unwrap()) as usize;
        b[offsets + 5 * 4..][..4].copy_from_slice(&0x7FFF_FFFFu32.to_le_bytes());
    });
    let text = message(&lost, [0, 0, 0, 1, 1]);
    assert!(text.contains("chunk `tile 5`") && text.contains("y 32–40, x 16–31"), "{text}");
    assert!(text.contains("the file holds 0 of its"), "{text}");

    let mut cut = std::fs::read(data().join("none_u8_strips.tif")).unwrap();
    cut.truncate(cut.len() - 1);
    let path = dir.path().join("cut.tif");
    std::fs::write(&path, cut).unwrap();
    assert!(message(&path, [0; 5]).contains("strip 0"));

    let torn = changed(dir.path(), "deflate_old_u8.tif", |b| {
        let value = |tag| {
            let e = entry(b, tag) + 8;
            u32::from_le_bytes(b[e..e + 4].try_into().unwrap()) as usize
        };
        let end = value(273) + value(279);
        b[end - 2] ^= 0x40;
    });
    assert!(message(&torn, [0; 5]).contains("Adler-32"));
}

/// Whatever a file says: an error or voxels, no panic and no buffer beyond what it announces.
#[test]
fn changed_bytes_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("changed.tif");
    let all = expectations();
    let names: Vec<&String> = all["expected"].as_object().unwrap().keys().collect();
    let mut state = 7u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut opened, mut refused) = (0, 0);
    for round in 0..900 {
        let mut bytes = std::fs::read(data().join(names[round % names.len()])).unwrap();
        let head = bytes.len().min(512);
        for _ in 0..=next(4) {
            // Mostly in the header, where numbers decide on sizes.
            let at = if next(4) == 0 { next(bytes.len()) } else { next(head) };
            bytes[at] = [0, 1, 0xFF, 0x80, bytes[at] ^ 1 << next(8)][next(5)];
        }
        if next(10) == 0 {
            bytes.truncate(next(bytes.len()));
        }
        std::fs::write(&path, &bytes).unwrap();
        let Ok(image) = crate::open(&path, &OpenOptions::default()) else {
            refused += 1;
            continue;
        };
        opened += 1;
        let source = image.source;
        let grid = Grid::new(source.meta().shape, source.chunk());
        for index in grid.iter().take(20) {
            let bytes = grid.region(&index).voxels() * source.meta().dtype.size() as u64;
            if bytes.saturating_add(source.scratch()) < 64 << 20 {
                let _ = read_chunk(&*source, &index);
            }
        }
    }
    assert!(opened > 100 && refused > 100, "{opened} opened, {refused} refused");
}

fn output(path: PathBuf, codec: Codec) -> OutputOptions {
    OutputOptions {
        path,
        format: Format::Tiff,
        axis_order: None,
        chunk: None,
        shard: None,
        codec,
        overwrite: true,
        bare: false,
        about: crate::About::default(),
        remote: crate::Remote::new(),
    }
}

/// TIFF as the suite of stores sees it.
struct Files {
    dir: tempfile::TempDir,
    codec: Codec,
}

impl Files {
    fn path(&self) -> PathBuf {
        self.dir.path().join("image.tif")
    }
}

impl contract::Store for Files {
    fn create(&self, meta: &Meta, chunk: Shape) -> Result<Arc<dyn Sink>, StoreError> {
        let _ = std::fs::remove_file(self.path());
        let mut options = output(self.path(), self.codec);
        options.chunk = Some([1, 1, 1, chunk[3].next_multiple_of(16), chunk[4].next_multiple_of(16)]);
        Ok(options.create(meta, &[])?)
    }

    fn reopen(&self) -> Result<Arc<dyn Source>, StoreError> {
        Ok(crate::open(&self.path(), &OpenOptions::default())?.source)
    }

    fn is_gone(&self) -> bool {
        std::fs::read_dir(self.dir.path()).unwrap().next().is_none()
    }

    fn stored(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    fn takes(&self, meta: &Meta) -> bool {
        let empty = meta.shape.contains(&0);
        let line = meta.axes.to_string() == "x";
        !empty && !line && !matches!(meta.dtype, Dtype::U64 | Dtype::I64)
    }

    fn keeps_spacing(&self) -> bool {
        true
    }
}

#[test]
fn tiff_passes_the_suite_of_stores() {
    for codec in [Codec::None, Codec::Lzw, Codec::Deflate { level: 6 }, Codec::Zstd { level: 3 }] {
        contract::check(&Files { dir: tempfile::tempdir().unwrap(), codec });
    }
}

/// Writes an image whose voxels count up, and gives its bytes.
fn write(options: &OutputOptions, meta: &Meta) -> Vec<u8> {
    let len = meta.bytes() as usize;
    let mut space = aligned(len);
    let bytes = &mut bytemuck::cast_slice_mut(&mut space)[..len];
    for (i, b) in bytes.iter_mut().enumerate() {
        *b = (i / 3) as u8;
    }
    let sink = options.create(meta, &[]).unwrap();
    let grid = Grid::new(meta.shape, sink.layout().chunk);
    let whole = Tile::new(meta.dtype, meta.shape.map(|n| n as usize), bytes);
    for (order, index) in grid.iter().enumerate() {
        sink.write(Place { index, order: order as u64 }, &whole.part(&grid.region(&index))).unwrap();
    }
    sink.finish().unwrap();
    bytes.to_vec()
}

#[test]
fn names_colours_and_sizes_survive() {
    let dir = tempfile::tempdir().unwrap();
    let options = output(dir.path().join("five.tif"), Codec::Zstd { level: 1 });
    let mut meta = Meta::new([2, 3, 4, 20, 33], AxisSet::parse("tczyx").unwrap(), Dtype::U16);
    meta.name = Some("a \"b\" <c> & µ".to_owned());
    let unit = |scale: f64, unit: &str| Some(Spacing { scale, origin: 0.0, unit: Some(unit.to_owned()) });
    meta.spacing = [
        unit(0.1, "second"),
        None,
        unit(1.25, "micrometer"),
        unit(325.0, "nanometer"),
        unit(0.3, "micrometer"),
    ];
    meta.channels = ["DAPI", "GFP", "<none>"]
        .map(|n| Channel { name: Some(n.to_owned()), color: Some("0A0BFF".to_owned()) })
        .to_vec();
    let bytes = write(&options, &meta);
    let back = crate::open(&options.path, &OpenOptions::default()).unwrap();
    assert_eq!(back.source.meta(), &meta);
    assert_eq!(back.info.format, "OME-TIFF");
    assert!(read_all(&*back.source) == bytes);
}

#[test]
fn colour_stays_colour() {
    let dir = tempfile::tempdir().unwrap();
    let source = crate::open(&data().join("rgb.ome.tif"), &OpenOptions::default()).unwrap().source;
    let meta = source.meta().clone();
    assert_eq!(meta.channels, super::rgb_channels());
    let options = output(dir.path().join("rgb.tif"), Codec::Lzw);
    let layout = options.layout(&meta).unwrap();
    assert_eq!(layout.chunk, [1, 3, 1, 32, 32]);
    let bytes = write(&options, &meta);
    let back = crate::open(&options.path, &OpenOptions::default()).unwrap();
    assert_eq!(back.source.meta(), &meta);
    assert_eq!(back.source.chunk(), [1, 3, 1, 32, 32]);
    assert!(read_all(&*back.source) == bytes);
    // Three channels that are no colours are pages.
    let stains = Meta { channels: Vec::new(), ..meta };
    assert_eq!(options.layout(&stains).unwrap().chunk[1], 1);
}

#[test]
fn what_a_tiff_cannot_hold_is_refused() {
    let image = Meta::new([1, 1, 9, 100, 100], AxisSet::SPACE, Dtype::U16);
    let refused = |meta: &Meta, change: fn(&mut OutputOptions)| {
        let mut options = output("x.tif".into(), Codec::None);
        change(&mut options);
        match options.layout(meta) {
            Err(IoError::Option { option, why }) => (option, why),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(&image, |o| o.codec = Codec::Gzip { level: 5 }).0, "--codec");
    assert_eq!(refused(&image, |o| o.shard = Some([64; 5])).0, "--shard");
    assert!(refused(&image, |o| o.chunk = Some([1, 1, 1, 100, 64])).1.contains("as 112"));
    assert!(refused(&image, |o| o.chunk = Some([1, 1, 64, 64, 64])).1.contains("64 along z"));
    assert_eq!(refused(&image.with_dtype(Dtype::I64), |_| ()).0, "--dtype");
    let empty = Meta::new([1, 1, 0, 100, 100], AxisSet::SPACE, Dtype::U16);
    assert!(refused(&empty, |_| ()).1.contains("empty"));
}

#[test]
fn big_files_are_bigtiff() {
    let dir = tempfile::tempdir().unwrap();
    let first = |z: u64, codec| {
        let options = output(dir.path().join("big.tif"), codec);
        let meta = Meta::new([1, 1, z, 16384, 16384], AxisSet::SPACE, Dtype::U16);
        let sink = options.create(&meta, &[]).unwrap();
        // Nothing was written: every tile is missing, which readers take as black.
        sink.finish().unwrap();
        std::fs::read(&options.path).unwrap()[..4].to_vec()
    };
    assert_eq!(first(7, Codec::None), b"II\x2a\0");
    assert_eq!(first(8, Codec::None), b"II\x2b\0");
    assert_eq!(first(7, Codec::Lzw), b"II\x2b\0");
    let big = crate::open(&dir.path().join("big.tif"), &OpenOptions::default()).unwrap();
    assert_eq!(big.source.meta().shape, [1, 1, 7, 16384, 16384]);
    assert!(read_chunk(&*big.source, &[0, 0, 6, 31, 31]).unwrap().iter().all(|&b| b == 0));
}

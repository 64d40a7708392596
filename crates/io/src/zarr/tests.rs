//! Arrays written by others, read here; arrays written here, read here; damage and absurd headers.

use crate::contract::{self, check_source};
use crate::{Codec, Damage, Feature, Format, IoError, OpenOptions, Opened, OutputOptions, Shuffle, open};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_sched::contract::{Sink, Source, StoreError};
use voxtile_sched::model::{AxisSet, Grid, Kind, Meta, Region, Shape, TileMut};

mod slabs;

fn data(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/zarr")).join(path)
}

fn read(path: &str) -> Vec<u8> {
    std::fs::read(data(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn open_data(path: &str, options: &OpenOptions) -> Result<Opened, IoError> {
    open(&data(path), options)
}

#[test]
fn every_fixture_is_read_voxel_by_voxel() {
    let list = String::from_utf8(read("fixtures.txt")).unwrap();
    let mut read_ones = 0;
    for name in list.lines().filter(|n| !n.starts_with("refused") && *n != "group_several") {
        let opened = open_data(&format!("{name}.zarr"), &OpenOptions::default());
        let opened = opened.unwrap_or_else(|e| panic!("{name}: {e}"));
        check_source(&*opened.source, &read(&format!("{name}.raw")));
        read_ones += 1;
    }
    assert!(read_ones > 100, "{read_ones} fixtures");
}

#[test]
fn files_of_other_projects_are_read_voxel_by_voxel() {
    let list = String::from_utf8(read("real/fixtures.txt")).unwrap();
    for line in list.lines() {
        let [root, array, raw] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let array = Some(array.trim_matches('.').to_owned());
        let opened = open_data(&format!("real/{root}"), &OpenOptions { array, ..OpenOptions::default() });
        let opened = opened.unwrap_or_else(|e| panic!("{line}: {e}"));
        check_source(&*opened.source, &read(raw));
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let feature = |name: &str| match open_data(&format!("{name}.zarr"), &OpenOptions::default()) {
        Err(IoError::Unsupported { feature, .. }) => feature,
        Err(e) => panic!("{name}: {e}"),
        Ok(_) => panic!("{name} was opened"),
    };
    assert_eq!(feature("refused_f16"), Feature::Dtype("float16".into()));
    assert_eq!(feature("refused_complex"), Feature::Dtype("complex64".into()));
    assert_eq!(feature("refused_order"), Feature::AxisOrder("x, y, z".into()));
    assert_eq!(feature("refused_delta"), Feature::Codec("numcodecs.delta".into()));
    assert_eq!(feature("refused_lzma"), Feature::Codec("numcodecs.lzma".into()));
    assert_eq!(feature("refused_struct"), Feature::Dtype("structured".into()));
    assert_eq!(feature("refused_rank"), Feature::Rank(6));
}

#[test]
fn a_pyramid_has_levels_axes_units_and_channels() {
    for (name, format) in [("ome_0_4", "OME-Zarr 0.4"), ("ome_0_5", "OME-Zarr 0.5")] {
        let path = format!("{name}.zarr");
        let level = |level| open_data(&path, &OpenOptions { level, ..OpenOptions::default() });
        let opened = level(1).unwrap();
        check_source(&*opened.source, &read(&format!("{name}_level1.raw")));
        let meta = opened.source.meta();
        assert_eq!((meta.axes.to_string().as_str(), meta.shape), ("cyx", [1, 2, 1, 5, 6]));
        let y = meta.spacing[3].as_ref().unwrap();
        assert_eq!((y.scale, y.origin, y.unit.as_deref()), (1.0, 0.25, Some("micrometer")));
        assert_eq!(meta.spacing[1], None);
        assert_eq!(meta.channels[1].name.as_deref(), Some("GFP"));
        assert_eq!(meta.channels[0].color.as_deref(), Some("0000FF"));
        assert_eq!((opened.info.format.as_str(), opened.info.bare), (format, false));
        assert_eq!(opened.info.levels.len(), 2);
        assert_eq!(opened.info.levels[1].scale, [1.0, 1.0, 0.5]);
        assert!(matches!(level(2), Err(IoError::NoSuch { what: "level", found, .. }) if found == ["0", "1"]));
    }
}

#[test]
fn axes_are_named_positional_or_given() {
    let axes = |name: &str, axes: Option<&str>| {
        let axes = axes.map(|a| AxisSet::parse(a).unwrap());
        open_data(name, &OpenOptions { axes, ..OpenOptions::default() })
            .map(|o| o.source.meta().axes.to_string())
    };
    assert_eq!(axes("v3_raw.zarr", None).unwrap(), "zyx");
    assert_eq!(axes("v3_named.zarr", None).unwrap(), "cyx");
    assert_eq!(axes("v3_named_strangely.zarr", None).unwrap(), "zyx");
    assert_eq!(axes("v3_raw.zarr", Some("tyx")).unwrap(), "tyx");
    assert_eq!(axes("refused_order.zarr", Some("zyx")).unwrap(), "zyx");
    assert!(matches!(axes("v3_raw.zarr", Some("yx")), Err(IoError::Option { option: "--axes", .. })));
    let opened = open_data("v3_named.zarr", &OpenOptions::default()).unwrap();
    let x = opened.source.meta().spacing[4].clone().unwrap();
    assert_eq!((x.scale, x.unit.as_deref()), (0.25, Some("micrometer")));
}

#[test]
fn an_array_of_a_group_is_chosen_by_name() {
    let choose = |array: Option<&str>| {
        open_data(
            "group_several.zarr",
            &OpenOptions { array: array.map(str::to_owned), ..Default::default() },
        )
    };
    let Err(IoError::Choose { found, .. }) = choose(None) else {
        panic!("one was chosen");
    };
    assert_eq!(found, ["a", "deep/b"]);
    assert_eq!(choose(Some("deep/b")).unwrap().source.meta().shape, [1, 1, 1, 4, 4]);
    assert_eq!(choose(Some("/deep/")).unwrap().info.levels[0].path, "deep/b");
    assert!(
        matches!(choose(Some("c")), Err(IoError::NoSuch { what: "array", found, .. }) if found.len() == 2)
    );
    assert!(matches!(choose(Some("../ome_0_4.zarr")), Err(IoError::Option { option: "--array", .. })));
}

#[test]
fn what_is_known_is_told() {
    let info = |name: &str| open_data(name, &OpenOptions::default()).unwrap().info;
    let shard = info("ts_v3_shard.zarr");
    assert_eq!((shard.chunk, shard.shard), (vec![4, 5, 8], Some(vec![8, 10, 16])));
    assert_eq!(shard.output_codec, Some(Codec::BloscZstd { level: 1, shuffle: Shuffle::Bit }));
    assert!(shard.bare && shard.codec.contains("sharding_indexed(bytes, blosc)"), "{}", shard.codec);
    assert_eq!(
        info("v2_blosc.zarr").output_codec,
        Some(Codec::BloscLz4 { level: 5, shuffle: Shuffle::Byte })
    );
    assert_eq!(info("v3_raw.zarr").output_codec, Some(Codec::None));
    assert_eq!(info("v3_gzip.zarr").output_codec, Some(Codec::Gzip { level: 6 }));
    assert_eq!(info("v2_bz2.zarr").output_codec, None);
    let bools = open_data("v3_bool.zarr", &OpenOptions::default()).unwrap();
    assert_eq!(bools.source.meta().kind, Kind::Mask);
}

/// One way of writing Zarr.
struct Written {
    dir: tempfile::TempDir,
    format: Format,
    codec: Codec,
    shard: Option<Shape>,
    bare: bool,
}

impl Written {
    fn new(format: Format, codec: &str, shard: Option<Shape>, bare: bool) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), format, codec: codec.parse().unwrap(), shard, bare }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("out.zarr")
    }

    fn options(&self, chunk: Shape) -> OutputOptions {
        OutputOptions {
            path: self.path(),
            format: self.format,
            axis_order: None,
            chunk: Some(chunk),
            shard: self.shard,
            codec: self.codec,
            overwrite: true,
            bare: self.bare,
            about: crate::About::default(),
            remote: crate::Remote::new(),
        }
    }
}

impl contract::Store for Written {
    fn create(&self, meta: &Meta, chunk: Shape) -> Result<Arc<dyn Sink>, StoreError> {
        // Chunks and shards are cut to the image; a shard is some whole number of chunks.
        let mut options = self.options(chunk);
        options.shard =
            self.shard.map(|s| std::array::from_fn(|a| s[a] * chunk[a].min(meta.shape[a].max(1))));
        Ok(options.create(meta, &[])?)
    }

    fn reopen(&self) -> Result<Arc<dyn Source>, StoreError> {
        Ok(open(&self.path(), &OpenOptions::default())?.source)
    }

    fn is_gone(&self) -> bool {
        !self.path().exists()
    }

    fn stored(&self) -> Vec<u8> {
        let mut files = Vec::new();
        let mut dirs = vec![self.path()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { dirs.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        let content = |f: &PathBuf| [f.as_os_str().as_encoded_bytes(), &std::fs::read(f).unwrap()].concat();
        files.iter().flat_map(content).collect()
    }

    fn keeps_spacing(&self) -> bool {
        true
    }
}

#[test]
fn zarr_v3_keeps_the_contract() {
    for codec in [
        "none",
        "zstd:1",
        "gzip:1",
        "blosc-lz4:5:shuffle",
        "blosc-zstd:1:bitshuffle",
        "blosc-zstd:3:noshuffle",
    ] {
        contract::check(&Written::new(Format::ZarrV3, codec, None, true));
    }
    contract::check(&Written::new(Format::ZarrV3, "zstd:1", None, false));
}

#[test]
fn shards_keep_the_contract() {
    for (codec, shard, bare) in [
        ("none", [1, 1, 1, 1, 2], true),
        ("zstd:1", [2, 2, 2, 1, 2], true),
        ("blosc-zstd:1:bitshuffle", [1, 2, 1, 2, 1], false),
    ] {
        contract::check(&Written::new(Format::ZarrV3, codec, Some(shard), bare));
    }
}

#[test]
fn zarr_v2_keeps_the_contract() {
    for (codec, bare) in
        [("none", true), ("gzip:5", true), ("zstd:3", false), ("blosc-lz4:1:bitshuffle", false)]
    {
        contract::check(&Written::new(Format::ZarrV2, codec, None, bare));
    }
}

/// A 4 × 4 × 4 image in chunks of 2, written with that codec.
fn small(codec: &str, shard: bool) -> Written {
    let out = Written::new(Format::ZarrV3, codec, shard.then_some([1, 1, 2, 2, 2]), true);
    let meta = Meta::new([1, 1, 4, 4, 4], AxisSet::SPACE, voxtile_sched::model::Dtype::U32);
    let sink = contract::Store::create(&out, &meta, [1, 1, 2, 2, 2]).unwrap();
    let voxels: Vec<u32> = (0..64).map(|v| v * 77_777).collect();
    let whole = voxtile_sched::model::Tile::new(meta.dtype, [1, 1, 4, 4, 4], bytemuck::cast_slice(&voxels));
    let grid = Grid::new(meta.shape, [1, 1, 2, 2, 2]);
    for (order, index) in grid.iter().enumerate() {
        let place = voxtile_sched::contract::Place { index, order: order as u64 };
        sink.write(place, &whole.part(&grid.region(&index))).unwrap();
    }
    sink.finish().unwrap();
    out
}

fn read_chunk(path: &Path, index: Shape) -> Result<u64, IoError> {
    let source = open(path, &OpenOptions::default())?.source;
    let shape = Grid::new(source.meta().shape, source.chunk()).region(&index).shape.map(|n| n as usize);
    let mut out = vec![0u64; shape.iter().product()];
    let bytes = shape.iter().product::<usize>() * source.meta().dtype.size();
    let tile = TileMut::new(source.meta().dtype, shape, &mut bytemuck::cast_slice_mut(&mut out)[..bytes]);
    source.read(&index, None, tile).map_err(|e| *e.downcast::<IoError>().unwrap())
}

#[test]
fn a_damaged_chunk_is_named_with_its_voxels() {
    let index = [0, 0, 0, 1, 1];
    for codec in ["none", "zstd:1", "gzip:1", "blosc-lz4:5:shuffle", "blosc-zstd:1:bitshuffle"] {
        let out = small(codec, false);
        let file = out.path().join("c/0/1/1");
        let good = std::fs::read(&file).unwrap();
        for cut in [0, 1, good.len() / 2, good.len() - 1] {
            std::fs::write(&file, &good[..cut]).unwrap();
            match read_chunk(&out.path(), index) {
                Err(IoError::Damaged { chunk, region, .. }) => {
                    assert_eq!(chunk, "c/0/1/1");
                    assert_eq!(region, Region::new([0, 0, 0, 2, 2], [1, 1, 2, 2, 2]));
                }
                other => panic!("{codec}, {cut} bytes: {other:?}"),
            }
        }
        // Whatever bytes there are, nothing panics.
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                std::fs::write(&file, &bad).unwrap();
                let _ = read_chunk(&out.path(), index);
            }
        }
        std::fs::write(&file, [&good[..], &[0; 100_000]].concat()).unwrap();
        assert!(codec != "none" || matches!(read_chunk(&out.path(), index), Err(IoError::Damaged { .. })));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(read_chunk(&out.path(), index).unwrap(), 0);
    }
}

#[test]
fn a_damaged_shard_is_damage_of_its_chunks() {
    let out = small("zstd:1", true);
    let file = out.path().join("c/0/0/0");
    let good = std::fs::read(&file).unwrap();
    let damage = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        match read_chunk(&out.path(), [0; 5]) {
            Err(IoError::Damaged { chunk, problem, .. }) => (chunk, problem),
            other => panic!("{other:?}"),
        }
    };
    let mut bad = good.clone();
    let index = good.len() - (8 * 16 + 4);
    bad[index + 3] ^= 1;
    let (chunk, problem) = damage(&bad);
    assert_eq!(chunk, "c/0/0/0[0]");
    assert!(matches!(problem, Damage::Checksum { kind: "crc32c", stored, computed } if stored != computed));
    assert!(matches!(damage(&good[..50]).1, Damage::Truncated { got: 50, want: 132 }));

    // An index with a right checksum and wrong offsets.
    let forge = |offset: u64, len: u64| {
        let mut bad = good.clone();
        bad[index..index + 8].copy_from_slice(&offset.to_le_bytes());
        bad[index + 8..index + 16].copy_from_slice(&len.to_le_bytes());
        let sum = crc32c::crc32c(&bad[index..good.len() - 4]).to_le_bytes();
        bad.splice(good.len() - 4.., sum);
        bad
    };
    assert!(
        matches!(damage(&forge(1 << 40, 10)).1, Damage::Truncated { got, want } if want == (1 << 40) + 10 && got < want)
    );
    assert!(matches!(damage(&forge(0, 1 << 50)).1, Damage::Codec { codec: "sharding_indexed", .. }));
    assert!(matches!(damage(&forge(u64::MAX, 3)).1, Damage::Codec { codec: "sharding_indexed", .. }));
}

#[test]
fn absurd_headers_are_refused_before_anything_is_allocated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zarr");
    std::fs::create_dir(&path).unwrap();
    let field = |shape: &str, chunk: &str, codecs: &str| {
        let doc = format!(
            r#"{{"zarr_format":3,"node_type":"array","shape":{shape},"data_type":"uint16","fill_value":0,
            "chunk_grid":{{"name":"regular","configuration":{{"chunk_shape":{chunk}}}}},
            "chunk_key_encoding":{{"name":"default"}},"codecs":{codecs}}}"#
        );
        std::fs::write(path.join("zarr.json"), doc).unwrap();
        match open(&path, &OpenOptions::default()) {
            Err(IoError::Header { field, problem, .. }) => (field, problem),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("opened"),
        }
    };
    let bytes = r#"[{"name":"bytes","configuration":{"endian":"little"}}]"#;
    let (name, problem) = field("[10,10]", "[100000,100000]", bytes);
    assert_eq!(name, "chunk_shape");
    assert!(problem.contains("20000000000 bytes"), "{problem}");
    assert_eq!(field("[18446744073709551615,2]", "[1,1]", bytes).0, "shape");
    assert_eq!(field("[4294967296,4294967296]", "[1,1]", bytes).0, "shape");
    assert_eq!(field("[10,10]", "[0,1]", bytes).0, "chunk_shape");
    assert_eq!(field("[10,10]", "[4]", bytes).0, "chunk_shape");
    assert_eq!(field("[10,-1]", "[4,4]", bytes).0, "shape");
    let shard = |inner: &str| {
        format!(
            r#"[{{"name":"sharding_indexed","configuration":{{"chunk_shape":{inner},"codecs":{bytes},"index_codecs":{bytes}}}}}]"#
        )
    };
    let (name, problem) = field("[10,10]", "[1000000,1000000]", &shard("[1,1]"));
    assert_eq!(name, "sharding_indexed.chunk_shape");
    assert!(problem.contains("1000000000000 chunks"), "{problem}");
    assert_eq!(field("[10,10]", "[10,10]", &shard("[3,10]")).0, "sharding_indexed.chunk_shape");
    std::fs::write(path.join("zarr.json"), "{").unwrap();
    assert!(
        matches!(open(&path, &OpenOptions::default()), Err(IoError::Header { field, .. }) if field == "zarr.json")
    );
}

#[test]
fn an_unfinished_output_is_no_image_and_can_be_replaced() {
    for (format, bare) in [(Format::ZarrV3, true), (Format::ZarrV3, false), (Format::ZarrV2, true)] {
        let out = Written::new(format, "zstd:1", None, bare);
        let meta = Meta::new([1, 1, 1, 8, 8], AxisSet::parse("yx").unwrap(), voxtile_sched::model::Dtype::U8);
        let mut options = out.options([1, 1, 1, 8, 8]);
        let sink = options.create(&meta, &[]).unwrap();
        let unfinished = open(&out.path(), &OpenOptions::default());
        assert!(matches!(unfinished, Err(IoError::NotAnImage { why, .. }) if why.contains("not finished")));
        drop(sink);
        options.overwrite = false;
        assert!(matches!(options.create(&meta, &[]), Err(IoError::Exists { .. })));
        options.overwrite = true;
        options.create(&meta, &[]).unwrap().finish().unwrap();
        assert!(open(&out.path(), &OpenOptions::default()).is_ok());
    }
}

#[test]
fn abort_spares_what_is_not_ours() {
    let out = Written::new(Format::ZarrV3, "none", None, true);
    let meta = Meta::new([1, 1, 1, 8, 8], AxisSet::parse("yx").unwrap(), voxtile_sched::model::Dtype::U8);
    let sink = out.options([1, 1, 1, 8, 8]).create(&meta, &[]).unwrap();
    std::fs::write(out.path().join("notes.txt"), "mine").unwrap();
    sink.abort();
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1);
}

#[test]
fn a_file_without_image_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let missing = open(&dir.path().join("no.zarr"), &OpenOptions::default());
    assert!(matches!(missing, Err(IoError::Missing { .. })));
    let empty = open(dir.path(), &OpenOptions::default());
    assert!(matches!(empty, Err(IoError::NotAnImage { .. })));
}

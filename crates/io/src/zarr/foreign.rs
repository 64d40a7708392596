//! Codecs that are rare enough to leave to `zarrs`: scaling, rounding, packing, nested shards.

use super::fault::Fault;
use super::metadata::{CodecSpec, MAX_INNER_CHUNKS, Reader};
use serde_json::Value;
use std::num::NonZeroU64;
use voxtile_sched::model::Dtype;
use zarrs::array::codec::api::{ArrayToBytesCodecTraits as _, CodecOptions};
use zarrs::array::{CodecChain, DataType, FillValue, data_type};
use zarrs::metadata::v3::MetadataV3;

/// A chain of codecs that `zarrs` decodes.
pub(super) struct Foreign {
    chain: CodecChain,
    shape: Vec<NonZeroU64>,
    dtype: DataType,
    fill: FillValue,
}

/// Whether shards among the codecs have no more inner chunks than an index may list; `zarrs` would take room for any.
fn shards_are_bounded(codecs: &[CodecSpec], shape: &[u64]) -> bool {
    codecs.iter().filter(|c| c.name == "sharding_indexed").all(|codec| {
        let inner = codec.config.get("chunk_shape").and_then(Value::as_array);
        let inner: Option<Vec<u64>> = inner.and_then(|list| list.iter().map(Value::as_u64).collect());
        let Some(inner) = inner.filter(|inner| inner.len() == shape.len() && !inner.contains(&0)) else {
            return false;
        };
        let chunks = shape.iter().zip(&inner).fold(1u64, |n, (s, i)| n.saturating_mul(s.div_ceil(*i)));
        let nested = Reader { store: "" }.codecs("codecs", codec.config.get("codecs"));
        chunks <= MAX_INNER_CHUNKS && nested.is_ok_and(|nested| shards_are_bounded(&nested, &inner))
    })
}

impl Foreign {
    /// `None` if `zarrs` does not know one of the codecs either.
    pub(super) fn new(
        codecs: &[CodecSpec],
        shape: &[u64],
        dtype: Dtype,
        is_bool: bool,
        fill: &[u8],
    ) -> Option<Self> {
        if !shards_are_bounded(codecs, shape) {
            return None;
        }
        let codecs: Vec<MetadataV3> = codecs
            .iter()
            .map(|c| MetadataV3::new_with_configuration(c.full_name.clone(), c.config.clone()))
            .collect();
        let dtype = match dtype {
            Dtype::U8 if is_bool => data_type::bool(),
            Dtype::U8 => data_type::uint8(),
            Dtype::I8 => data_type::int8(),
            Dtype::U16 => data_type::uint16(),
            Dtype::I16 => data_type::int16(),
            Dtype::U32 => data_type::uint32(),
            Dtype::I32 => data_type::int32(),
            Dtype::U64 => data_type::uint64(),
            Dtype::I64 => data_type::int64(),
            Dtype::F32 => data_type::float32(),
            Dtype::F64 => data_type::float64(),
        };
        Some(Self {
            chain: CodecChain::from_metadata(&codecs).ok()?,
            shape: shape.iter().map(|&n| NonZeroU64::new(n)).collect::<Option<_>>()?,
            dtype,
            fill: FillValue::new(fill.to_vec()),
        })
    }

    /// Samples in row-major order and the byte order of the machine.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let options = CodecOptions::default().with_concurrent_target(1);
        self.chain
            .decode(bytes.into(), &self.shape, &self.dtype, &self.fill, &options)
            .and_then(|b| Ok(b.into_fixed()?.into_owned()))
            .map_err(|e| Fault::codec("zarrs", e.to_string()))
    }
}

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| voxtile_io::fuzzing::zarr_metadata(bytes));

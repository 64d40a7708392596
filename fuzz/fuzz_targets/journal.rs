#![no_main]

libfuzzer_sys::fuzz_target!(|lines: &[u8]| voxtile_io::fuzzing::journal(lines));

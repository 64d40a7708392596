#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| voxtile::fuzzing::recipe(text));

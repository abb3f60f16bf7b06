//! Arbitrary texts as files that are imported.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sphere_fuzz::import::read(data));

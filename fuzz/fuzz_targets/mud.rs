//! Arbitrary texts as MUD files.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sphere_fuzz::mud::read(data));

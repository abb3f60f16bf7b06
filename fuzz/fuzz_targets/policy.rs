//! Arbitrary texts as policy files.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sphere_fuzz::policy::read(data));

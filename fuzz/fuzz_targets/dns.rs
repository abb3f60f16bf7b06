//! Arbitrary DNS messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sphere_fuzz::dns::read(data));

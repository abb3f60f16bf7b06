//! Arbitrary frames through the classifier.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sphere_fuzz::packet::judge(data));

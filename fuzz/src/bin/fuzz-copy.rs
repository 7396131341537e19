//! Fuzzes [`fuzz::copy`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::copy(data));

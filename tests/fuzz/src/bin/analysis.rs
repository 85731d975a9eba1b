//! See `codchi_fuzz::analysis`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codchi_fuzz::analysis(data));

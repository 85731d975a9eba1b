//! See `codchi_fuzz::protocol`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codchi_fuzz::protocol(data));

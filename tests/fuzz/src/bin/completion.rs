//! See `codchi_fuzz::completion`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codchi_fuzz::completion(data));

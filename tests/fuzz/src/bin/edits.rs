//! See `codchi_fuzz::edits`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codchi_fuzz::edits(data));

//! The body is in `src/testing/fuzz/`, where unit tests can run it too.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| madang::testing::fuzz::resp(data));

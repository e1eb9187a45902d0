//! One line: the body lives with the code that it exercises, in `src/join/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| madang::join::fuzz::talk(data));

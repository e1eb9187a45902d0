//! One line: the body lives with the code that it exercises, in `src/hub/fuzz/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| madang::hub::fuzz::telnet(data));

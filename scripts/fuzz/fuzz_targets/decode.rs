//! Fuzzes records through the decoder: bytes from libFuzzer go to `bad_input::decode`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bad_input::decode::check(data));

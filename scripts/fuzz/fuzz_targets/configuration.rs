//! Fuzzes configurations through the settings: bytes from libFuzzer go to `bad_input::configuration`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bad_input::configuration::check(data));

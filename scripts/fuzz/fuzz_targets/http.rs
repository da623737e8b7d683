//! Fuzzes requests through the router: bytes from libFuzzer go to `bad_input::http`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bad_input::http::check(data));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fused_dense_fuzz::run(data, fused_dense_fuzz::network::check));

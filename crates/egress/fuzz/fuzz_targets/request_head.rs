#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringfence_egress::fuzzing::request_head(input));

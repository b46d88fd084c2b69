//! Bytes that are accepted come back, and can be checked and explained.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_ntsec::{AccessCheck, AccessMask, Layout, ObjectType, SecurityDescriptor, Token, well_known};

fuzz_target!(|bytes: &[u8]| {
    let Ok(descriptor) = SecurityDescriptor::from_bytes(bytes) else { return };
    if let Ok(Some(layout)) = Layout::of(bytes) {
        assert_eq!(descriptor.to_bytes_in(layout).as_deref(), Ok(bytes));
    }
    let token = Token::builder(well_known::EVERYONE).build();
    let check = AccessCheck::new(&token, &descriptor, ObjectType::File);
    let _ = check.explain(AccessMask::MAXIMUM_ALLOWED).to_string();
    let _ = descriptor.to_sddl();
});

//! SIDs from bytes and from text come back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_ntsec::Sid;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(sid) = Sid::from_bytes(bytes) {
        assert_eq!(sid.to_bytes(), bytes);
        assert_eq!(sid.to_string().parse::<Sid>(), Ok(sid));
    }
    if let Ok(sid) = String::from_utf8_lossy(bytes).parse::<Sid>() {
        assert_eq!(Sid::from_bytes(&sid.to_bytes()), Ok(sid));
    }
});

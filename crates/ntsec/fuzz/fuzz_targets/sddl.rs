//! Text that is accepted reads back to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_ntsec::SecurityDescriptor;

fuzz_target!(|text: &str| {
    let Ok(descriptor) = text.parse::<SecurityDescriptor>() else { return };
    if let Ok(sddl) = descriptor.to_sddl() {
        let again: SecurityDescriptor = sddl.parse().expect("what was written is read");
        assert_eq!(again.to_sddl().as_ref(), Ok(&sddl));
    }
});

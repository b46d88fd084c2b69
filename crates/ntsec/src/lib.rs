//! Placeholder of the crate `ringfence-ntsec`.

//! Placeholder of the crate `ringfence-policy`.

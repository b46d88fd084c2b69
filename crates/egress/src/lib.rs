//! Placeholder of the crate `ringfence-egress`.

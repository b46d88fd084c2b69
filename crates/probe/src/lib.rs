//! Placeholder of the crate `ringfence-probe`.

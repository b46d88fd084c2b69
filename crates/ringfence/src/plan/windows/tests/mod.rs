//! Tests of the plan for Windows: what a rule says, and what the model shows of it.

mod attempts;
mod model;
mod properties;
mod rules;
pub(crate) mod world;

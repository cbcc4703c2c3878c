//! The description of the interface for machines, put together from what each route says of itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The shapes that requests and answers have.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// One route's entry.
#[derive(Debug, Clone)]
pub struct Operation {
    id: &'static str,
    summary: &'static str,
    signed_in: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
}

impl Operation {
    /// One that needs a signed-in caller.
    pub fn new(id: &'static str, summary: &'static str) -> Self {
        let operation = Self::open(id, summary);
        Self { signed_in: true, ..operation }.refuses(401, "unauthenticated")
    }

    /// One that anybody may call.
    pub fn open(id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            signed_in: false,
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
        }
    }

    /// A query parameter that may be missing.
    pub fn query(self, name: &str, schema: &Value, description: &str) -> Self {
        self.any_query(name, schema, description, false)
    }

    pub fn required_query(self, name: &str, schema: &Value, description: &str) -> Self {
        self.any_query(name, schema, description, true)
    }

    fn any_query(mut self, name: &str, schema: &Value, description: &str, required: bool) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "query", "required": required,
            "schema": schema, "description": description
        }));
        self
    }

    /// The body, by the name of its schema; and how a body may be wrong.
    pub fn body(self, schema: &str) -> Self {
        self.any_body(schema, true)
    }

    /// As [`Self::body`], of one that may be missing.
    pub fn optional_body(self, schema: &str) -> Self {
        self.any_body(schema, false)
    }

    fn any_body(mut self, schema: &str, required: bool) -> Self {
        self.body = Some(json!({
            "required": required,
            "content": {"application/json": {"schema": reference(schema)}}
        }));
        self.refuses(400, "invalid_body")
            .refuses(413, "body_too_large")
            .refuses(415, "unsupported_media_type")
    }

    /// A body that is a file.
    pub fn bytes_body(mut self) -> Self {
        let schema = json!({"type": "string", "format": "binary"});
        self.body = Some(json!({"required": true, "content": {"*/*": {"schema": schema}}}));
        self
    }

    /// An answer in JSON, by the name of its schema.
    pub fn answers(self, status: u16, schema: &str, description: &str) -> Self {
        self.answers_with(status, "application/json", &reference(schema), description)
    }

    pub fn answers_with(
        mut self,
        status: u16,
        media_type: &str,
        schema: &Value,
        description: &str,
    ) -> Self {
        let content = json!({media_type: {"schema": schema}});
        self.answers.insert(status, json!({"description": description, "content": content}));
        self
    }

    /// An answer without a body.
    pub fn answers_empty(mut self, status: u16, description: &str) -> Self {
        self.answers.insert(status, json!({"description": description}));
        self
    }

    /// A problem, by its code; one status may have several.
    pub fn refuses(mut self, status: u16, code: &str) -> Self {
        let answer = self.answers.entry(status).or_insert_with(|| {
            json!({
                "description": "",
                "content": {"application/problem+json": {"schema": reference("Problem")}}
            })
        });
        let before = answer["description"].as_str().unwrap_or_default();
        let description =
            if before.is_empty() { code.to_owned() } else { format!("{before}, {code}") };
        answer["description"] = Value::String(description);
        self
    }

    fn into_json(self, path: &str) -> Value {
        let mut parameters: Vec<Value> = path_parameters(path).collect();
        parameters.extend(self.parameters);
        let answers: Map<String, Value> =
            self.answers.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect();
        let mut json = json!({
            "operationId": self.id,
            "summary": self.summary,
            "parameters": parameters,
            "responses": answers,
        });
        if self.signed_in {
            json["security"] = json!([{"bearer": []}, {"cookie": []}]);
        }
        if let Some(body) = self.body {
            json["requestBody"] = body;
        }
        json
    }
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn path_parameters(path: &str) -> impl Iterator<Item = Value> + '_ {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        let schema = match name {
            "id" => reference("ConversationId"),
            "seq" => reference("Number"),
            "userId" => reference("UserId"),
            _ => json!({"type": "string"}),
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    })
}

/// The OpenAPI 3.1 document of these routes.
pub fn document<'a>(
    operations: impl IntoIterator<Item = (&'a str, &'a str, Operation)>,
) -> Result<Value, serde_json::Error> {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (method, path, operation) in operations {
        let methods = paths.entry(path).or_default();
        methods.insert(method.to_ascii_lowercase(), operation.into_json(path));
    }
    let schemas: Value = serde_json::from_str(SCHEMAS)?;
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Parley",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Direct messages for marketplaces",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The marketplace's JWT, or a session token."
                },
                "cookie": {
                    "type": "apiKey", "in": "cookie", "name": crate::auth::cookie::NAME,
                    "description": "Set by bootstrap; the Origin must be on the allow list."
                }
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_schemas_has_its_schema() {
        let schemas: Value = serde_json::from_str(SCHEMAS).unwrap();
        for reference in SCHEMAS.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn one_status_may_stand_for_several_codes() {
        let operation = Operation::new("x", "y").refuses(401, "other").into_json("/a/{id}");
        assert_eq!(operation["responses"]["401"]["description"], "unauthenticated, other");
        assert_eq!(operation["parameters"][0]["name"], "id");
    }
}

//! One operation of the document, put together in the order in which it is read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::problems;

/// What a request to a route may be, and its answers.
pub(super) struct Operation {
    method: &'static str,
    /// As the route table has it.
    route: &'static str,
    path: String,
    content: Map<String, Value>,
    /// By status.
    answers: BTreeMap<u16, Value>,
    codes: Vec<&'static str>,
    /// Headers that every answer has.
    headers: Vec<&'static str>,
}

/// A body of this type of content.
pub(super) fn content(media: &str, schema: Value) -> Value {
    json!({ media: { "schema": schema } })
}

pub(super) fn get(route: &'static str, tag: &str, summary: &str) -> Operation {
    Operation::new("get", route, tag, summary)
}

pub(super) fn post(route: &'static str, tag: &str, summary: &str) -> Operation {
    Operation::new("post", route, tag, summary)
}

pub(super) fn delete(route: &'static str, tag: &str, summary: &str) -> Operation {
    Operation::new("delete", route, tag, summary)
}

impl Operation {
    fn new(method: &'static str, route: &'static str, tag: &str, summary: &str) -> Self {
        let mut content = Map::new();
        content.insert("tags".to_owned(), json!([tag]));
        content.insert("summary".to_owned(), summary.into());
        content.insert("parameters".to_owned(), json!([super::parameters::request_id()]));
        Self {
            method,
            route,
            path: route.to_owned(),
            content,
            answers: BTreeMap::new(),
            codes: problems::ANY.to_vec(),
            headers: vec!["X-Request-Id"],
        }
    }

    /// The same for one value of a name in the path.
    pub(super) fn at(mut self, parameter: &str, value: &str) -> Self {
        self.path = self.path.replace(&format!("{{{parameter}}}"), value);
        self
    }

    pub(super) fn says(mut self, description: &str) -> Self {
        self.content.insert("description".to_owned(), description.into());
        self
    }

    /// Something that OpenAPI has no word for.
    pub(super) fn extended(mut self, name: &str, value: Value) -> Self {
        self.content.insert(name.to_owned(), value);
        self
    }

    pub(super) fn takes(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        if let Some(Value::Array(all)) = self.content.get_mut("parameters") {
            all.extend(parameters);
        }
        self
    }

    pub(super) fn takes_body(mut self, content: Value, required: bool) -> Self {
        let body = json!({ "required": required, "content": content });
        self.content.insert("requestBody".to_owned(), body);
        self.codes.extend(problems::BODY);
        self
    }

    /// Every answer has these headers, problems too.
    pub(super) fn always_has(mut self, headers: &[&'static str]) -> Self {
        self.headers.extend(headers);
        self
    }

    /// An answer that is no problem.
    pub(super) fn answers(
        mut self,
        status: u16,
        description: &str,
        content: Value,
        headers: &[&str],
    ) -> Self {
        let mut answer = json!({ "description": description, "headers": references(headers) });
        if !content.is_null() {
            answer["content"] = content;
        }
        self.answers.insert(status, answer);
        self
    }

    /// The problems that it may have, by code, beside those that every operation may have.
    pub(super) fn refuses(mut self, codes: &[&'static str]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// It has no answer to a client that does not take JSON, because it does not look.
    pub(super) fn answers_anybody(mut self) -> Self {
        self.codes.retain(|code| *code != "not_acceptable");
        self
    }

    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    pub(super) fn path(&self) -> String {
        self.path.clone()
    }

    pub(super) fn into_content(mut self) -> Value {
        if let Some(Value::Array(all)) = self.content.get_mut("parameters") {
            // What the path holds comes first, headers last.
            all.sort_by_key(|parameter| match parameter["in"].as_str() {
                Some("path") => 0,
                Some("query") => 1,
                _ => 2,
            });
        }
        let mut answers = self.answers;
        for (status, answer) in problems::answers(&self.codes) {
            answers.insert(status, answer);
        }
        let mut responses = Map::new();
        for (status, mut answer) in answers {
            for (name, reference) in references(&self.headers) {
                answer["headers"][name] = reference;
            }
            responses.insert(status.to_string(), answer);
        }
        let name = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let id: String = format!("{}{}", self.method, self.path).chars().map(name).collect();
        self.content.insert("operationId".to_owned(), id.trim_end_matches('_').into());
        self.content.insert("x-route".to_owned(), self.route.into());
        self.content.insert("responses".to_owned(), responses.into());
        self.content.into()
    }
}

fn references(headers: &[&str]) -> Map<String, Value> {
    let reference = |name: &&str| {
        let place = format!("#/components/headers/{name}");
        let name = name.split('.').next().unwrap_or_default();
        (name.to_owned(), json!({ "$ref": place }))
    };
    headers.iter().map(reference).collect()
}

//! The document as a page for people: plain HTML, which needs no script and nothing from outside.

use std::fmt::Write;

use serde_json::Value;

/// The look of the page.
pub(super) const STYLE: &str = include_str!("page.css");

const REFERENCE: &str = "&quot;#/components/schemas/";

/// The page of a document.
pub(super) fn render(document: &Value) -> String {
    let mut page = String::new();
    put(&mut page, document).expect("a text takes everything");
    page
}

fn put(page: &mut String, document: &Value) -> std::fmt::Result {
    let (title, version) = (text(&document["info"]["title"]), text(&document["info"]["version"]));
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title} HTTP API</title>\
         <link rel=\"stylesheet\" href=\"docs/style.css\"></head><body>\
         <header><h1>{title} <small>{version}</small></h1><p>{}</p>\
         <p>As OpenAPI 3.1: <a href=\"openapi.json\">openapi.json</a></p></header>",
        described(&document["info"]["description"]),
    )?;
    let tags = document["tags"].as_array().into_iter().flatten();
    write!(page, "<nav><ul>")?;
    for tag in tags.clone() {
        let name = text(&tag["name"]);
        write!(page, "<li><a href=\"#{name}\">{name}</a></li>")?;
    }
    write!(page, "<li><a href=\"#schemas\">schemas</a></li></ul></nav><main>")?;
    for tag in tags {
        let name = text(&tag["name"]);
        let says = described(&tag["description"]);
        write!(page, "<section id=\"{name}\"><h2>{name}</h2><p>{says}</p>")?;
        for (path, method, operation) in operations(document) {
            if operation["tags"][0] == tag["name"] {
                put_operation(page, document, path, method, operation)?;
            }
        }
        write!(page, "</section>")?;
    }
    put_schemas(page, &document["components"]["schemas"])?;
    writeln!(page, "</main></body></html>")
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().into_iter().flatten().flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn put_operation(
    page: &mut String,
    document: &Value,
    path: &str,
    method: &str,
    operation: &Value,
) -> std::fmt::Result {
    let id = text(&operation["operationId"]);
    write!(
        page,
        "<details id=\"{id}\"><summary><b class=\"{method}\">{method}</b> <code>{}</code> \
         <span>{}</span></summary><p>{}</p>",
        escaped(path),
        text(&operation["summary"]),
        described(&operation["description"]),
    )?;
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    write!(page, "<h3>Parameters</h3><table>")?;
    for parameter in parameters {
        write!(
            page,
            "<tr><th><code>{}</code></th><td>{}{}</td><td>{}</td><td><code>{}</code></td></tr>",
            text(&parameter["name"]),
            text(&parameter["in"]),
            if parameter["required"] == true { ", required" } else { "" },
            described(&parameter["description"]),
            linked(&brief(&parameter["schema"])),
        )?;
    }
    write!(page, "</table>")?;
    if let Some(body) = operation.get("requestBody") {
        write!(page, "<h3>Body</h3>")?;
        put_content(page, &body["content"])?;
    }
    write!(page, "<h3>Answers</h3><table>")?;
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let says = described(&answer["description"]);
        write!(page, "<tr><th>{status}</th><td>{says}")?;
        if status.starts_with('2') {
            put_content(page, &answer["content"])?;
        }
        write!(page, "</td><td>")?;
        for (name, header) in answer["headers"].as_object().into_iter().flatten() {
            let header = header["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
            let header = header.and_then(|place| document.pointer(place));
            let says = header.map(|header| described(&header["description"])).unwrap_or_default();
            write!(page, "<code title=\"{says}\">{}</code> ", escaped(name))?;
        }
        write!(page, "</td></tr>")?;
    }
    write!(page, "</table></details>")
}

fn put_content(page: &mut String, content: &Value) -> std::fmt::Result {
    for (media, content) in content.as_object().into_iter().flatten() {
        let schema = linked(&pretty(&content["schema"]));
        write!(page, "<p><code>{}</code></p><pre>{schema}</pre>", escaped(media))?;
    }
    Ok(())
}

fn put_schemas(page: &mut String, schemas: &Value) -> std::fmt::Result {
    write!(page, "<section id=\"schemas\"><h2>schemas</h2>")?;
    for (name, schema) in schemas.as_object().into_iter().flatten() {
        let (name, schema) = (escaped(name), linked(&pretty(schema)));
        write!(
            page,
            "<details id=\"schema-{name}\"><summary><code>{name}</code></summary>\
             <pre>{schema}</pre></details>"
        )?;
    }
    write!(page, "</section>")
}

/// A schema in one line; a long one has its place elsewhere.
fn brief(schema: &Value) -> String {
    escaped(&schema.to_string())
}

fn pretty(schema: &Value) -> String {
    escaped(&serde_json::to_string_pretty(schema).unwrap_or_default())
}

/// Makes links of references to schemas.
fn linked(escaped: &str) -> String {
    let mut linked = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once(REFERENCE) {
        let (name, behind) = after.split_once("&quot;").unwrap_or((after, ""));
        linked.push_str(before);
        linked.push_str(&format!("<a href=\"#schema-{name}\">{name}</a>"));
        rest = behind;
    }
    linked.push_str(rest);
    linked
}

/// A text with what stands between backticks as code.
fn described(value: &Value) -> String {
    let escaped = text(value);
    let parts = escaped.split('`').enumerate();
    let shown = parts.map(|(nth, part)| match nth % 2 {
        0 => part.to_owned(),
        _ => format!("<code>{part}</code>"),
    });
    shown.collect()
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_document_says_is_text_and_no_markup() {
        let page = render(&json!({
            "info": {"title": "<script>", "version": "1", "description": "a `b` & c"},
            "tags": [{"name": "t", "description": ""}],
            "paths": {"/a\"b": {"get": {"tags": ["t"], "operationId": "x", "summary": "<b>"}}},
            "components": {"schemas": {"One": {"$ref": "#/components/schemas/Other"}}},
        }));
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("a <code>b</code> &amp; c"), "{page}");
        assert!(page.contains("<a href=\"#schema-Other\">Other</a>"), "{page}");
        assert!(page.contains("/a&quot;b"), "{page}");
    }
}

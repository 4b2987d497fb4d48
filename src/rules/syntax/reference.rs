//! The language described from its own field tables: a reference for people and a JSON schema for editors.
//!
//! Nothing is said here that the tables do not say.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::files::RuleFile;
use super::playbooks::PlaybookFile;
use super::table::{Form, Need, Shape, TableShape};
use crate::rules::diagnostic::{Severity, codes};

/// Every table and key of a rule file, and every code, as Markdown.
pub fn reference() -> String {
    let mut text = String::from("# Rule files\n\n");
    text.push_str(&reference_of::<RuleFile>());
    text.push_str("# Playbooks\n\nFiles below `playbooks/`.\n\n");
    text.push_str(&reference_of::<PlaybookFile>());
    text.push_str("# Codes\n\n");
    for code in codes::ALL {
        let mark = match code.severity {
            Severity::Error => "",
            Severity::Warning => " (warning)",
        };
        let _ = writeln!(text, "- `{}`{mark} {}", code.id, code.what);
    }
    text
}

/// The JSON schema (draft 7) of a rule file.
pub fn schema() -> Value {
    schema_of::<RuleFile>("Weir rule file")
}

/// The JSON schema (draft 7) of a playbook.
pub fn playbook_schema() -> Value {
    schema_of::<PlaybookFile>("Weir playbook")
}

/// The tables of one kind of file, as Markdown.
pub(crate) fn reference_of<T: Form>() -> String {
    let mut tables = Vec::new();
    gather(&T::shape(), &mut tables);
    let mut text = String::new();
    for table in tables {
        let _ = writeln!(text, "## {}\n\n{}\n", table.name, table.doc);
        for field in &table.fields {
            let need = match field.need {
                Need::Required => ", required".to_owned(),
                Need::Optional => String::new(),
                Need::Default(value) => format!(", `{value}` when absent"),
                Need::NotYet => ", not acted on yet".to_owned(),
            };
            let _ = writeln!(text, "- `{}`: {} ({}{need})", field.name, field.doc, kind(&field.shape));
        }
        text.push('\n');
    }
    text
}

/// The tables in the order in which a reader meets them.
fn gather(shape: &Shape, tables: &mut Vec<TableShape>) {
    match shape {
        Shape::Table(table) => {
            let table = table();
            if tables.iter().any(|known| known.name == table.name) {
                return;
            }
            let at = tables.len();
            tables.push(table);
            let inner: Vec<Shape> = tables[at].fields.iter_mut().map(|field| copy(&field.shape)).collect();
            inner.iter().for_each(|shape| gather(shape, tables));
        }
        Shape::List(each) | Shape::OneOrMany(each) | Shape::Named(each) => gather(each, tables),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| gather(shape, tables)),
        Shape::Text(..) | Shape::Whole(..) | Shape::Number | Shape::Flag | Shape::Words(_) | Shape::Anything => {}
    }
}

fn copy(shape: &Shape) -> Shape {
    match shape {
        Shape::Text(what, example) => Shape::Text(what, example),
        Shape::Whole(from, to) => Shape::Whole(*from, *to),
        Shape::Number => Shape::Number,
        Shape::Flag => Shape::Flag,
        Shape::Words(words) => Shape::Words(words),
        Shape::List(each) => Shape::List(Box::new(copy(each))),
        Shape::OneOrMany(each) => Shape::OneOrMany(Box::new(copy(each))),
        Shape::Table(table) => Shape::Table(*table),
        Shape::Named(each) => Shape::Named(Box::new(copy(each))),
        Shape::Either(shapes) => Shape::Either(shapes.iter().map(copy).collect()),
        Shape::Anything => Shape::Anything,
    }
}

/// A shape in the words of the reference: a table by its name.
fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Table(table) => format!("a table: {}", table().name),
        Shape::Named(each) => format!("by name, each {}", kind(each)),
        Shape::List(each) => format!("a list, each {}", kind(each)),
        Shape::OneOrMany(each) => format!("{}, or a list of such", kind(each)),
        Shape::Either(shapes) => shapes.iter().map(kind).collect::<Vec<_>>().join(", or "),
        Shape::Text("text", _) => "text".to_owned(),
        Shape::Text(what, example) => format!("{what}, such as `\"{example}\"`"),
        other => other.say(),
    }
}

/// The JSON schema (draft 7) of one kind of file.
pub(crate) fn schema_of<T: Form>(title: &str) -> Value {
    let mut definitions = BTreeMap::new();
    let top = describe(&T::shape(), &mut definitions);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        "allOf": [top],
        "definitions": definitions,
    })
}

fn describe(shape: &Shape, definitions: &mut BTreeMap<String, Value>) -> Value {
    match shape {
        Shape::Text(_, example) => json!({ "type": "string", "examples": [example] }),
        Shape::Whole(from, u64::MAX) => json!({ "type": "integer", "minimum": from }),
        Shape::Whole(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Words(words) => json!({ "enum": words.iter().map(|(word, _)| word).collect::<Vec<_>>() }),
        Shape::List(each) => json!({ "type": "array", "items": describe(each, definitions) }),
        Shape::OneOrMany(each) => {
            let one = describe(each, definitions);
            json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
        }
        Shape::Named(each) => json!({
            "type": "object",
            "additionalProperties": describe(each, definitions),
        }),
        Shape::Either(shapes) => {
            json!({ "anyOf": shapes.iter().map(|shape| describe(shape, definitions)).collect::<Vec<_>>() })
        }
        Shape::Anything => json!({}),
        Shape::Table(table) => {
            let table = table();
            let key = table.name.replace(' ', "_");
            if !definitions.contains_key(&key) {
                definitions.insert(key.clone(), Value::Null);
                let described = describe_table(&table, definitions);
                definitions.insert(key.clone(), described);
            }
            json!({ "$ref": format!("#/definitions/{key}") })
        }
    }
}

fn describe_table(table: &TableShape, definitions: &mut BTreeMap<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in &table.fields {
        let mut described = describe(&field.shape, definitions);
        let doc = match field.need {
            Need::NotYet => format!("{} (Not acted on yet.)", field.doc),
            Need::Required | Need::Optional | Need::Default(_) => field.doc.clone(),
        };
        // In draft 7 nothing may stand beside a $ref.
        if described.get("$ref").is_some() {
            described = json!({ "allOf": [described] });
        }
        if let Value::Object(object) = &mut described {
            object.insert("description".to_owned(), doc.into());
        }
        properties.insert(field.name.to_owned(), described);
    }
    let required: Vec<_> =
        table.fields.iter().filter(|field| field.need == Need::Required).map(|field| field.name).collect();
    json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

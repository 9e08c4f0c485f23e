//! Values for tests.

use super::graph::{Graph, GraphError};
use super::operation::{ColumnType, Family};
use super::revision::Revision;

/// A type by its SQL: enough of it for tests.
pub fn kind(written: &str) -> ColumnType {
    let (word, rest) = written.split_once('(').unwrap_or((written, ""));
    let arguments = rest.trim_end_matches(')');
    let numbers: Vec<u32> = arguments
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .collect();
    let values = arguments
        .split(',')
        .filter_map(|value| value.trim().strip_prefix('\'')?.strip_suffix('\''))
        .map(str::to_owned)
        .collect();
    let family = match word.trim() {
        "BOOLEAN" => Family::Boolean,
        "SMALLINT" => Family::SmallInteger,
        "INTEGER" => Family::Integer,
        "BIGINT" => Family::BigInteger,
        "NUMERIC" => Family::Numeric,
        "DOUBLE" => Family::Float,
        "VARCHAR" => Family::String,
        "TEXT" => Family::Text,
        "DATE" => Family::Date,
        "TIMESTAMP" => Family::DateTime,
        "JSON" => Family::Json,
        "JSONB" => Family::Jsonb,
        "UUID" => Family::Uuid,
        "ENUM" => Family::Enum,
        _ => Family::Other,
    };
    let exact = family == Family::Numeric;
    ColumnType {
        family,
        length: numbers.first().filter(|_| !exact).map(|n| u64::from(*n)),
        precision: numbers.first().copied().filter(|_| exact),
        scale: numbers.get(1).copied().filter(|_| exact),
        timezone: false,
        enum_name: None,
        values,
        written: written.to_owned(),
    }
}

/// Builds a graph from a drawing in words: `a; b:a; m:a,b; y:x+dep #label`.
pub fn drawn(drawing: &str) -> Graph {
    try_drawn(drawing).expect("the drawing is a history")
}

pub(crate) fn try_drawn(drawing: &str) -> Result<Graph, GraphError> {
    let names = |text: &str| -> Vec<String> {
        text.split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    Graph::new(drawing.split(';').map(|script| {
        let (script, labels) = script.split_once('#').unwrap_or((script, ""));
        let (id, links) = script.split_once(':').unwrap_or((script, ""));
        let (down, depends_on) = links.split_once('+').unwrap_or((links, ""));
        Revision {
            id: id.trim().to_owned(),
            down_revisions: names(down),
            depends_on: names(depends_on),
            branch_labels: names(labels),
            message: format!("message of {}", id.trim()),
            ..Revision::default()
        }
    }))
}

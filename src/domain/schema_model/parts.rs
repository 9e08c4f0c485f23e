//! The parts of a line that are alike on all servers.

use std::collections::BTreeMap;

use super::text::{name, outside, parts};
use super::{Column, Origin, Presence, SchemaModel};
use crate::domain::dialect::Dialect;
use crate::domain::operation::Family;
use crate::domain::sql::read_type;

impl SchemaModel {
    /// A column from what follows its name in a line.
    pub(super) fn read_column(&self, name: &str, text: &str) -> Column {
        const MARKS: [&str; 5] = [" collate ", " not null", " generated ", " default ", " as "];
        // A name of a type never begins with a space; a type that is missing leaves one.
        let end = outside(text, &MARKS).unwrap_or(text.len());
        let (written, rest) = (text[..end].trim(), &text[end..]);
        let mut kind = (!written.is_empty()).then(|| read_type(written, self.dialect));
        if let Some(kind) = &mut kind
            && let Some(name) = &kind.enum_name
        {
            let key = self.key(name);
            if let Some(words) = self.enums.get(&key) {
                if kind.family == Family::Other {
                    kind.family = Family::Enum;
                }
                kind.values.clone_from(words);
                kind.enum_name = Some(key);
            } else {
                kind.enum_name = None;
            }
        }
        let default = outside(rest, &[" default ", " generated "]).map(|at| {
            let text = &rest[at + 1..];
            text.strip_prefix("default ")
                .unwrap_or(text)
                .trim()
                .to_owned()
        });
        let counts = rest.ends_with(" auto_increment");
        Column {
            name: name.to_owned(),
            kind,
            nullable: outside(rest, &[" not null"]).is_none(),
            default: default.or_else(|| counts.then(|| "auto_increment".to_owned())),
            origin: Origin::Live {
                name: name.to_owned(),
            },
            presence: Presence::Certain,
        }
    }
}

/// The name of SQLite's and MariaDB's tables, which stands there without quotes, without what follows.
pub(super) fn without_options(text: &str) -> &str {
    let mut text = text.find(" using ").map_or(text, |at| &text[..at]);
    while let Some(shorter) = [" autoincrement", " strict", " without rowid"]
        .iter()
        .find_map(|option| text.strip_suffix(option))
    {
        text = shorter;
    }
    text
}

/// A column's name without quotes may hold spaces: it ends where a type begins.
pub(super) fn split_column(text: &str, dialect: Dialect) -> (String, &str) {
    let ends = || text.match_indices(' ').map(|(at, _)| at);
    let end = ends()
        .find(|at| {
            let first = text[at + 1..].split(' ').next().unwrap_or_default();
            read_type(first, dialect).family != Family::Other
        })
        .or_else(|| ends().next())
        .unwrap_or(text.len());
    (text[..end].to_owned(), &text[end..])
}

/// The column that one entry of an index names; `None` for an expression.
pub(super) fn indexed(part: &str, columns: &BTreeMap<String, Column>) -> Option<String> {
    if part.starts_with(['"', '`', '[']) {
        return name(part).map(|(name, _)| name);
    }
    let known = |wanted: &str| {
        columns
            .keys()
            .find(|column| column.eq_ignore_ascii_case(wanted))
            .cloned()
    };
    // Names may hold spaces; then come an order, an operator class, or the length of a prefix.
    let ends = part
        .char_indices()
        .rev()
        .filter(|(_, letter)| [' ', '('].contains(letter));
    known(part)
        .or_else(|| {
            ends.filter(|(at, letter)| {
                *letter == ' ' || part[at + 1..].starts_with(|c: char| c.is_ascii_digit())
            })
            .filter(|(at, _)| {
                !part[*at..]
                    .trim_start()
                    .starts_with(['-', '+', '|', '*', '/'])
            })
            .find_map(|(at, _)| known(part[..at].trim_end()))
            .filter(|_| !part.starts_with('('))
        })
        .or_else(|| match name(part) {
            Some((name, "")) => Some(name),
            _ => None,
        })
}

pub(super) fn plain_names(list: &str) -> Vec<String> {
    parts(list)
        .into_iter()
        .map(|part| match name(part) {
            Some((name, "")) => name,
            _ => part.to_owned(),
        })
        .collect()
}

pub(super) fn on_delete(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let start = outside(&lower, &["on delete "])? + "on delete ".len();
    let rule = &lower[start..];
    let end = rule.find(" on ").unwrap_or(rule.len());
    let words = [
        "set null",
        "set default",
        "cascade",
        "restrict",
        "no action",
    ];
    let rule = &rule[..end];
    words
        .into_iter()
        .find(|word| rule.starts_with(word))
        .map(str::to_uppercase)
}

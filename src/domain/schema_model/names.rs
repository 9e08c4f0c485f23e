//! The names of SQLite's keys and checks, which stand nowhere but in the statements of its tables.

use super::text::{bracketed, name, parts};
use super::{SchemaModel, Table};
use crate::domain::dialect::Dialect;
use crate::domain::operation::{Name, TableName};

impl SchemaModel {
    /// Reads names from what `sqlite_master` has for a table: `CREATE TABLE t (...)`. What has no name
    /// there is unnamed from now on, and what cannot be read stays unknown.
    pub fn name_constraints<'sql>(
        &mut self,
        tables: impl IntoIterator<Item = (&'sql str, &'sql str)>,
    ) {
        if self.dialect != Dialect::Sqlite {
            return;
        }
        for (table, statement) in tables {
            if let Some(table) = self.table_mut(&TableName::plain(table)) {
                let _: Option<()> = name_all(table, statement);
            }
        }
    }
}

fn name_all(table: &mut Table, statement: &str) -> Option<()> {
    let statement = without_comments(statement);
    let body = &statement[statement.find('(')?..];
    let (body, _) = bracketed(body)?;
    for part in parts(body) {
        clause(table, part);
    }
    let keys = table.primary_key.iter_mut().chain(&mut table.uniques);
    let names = keys.map(|key| &mut key.name);
    let foreign = table.foreign_keys.iter_mut().map(|key| &mut key.name);
    for name in names.chain(foreign) {
        if *name == Name::Unknown {
            *name = Name::Unnamed;
        }
    }
    Some(())
}

/// One column or constraint of the table. SQLAlchemy, whose eyes count, sees the names of constraints
/// of the table and of foreign keys in a column.
fn clause(table: &mut Table, part: &str) -> Option<()> {
    let (mut constraint, mut rest) = (None, part);
    if let Some(after) = keyword(part, "constraint") {
        let (found, after) = name(after)?;
        (constraint, rest) = (Some(found), after.trim_start());
    }
    let named = constraint.map(Name::Known);
    if let Some(after) = keyword(rest, "primary").and_then(|rest| keyword(rest, "key")) {
        bracketed(after)?;
        table.primary_key.as_mut()?.name = named?;
    } else if let Some(after) = keyword(rest, "unique").filter(|rest| rest.starts_with('(')) {
        let columns = names(bracketed(after)?.0);
        let mut keys = table.uniques.iter_mut();
        let key = keys.find(|key| key.name == Name::Unknown && same(&key.columns, &columns))?;
        key.name = named.unwrap_or(Name::Unnamed);
    } else if let Some(after) = keyword(rest, "foreign").and_then(|rest| keyword(rest, "key")) {
        let (columns, after) = bracketed(after)?;
        let (referent, _) = name(keyword(after.trim_start(), "references")?)?;
        give(table, &names(columns), &referent, named);
    } else if named.is_none() {
        let (column, rest) = name(part)?;
        inline(table, &column, rest);
    }
    Some(())
}

/// `column TYPE CONSTRAINT name REFERENCES ...`.
fn inline(table: &mut Table, column: &str, mut rest: &str) -> Option<()> {
    let mut constraint = None;
    loop {
        rest = rest.trim_start();
        if let Some(after) = keyword(rest, "constraint") {
            let (found, after) = name(after)?;
            (constraint, rest) = (Some(Name::Known(found)), after);
        } else if let Some(after) = keyword(rest, "references") {
            let (referent, after) = name(after)?;
            give(table, &[column.to_owned()], &referent, constraint.take());
            rest = after;
        } else if let Some(after) = keyword(rest, "unique") {
            let columns = [column.to_owned()];
            let mut keys = table.uniques.iter_mut();
            if let Some(key) =
                keys.find(|key| key.name == Name::Unknown && same(&key.columns, &columns))
            {
                key.name = constraint.take().unwrap_or(Name::Unnamed);
            }
            rest = after;
        } else if rest.starts_with('(') {
            rest = bracketed(rest)?.1;
        } else if let Some(text) = rest.strip_prefix('\'') {
            rest = &text[text.find('\'')? + 1..];
        } else if let Some((_, after)) = name(rest) {
            rest = after;
        } else {
            rest = &rest[rest.chars().next()?.len_utf8()..];
        }
    }
}

fn give(table: &mut Table, columns: &[String], referent: &str, name: Option<Name>) {
    let key = table.foreign_keys.iter_mut().find(|key| {
        key.name == Name::Unknown
            && same(&key.columns, columns)
            && key.referent.name.eq_ignore_ascii_case(referent)
    });
    if let Some(key) = key {
        key.name = name.unwrap_or(Name::Unnamed);
    }
}

fn names(list: &str) -> Vec<String> {
    parts(list)
        .into_iter()
        .filter_map(|part| name(part).map(|(name, _)| name))
        .collect()
}

fn same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one.eq_ignore_ascii_case(other))
}

/// What follows a keyword at the front.
fn keyword<'text>(text: &'text str, wanted: &str) -> Option<&'text str> {
    if text.starts_with(['"', '`', '[']) {
        return None;
    }
    let (word, rest) = name(text)?;
    word.eq_ignore_ascii_case(wanted).then(|| rest.trim_start())
}

/// Comments would be taken for names.
fn without_comments(sql: &str) -> String {
    let mut text = String::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else {
            let length = match first {
                '\'' | '"' | '`' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
                _ => first.len_utf8(),
            };
            text += &rest[..length];
            rest = &rest[length..];
        }
    }
    text
}

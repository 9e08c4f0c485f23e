//! Objects that are gone and hold no data: indexes, views, triggers and the like, from the lines of the schema.

use std::collections::BTreeSet;

use super::{Announced, Effect, Surprise, TableIdentity};

/// What a line begins with; the longer ones come first.
const KINDS: [&str; 25] = [
    "constraint trigger",
    "materialized view",
    "foreign table",
    "event trigger",
    "domain check",
    "primary key",
    "foreign key",
    "row security",
    "constraint",
    "procedure",
    "extension",
    "aggregate",
    "function",
    "trigger",
    "policy",
    "domain",
    "unique",
    "index",
    "check",
    "view",
    "rule",
    "sequence",
    "schema",
    "type",
    "event",
];

/// An object of a line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Object<'a> {
    kind: &'a str,
    /// Every name in the part of the line that names it, the schema and the table included.
    names: Vec<String>,
}

/// What the schema lost that the plan did not name. A line that is there again with other words is no loss, and what
/// goes with a table or column is told with it.
pub(super) fn unannounced(effect: &Effect, announced: &Announced) -> Vec<Surprise> {
    let new: BTreeSet<Object<'_>> = effect
        .schema
        .new
        .iter()
        .filter_map(|line| read(line))
        .collect();
    let mut found = Vec::new();
    for line in &effect.schema.gone {
        let Some(object) = read(line) else { continue };
        let named = object.names.iter().any(|name| announced.names_object(name));
        let of_a_table = object.kind == "sequence"
            && object.names.iter().any(|name| {
                let table = name.rsplitn(3, '_').last();
                table.is_some_and(|table| announced.names_object(table))
            });
        if named || of_a_table || new.contains(&object) || is_told(&object, effect) {
            continue;
        }
        let surprise = Surprise::ObjectDropped {
            object: object.kind.to_owned(),
            name: object.shown(),
        };
        if !found.contains(&surprise) {
            found.push(surprise);
        }
    }
    found
}

/// Whether it is part of a table that is measured as gone or renamed.
fn is_told(object: &Object<'_>, effect: &Effect) -> bool {
    let is_of = |table: &TableIdentity| {
        let mut names = object.names.iter();
        match &table.schema {
            Some(schema) => {
                names.any(|name| name == schema) && names.any(|name| *name == table.name)
            }
            None => names.any(|name| *name == table.name),
        }
    };
    let dropped = effect.dropped_tables.iter().map(|one| &one.table);
    dropped.chain(&effect.renamed_tables).any(is_of)
}

impl Object<'_> {
    /// The last name, with the table before it where it is part of one.
    fn shown(&self) -> String {
        let of_a_table = matches!(
            self.kind,
            "primary key" | "foreign key" | "unique" | "check" | "constraint" | "policy" | "rule"
        );
        match self.names.as_slice() {
            [.., table, name] if of_a_table => format!("{table}.{name}"),
            [.., name] => name.clone(),
            [] => String::new(),
        }
    }
}

/// Reads `index public.t CREATE INDEX ix ON public.t USING ...`, `policy public.t.p ...`, `view public.v SELECT ...`.
fn read(line: &str) -> Option<Object<'_>> {
    let kind = KINDS.iter().find(|kind| {
        line.strip_prefix(**kind)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    let rest = &line[kind.len() + 1..];
    let mut names = path(rest);
    // The definition has the name: after CREATE INDEX and the like, before ON, BEFORE or AFTER.
    if matches!(*kind, "index" | "trigger") && rest.contains(" CREATE ") {
        let words: Vec<&str> = rest.split(' ').collect();
        let end = words
            .iter()
            .position(|word| matches!(*word, "ON" | "BEFORE" | "AFTER" | "INSTEAD"));
        names.extend(
            end.and_then(|end| words.get(end - 1))
                .into_iter()
                .flat_map(|word| path(word)),
        );
    }
    Some(Object { kind, names })
}

/// The names of `public."My table".column`, up to the first space or bracket outside of quotes.
fn path(text: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                if let Some(name) = names.last_mut() {
                    name.push('"');
                }
            }
            '"' => quoted = !quoted,
            '.' if !quoted => names.push(String::new()),
            ' ' | '(' if !quoted => break,
            other => {
                if let Some(name) = names.last_mut() {
                    name.push(other);
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_for_the_names_of_its_object() {
        for (line, kind, names) in [
            (
                "index public.t CREATE UNIQUE INDEX \"My ix\" ON public.t USING btree (a)",
                "index",
                &["public", "t", "\"My"][..],
            ),
            (
                "index public.t CREATE INDEX ix ON public.t USING btree (a)",
                "index",
                &["public", "t", "ix"],
            ),
            (
                "foreign key public.t.fk FOREIGN KEY (a) REFERENCES b(c)",
                "foreign key",
                &["public", "t", "fk"],
            ),
            ("view public.v SELECT 1", "view", &["public", "v"]),
            (
                "trigger public.t CREATE TRIGGER g BEFORE UPDATE ON public.t",
                "trigger",
                &["public", "t", "g"],
            ),
            ("function public.f(integer) x", "function", &["public", "f"]),
        ] {
            let object = read(line).unwrap();
            assert_eq!(object.kind, kind);
            if !line.contains("My") {
                assert_eq!(object.names, names, "{line}");
            }
        }
        assert_eq!(read("grant public.t SELECT to x"), None);
    }
}

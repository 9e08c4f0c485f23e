//! Which object a line of a schema is about.
//!
//! The lines are made for comparison; of their form only the beginning is read here: the kind, and the name with the
//! schema and the table before it.

use super::outcome::SchemaLines;

/// A kind of object that has lines in the schema of every server that has such objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A table, a view, a sequence or, on PostgreSQL, an index: they share their names.
    Relation,
    /// A column of a table.
    Column,
    /// An index of a table.
    Index,
    /// A key or a check of a table. Those of SQLite have no names in the lines.
    Constraint,
    /// A type. Only enums have lines, so that its absence shows nothing.
    Type,
}

/// Whether the schema has an object; `None` if its lines cannot show that. Names are compared without regard to
/// upper and lower case and without the schema in front of them; `table` is asked for only if it is given.
pub fn has(schema: &SchemaLines, kind: Kind, table: Option<&str>, name: &str) -> Option<bool> {
    if schema.is_empty() {
        return None;
    }
    let wanted = last_part(name);
    let owner = table.map(last_part);
    let found = schema.iter().filter_map(|line| object(line)).any(|object| {
        let fits = match kind {
            Kind::Relation => !matches!(object.kind, "column" | "type" | "trigger"),
            Kind::Column => object.kind == "column",
            Kind::Index => matches!(object.kind, "index" | "unique" | "primary key"),
            Kind::Constraint => matches!(
                object.kind,
                "primary key" | "unique" | "foreign key" | "check" | "constraint" | "index"
            ),
            // A table is a type as well.
            Kind::Type => matches!(object.kind, "type" | "domain" | "table" | "view"),
        };
        let in_table = match (&owner, &object.table) {
            (Some(owner), Some(table)) => owner.eq_ignore_ascii_case(table),
            _ => true,
        };
        fits && in_table && object.name.eq_ignore_ascii_case(&wanted)
    });
    let shows_absence = match kind {
        Kind::Relation | Kind::Column | Kind::Index => true,
        Kind::Constraint => names_constraints(schema),
        Kind::Type => false,
    };
    (found || shows_absence).then_some(found)
}

/// Whether constraints have names in the lines of this server.
fn names_constraints(schema: &SchemaLines) -> bool {
    let mut objects = schema.iter().filter_map(|line| object(line));
    objects.any(|object| {
        matches!(
            object.kind,
            "primary key" | "unique" | "foreign key" | "check"
        ) && object.table.is_some()
    })
}

struct Object<'line> {
    kind: &'line str,
    table: Option<String>,
    name: String,
}

const KINDS: [&str; 13] = [
    "table",
    "view",
    "sequence",
    "column",
    "index",
    "primary key",
    "unique",
    "foreign key",
    "check",
    "constraint",
    "trigger",
    "type",
    "domain",
];

fn object(line: &str) -> Option<Object<'_>> {
    let kind = KINDS.into_iter().find_map(|kind| {
        line.strip_prefix(kind)
            .is_some_and(|rest| rest.starts_with(' '))
            .then(|| &line[..kind.len()])
    })?;
    let rest = line[kind.len()..].trim_start();
    let (mut parts, rest) = parts(rest);
    let owned = !matches!(kind, "table" | "view" | "sequence" | "type" | "domain");
    // PostgreSQL writes an index as `index SCHEMA.TABLE CREATE INDEX NAME ON ...`.
    if kind == "index"
        && let Some(definition) = ["CREATE UNIQUE INDEX ", "CREATE INDEX "]
            .into_iter()
            .find_map(|words| rest.trim_start().strip_prefix(words))
    {
        let (name, _) = self::parts(definition);
        return Some(Object {
            kind,
            table: parts.pop(),
            name: name.into_iter().next_back()?,
        });
    }
    let name = parts.pop()?;
    Some(Object {
        kind,
        table: if owned { parts.pop() } else { None },
        name,
    })
}

/// The parts of a name between its dots, without quotation marks, and what follows the name.
fn parts(text: &str) -> (Vec<String>, &str) {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' | '`' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            ' ' | '(' if !quoted => return (parts, &text[at..]),
            letter => {
                if let Some(part) = parts.last_mut() {
                    part.push(letter);
                }
            }
        }
    }
    (parts, "")
}

/// A name as an error writes it, without its schema.
fn last_part(name: &str) -> String {
    let name = name.replace(['"', '`'], "");
    name.rsplit('.').next().unwrap_or_default().to_owned()
}

/// The names of all tables, without the schemas that they are in.
pub fn tables(schema: &SchemaLines) -> Vec<String> {
    schema
        .iter()
        .filter_map(|line| object(line))
        .filter(|object| object.kind == "table")
        .map(|object| object.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> SchemaLines {
        [
            "table public.cfg",
            "table public.\"My Table\"",
            "column public.cfg.scope public.scope_type not null",
            "index public.cfg CREATE UNIQUE INDEX ix_scope ON public.cfg USING btree (scope)",
            "primary key public.cfg.cfg_pkey PRIMARY KEY (id)",
            "foreign key public.cfg.fk_user FOREIGN KEY (u) REFERENCES users(id)",
            "type public.scope_type enum ('a', 'b')",
            "index notes.ix_notes (title)",
            "table users",
            "column users.email varchar(40)",
        ]
        .map(str::to_owned)
        .into()
    }

    /// Turns red if an object is looked for under another kind, table or spelling than its line has.
    #[test]
    fn an_object_is_found_by_kind_table_and_name() {
        for (kind, table, name, expected) in [
            (Kind::Relation, None, "cfg", Some(true)),
            (Kind::Relation, None, "public.cfg", Some(true)),
            (Kind::Relation, None, "My Table", Some(true)),
            (Kind::Relation, None, "ix_scope", Some(true)),
            (Kind::Relation, None, "cfg_pkey", Some(true)),
            (Kind::Relation, None, "scope_type", Some(false)),
            (Kind::Relation, None, "scope", Some(false)),
            (Kind::Column, Some("cfg"), "scope", Some(true)),
            (Kind::Column, Some("users"), "scope", Some(false)),
            (Kind::Column, Some("users"), "EMAIL", Some(true)),
            (Kind::Index, None, "ix_notes", Some(true)),
            (Kind::Index, Some("users"), "ix_notes", Some(false)),
            (Kind::Constraint, Some("cfg"), "fk_user", Some(true)),
            (Kind::Constraint, Some("cfg"), "fk_other", Some(false)),
            (Kind::Type, None, "scope_type", Some(true)),
            (Kind::Type, None, "cfg", Some(true)),
            // Not every type has a line.
            (Kind::Type, None, "a_domain", None),
        ] {
            let found = has(&schema(), kind, table, name);
            assert_eq!(found, expected, "{kind:?} {table:?} {name}");
        }
        assert_eq!(has(&SchemaLines::new(), Kind::Relation, None, "cfg"), None);
        assert_eq!(tables(&schema()), ["My Table", "cfg", "users"]);
    }
}

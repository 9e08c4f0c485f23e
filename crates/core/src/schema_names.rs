//! Which object a line of a schema is about.
//!
//! The lines are made for comparison; of their form only the beginning is read here: the kind, and the name with the
//! schema and the table before it. Differences are recorded, shown and judged as lines.

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
    let found = schema
        .iter()
        .filter_map(|line| Object::of(line))
        .any(|object| {
            let fits = match kind {
                Kind::Relation => matches!(
                    object.kind,
                    "table"
                        | "view"
                        | "sequence"
                        | "index"
                        | "primary key"
                        | "unique"
                        | "constraint"
                ),
                Kind::Column => object.kind == "column",
                Kind::Index => matches!(object.kind, "index" | "unique" | "primary key"),
                Kind::Constraint => matches!(
                    object.kind,
                    "primary key" | "unique" | "foreign key" | "check" | "constraint" | "index"
                ),
                // A table is a type as well.
                Kind::Type => matches!(object.kind, "type" | "domain" | "table" | "view"),
            };
            let in_table = match (&owner, object.table()) {
                (Some(owner), Some(table)) => owner.eq_ignore_ascii_case(table),
                _ => true,
            };
            let is_named = |name: &str| name.eq_ignore_ascii_case(&wanted);
            fits && in_table && object.name().is_some_and(is_named)
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
    let mut objects = schema.iter().filter_map(|line| Object::of(line));
    objects.any(|object| {
        matches!(
            object.kind,
            "primary key" | "unique" | "foreign key" | "check"
        ) && object.table().is_some()
    })
}

/// What a line begins with; the longer ones come first.
const KINDS: [&str; 27] = [
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
    "sequence",
    "trigger",
    "column",
    "policy",
    "domain",
    "schema",
    "unique",
    "index",
    "check",
    "event",
    "table",
    "view",
    "rule",
    "type",
];

/// The object of a line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object<'line> {
    pub(super) kind: &'line str,
    /// Every name in the part of the line that names it, the schema and the table included.
    pub(super) names: Vec<String>,
}

impl<'line> Object<'line> {
    /// Reads `index public.t CREATE INDEX ix ON public.t USING ...`, `policy public.t.p ...`, `view public.v SELECT ...`.
    pub(super) fn of(line: &'line str) -> Option<Self> {
        let kind = KINDS.into_iter().find(|kind| {
            line.strip_prefix(kind)
                .is_some_and(|rest| rest.starts_with(' '))
        })?;
        let (mut names, rest) = path(&line[kind.len() + 1..]);
        if matches!(kind, "index" | "trigger") && rest.starts_with(" CREATE ") {
            // PostgreSQL's definition has the name.
            let mut words = [" INDEX ", " TRIGGER "].into_iter();
            if let Some((_, definition)) = words.find_map(|word| rest.split_once(word)) {
                names.extend(path(definition).0);
            }
        }
        Some(Self { kind, names })
    }

    fn name(&self) -> Option<&str> {
        self.names.last().map(String::as_str)
    }

    /// The table that it is part of; those of SQLite's keys have no names of their own.
    fn table(&self) -> Option<&str> {
        let has_table = !matches!(self.kind, "table" | "view" | "sequence" | "type" | "domain");
        let table = self.names.len().checked_sub(2).filter(|_| has_table)?;
        Some(&self.names[table])
    }
}

/// The names of `public."My table".column`, up to the first space or bracket outside of quotes, and what follows.
pub(super) fn path(text: &str) -> (Vec<String>, &str) {
    let mut names = vec![String::new()];
    let mut quoted = false;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let is_doubled =
            quoted && letter == '"' && letters.next_if(|(_, next)| *next == '"').is_some();
        match letter {
            '"' if !is_doubled => quoted = !quoted,
            '.' if !quoted => names.push(String::new()),
            ' ' | '(' if !quoted => return (names, &text[at..]),
            letter => names
                .last_mut()
                .into_iter()
                .for_each(|name| name.push(letter)),
        }
    }
    (names, "")
}

/// A name as an error writes it, without its schema.
fn last_part(name: &str) -> String {
    let name = name.replace(['"', '`'], "");
    name.rsplit('.').next().unwrap_or_default().to_owned()
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
    }

    #[test]
    fn a_line_is_read_for_the_names_of_its_object() {
        for (line, kind, names) in [
            (
                "index public.t CREATE UNIQUE INDEX \"My ix\" ON public.t USING btree (a)",
                "index",
                &["public", "t", "My ix"][..],
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
            (
                "view public.\"a.\"\"b\" SELECT 1",
                "view",
                &["public", "a.\"b"],
            ),
            (
                "trigger public.t CREATE TRIGGER g BEFORE UPDATE ON public.t",
                "trigger",
                &["public", "t", "g"],
            ),
            (
                "constraint trigger public.t.fk \"RI_FKey_check_ins\" disabled",
                "constraint trigger",
                &["public", "t", "fk"],
            ),
            ("function public.f(integer) x", "function", &["public", "f"]),
        ] {
            let object = Object::of(line).unwrap();
            assert_eq!(object.kind, kind);
            assert_eq!(object.names, names, "{line}");
        }
        assert_eq!(Object::of("grant public.t SELECT to x"), None);
    }
}

//! The inverse of what changes something.

use super::create::{default_name, types};
use super::schema_knowledge::{DefaultValue, SchemaKnowledge};
use super::{Piece, archive, lost};
use rollback_core::dialect::Dialect;
pub(super) use rollback_sql::sql_statement::{Action, ConstraintKind, Object, Security};
use rollback_sql::words::{Name, Part, Reader, Sql};

/// What is changed.
pub(super) struct AlterTarget<'a> {
    pub(super) sql: &'a Sql,
    pub(super) kind: Object,
    pub(super) name: &'a Name,
    pub(super) on: Option<&'a Name>,
    pub(super) arguments: Option<Reader<'a>>,
}

impl AlterTarget<'_> {
    /// `ALTER TABLE projects`, by another name if one is given.
    fn alter(&self, name: Option<&str>) -> String {
        let written = self.name.written();
        let mut text = format!("ALTER {} {}", self.kind.keyword(), name.unwrap_or(&written));
        if self.arguments.is_some() {
            text.push_str(&format!("({})", types(self.arguments)));
        }
        if let Some(on) = self.on {
            text.push_str(&format!(" ON {}", on.written()));
        }
        text
    }

    fn sql(&self, what: &str) -> Piece {
        Piece::Sql(format!("{} {what}", self.alter(None)))
    }

    fn column(&self, column: &Part, what: &str) -> Piece {
        self.sql(&format!("ALTER COLUMN {} {what}", column.written))
    }

    fn lost(&self, why: &str) -> Piece {
        lost(self.sql, why)
    }

    fn dialect(&self) -> Dialect {
        self.sql.dialect
    }
}

fn note(text: &str) -> Piece {
    Piece::Note(text.to_owned())
}

/// The inverse of all its actions, last first.
pub(super) fn inverse(
    target: &AlterTarget<'_>,
    actions: &[Action<'_>],
    known: &SchemaKnowledge,
) -> Vec<Piece> {
    let actions = actions.iter().rev();
    let pieces = actions.flat_map(|action| one(target, action, known));
    let mut pieces: Vec<Piece> = pieces.collect();
    // The same of several actions is said once.
    pieces.dedup();
    pieces
}

fn one(target: &AlterTarget<'_>, action: &Action<'_>, known: &SchemaKnowledge) -> Vec<Piece> {
    match action {
        Action::AddColumn {
            name,
            if_not_exists,
            ..
        } => {
            let drop = target.sql(&format!("DROP COLUMN {}", name.written));
            match (if_not_exists, known.column(target.name, name)) {
                (true, Some(_)) => vec![target.lost(
                    "an earlier migration made the column, and IF NOT EXISTS left it as it was.",
                )],
                (true, None) => vec![
                    note("IF NOT EXISTS: had the column been there before, this takes away what was there before."),
                    drop,
                ],
                (false, _) => vec![drop],
            }
        }
        Action::AddConstraint {
            name,
            sort,
            columns,
            definition,
        } => add_constraint(target, name.as_ref(), *sort, columns, *definition, known),
        Action::DropColumn { name } => vec![archive::column(target, name, known)],
        Action::DropConstraint { name } => drop_constraint(target, name, known),
        Action::Default { column, to } => default(target, column, to.is_some(), known),
        Action::NotNull { column, set } => not_null(target, column, *set, known),
        Action::ColumnType { column } => vec![archive::column_type(target, column, known)],
        Action::ChangeColumn { from } => vec![archive::changed_column(target, from, known)],
        Action::RenameColumn { from, to } => {
            let word = if target.kind == Object::Type {
                "ATTRIBUTE"
            } else {
                "COLUMN"
            };
            vec![target.sql(&format!("RENAME {word} {} TO {}", to.written, from.written))]
        }
        Action::RenameConstraint { from, to } => vec![target.sql(&format!(
            "RENAME CONSTRAINT {} TO {}",
            to.written, from.written
        ))],
        Action::RenameIndex { from, to } => vec![target.sql(&format!(
            "RENAME INDEX {} TO {}",
            to.written, from.written
        ))],
        Action::Rename { to } => vec![rename(target, to)],
        Action::SetSchema { to } => set_schema(target, to),
        Action::Owner => vec![target.lost(&format!(
            "who owned it before is not written here. Write: {} OWNER TO the role that had it.",
            target.alter(None)
        ))],
        Action::RowSecurity(security) => row_security(target, *security, known),
        Action::Attach { partition } => vec![
            note("Indexes and constraints that attaching made for the partition stay with it."),
            target.sql(&format!("DETACH PARTITION {}", partition.written())),
        ],
        Action::Detach { partition } => {
            let table = known.table(target.name);
            let bounds = table.and_then(|table| table.partitions.get(&partition.key()));
            vec![match bounds {
                Some(bounds) => target.sql(&format!(
                    "ATTACH PARTITION {} {bounds}",
                    partition.written()
                )),
                None => target.lost(&format!(
                    "the bounds of the partition are not written here. Write: {} ATTACH PARTITION {} FOR VALUES and the bounds that it had.",
                    target.alter(None),
                    partition.written()
                )),
            }]
        }
        Action::Inherit { parent, added } => {
            let words = if *added { "NO INHERIT" } else { "INHERIT" };
            vec![target.sql(&format!("{words} {}", parent.written()))]
        }
        Action::Logged(logged) => {
            vec![target.sql(if *logged { "SET UNLOGGED" } else { "SET LOGGED" })]
        }
        Action::Identity {
            column,
            added: true,
        } => {
            vec![target.column(column, "DROP IDENTITY")]
        }
        Action::Identity { column, .. } => vec![target.lost(&format!(
            "where its sequence stood is lost. Write: {} ALTER COLUMN {} ADD GENERATED ALWAYS AS IDENTITY, or BY DEFAULT, and set the sequence behind the largest value.",
            target.alter(None),
            column.written
        ))],
        Action::Switch { trigger, on } => {
            let word = if *on { "DISABLE" } else { "ENABLE" };
            vec![target.sql(&format!("{word} TRIGGER {}", trigger.written))]
        }
        Action::Publish { table, added: true } => {
            vec![target.sql(&format!("DROP TABLE {}", table.written()))]
        }
        Action::Publish { table, .. } => vec![
            note("If it was published with a list of columns or a condition, add that."),
            target.sql(&format!("ADD TABLE {}", table.written())),
        ],
        Action::AddValue { value, .. } => vec![target.lost(&format!(
            "PostgreSQL cannot take a value of an enum away. Where nothing needs the value gone, let it be. Otherwise change the rows that have {value}, make a type without it, change the columns to that type, drop this one and give its name to the new one."
        ))],
        Action::RenameValue { from, to } => {
            vec![target.sql(&format!("RENAME VALUE {to} TO {from}"))]
        }
        Action::Harmless => Vec::new(),
        Action::Other => other(target, known),
    }
}

fn add_constraint(
    target: &AlterTarget<'_>,
    name: Option<&Part>,
    sort: ConstraintKind,
    columns: &[Part],
    definition: Reader<'_>,
    known: &SchemaKnowledge,
) -> Vec<Piece> {
    match target.dialect() {
        Dialect::Sqlite => vec![target.lost(
            "SQLite can neither add nor drop a constraint. Make the table anew without it and copy the rows.",
        )],
        Dialect::MySql => match (sort, name) {
            (ConstraintKind::PrimaryKey, _) => vec![
                note("Its columns stay NOT NULL. Where they were not before, change them by MODIFY behind this."),
                target.sql("DROP PRIMARY KEY"),
            ],
            (ConstraintKind::ForeignKey, Some(name)) => {
                vec![target.sql(&format!("DROP FOREIGN KEY {}", name.written))]
            }
            (ConstraintKind::Unique | ConstraintKind::Index, Some(name)) => {
                vec![target.sql(&format!("DROP INDEX {}", name.written))]
            }
            (_, Some(name)) => vec![target.sql(&format!("DROP CONSTRAINT {}", name.written))],
            (ConstraintKind::Unique | ConstraintKind::Index, None) if !columns.is_empty() => vec![
                note("The index has no name of its own. The server calls it after its first column unless that name was taken."),
                target.sql(&format!("DROP INDEX `{}`", columns[0].folded)),
            ],
            (_, None) => vec![target.lost(
                "the constraint has no name of its own, and what the server calls it cannot be known here. Name it.",
            )],
        },
        Dialect::Postgres => {
            let takes_an_index = definition.find(&["USING INDEX"]).filter(|at| {
                let mut reader = Reader { at: at + 2, ..definition };
                // `USING INDEX TABLESPACE` says where a new one is.
                !reader.says("TABLESPACE") && reader.part().is_some()
            });
            if let Some(at) = takes_an_index {
                return from_index(target, name, Reader { at: at + 2, ..definition }, known);
            }
            let nullable = if sort == ConstraintKind::PrimaryKey {
                made_not_null(target, columns, known)
            } else {
                Vec::new()
            };
            if let Some(name) = name {
                let drop = target.sql(&format!("DROP CONSTRAINT {}", name.written));
                return [vec![drop], nullable].concat();
            }
            let columns: Vec<String> = columns.iter().map(|one| one.folded.clone()).collect();
            let named = match sort {
                ConstraintKind::PrimaryKey => default_name(target.name, &[], "pkey"),
                ConstraintKind::Unique => default_name(target.name, &columns, "key"),
                ConstraintKind::ForeignKey => default_name(target.name, &columns, "fkey"),
                ConstraintKind::Check | ConstraintKind::Exclude | ConstraintKind::Index => None,
            };
            match named {
                Some(name) => [
                    vec![
                        note("The constraint has no name of its own. PostgreSQL calls it so unless that name was taken."),
                        target.sql(&format!("DROP CONSTRAINT {name}")),
                    ],
                    nullable,
                ]
                .concat(),
                None => vec![target.lost(
                    "the constraint has no name of its own, and what PostgreSQL calls it cannot be known here. Name it.",
                )],
            }
        }
    }
}

/// A primary key makes its columns NOT NULL, and they stay so when it goes.
fn made_not_null(
    target: &AlterTarget<'_>,
    columns: &[Part],
    known: &SchemaKnowledge,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for column in columns {
        match known.column(target.name, column) {
            Some(before) if before.not_null => {}
            Some(_) => pieces.push(target.column(column, "DROP NOT NULL")),
            None => pieces.push(note(&format!(
                "{} stays NOT NULL. Where it was not before: {} ALTER COLUMN {} DROP NOT NULL.",
                column.written,
                target.alter(None),
                column.written
            ))),
        }
    }
    pieces
}

/// A constraint that took over an index: with the constraint the index goes.
fn from_index(
    target: &AlterTarget<'_>,
    name: Option<&Part>,
    mut index: Reader<'_>,
    known: &SchemaKnowledge,
) -> Vec<Piece> {
    let Some(index) = index.name() else {
        return vec![target.lost("the index that it takes cannot be named here.")];
    };
    let constraint = name.map_or_else(|| index.last().written.clone(), |one| one.written.clone());
    let drop = target.sql(&format!("DROP CONSTRAINT {constraint}"));
    let index_name = Name {
        parts: vec![index.last().clone()],
    };
    let all = known.definitions(
        Object::Index,
        &index_name,
        Some(target.name),
        target.dialect(),
    );
    match all.last() {
        Some(one) if !one.changed => vec![
            note(
                "The index goes with the constraint, and is made again as an earlier migration made it.",
            ),
            drop,
            Piece::Sql(one.statement.clone()),
        ],
        _ => vec![
            target.lost(
                "the index goes with the constraint. Write the statement that made it behind this:",
            ),
            drop,
        ],
    }
}

fn drop_constraint(target: &AlterTarget<'_>, name: &Part, known: &SchemaKnowledge) -> Vec<Piece> {
    let table = known.table(target.name);
    match table.and_then(|table| table.constraints.get(&name.folded)) {
        Some(text) => {
            let named = text.to_uppercase().starts_with("CONSTRAINT")
                || target.dialect() == Dialect::MySql;
            let constraint = if named {
                String::new()
            } else {
                format!("CONSTRAINT {} ", name.written)
            };
            vec![
                note("As an earlier migration made it. It fails where rows have come since that it does not allow."),
                target.sql(&format!("ADD {constraint}{text}")),
            ]
        }
        None => vec![target.lost(&format!(
            "what {} said is not written in an earlier migration. Write: {} ADD CONSTRAINT {} and what it said.",
            name.written,
            target.alter(None),
            name.written
        ))],
    }
}

fn default(
    target: &AlterTarget<'_>,
    column: &Part,
    set: bool,
    known: &SchemaKnowledge,
) -> Vec<Piece> {
    let before = known
        .column(target.name, column)
        .map_or(DefaultValue::Unknown, |one| one.default.clone());
    match (before, set) {
        (DefaultValue::Is(old), _) => vec![
            note("The default that an earlier statement gave it."),
            target.column(column, &format!("SET DEFAULT {old}")),
        ],
        (DefaultValue::Absent, true) => vec![target.column(column, "DROP DEFAULT")],
        (DefaultValue::Unknown, true) => vec![
            note("As if it had no default before, which no earlier migration tells. Had it one, set that instead."),
            target.column(column, "DROP DEFAULT"),
        ],
        (DefaultValue::Absent, false) => vec![target.lost(
            "the column had no default before, as far as the earlier migrations tell, so that nothing is put back.",
        )],
        (DefaultValue::Unknown, false) => vec![target.lost(&format!(
            "the default that is dropped is not written in an earlier migration. Write: {} ALTER COLUMN {} SET DEFAULT and what it was.",
            target.alter(None),
            column.written
        ))],
    }
}

fn not_null(
    target: &AlterTarget<'_>,
    column: &Part,
    set: bool,
    known: &SchemaKnowledge,
) -> Vec<Piece> {
    let before = known.column(target.name, column).map(|one| one.not_null);
    if before == Some(set) {
        return vec![target.lost(
            "the column was so before, as the earlier migrations tell, so that nothing is put back.",
        )];
    }
    if set {
        return vec![target.column(column, "DROP NOT NULL")];
    }
    vec![
        note("This fails while there are rows without a value. Give them one before it."),
        target.column(column, "SET NOT NULL"),
    ]
}

fn rename(target: &AlterTarget<'_>, to: &Name) -> Piece {
    if target.dialect() == Dialect::MySql {
        return Piece::Sql(format!(
            "{} RENAME TO {}",
            target.alter(Some(&to.written())),
            target.name.written()
        ));
    }
    let now = target.name.beside(&to.last().written);
    Piece::Sql(format!(
        "{} RENAME TO {}",
        target.alter(Some(&now)),
        target.name.last().written
    ))
}

fn set_schema(target: &AlterTarget<'_>, to: &Part) -> Vec<Piece> {
    let last = &target.name.last().written;
    let (now, before) = if target.kind == Object::Extension {
        (last.clone(), None)
    } else {
        (format!("{}.{last}", to.written), target.name.qualifier())
    };
    if target.kind == Object::Extension {
        return vec![target.lost(&format!(
            "the schema that it was in is not written here. Write: {} SET SCHEMA and that schema.",
            target.alter(Some(&now))
        ))];
    }
    let back =
        |schema: &str| Piece::Sql(format!("{} SET SCHEMA {schema}", target.alter(Some(&now))));
    match before {
        Some(schema) => vec![back(&schema)],
        None => vec![
            note("As if names without a schema were found in public."),
            back("public"),
        ],
    }
}

fn row_security(
    target: &AlterTarget<'_>,
    security: Security,
    known: &SchemaKnowledge,
) -> Vec<Piece> {
    let table = known.table(target.name);
    let (was, is, words) = match security {
        Security::Enable => (
            table.map(|one| one.row_security),
            true,
            "DISABLE ROW LEVEL SECURITY",
        ),
        Security::Disable => (
            table.map(|one| one.row_security),
            false,
            "ENABLE ROW LEVEL SECURITY",
        ),
        Security::Force => (
            table.map(|one| one.forced),
            true,
            "NO FORCE ROW LEVEL SECURITY",
        ),
        Security::NoForce => (
            table.map(|one| one.forced),
            false,
            "FORCE ROW LEVEL SECURITY",
        ),
    };
    if was == Some(is) {
        return vec![target.lost(
            "the table was so before, as the earlier migrations tell, so that nothing is put back.",
        )];
    }
    vec![target.sql(words)]
}

/// A change that is not known in its parts: some objects can be made again whole.
fn other(target: &AlterTarget<'_>, known: &SchemaKnowledge) -> Vec<Piece> {
    if target.kind == Object::Policy
        && let Some(on) = target.on
        && let Some(before) = known
            .definitions(target.kind, target.name, Some(on), target.dialect())
            .last()
        && !before.changed
    {
        return vec![
            note("As an earlier migration made it."),
            Piece::Sql(format!(
                "DROP POLICY {} ON {}",
                target.name.written(),
                on.written()
            )),
            Piece::Sql(before.statement.clone()),
        ];
    }
    vec![
        target.lost(
            "how it was before is not written here. Write the statement that makes it so again.",
        ),
    ]
}

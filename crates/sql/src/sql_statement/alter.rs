//! `ALTER`, and what it does to an object.

use super::read::kind;
use super::{Action, ConstraintKind, Object, Security, SqlStatement};
use crate::words::Reader;
use rollback_core::dialect::Dialect;

/// After `ALTER`.
pub(super) fn alter(mut reader: Reader<'_>) -> Option<SqlStatement<'_>> {
    let kind = kind(&mut reader)?;
    let if_exists = reader.eats("IF EXISTS");
    reader.eats("ONLY");
    let name = reader.name()?;
    reader.eats("*");
    let mut on = None;
    if kind.is_of_a_table() && reader.eats("ON") {
        on = Some(reader.name()?);
    }
    let arguments = if kind.has_arguments() {
        reader.group()
    } else {
        None
    };
    let actions = if kind == Object::Publication {
        published(reader)
    } else {
        let all = reader.list().into_iter();
        all.flat_map(|one| action(one, kind)).collect()
    };
    Some(SqlStatement::Alter {
        kind,
        name,
        if_exists,
        on,
        arguments,
        actions,
    })
}

/// `ADD TABLE a, b` and `ADD TABLE a, TABLE b` are the same.
fn published(mut reader: Reader<'_>) -> Vec<Action<'_>> {
    let added = reader.eats("ADD TABLE");
    if !added && !reader.eats("DROP TABLE") {
        return vec![one_action(reader, Object::Publication).unwrap_or(Action::Other)];
    }
    let tables = reader.list().into_iter().map(|mut one| {
        one.eats("TABLE");
        one.eats("ONLY");
        one.name()
            .map_or(Action::Other, |table| Action::Publish { table, added })
    });
    tables.collect()
}

fn action(reader: Reader<'_>, kind: Object) -> Vec<Action<'_>> {
    let mut inside = reader;
    // MariaDB: several columns in brackets.
    if inside.eats("ADD") {
        inside.eats("COLUMN");
        inside.eats("IF NOT EXISTS");
        if kind == Object::Table && inside.says("(") {
            let columns = inside.group().map(Reader::list).unwrap_or_default();
            return columns
                .into_iter()
                .map(|one| add(one).unwrap_or(Action::Other))
                .collect();
        }
    }
    vec![one_action(reader, kind).unwrap_or(Action::Other)]
}

fn one_action(mut reader: Reader<'_>, kind: Object) -> Option<Action<'_>> {
    if kind == Object::Type {
        if reader.eats("ADD VALUE") {
            let if_not_exists = reader.eats("IF NOT EXISTS");
            let value = reader.written(reader.at..reader.at + 1).to_owned();
            return Some(Action::AddValue {
                value,
                if_not_exists,
            });
        }
        if reader.eats("RENAME VALUE") {
            let from = reader.written(reader.at..reader.at + 1).to_owned();
            reader.skip();
            reader.eats("TO");
            let to = reader.written(reader.at..reader.at + 1).to_owned();
            return Some(Action::RenameValue { from, to });
        }
    }
    if reader.eats("RENAME") {
        return rename(reader, kind);
    }
    if reader.eats("SET SCHEMA") {
        return Some(Action::SetSchema { to: reader.part()? });
    }
    if reader.eats("OWNER TO") {
        return Some(Action::Owner);
    }
    match kind {
        Object::Table | Object::ForeignTable | Object::MaterializedView | Object::View => {}
        _ => return None,
    }
    if reader.eats("ADD") {
        return add(reader);
    }
    if reader.eats("DROP") {
        return take(reader);
    }
    if reader.eats("ALTER") {
        return alter_column(reader);
    }
    if reader.eats_any(&["MODIFY", "CHANGE"]) {
        reader.eats("COLUMN");
        reader.eats("IF EXISTS");
        return Some(Action::ChangeColumn {
            from: reader.part()?,
        });
    }
    for (words, what) in [
        ("ENABLE ROW LEVEL SECURITY", Security::Enable),
        ("DISABLE ROW LEVEL SECURITY", Security::Disable),
        ("NO FORCE ROW LEVEL SECURITY", Security::NoForce),
        ("FORCE ROW LEVEL SECURITY", Security::Force),
    ] {
        if reader.eats(words) {
            return Some(Action::RowSecurity(what));
        }
    }
    for (words, on) in [("ENABLE TRIGGER", true), ("DISABLE TRIGGER", false)] {
        if reader.eats(words) {
            let trigger = reader.part()?;
            return Some(Action::Switch { trigger, on });
        }
    }
    for (words, added) in [("INHERIT", true), ("NO INHERIT", false)] {
        if reader.eats(words) {
            let parent = reader.name()?;
            return Some(Action::Inherit { parent, added });
        }
    }
    if reader.eats("ATTACH PARTITION") {
        let partition = reader.name()?;
        return Some(Action::Attach { partition });
    }
    if reader.eats("DETACH PARTITION") {
        let partition = reader.name()?;
        return Some(Action::Detach { partition });
    }
    if reader.eats("SET LOGGED") {
        return Some(Action::Logged(true));
    }
    if reader.eats("SET UNLOGGED") {
        return Some(Action::Logged(false));
    }
    if ["VALIDATE CONSTRAINT", "ALGORITHM", "LOCK", "CLUSTER ON"]
        .iter()
        .any(|words| reader.says(words))
    {
        return Some(Action::Harmless);
    }
    None
}

fn rename(mut reader: Reader<'_>, kind: Object) -> Option<Action<'_>> {
    if reader.eats("TO") || reader.eats("AS") {
        return Some(Action::Rename { to: reader.name()? });
    }
    if matches!(kind, Object::Schema | Object::Policy) {
        return None;
    }
    if reader.eats("CONSTRAINT") {
        let from = reader.part()?;
        let to = reader.eats("TO").then(|| reader.part()).flatten()?;
        return Some(Action::RenameConstraint { from, to });
    }
    if reader.eats_any(&["INDEX", "KEY"]) {
        let from = reader.part()?;
        let to = reader.eats("TO").then(|| reader.part()).flatten()?;
        return Some(Action::RenameIndex { from, to });
    }
    reader.eats("COLUMN");
    reader.eats("ATTRIBUTE");
    let from = reader.part()?;
    let to = reader.eats("TO").then(|| reader.part()).flatten()?;
    Some(Action::RenameColumn { from, to })
}

/// After `ADD`.
fn add(mut reader: Reader<'_>) -> Option<Action<'_>> {
    if let Some(constraint) = constraint(reader) {
        return Some(constraint);
    }
    reader.eats("COLUMN");
    let if_not_exists = reader.eats("IF NOT EXISTS");
    let name = reader.part()?;
    Some(Action::AddColumn {
        name,
        if_not_exists,
        definition: reader,
    })
}

/// The words of a constraint, and whether a name may stand behind them.
const CONSTRAINTS: &[(&str, ConstraintKind)] = &[
    ("PRIMARY KEY", ConstraintKind::PrimaryKey),
    ("UNIQUE INDEX", ConstraintKind::Unique),
    ("UNIQUE KEY", ConstraintKind::Unique),
    ("UNIQUE", ConstraintKind::Unique),
    ("FOREIGN KEY", ConstraintKind::ForeignKey),
    ("CHECK", ConstraintKind::Check),
    ("EXCLUDE", ConstraintKind::Exclude),
    ("FULLTEXT INDEX", ConstraintKind::Index),
    ("FULLTEXT KEY", ConstraintKind::Index),
    ("FULLTEXT", ConstraintKind::Index),
    ("SPATIAL INDEX", ConstraintKind::Index),
    ("SPATIAL KEY", ConstraintKind::Index),
    ("SPATIAL", ConstraintKind::Index),
    ("INDEX", ConstraintKind::Index),
    ("KEY", ConstraintKind::Index),
];

/// A constraint of a table, in `CREATE TABLE` or after `ADD`.
pub fn constraint(mut reader: Reader<'_>) -> Option<Action<'_>> {
    let definition = reader;
    let mut name = None;
    if reader.eats("CONSTRAINT") {
        reader.eats("IF NOT EXISTS");
        let unnamed = CONSTRAINTS.iter().any(|(words, _)| reader.says(words));
        if !unnamed {
            name = Some(reader.part()?);
        }
    }
    let (words, sort) = CONSTRAINTS.iter().find(|(words, _)| reader.says(words))?;
    if *sort == ConstraintKind::Index && reader.sql.dialect != Dialect::MySql {
        return None;
    }
    reader.eats(words);
    let takes_a_column = |mut after: Reader<'_>| {
        after.skip();
        !after.says("(") && !after.says("USING") && !after.says(".")
    };
    if *sort == ConstraintKind::Index
        || *sort == ConstraintKind::Unique
        || *sort == ConstraintKind::ForeignKey
    {
        // A column may be called `key` or `index`.
        if name.is_none()
            && *sort == ConstraintKind::Index
            && !reader.says("(")
            && takes_a_column(reader)
            && !reader.says("IF NOT EXISTS")
        {
            return None;
        }
        reader.eats("IF NOT EXISTS");
        if !reader.says("(") && !reader.says("NULLS") && !reader.says("USING INDEX") {
            let written = reader.part();
            name = name.or(written);
        }
    }
    while !reader.is_done() && !reader.says("(") {
        reader.skip();
    }
    let columns = reader.group().map(Reader::list).unwrap_or_default();
    let columns = columns
        .into_iter()
        .filter_map(|mut one| one.part())
        .collect();
    Some(Action::AddConstraint {
        name,
        sort: *sort,
        columns,
        definition,
    })
}

/// After `DROP` in `ALTER TABLE`.
fn take(mut reader: Reader<'_>) -> Option<Action<'_>> {
    if reader.eats_any(&["CONSTRAINT", "FOREIGN KEY", "INDEX", "KEY", "CHECK"]) {
        reader.eats("IF EXISTS");
        return Some(Action::DropConstraint {
            name: reader.part()?,
        });
    }
    if reader.says("PRIMARY KEY") {
        return None;
    }
    reader.eats("COLUMN");
    reader.eats("IF EXISTS");
    Some(Action::DropColumn {
        name: reader.part()?,
    })
}

/// After `ALTER` in `ALTER TABLE`.
fn alter_column(mut reader: Reader<'_>) -> Option<Action<'_>> {
    if reader.says("CONSTRAINT") || reader.says("INDEX") {
        return None;
    }
    reader.eats("COLUMN");
    let column = reader.part()?;
    if reader.eats("SET DEFAULT") {
        return Some(Action::Default {
            column,
            to: Some(reader),
        });
    }
    if reader.eats("DROP DEFAULT") {
        return Some(Action::Default { column, to: None });
    }
    for (words, set) in [("SET NOT NULL", true), ("DROP NOT NULL", false)] {
        if reader.eats(words) {
            return Some(Action::NotNull { column, set });
        }
    }
    if reader.eats("TYPE") || reader.eats("SET DATA TYPE") {
        return Some(Action::ColumnType { column });
    }
    if reader.eats("ADD GENERATED") {
        return Some(Action::Identity {
            column,
            added: true,
        });
    }
    if reader.eats("DROP IDENTITY") {
        return Some(Action::Identity {
            column,
            added: false,
        });
    }
    None
}

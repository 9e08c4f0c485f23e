//! Arguments that no version of Alembic takes: `TypeError`, whenever the migration runs.

use super::super::calls::Arguments;
use super::super::sqlalchemy_objects::SqlaObject;
use super::super::value::Value;

/// The arguments of directives that may be given without their name, how many of them have to be given,
/// and which is the table, which a batch knows.
fn signature(name: &str) -> Option<(&'static [&'static str], usize, usize)> {
    Some(match name {
        "drop_table" => (&["table_name"], 1, usize::MAX),
        "rename_table" => (&["old_table_name", "new_table_name"], 2, usize::MAX),
        "add_column" => (&["table_name", "column"], 2, 0),
        "drop_column" | "alter_column" => (&["table_name", "column_name"], 2, 0),
        "create_index" => (&["index_name", "table_name", "columns"], 3, 1),
        "drop_index" => (&["index_name", "table_name"], 1, 1),
        "create_unique_constraint" => (&["constraint_name", "table_name", "columns"], 3, 1),
        "create_check_constraint" => (&["constraint_name", "table_name", "condition"], 3, 1),
        "create_primary_key" => (&["constraint_name", "table_name", "columns"], 3, 1),
        "create_foreign_key" => (
            &[
                "constraint_name",
                "source_table",
                "referent_table",
                "local_cols",
                "remote_cols",
            ],
            5,
            1,
        ),
        "drop_constraint" => (&["constraint_name", "table_name", "type_"], 2, 1),
        _ => return None,
    })
}

/// Names that earlier versions had for arguments.
const EARLIER: [&str; 8] = [
    "cols",
    "name",
    "referent",
    "source",
    "tablename",
    "schema",
    "type",
    "local_cols",
];

/// What `type_` of `drop_constraint` may be.
const KINDS: [&str; 4] = ["check", "foreignkey", "primary", "unique"];

/// What Python says, if it is certain to refuse the arguments.
pub(super) fn refuses(directive: &str, arguments: &Arguments, batch: bool) -> Option<String> {
    let (all, required, table) = signature(directive)?;
    let takes = all.iter().enumerate();
    let takes = takes.filter(|(at, _)| !(batch && *at == table));
    let takes: Vec<(usize, &str)> = takes.map(|(at, name)| (at, *name)).collect();
    let given = arguments.positional.len();
    let named = |name: &str| arguments.named(name).is_some();
    if let Some((_, twice)) = takes.iter().take(given).find(|(_, name)| named(name)) {
        return Some(format!(
            "{directive}() got multiple values for argument '{twice}'"
        ));
    }
    let renamed = arguments
        .named
        .iter()
        .any(|(name, _)| EARLIER.contains(&&**name));
    let missing = |(at, name): &&(usize, &str)| *at < required && !named(name);
    if !arguments.open
        && !renamed
        && let Some((_, name)) = takes.iter().skip(given).find(missing)
    {
        return Some(format!(
            "{directive}() missing 1 required positional argument: '{name}'"
        ));
    }
    let value = |wanted: &str| {
        let at = takes.iter().position(|(_, name)| *name == wanted)?;
        arguments.get(at, &[wanted])
    };
    match directive {
        "drop_column" => match value("column_name")? {
            Value::Thing(thing) if matches!(**thing, SqlaObject::Column(_)) => {
                Some("drop_column() takes the name of a column, not a Column".to_owned())
            }
            _ => None,
        },
        "drop_constraint" => match value("type_")? {
            Value::Text(kind) if !KINDS.contains(&&**kind) => {
                Some(format!("'type' can be one of {}, None", KINDS.join(", ")))
            }
            _ => None,
        },
        _ => None,
    }
}

//! The inverse of what takes something away, of comments and of rights.

use super::schema_knowledge::{KnownDefinition, SchemaKnowledge};
use super::{Piece, archive, lost};
use rollback_core::dialect::Dialect;
pub(super) use rollback_sql::sql_statement::{self, Drop, Object, Rights};
use rollback_sql::words::{Name, Reader, Sql};

fn note(text: &str) -> Piece {
    Piece::Note(text.to_owned())
}

/// `DROP`.
pub(super) fn dropped(sql: &Sql, it: &Drop<'_>, known: &SchemaKnowledge) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if it.cascade {
        pieces.push(lost(
            sql,
            "what CASCADE takes with it is not written here. Make it again behind this.",
        ));
    }
    for (name, group) in it.names.iter().rev() {
        pieces.extend(one(sql, it, name, *group, known));
    }
    pieces
}

fn one(
    sql: &Sql,
    it: &Drop<'_>,
    name: &Name,
    group: Option<Reader<'_>>,
    known: &SchemaKnowledge,
) -> Vec<Piece> {
    let kind = it.kind;
    match kind {
        Object::Table | Object::ForeignTable => return vec![archive::table(sql, name, known)],
        Object::Role => {
            return vec![lost(
                sql,
                "what the role owned and was allowed, and its password, are lost. Make it again and give it its rights.",
            )];
        }
        Object::Schema if sql.dialect == Dialect::MySql => {
            return vec![lost(
                sql,
                "everything in the database is lost. Restore it from a backup.",
            )];
        }
        _ => {}
    }
    let all = known.definitions(kind, name, it.on.as_ref(), sql.dialect);
    match find(all, group) {
        Some(before) if !before.changed => {
            let more = match kind {
                Object::MaterializedView => {
                    " Its indexes, and rights on it, have to be made once more."
                }
                Object::Sequence => " It begins where it began then.",
                Object::View | Object::Function | Object::Procedure | Object::Schema => {
                    " Rights on it have to be given once more."
                }
                _ => "",
            };
            vec![
                note(&format!("As an earlier migration made it.{more}")),
                Piece::Sql(before.statement.clone()),
            ]
        }
        Some(_) => vec![lost(
            sql,
            "an earlier migration made it and a later one changed it. Write the statements that make it so again.",
        )],
        None if kind == Object::Schema || kind == Object::Extension => vec![
            note("With the owner, the rights and the version that it gets now."),
            Piece::Sql(format!("CREATE {} {}", kind.keyword(), name.written())),
        ],
        None if it.if_exists => vec![lost(
            sql,
            &format!(
                "no earlier migration makes {}, so that nothing is put back. Had it been there, write the statement that makes it.",
                name.written()
            ),
        )],
        None => vec![lost(
            sql,
            &format!(
                "no earlier migration makes {}. Write the statement that makes it.",
                name.written()
            ),
        )],
    }
}

/// Of several routines of one name the one with these arguments.
fn find<'k>(all: &'k [KnownDefinition], group: Option<Reader<'_>>) -> Option<&'k KnownDefinition> {
    match all {
        [one] => Some(one),
        all => {
            let arguments = sql_statement::arguments(group);
            all.iter().find(|one| one.arguments == arguments)
        }
    }
}

/// `COMMENT ON`.
pub(super) fn comment(
    sql: &Sql,
    target: Reader<'_>,
    is_text: bool,
    known: &SchemaKnowledge,
) -> Vec<Piece> {
    let put = |text: &str| Piece::Sql(format!("COMMENT ON {} IS {text}", target.rest()));
    match known.comment(target) {
        Some(text) => vec![note("As an earlier statement said it."), put(text)],
        None if is_text => vec![put("NULL")],
        None => vec![lost(
            sql,
            "the comment that was there is not written in an earlier migration.",
        )],
    }
}

/// `GRANT`, `REVOKE`, `ALTER DEFAULT PRIVILEGES`.
pub(super) fn rights(rights: &Rights<'_>) -> Vec<Piece> {
    let head = rights
        .defaults
        .map(|head| format!("ALTER DEFAULT PRIVILEGES {} ", head.rest()))
        .unwrap_or_default();
    let head = head.replace("PRIVILEGES  ", "PRIVILEGES ");
    let (what, whom) = (rights.what.rest(), rights.whom.rest());
    if rights.given {
        return vec![
            note("Had it been given before as well, that goes too."),
            Piece::Sql(format!("{head}REVOKE {what} FROM {whom}")),
        ];
    }
    let option = match (
        rights.option,
        rights.on.is_some() || rights.defaults.is_some(),
    ) {
        (false, _) => "",
        (true, true) => " WITH GRANT OPTION",
        (true, false) => " WITH ADMIN OPTION",
    };
    vec![
        note("As if all of it had been given before. Take out what had not been."),
        Piece::Sql(format!("{head}GRANT {what} TO {whom}{option}")),
    ]
}

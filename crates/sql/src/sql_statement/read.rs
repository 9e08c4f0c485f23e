//! Reads what a statement does off its words.

use super::alter::alter;
use super::{Create, Drop, Object, Rights, Rows, SqlStatement};
use crate::words::{Reader, Sql};
use rollback_core::dialect::Dialect;

/// The words that name a kind, the longer ones first.
const KINDS: &[(&str, Object)] = &[
    ("MATERIALIZED VIEW", Object::MaterializedView),
    ("FOREIGN TABLE", Object::ForeignTable),
    ("VIRTUAL TABLE", Object::Table),
    ("EVENT TRIGGER", Object::EventTrigger),
    ("AGGREGATE", Object::Aggregate),
    ("COLLATION", Object::Collation),
    ("DATABASE", Object::Schema),
    ("DOMAIN", Object::Domain),
    ("EVENT", Object::Event),
    ("EXTENSION", Object::Extension),
    ("FUNCTION", Object::Function),
    ("GROUP", Object::Role),
    ("INDEX", Object::Index),
    ("POLICY", Object::Policy),
    ("PROCEDURE", Object::Procedure),
    ("PUBLICATION", Object::Publication),
    ("ROLE", Object::Role),
    ("ROUTINE", Object::Function),
    ("RULE", Object::Rule),
    ("SCHEMA", Object::Schema),
    ("SEQUENCE", Object::Sequence),
    ("SERVER", Object::Server),
    ("STATISTICS", Object::Statistics),
    ("TABLE", Object::Table),
    ("TRIGGER", Object::Trigger),
    ("TYPE", Object::Type),
    ("USER", Object::Role),
    ("VIEW", Object::View),
];

/// Takes the words of a kind.
pub(super) fn kind(reader: &mut Reader<'_>) -> Option<Object> {
    if reader.says("USER MAPPING") {
        return None;
    }
    KINDS
        .iter()
        .find(|(words, _)| reader.eats(words))
        .map(|(_, kind)| *kind)
}

/// Statements that leave nothing behind.
const HARMLESS: &[&str] = &[
    "ANALYZE",
    "ANALYSE",
    "BEGIN",
    "CHECKPOINT",
    "CLUSTER",
    "DEALLOCATE",
    "DESC",
    "DESCRIBE",
    "DISCARD",
    "FLUSH",
    "LISTEN",
    "LOCK",
    "NOTIFY",
    "OPTIMIZE",
    "PRAGMA",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "RESET",
    "ROLLBACK",
    "SAVEPOINT",
    "SET",
    "SHOW",
    "START TRANSACTION",
    "UNLISTEN",
    "UNLOCK",
    "USE",
    "VACUUM",
];

/// Reads a statement.
pub fn read(sql: &Sql) -> SqlStatement<'_> {
    let mut reader = sql.reader();
    let known = if reader.eats("CREATE") {
        create(reader).map(SqlStatement::Create)
    } else if reader.eats("ALTER DEFAULT PRIVILEGES") {
        rights(reader, true)
    } else if reader.eats("ALTER") {
        alter(reader)
    } else if reader.eats_any(&["DROP TEMPORARY", "DROP TEMP"]) {
        // It would go with the connection.
        Some(SqlStatement::Harmless)
    } else if reader.eats("DROP") {
        drop(reader).map(SqlStatement::Drop)
    } else if reader.eats("COMMENT ON") {
        comment(reader)
    } else if reader.says("GRANT") || reader.says("REVOKE") {
        rights(reader, false)
    } else if reader.eats("RENAME TABLE") {
        rename_tables(reader)
    } else if reader.eats("BEGIN NOT ATOMIC") {
        None
    } else if ends_transaction(reader) {
        Some(SqlStatement::EndsTransaction)
    } else if is_settings(reader)
        || explains(reader)
        || HARMLESS.iter().any(|words| reader.says(words))
    {
        Some(SqlStatement::Harmless)
    } else {
        rows(reader)
    };
    known.unwrap_or(SqlStatement::Other)
}

/// Alone on MariaDB and MySQL the beginning of a transaction commits what was open; elsewhere it is a warning or an
/// error.
fn ends_transaction(reader: Reader<'_>) -> bool {
    let begins = reader.says("BEGIN") || reader.says("START TRANSACTION");
    ["ABORT", "COMMIT", "END", "PREPARE TRANSACTION"]
        .iter()
        .any(|words| reader.says(words))
        || reader.says("ROLLBACK") && reader.find(&["TO"]).is_none()
        || begins && reader.sql.dialect == Dialect::MySql
}

/// With `ANALYZE` it is run.
fn explains(mut reader: Reader<'_>) -> bool {
    reader.eats("EXPLAIN")
        && !reader.says("ANALYZE")
        && reader
            .group()
            .is_none_or(|options| options.list().iter().all(|one| !one.says("ANALYZE")))
}

/// What `pg_dump` begins with.
pub fn is_settings(mut reader: Reader<'_>) -> bool {
    reader.eats("SELECT")
        && reader.list().into_iter().all(|mut one| {
            let sets = one
                .name()
                .is_some_and(|name| name.last().folded == "set_config");
            sets && one.group().is_some() && one.is_done()
        })
}

fn rows(mut reader: Reader<'_>) -> Option<SqlStatement<'_>> {
    let (how, tables) = if reader.eats("INSERT") || reader.eats("REPLACE") {
        let into = reader.find(&["INTO"])?;
        reader.at = into + 1;
        (Rows::Insert, vec![reader.name()?])
    } else if reader.eats("UPDATE") {
        while reader.eats_any(&["ONLY", "IGNORE", "LOW_PRIORITY"]) {}
        if reader.eats("OR") {
            reader.skip();
        }
        (Rows::Update, vec![reader.name()?])
    } else if reader.eats("DELETE") {
        reader.at = reader.find(&["FROM"])? + 1;
        reader.eats("ONLY");
        (Rows::Delete, vec![reader.name()?])
    } else if reader.eats("TRUNCATE") {
        reader.eats("TABLE");
        let names = reader.list().into_iter().filter_map(|mut one| {
            one.eats("ONLY");
            one.name()
        });
        (Rows::Truncate, names.collect())
    } else if reader.eats("MERGE INTO") {
        (Rows::Merge, vec![reader.name()?])
    } else if reader.eats("COPY") {
        (Rows::Copy, vec![reader.name()?])
    } else if reader.eats("WITH") {
        // What it changes stands behind the queries that are named.
        let at = reader.find(&["INSERT", "UPDATE", "DELETE", "MERGE"])?;
        return rows(Reader { at, ..reader });
    } else {
        return None;
    };
    Some(SqlStatement::Rows { how, tables })
}

/// What may stand before the kind of what is made. Behind any other word, as in `CREATE CAST ... WITH FUNCTION f`, a
/// kind is of something that is used.
const MODIFIERS: &[&str] = &[
    "CONSTRAINT",
    "GLOBAL",
    "LOCAL",
    "RECURSIVE",
    "UNIQUE",
    "UNLOGGED",
];

/// After `CREATE`.
fn create(mut reader: Reader<'_>) -> Option<Create<'_>> {
    let mut made = Create {
        kind: Object::Table,
        or_replace: false,
        if_not_exists: false,
        temporary: false,
        concurrently: false,
        name: None,
        on: None,
        group: None,
        rest: reader,
    };
    // MariaDB puts more words before the kind than others, such as whose rights are taken.
    let mysql = reader.sql.dialect == Dialect::MySql;
    let limit = reader.at + 16;
    made.kind = loop {
        if let Some(kind) = kind(&mut reader) {
            break kind;
        }
        if reader.at >= limit || reader.is_done() {
            return None;
        }
        if reader.eats("OR REPLACE") {
            made.or_replace = true;
        } else if reader.eats_any(&["TEMPORARY", "TEMP"]) {
            made.temporary = true;
        } else if mysql || MODIFIERS.iter().any(|word| reader.says(word)) {
            reader.skip();
        } else {
            return None;
        }
    };
    made.concurrently = reader.eats("CONCURRENTLY");
    made.if_not_exists = reader.eats("IF NOT EXISTS");
    let unnamed = match made.kind {
        Object::Index | Object::Statistics => reader.says("ON"),
        Object::Schema => reader.says("AUTHORIZATION"),
        _ => false,
    };
    if !unnamed {
        made.name = Some(reader.name()?);
    }
    if made.kind == Object::Schema && made.name.is_none() && reader.eats("AUTHORIZATION") {
        made.name = Some(reader.name()?);
    }
    if matches!(made.kind, Object::Index | Object::Trigger | Object::Policy) {
        reader.at = reader.find(&["ON"])? + 1;
        reader.eats("ONLY");
        made.on = Some(reader.name()?);
    } else if made.kind == Object::Rule {
        reader.at = reader.find(&["TO"])? + 1;
        made.on = Some(reader.name()?);
    }
    made.rest = reader;
    if made.kind == Object::Index && reader.eats("USING") {
        reader.skip();
    }
    made.group = reader.group();
    Some(made)
}

fn rename_tables(reader: Reader<'_>) -> Option<SqlStatement<'_>> {
    let pairs = reader.list().into_iter().map(|mut one| {
        one.eats("IF EXISTS");
        let from = one.name()?;
        let to = one.eats("TO").then(|| one.name()).flatten()?;
        Some((from, to))
    });
    let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
    (!pairs.is_empty()).then_some(SqlStatement::RenameTables(pairs))
}

/// After `DROP`.
fn drop(mut reader: Reader<'_>) -> Option<Drop<'_>> {
    let kind = kind(&mut reader)?;
    let concurrently = reader.eats("CONCURRENTLY");
    let if_exists = reader.eats("IF EXISTS");
    let end = reader
        .find(&["CASCADE", "RESTRICT", "ON"])
        .unwrap_or(reader.end);
    let names = reader.until(end).list().into_iter().map(|mut one| {
        let named = (one.name()?, one.group());
        one.is_done().then_some(named)
    });
    let names: Vec<_> = names.collect::<Option<_>>()?;
    reader.at = end;
    let on = if reader.eats("ON") {
        Some(reader.name()?)
    } else {
        None
    };
    let cascade = reader.eats("CASCADE");
    reader.eats("RESTRICT");
    let options = ["ALGORITHM", "LOCK", "WITH"]
        .iter()
        .any(|word| reader.says(word));
    (!names.is_empty() && (reader.is_done() || options)).then_some(Drop {
        kind,
        names,
        if_exists,
        concurrently,
        on,
        cascade,
    })
}

/// After `COMMENT ON`.
fn comment(reader: Reader<'_>) -> Option<SqlStatement<'_>> {
    let is = reader.find(&["IS"])?;
    let text = Reader {
        at: is + 1,
        ..reader
    };
    let mut inside = reader;
    let known = if inside.eats("COLUMN") {
        Some(Object::Column)
    } else if inside.eats("CONSTRAINT") {
        Some(Object::Constraint)
    } else {
        kind(&mut inside)
    };
    Some(SqlStatement::Comment {
        kind: known,
        name: inside.name(),
        target: reader.until(is),
        text: (!text.says("NULL")).then_some(text),
    })
}

/// `GRANT`, `REVOKE`, or what comes after `ALTER DEFAULT PRIVILEGES`.
fn rights(mut reader: Reader<'_>, defaults: bool) -> Option<SqlStatement<'_>> {
    let head = if defaults {
        let at = reader.find(&["GRANT", "REVOKE"])?;
        let head = reader.until(at);
        reader.at = at;
        Some(head)
    } else {
        None
    };
    let given = reader.says("GRANT");
    reader.skip();
    let mut option = reader.eats_any(&["GRANT OPTION FOR", "ADMIN OPTION FOR"]);
    let split = reader.find(if given { &["TO"] } else { &["FROM"] })?;
    let what = reader.until(split);
    let mut whom = Reader {
        at: split + 1,
        ..reader
    };
    if let Some(end) = whom.find(&["WITH", "GRANTED BY", "CASCADE", "RESTRICT"]) {
        option = option || Reader { at: end, ..whom }.says("WITH GRANT OPTION");
        option = option || Reader { at: end, ..whom }.says("WITH ADMIN OPTION");
        whom = whom.until(end);
    }
    let on = what.find(&["ON"]).map(|at| {
        let mut inside = Reader { at: at + 1, ..what };
        let kind = kind(&mut inside).unwrap_or(Object::Table);
        let names = inside.list().into_iter().filter_map(|mut one| one.name());
        (kind, names.collect())
    });
    Some(SqlStatement::Rights(Rights {
        given,
        defaults: head,
        what,
        whom,
        option,
        on,
    }))
}

/// The arguments of a routine, as they are compared.
pub fn arguments(group: Option<Reader<'_>>) -> String {
    let all = group.map(Reader::list).unwrap_or_default();
    let all = all.into_iter().map(|one| {
        let end = one.find(&["DEFAULT", ": =", "="]).unwrap_or(one.end);
        tokens(one.until(end)).join(" ")
    });
    all.collect::<Vec<_>>().join(", ")
}

/// Each token in small letters.
pub fn tokens(reader: Reader<'_>) -> Vec<String> {
    let tokens = (reader.at..reader.end).filter_map(|at| reader.sql.token(at));
    tokens.map(|token| token.text.to_lowercase()).collect()
}

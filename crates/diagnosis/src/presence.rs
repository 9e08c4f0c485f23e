//! Something is there already, or is not there: which of the two the step found, and which it did itself.
//!
//! The schema right before the step is known if the step was run by us. It tells an object that was there from one that
//! the step makes twice, and one that was gone from one that the step has dropped itself.

use super::DiagnosisContext;
use super::entry::{Wording, group, pattern};
use super::failed::Failed;
use super::names::{some, table};
use super::schema::name;
use rollback_core::finding::Culprit;
use rollback_core::operation::TableName;
use rollback_core::schema_names::{self, Kind};
use rollback_core::subject::Subject;

pattern!(CONSTRAINT_OF = r#"constraint "([^"]+)""#);
pattern!(ENGLISH = r"^(relation|table|view|sequence|column|index|constraint|type) ");
pattern!(OF_TABLE = r#" (?:of|for) (?:relation|table) "([^"]+)""#);

/// What kind of object the error is about, as far as code or words tell.
fn kind(failed: &Failed) -> Option<Kind> {
    let by_word = match group(&ENGLISH, &failed.message).as_deref() {
        Some("relation" | "table" | "view" | "sequence") => Some(Kind::Relation),
        Some("column") => Some(Kind::Column),
        Some("index") => Some(Kind::Index),
        Some("constraint") => Some(Kind::Constraint),
        Some("type") => Some(Kind::Type),
        _ => None,
    };
    by_word.or_else(|| match (failed.state.as_deref(), failed.number) {
        (Some("42P07" | "42P01"), _) | (_, Some(1050 | 1051 | 1146)) => Some(Kind::Relation),
        (Some("42701" | "42703"), _) | (_, Some(1060 | 1054)) => Some(Kind::Column),
        (_, Some(1061 | 1176)) => Some(Kind::Index),
        (_, Some(1826)) => Some(Kind::Constraint),
        _ if failed.is_sqlite() && failed.message.starts_with("duplicate column") => {
            Some(Kind::Column)
        }
        _ if failed.is_sqlite() && failed.message.starts_with("no such ") => {
            match failed.message.split(' ').nth(2).unwrap_or_default() {
                "table:" | "view:" => Some(Kind::Relation),
                "column:" => Some(Kind::Column),
                "index:" => Some(Kind::Index),
                _ => None,
            }
        }
        _ => None,
    })
}

/// Whether the object was there right before the step; `None` if that is not known.
fn was_there(
    kind: Option<Kind>,
    failed: &Failed,
    known: &DiagnosisContext,
    name: &str,
) -> Option<bool> {
    let before = known.before.as_ref()?;
    schema_names::has(before, kind?, owner(kind, failed).as_deref(), name)
}

/// The table of the object.
fn owner(kind: Option<Kind>, failed: &Failed) -> Option<String> {
    match kind? {
        Kind::Column | Kind::Index | Kind::Constraint => {
            group(&OF_TABLE, &failed.message).or_else(|| table(failed))
        }
        Kind::Relation | Kind::Type => None,
    }
}

/// Of those who made or removed objects, the one who did it to the object of the error.
fn blamed<'a>(
    culprits: &'a [Culprit],
    kind: Option<Kind>,
    failed: &Failed,
    name: Option<&str>,
) -> Option<&'a Culprit> {
    let name = last_part(name?);
    let owner = owner(kind, failed);
    let is_owner = |table: Option<&TableName>| match (owner.as_deref(), table) {
        (Some(owner), Some(table)) => table.name.eq_ignore_ascii_case(last_part(owner)),
        _ => true,
    };
    culprits.iter().find(|culprit| {
        let (kinds, table, own): (&[Kind], _, _) = match &culprit.object {
            Subject::Table(name) | Subject::View(name) => (&[Kind::Relation], None, &name.name),
            Subject::Type(name) => (&[Kind::Type], None, &name.name),
            Subject::Column(table, name) => (&[Kind::Column], Some(table), name),
            // PostgreSQL calls an index a relation, and that of a key too.
            Subject::Index(table, name) => (&NAMED, table.as_ref(), name),
            Subject::Constraint(table, name) => (&NAMED, Some(table), name),
        };
        kind.is_none_or(|kind| kinds.contains(&kind))
            && is_owner(table)
            && own.eq_ignore_ascii_case(name)
    })
}

const NAMED: [Kind; 3] = [Kind::Relation, Kind::Index, Kind::Constraint];

/// A name without the schema or table before it.
fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether the plan saw the step do it itself.
fn is_the_step(culprit: &Culprit, known: &DiagnosisContext) -> bool {
    known.revision.as_deref() == Some(culprit.revision.as_str())
}

/// ` at c3.py:40`, if it is known.
fn at(culprit: Option<&Culprit>) -> String {
    let place = culprit.and_then(|culprit| culprit.place.as_ref());
    place.map_or(String::new(), |place| format!(" at {}", place.in_short()))
}

pub(super) fn exists(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let kind = kind(failed);
    let named = name(failed);
    let name = named.as_deref().unwrap_or("what the step makes");
    let there = named
        .as_deref()
        .and_then(|name| was_there(kind, failed, known, name));
    let maker = blamed(&known.made_by, kind, failed, named.as_deref());
    let by_the_step = maker.filter(|culprit| is_the_step(culprit, known));
    if there != Some(true) && (by_the_step.is_some() || there == Some(false)) {
        return made_twice(failed, known, kind, name, by_the_step);
    }
    let (cause, meaning) = match (there, maker) {
        (_, Some(maker)) => (
            format!("{name} exists already: {maker} made it"),
            "The step makes an object whose name is taken.",
        ),
        (Some(true), None) => (
            format!("{name} existed already before this step"),
            "A step that failed earlier left it there, or something else than these migrations made it.",
        ),
        (_, None) => (
            format!("{name} exists already"),
            "The step makes an object whose name is taken: by an earlier object, or by one that the step made itself.",
        ),
    };
    let words = Wording {
        meaning: Some(meaning.to_owned()),
        ..Wording::new(cause)
    };
    words
        .then(format!("compare {name} with what the downgrade makes"))
        .then(match known.revision.as_deref() {
            Some(revision) => {
                format!("drop or rename it, or correct the downgrade of {revision}")
            }
            None => "drop or rename it, or correct the migration".to_owned(),
        })
}

/// The step makes an object, and then the same once more.
fn made_twice(
    failed: &Failed,
    known: &DiagnosisContext,
    kind: Option<Kind>,
    name: &str,
    first: Option<&Culprit>,
) -> Wording {
    let place = at(first);
    let (cause, meaning) = if first.is_some() {
        (
            format!("the step itself makes {name}{place}, and then makes it again"),
            format!("The downgrade makes {name} twice."),
        )
    } else {
        (
            format!("{name} did not exist before this step, and exists when the step makes it"),
            format!(
                "The downgrade makes {name} twice, or another session made it while the step ran."
            ),
        )
    };
    let is_type =
        kind == Some(Kind::Type) || failed.sql.to_ascii_uppercase().starts_with("CREATE TYPE");
    let of = known
        .revision
        .as_deref()
        .map_or("the migration".to_owned(), |revision| {
            format!("the downgrade of {revision}")
        });
    let words = Wording {
        meaning: Some(meaning),
        ..Wording::new(cause)
    };
    if is_type {
        return words.then(format!(
            "in {of}, leave the type to one of the two: postgresql.ENUM(..., name=\"{name}\", create_type=False) for the column, or no create() before it"
        ));
    }
    words.then(format!("in {of}, remove one of the two"))
}

/// `kind` is the word for it.
pub(super) fn missing(word: &str, failed: &Failed, known: &DiagnosisContext) -> Wording {
    let mut named = name(failed);
    if word == "constraint"
        && let Some(found) = group(&CONSTRAINT_OF, &failed.message)
    {
        named = Some(found);
    }
    let table = table(failed).filter(|table| word != "table" && Some(table) != named.as_ref());
    let what = match (&named, &table) {
        (Some(name), Some(table)) => format!("{word} {name} of table {table}"),
        (Some(name), None) => format!("{word} {name}"),
        (None, _) => some(word),
    };
    let kind = kind(failed);
    let there = named
        .as_deref()
        .and_then(|name| was_there(kind, failed, known, name));
    let culprit = blamed(&known.dropped_by, kind, failed, named.as_deref());
    let by_the_step = culprit.filter(|culprit| is_the_step(culprit, known));
    let of = match known.revision.as_deref() {
        Some(revision) => format!("the downgrade of {revision}"),
        None => "the migration".to_owned(),
    };
    if there == Some(true) || by_the_step.is_some() && there.is_none() {
        let cause = match by_the_step {
            Some(_) => format!(
                "the step itself removes {what}{}, and needs it afterwards",
                at(by_the_step)
            ),
            None => format!("{what} existed before this step, and does not when the step needs it"),
        };
        let meaning = match by_the_step {
            Some(_) => "The downgrade does two things in the wrong order.",
            None => {
                "The downgrade removes or renames it first, or names it in another way, or another session removed it while the step ran."
            }
        };
        return Wording {
            meaning: Some(meaning.to_owned()),
            ..Wording::new(cause)
        }
        .then(format!("correct the order in {of}"));
    }
    let words = match culprit {
        Some(culprit) => Wording::new(format!("{what} does not exist: {culprit} removed it")),
        None => Wording::new(format!("{what} does not exist")).then(format!(
            "find out what removed it: grep -rn {} in the folder of the migrations",
            named.as_deref().map_or("NAME".to_owned(), |name| {
                shlex::try_quote(name)
                    .map_or_else(|_| "NAME".to_owned(), std::borrow::Cow::into_owned)
            })
        )),
    };
    words.then(match known.revision.as_deref() {
        Some(revision) => format!("make it by hand, or correct the downgrade of {revision}"),
        None => "make it by hand, or correct the migration that names it".to_owned(),
    })
}

//! Alembic finds its way through the revisions not, or not only one.

use super::Known;
use super::entry::{Entry, NEXT, Words, group, pattern};
use super::failed::Failed;
use super::start::Kind;

pattern!(DESTINATION = r"Destination (\S+) is not a valid downgrade target");
pattern!(OVERLAPS = r"[Rr]equested revision (\S+) overlaps with other requested revisions (.+)");
pattern!(CYCLE_IN = r"in revisions \(([^)]*)\)");
pattern!(HEADS = r"heads? (?:are|is) present(?: for given argument '([^']*)')?");

const NOT_BEGUN: &str = "Alembic stopped before it ran a migration: nothing was changed.";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "revision-missing",
        when: "The database, a version file or the command names a revision that no version file has.",
        means: NOT_BEGUN,
        remedy: "Check out the code that belongs to the database, or restore the version file.",
        kind: |kind| matches!(kind, Kind::CannotLocate(_) | Kind::MissingParent(_)),
        words: missing,
        ..NEXT
    },
    Entry {
        code: "ambiguous-walk",
        when: "A relative target such as -1 leads more than one way, as it does at every merge.",
        means: NOT_BEGUN,
        remedy: "Let rollback do it, or name the parent: MERGE@PARENT.",
        python: &["Ambiguous walk"],
        words: ambiguous,
        ..NEXT
    },
    Entry {
        code: "several-heads",
        when: "There are several heads, and the command means one.",
        means: NOT_BEGUN,
        remedy: "Name the revision or branch that is meant.",
        python: &[
            "Multiple head revisions are present",
            "The script directory has multiple heads",
            "MultipleHeads",
            "Only a single head is supported",
        ],
        words: several,
        ..NEXT
    },
    Entry {
        code: "revision-cycle",
        when: "Revisions descend from themselves.",
        means: NOT_BEGUN,
        remedy: "Correct the down_revision or depends_on of one of them.",
        kind: |kind| matches!(kind, Kind::Cycle),
        words: cycle,
        ..NEXT
    },
    Entry {
        code: "target-not-below",
        when: "The target of a downgrade is not below where the database stands, or not so many steps are there.",
        means: NOT_BEGUN,
        remedy: "Look where the database stands, and name a revision below it.",
        python: &[
            "is not a valid downgrade target from current head",
            "Relative revision \\S+ didn't produce \\d+ migrations",
            "Walked too far",
        ],
        words: not_below,
        ..NEXT
    },
    Entry {
        code: "overlapping-rows",
        when: "The version table holds a revision together with one that descends from it.",
        means: NOT_BEGUN,
        remedy: "Find out which row is right, and remove the other one.",
        python: &["overlaps with other requested revisions"],
        words: overlaps,
        ..NEXT
    },
];

fn missing(failed: &Failed, known: &Known) -> Words {
    let id = match &failed.kind {
        Some(Kind::CannotLocate(id) | Kind::MissingParent(id)) => id.clone(),
        _ => "(not named)".to_owned(),
    };
    let quoted =
        shlex::try_quote(&id).map_or_else(|_| "REV".to_owned(), std::borrow::Cow::into_owned);
    Words::new(format!("no version file has the revision {id}"))
        .then(format!(
            "find the commit that had it: git log --all --oneline -S {quoted}"
        ))
        .then("check out the code that belongs to this database, or restore the file")
        .then(format!(
            "see where the database stands: {}",
            known.look.as_deref().unwrap_or("rollback current")
        ))
}

fn ambiguous(_: &Failed, _: &Known) -> Words {
    Words::new("the relative target leads more than one way: there is a merge")
        .then("let rollback find the way, one revision at a time: rollback plan -1")
}

fn several(failed: &Failed, _: &Known) -> Words {
    let of =
        group(&HEADS, &failed.message).map_or(String::new(), |argument| format!(" for {argument}"));
    Words::new(format!(
        "there are several heads{of}, and the command means one"
    ))
    .then("see them: rollback list")
    .then("name the one that is meant, as REVISION or LABEL@head")
}

fn cycle(failed: &Failed, _: &Known) -> Words {
    let which = group(&CYCLE_IN, &failed.message);
    Words::new(format!(
        "revisions descend from themselves{}",
        which.map_or(String::new(), |which| format!(": {which}"))
    ))
    .then("correct the `down_revision` or `depends_on` of one of them")
}

fn not_below(failed: &Failed, known: &Known) -> Words {
    let target = group(&DESTINATION, &failed.message);
    Words::new(format!(
        "the target {}is not below where the database stands, or not so many steps are there",
        target.map_or(String::new(), |target| format!(
            "{} ",
            target.trim_matches('\'')
        ))
    ))
    .then(format!(
        "see where the database stands: {}",
        known.look.as_deref().unwrap_or("rollback current")
    ))
    .then("see what is below it: rollback list")
}

fn overlaps(failed: &Failed, _: &Known) -> Words {
    let rows = OVERLAPS.captures(&failed.message).map_or_else(
        || "a revision and one that descends from it".to_owned(),
        |found| format!("{} and {}", &found[1], found[2].trim_end_matches('.')),
    );
    Words::new(format!(
        "the version table holds {rows}, of which one descends from the other"
    ))
    .then("see them: SELECT version_num FROM alembic_version;")
    .then("find out which row is right, and remove the other one")
}

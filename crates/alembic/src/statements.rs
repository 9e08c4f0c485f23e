//! The statements of one step in what `downgrade REV:TARGET --sql` printed.
//!
//! Alembic's offline mode starts from one row of the version table, whatever the database holds. Where
//! it holds others, its last statements would write what the real step does not: they are exchanged
//! for those that make of the rows before the step what is predicted after it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use rollback_core::names::{and, heads};
use rollback_core::plan::Step;
use rollback_core::revision::RevisionId;

/// The comment that Alembic puts before each revision.
const RUNNING: &str = "-- Running downgrade ";
/// What Alembic ends each statement with.
const GAP: &str = "\n\n";

/// Takes them out of the engine's stdout; the error says what was printed instead.
pub(super) fn of_step(stdout: &str, step: &Step) -> Result<String, String> {
    let ran: BTreeSet<&str> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix(RUNNING)?.split(" -> ").next())
        .collect();
    let planned: BTreeSet<&str> = std::iter::once(&step.removes)
        .chain(&step.takes_along)
        .map(RevisionId::as_str)
        .collect();
    if ran != planned {
        return Err(format!(
            "the engine rendered the downgrade of {} instead",
            if ran.is_empty() {
                "nothing".to_owned()
            } else {
                and(ran)
            }
        ));
    }
    let mut chunks: Vec<String> = without_preface(stdout)
        .split(GAP)
        .map(|chunk| chunk.trim_matches('\n').to_owned())
        .filter(|chunk| !chunk.is_empty())
        .collect();
    exchange_rows(&mut chunks, step);
    Ok(chunks.join(GAP) + "\n")
}

/// Without what a program says on stdout before it begins.
fn without_preface(stdout: &str) -> &str {
    let start = if stdout.starts_with(RUNNING) {
        0
    } else {
        stdout.find(&format!("\n{RUNNING}")).map_or(0, |at| at + 1)
    };
    let before = stdout[..start].trim_end();
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    if before[begin..].starts_with("BEGIN") {
        &stdout[begin..]
    } else {
        &stdout[start..]
    }
}

/// `UPDATE alembic_version SET version_num='a' WHERE alembic_version.version_num = 'b';`
fn version_table(chunk: &str) -> Option<&str> {
    static STATEMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"^(?:UPDATE (?P<u>\S+) SET version_num=|DELETE FROM (?P<d>\S+) WHERE \S*version_num = |INSERT INTO (?P<i>\S+) \(version_num\) VALUES \()'",
        )
        .ok()
    });
    let found = STATEMENT.as_ref()?.captures(chunk)?;
    ["u", "d", "i"]
        .iter()
        .find_map(|name| found.name(name))
        .map(|table| table.as_str())
}

fn exchange_rows(chunks: &mut Vec<String>, step: &Step) {
    let end = chunks
        .iter()
        .rposition(|chunk| !chunk.starts_with("COMMIT") && chunk != "GO")
        .map_or(0, |last| last + 1);
    // Before 1.20 Alembic drops the table offline where the last row goes, and never does so online.
    let dropped = end > 1
        && version_table(&chunks[end - 2])
            .is_some_and(|table| chunks[end - 1] == format!("DROP TABLE {table};"));
    if dropped {
        chunks.remove(end - 1);
    }
    let end = end - usize::from(dropped);
    let start = chunks[..end]
        .iter()
        .rposition(|chunk| version_table(chunk).is_none())
        .map_or(0, |last| last + 1);
    let new = match chunks.get(start).and_then(|chunk| version_table(chunk)) {
        Some(table) => rows(table, step),
        None => vec![format!(
            "-- The version rows {} become {}.",
            heads(&step.heads_before),
            heads(&step.heads_after)
        )],
    };
    chunks.splice(start..end, new);
}

/// What makes the rows after the step of those before it.
fn rows(table: &str, step: &Step) -> Vec<String> {
    let mut gone: Vec<_> = step.heads_before.difference(&step.heads_after).collect();
    let mut come: Vec<_> = step.heads_after.difference(&step.heads_before).collect();
    let last = if gone.is_empty() || come.is_empty() {
        None
    } else {
        gone.pop().zip(come.pop())
    };
    let deleted = gone
        .into_iter()
        .map(|id| format!("DELETE FROM {table} WHERE {table}.version_num = '{id}';"));
    let inserted = come
        .into_iter()
        .map(|id| format!("INSERT INTO {table} (version_num) VALUES ('{id}');"));
    let updated = last.map(|(from, to)| {
        format!("UPDATE {table} SET version_num='{to}' WHERE {table}.version_num = '{from}';")
    });
    deleted.chain(inserted).chain(updated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollback_core::plan::Plan;

    fn step(drawing: &str, rows: &[&str], target: &str) -> Step {
        let rows: Vec<RevisionId> = rows.iter().copied().map(RevisionId::from).collect();
        let plan = Plan::new(
            &rollback_core::testing::drawn(drawing),
            &rows,
            &target.parse().unwrap(),
        );
        plan.unwrap().steps.remove(0)
    }

    #[test]
    fn the_rows_of_other_branches_are_minded() {
        let step = step("c; a:c; b:c", &["a", "b"], "a@c");
        let printed = "Loaded\nBEGIN;\n\n-- Running downgrade a -> c\n\nDROP TABLE a;\n\n\
                       UPDATE alembic_version SET version_num='c' WHERE alembic_version.version_num = 'a';\n\nCOMMIT;\n\n";
        assert_eq!(
            of_step(printed, &step).unwrap(),
            "BEGIN;\n\n-- Running downgrade a -> c\n\nDROP TABLE a;\n\n\
             DELETE FROM alembic_version WHERE alembic_version.version_num = 'a';\n\nCOMMIT;\n"
        );
    }

    #[test]
    fn a_merge_beside_another_branch_leaves_all_its_parents() {
        let step = step("a; b; m:a,b; z", &["m", "z"], "m@a");
        let printed = "-- Running downgrade m -> a, b\n\n\
                       INSERT INTO s.v (version_num) VALUES ('a') RETURNING s.v.version_num;\n\n\
                       UPDATE s.v SET version_num='b' WHERE s.v.version_num = 'm';\n\n";
        assert_eq!(
            of_step(printed, &step).unwrap(),
            "-- Running downgrade m -> a, b\n\nINSERT INTO s.v (version_num) VALUES ('a');\n\n\
             UPDATE s.v SET version_num='b' WHERE s.v.version_num = 'm';\n"
        );
    }

    #[test]
    fn the_version_table_stays() {
        let step = step("a", &["a"], "base");
        let printed = "-- Running downgrade a -> \n\nDROP TABLE t;\n\n\
                       DELETE FROM v WHERE v.version_num = 'a';\n\nDROP TABLE v;\n\n";
        assert_eq!(
            of_step(printed, &step).unwrap(),
            "-- Running downgrade a -> \n\nDROP TABLE t;\n\nDELETE FROM v WHERE v.version_num = 'a';\n"
        );
    }

    #[test]
    fn a_statement_that_is_not_known_is_not_exchanged_but_said() {
        let step = step("c; a:c; b:c", &["a", "b"], "a@c");
        let sql = of_step("-- Running downgrade a -> c\n\nDROP TABLE a;\n\n", &step).unwrap();
        assert!(
            sql.ends_with("DROP TABLE a;\n\n-- The version rows a, b become b.\n"),
            "{sql}"
        );
    }

    #[test]
    fn another_revision_than_the_planned_one_is_an_error() {
        let step = step("a; b:a", &["b"], "a");
        assert_eq!(
            of_step("-- Running downgrade a -> \n\n", &step).unwrap_err(),
            "the engine rendered the downgrade of a instead"
        );
        assert!(of_step("", &step).is_err());
    }
}

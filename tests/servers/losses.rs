//! What a plan says of real data, and then the real steps: what goes is what was announced, what was
//! said to fail fails there, and nothing else is lost.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::project::{Project, Run};
use crate::support::{Kind, TestDatabase};
use crate::walk::{rows, upgraded};

const TABLES: [(&str, &[&str]); 4] = [
    (
        "authors",
        &[
            "email",
            "handle",
            "country_id",
            "code",
            "fee",
            "fax",
            "about",
        ],
    ),
    ("countries", &[]),
    ("tags", &["name"]),
    ("notes", &["body"]),
];

/// Rows that no downgrade of the fixture stumbles over, and NULLs that are no loss.
const HARMLESS: &str = "
    INSERT INTO countries (id) VALUES (1), (2);
    INSERT INTO authors (id, email, handle, country_id, code, fee, about) VALUES
        (1, 'a@example.org', 'a', 1, 'abcd', 10.25, 'long'),
        (2, 'b@example.org', 'b', 2, 'wxyz', 11, NULL),
        (3, 'c@example.org', NULL, NULL, NULL, 12.75, 'longer'),
        (4, 'd@example.org', NULL, 1, 'a', NULL, NULL);
    INSERT INTO notes (id, body) VALUES (1, 'one'), (2, NULL);
    INSERT INTO tags (id, name) VALUES (3, 'mine');";

/// What breaks one of the restrictions that come back, and what mends it.
struct Trouble {
    revision: &'static str,
    /// Breaks it; authors above 10 are there to be broken.
    breaks: &'static str,
    /// Which servers fail by it.
    fails_on: &'static [Kind],
    code: &'static str,
    /// The object in the finding, and in the words of the servers any of these.
    object: &'static str,
    said: &'static [&'static str],
    mends: &'static str,
}

const TROUBLES: [Trouble; 4] = [
    Trouble {
        revision: "5555aaaa",
        breaks: "UPDATE authors SET code = 'too long' WHERE id = 11",
        fails_on: &Kind::SERVERS,
        code: "type-narrowed",
        object: "authors.code",
        // PostgreSQL names the type and not the column.
        said: &["character varying(4)", "column 'code'"],
        mends: "UPDATE authors SET code = NULL WHERE id = 11",
    },
    Trouble {
        revision: "4444aaaa",
        breaks: "UPDATE authors SET country_id = 77 WHERE id = 12",
        fails_on: &Kind::SERVERS,
        code: "foreign-key-restored",
        object: "authors (country_id)",
        said: &["fk_authors_country"],
        mends: "UPDATE authors SET country_id = NULL WHERE id = 12",
    },
    Trouble {
        revision: "3333aaaa",
        breaks: "UPDATE authors SET handle = 'same' WHERE id IN (13, 14)",
        fails_on: &Kind::ALL,
        code: "unique-restored",
        object: "authors (handle)",
        said: &["uq_authors_handle", "_alembic_tmp_authors.handle"],
        mends: "UPDATE authors SET handle = NULL WHERE id = 14",
    },
    Trouble {
        revision: "2222aaaa",
        breaks: "UPDATE authors SET email = NULL WHERE id = 15",
        fails_on: &Kind::ALL,
        code: "not-null-restored",
        object: "authors.email",
        said: &[
            r#"column "email""#,
            "column 'email'",
            // MySQL names nothing.
            "Invalid use of NULL value",
            "_alembic_tmp_authors.email",
        ],
        mends: "UPDATE authors SET email = 'x@example.org' WHERE id = 15",
    },
];

/// The values of a table by row, then by column.
type Rows = BTreeMap<String, BTreeMap<&'static str, String>>;

fn contents(database: &TestDatabase<'_>) -> BTreeMap<&'static str, Rows> {
    let mut all = BTreeMap::new();
    for (table, columns) in TABLES {
        let is_there = |column| {
            let query = format!("SELECT {column} FROM {table}");
            database.try_execute(&query).is_ok()
        };
        if !is_there("id") {
            continue;
        }
        let text = |column: &str| match database.kind() {
            Kind::MariaDb | Kind::MySql => format!("concat({column}, '')"),
            Kind::PostgreSql | Kind::Sqlite => format!("{column} || ''"),
        };
        let columns: Vec<&str> = columns.iter().copied().filter(|it| is_there(it)).collect();
        let asked: Vec<String> = ["id"].iter().chain(&columns).map(|it| text(it)).collect();
        let found = database.query(&format!("SELECT {} FROM {table}", asked.join(", ")));
        let by_row = found.into_iter().map(|row| {
            let mut values = row.into_iter();
            let id = values.next().flatten().unwrap();
            let held = columns.iter().copied().zip(values);
            (id, held.filter_map(|(it, v)| Some((it, v?))).collect())
        });
        all.insert(table, by_row.collect());
    }
    all
}

/// Rows that are gone, by table, and values that are gone or others, by column.
fn lost(
    before: &BTreeMap<&'static str, Rows>,
    after: &BTreeMap<&'static str, Rows>,
) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let mut count = |what: String| *all.entry(what).or_insert(0) += 1;
    for (table, rows) in before {
        for (id, values) in rows {
            let Some(kept) = after.get(table).and_then(|rows| rows.get(id)) else {
                count((*table).to_owned());
                continue;
            };
            for (column, value) in values {
                if !kept.get(column).is_some_and(|kept| is_same(kept, value)) {
                    count(format!("{table}.{column}"));
                }
            }
        }
    }
    all
}

/// `11` and `11.00` are the same fee.
fn is_same(one: &str, other: &str) -> bool {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => (one - other).abs() < 1e-9,
        _ => one == other,
    }
}

fn text<'a>(finding: &'a Value, field: &str) -> &'a str {
    finding[field].as_str().unwrap_or("")
}

/// What findings say will be lost, in the same words as [`lost`].
fn announced(findings: &[Value]) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for finding in findings {
        let sentence = text(finding, "sentence");
        let after = |word: &str| {
            let (_, rest) = sentence.split_once(word)?;
            rest.split([' ', ':']).next()
        };
        let object = match text(finding, "code") {
            "column-dropped" => after("drops column "),
            "table-dropped" => after("drops table "),
            "data-reversed" => after("deletes rows of "),
            "type-narrowed" if finding["level"] != "low" => after("changes "),
            _ => continue,
        };
        let object = object.unwrap_or_else(|| panic!("another sentence: {sentence}"));
        let evidence = &finding["evidence"];
        assert_eq!(evidence["exact"], true, "{finding:#}");
        match evidence["count"].as_u64().unwrap() {
            0 => {}
            number => {
                all.insert(object.to_owned(), number);
            }
        }
    }
    all
}

fn plan(project: &Project, target: &str) -> Vec<Value> {
    let line = format!("plan {target} --format json");
    let plan = project.run(&line).exits(0).json();
    plan["steps"].as_array().unwrap().clone()
}

fn findings(step: &Value) -> &[Value] {
    step["findings"].as_array().unwrap()
}

/// Turns red if a figure of a plan over three steps is not what the rollback then takes.
fn a_plan_of_three_steps_counts_what_the_rollback_then_loses(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("losses", &database);
    database.execute(HARMLESS);
    let steps = plan(&project, "-3");
    let all: Vec<Value> = steps.iter().flat_map(findings).cloned().collect();
    let announced = announced(&all);
    let shown = project.run("plan -3").exits(0);
    for sentence in [
        "drops column authors.about with 2 values",
        "drops table notes with 2 rows",
        "deletes rows of tags: all of 3 rows",
        "drops 2 values in 1 column, 1 table with 2 rows, deletes or changes up to 3 rows",
    ] {
        assert!(shown.stdout.contains(sentence), "{kind:?}: {shown}");
    }

    let before = contents(&database);
    // Alone, -y does not allow that.
    let alone = project.rollback("downgrade-safe -3 -y");
    alone.env("ROLLBACK_ALLOW", "").run().exits(3);
    assert_eq!(contents(&database), before, "{kind:?}");
    project.run("downgrade-safe -3 -y --allow all").exits(0);
    let lost = lost(&before, &contents(&database));
    assert_eq!(announced, lost, "{kind:?}: {all:#?}");
    assert_eq!(lost.values().sum::<u64>(), 7, "{kind:?}: {lost:?}");
}
on_each!(a_plan_of_three_steps_counts_what_the_rollback_then_loses: postgresql, mariadb, sqlite);

/// Turns red if rows that one step deletes and the next drops with their table are in the total twice.
fn rows_that_are_deleted_and_then_dropped_are_lost_once(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("losses", &database);
    database.execute(HARMLESS);
    let before = contents(&database);
    let plan = project.run("plan -4 --format json").exits(0).json();
    let verdict = plan["verdict"]["sentence"].as_str().unwrap_or_default();
    assert!(
        verdict.contains("drops 2 values in 1 column, 2 tables with 5 rows")
            && !verdict.contains("deletes"),
        "{kind:?}: {plan:#}"
    );
    project.run("downgrade-safe -4 -y --allow all").exits(0);
    let lost = lost(&before, &contents(&database));
    assert_eq!(lost["tags"] + lost["notes"], 5, "{kind:?}: {lost:?}");
    assert_eq!(lost["authors.about"], 2, "{kind:?}: {lost:?}");
}
on_each!(rows_that_are_deleted_and_then_dropped_are_lost_once: sqlite, postgresql, mariadb);

/// Turns red if a step loses more or less than was said right before it, if one that was said to fail
/// does not or stumbles over something else, or if one fails that was not said to.
fn each_step_does_to_data_what_was_foretold(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("losses", &database);
    database.execute(HARMLESS);
    for id in 11..=15 {
        let row = format!("INSERT INTO authors (id, email) VALUES ({id}, 'e{id}@example.org')");
        database.execute(&row);
    }
    for trouble in &TROUBLES {
        database.execute(trouble.breaks);
    }
    let (mut failed, mut total) = (Vec::new(), BTreeMap::new());
    while let [standing] = rows(&database).as_slice() {
        let steps = plan(&project, "-1");
        let found = findings(&steps[0]);
        let fails: Vec<&Value> = found
            .iter()
            .filter(|it| it["outcome"] == "will_fail")
            .collect();
        assert!(
            found.iter().all(|it| it["outcome"] != "may_fail"),
            "everything can be known here\n{kind:?}: {found:#?}"
        );
        let before = contents(&database);
        if fails.is_empty() {
            let run = project.run("downgrade-safe -1 -y --allow all");
            if kind == Kind::Sqlite && standing == "4444aaaa" {
                leaves_an_orphan(&project, found, &run);
            } else {
                run.exits(0);
            }
            let after = contents(&database);
            let lost = lost(&before, &after);
            assert_eq!(
                announced(found),
                lost,
                "{kind:?}, {standing}: announced (left), lost (right)\n{found:#?}"
            );
            total.extend(lost);
            if standing == "7777aaaa" {
                comes_back_empty(&database, found);
            }
            continue;
        }
        let trouble = TROUBLES.iter().find(|it| it.revision == standing);
        let trouble = trouble.unwrap_or_else(|| panic!("{kind:?}, {standing}: {fails:#?}"));
        assert!(
            fails.len() == 1
                && text(fails[0], "code") == trouble.code
                && text(fails[0], "sentence").contains(trouble.object),
            "{kind:?}: {fails:#?}"
        );
        project.run("downgrade-safe -1 -y --allow all").exits(3);
        let run = project.run("downgrade-safe -1 -y --allow all --allow-failing");
        // The copy that a batch makes on SQLite is left over.
        let code = if kind == Kind::Sqlite { 5 } else { 4 };
        assert_eq!(run.code, Some(code), "{run}");
        assert!(
            trouble.said.iter().any(|word| run.stderr.contains(word)),
            "{kind:?}: {run}"
        );
        assert_eq!(contents(&database), before, "{kind:?}: {run}");
        failed.push(trouble.revision);
        if kind == Kind::Sqlite {
            database.execute("DROP TABLE _alembic_tmp_authors");
        }
        database.execute(trouble.mends);
        project.run("downgrade-safe --abandon").exits(0);
    }
    assert_eq!(rows(&database), [""; 0]);
    let expected: Vec<&str> = TROUBLES
        .iter()
        .filter(|it| it.fails_on.contains(&kind))
        .map(|it| it.revision)
        .collect();
    assert_eq!(failed, expected, "{kind:?}");
    let mut losses = vec![
        ("authors", 9),
        ("authors.about", 2),
        ("authors.fee", 2),
        ("countries", 2),
        ("notes", 2),
        ("tags", 3),
    ];
    // Nothing rounds there.
    losses.retain(|(what, _)| kind != Kind::Sqlite || *what != "authors.fee");
    let losses = losses.into_iter().map(|(what, n)| (what.to_owned(), n));
    assert_eq!(total, losses.collect(), "{kind:?}");
}
on_each!(each_step_does_to_data_what_was_foretold: sqlite, postgresql, mariadb);

/// SQLite makes a foreign key over rows that break it: nothing fails and nothing is lost, and the check
/// after the step finds what was foretold.
fn leaves_an_orphan(project: &Project, found: &[Value], run: &Run) {
    let told = found
        .iter()
        .find(|it| it["code"] == "foreign-key-restored")
        .unwrap();
    assert_eq!(told["level"], "medium", "{told:#}");
    assert_eq!(told["evidence"]["count"], 1, "{told:#}");
    assert_eq!(run.code, Some(5), "{run}");
    let check =
        "the step is done, and a check after it failed: rows of authors have no row in countries";
    assert!(run.stderr.contains(check), "{run}");
    project.run("downgrade-safe --abandon").exits(0);
}

/// What the upgrade dropped is told with the rows that have it no more.
fn comes_back_empty(database: &TestDatabase<'_>, found: &[Value]) {
    let [finding] = found else {
        panic!("{found:#?}");
    };
    assert_eq!(finding["code"], "data-not-restored");
    let empty = database.query_one("SELECT count(*) FROM authors WHERE fax IS NULL");
    let count = finding["evidence"]["count"].as_u64().unwrap();
    assert_eq!(empty, count.to_string(), "{finding:#}");
}

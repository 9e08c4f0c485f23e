//! docs/json.md has every field that the program prints, and no other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{PLACE, blocks, hold, placed, read, rows};
use crate::support::Project;

const DOCUMENT: &str = "docs/json.md";

/// Every object of the page, by its heading, as printed now: the project, the example, and all that were seen.
fn printed() -> BTreeMap<&'static str, (Project, Value)> {
    let one = |project: Project, line: &str| {
        let output = project
            .rollback(line)
            .piped()
            .output()
            .expect("the program");
        let text = String::from_utf8_lossy(&output.stdout)
            .replace(&*project.root().to_string_lossy(), PLACE);
        let text = of_a_backup(&text);
        let objects: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("an object"))
            .collect();
        (project, objects)
    };
    let mut found = BTreeMap::new();
    for (heading, line) in [
        (
            "`sql register` and `sql sync`",
            "sql register 20250109090000_add_order_notes --format json",
        ),
        ("`sql snapshot list`", "sql snapshot list --format json"),
        (
            "`sql snapshot diff`",
            "sql snapshot diff latest --format json",
        ),
    ] {
        let project = Project::copy_of("sql/shop", "project", "alembic-current")
            .env("ROLLBACK_DATABASE_URL", "sqlite:///app.db")
            .file("app.db", "");
        for line in [
            "sql install",
            "sql sync --assume-applied",
            "sql snapshot create --note why",
        ] {
            project.run(line).exits(0);
        }
        project.sql("CREATE TABLE orders (id INTEGER)");
        let (project, objects) = one(project, line);
        found.insert(heading, (project, objects[0].clone()));
    }
    let project = Project::alembic("two_heads").at("heads");
    let killed = project
        .rollback("downgrade-safe bbbb1111@-1 -y --backup")
        .env("ROLLBACK_FAULT_POINT", "after_backed_up")
        .run();
    assert_eq!(killed.code, None, "{killed}");
    let (project, objects) = one(project, "current --format json");
    found.insert("`current`", (project, objects[0].clone()));
    let (project, objects) = one(
        Project::alembic("diamond").at("b52d08e7f41c"),
        "plan -1 --format json",
    );
    found.insert("`plan`", (project, objects[0].clone()));
    for (heading, case, line) in [
        ("`list`", "two_heads", "list --format json"),
        ("`check`", "linear", "check 5e6f7a8b9c05 --format json"),
    ] {
        let (project, objects) = one(Project::alembic(case).at("heads"), line);
        found.insert(heading, (project, objects[0].clone()));
    }
    for (heading, line) in [
        ("`history`", "history --format json"),
        ("`show`", "show latest --format json"),
    ] {
        let project = Project::alembic("failing").at("heads");
        project
            .run("downgrade-safe -3 -y --allow-failing --allow all --reason why")
            .exits(5);
        let (project, objects) = one(project, line);
        found.insert(
            heading,
            (project, settled(objects[0].clone(), heading == "`show`")),
        );
    }
    let log = "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) table \"orders\" does not exist\n\
               [SQL: DROP TABLE orders]\n";
    let (project, objects) = one(
        Project::empty().file("deploy.log", log),
        "explain deploy.log --format json",
    );
    found.insert("`explain`", (project, objects[0].clone()));
    let project = Project::alembic("linear").at("heads");
    let (project, made) = one(project, "backup --format json");
    found.insert("`backup`", (project, made[0].clone()));
    let project = Project::alembic("linear").at("heads");
    project.run("backup").exits(0);
    project.sql("DELETE FROM customers");
    project.sql("DROP TABLE orders");
    let (project, all) = one(project, "backups --format json");
    found.insert("`backups`", (project, all[0].clone()));
    let (project, restored) = one(
        Project::alembic("linear").at("heads"),
        "backup --format json",
    );
    assert_eq!(restored.len(), 1);
    project.sql("DROP TABLE orders");
    let line = "restore latest -y --database app.db --format json";
    let (project, restored) = one(project, line);
    found.insert("`restore`", (project, restored[0].clone()));
    let (_, undone) = one(
        Project::alembic("failing")
            .at("heads")
            .env("ROLLBACK_BACKUP", "auto"),
        "downgrade-safe -3 -y --allow-failing --on-failure restore --format json",
    );
    for (event, heading) in [
        ("backup_finished", "Event `backup_finished`"),
        ("restored", "Event `restored`"),
    ] {
        let object = undone.iter().find(|object| object["event"] == event);
        let object = object.expect("the event").clone();
        found.insert(heading, (Project::alembic("failing"), object));
    }
    let (_, guarded) = one(
        Project::alembic("linear").at("4d5e6f7a8b04"),
        "guard -y --format json -- sh -c 'exit 7'",
    );
    for (event, heading) in [
        ("guard_began", "Event `guard_began`"),
        ("guard_command_ended", "Event `guard_command_ended`"),
    ] {
        let object = guarded.iter().find(|object| object["event"] == event);
        let object = object.expect("the event").clone();
        found.insert(heading, (Project::alembic("linear"), object));
    }
    for (target, with_finished) in [("-3 -y --allow-failing", true), ("-1", false)] {
        let (_, objects) = one(
            Project::alembic("failing").at("heads"),
            &format!("downgrade-safe {target} --format json"),
        );
        for object in objects {
            let heading = match object["event"].as_str().expect("an event") {
                "plan" => continue,
                "step_started" => "Event `step_started`",
                "step_finished" => "Event `step_finished`",
                "step_failed" => "Event `step_failed`",
                "finished" if with_finished => "Event `finished`",
                "finished" => "Event `finished` of a run that never began",
                other => panic!("{DOCUMENT} does not know the event {other}"),
            };
            found
                .entry(heading)
                .or_insert_with(|| (Project::alembic("failing"), object));
        }
    }
    found
}

/// What is another with each backup, as one text: its id, its moment, its hash and who made it.
fn of_a_backup(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, example) in [
        (r"\b\d{8}T\d{6}Z-\d+(-\d+)?", "20261121T040000Z-4711"),
        (
            r#""(at|since)":"[^"]*""#,
            r#""$1":"2026-11-21T04:00:00.000Z""#,
        ),
        (
            r#""by":\{[^}]*\}"#,
            r#""by":{"host":"db1","pid":4711,"user":"ada"}"#,
        ),
        (
            r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
            "3f2a9c01-7d1e-8a55-8c0e-5de3ad361430",
        ),
        (
            r#""taken_at":"[^"]*","taken_by":"[^"]*""#,
            r#""taken_at":"2026-11-21T04:00:00Z","taken_by":"ada@build-7""#,
        ),
        (
            r"\b[0-9a-f]{64}\b",
            "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
        ),
    ] {
        let pattern = regex::Regex::new(pattern).expect("a pattern");
        text = pattern.replace_all(&text, example).into_owned();
    }
    text
}

#[test]
fn the_examples_have_the_fields_that_the_program_prints() {
    let text = read(DOCUMENT);
    let mut expected = text.clone();
    let mut same = true;
    let mut headings = BTreeSet::new();
    for (heading, (project, value)) in printed() {
        headings.insert(heading);
        let start = text
            .find(&format!("\n## {heading}\n"))
            .unwrap_or_else(|| panic!("{DOCUMENT} has no section {heading}: add it"));
        let block = blocks(&text[start..])
            .into_iter()
            .find(|block| block.language == "json")
            .unwrap_or_else(|| panic!("{DOCUMENT}, {heading}: no example"));
        let said: Value = serde_json::from_str(&block.text).unwrap_or(Value::Null);
        let value = shortened(value);
        let stable = |value: &Value| placed(&project, &value.to_string());
        if stable(&said) != stable(&value) {
            same = false;
            let pretty = serde_json::to_string_pretty(&value).expect("text") + "\n";
            let at = expected
                .find(&format!("\n## {heading}\n"))
                .expect("the section");
            let (before, after) = expected.split_at(at);
            // With its fence: an example that is still empty occurs everywhere.
            let fenced = |text: &str| format!("```json\n{text}```");
            let after = after.replacen(&fenced(&block.text), &fenced(&pretty), 1);
            expected = format!("{before}{after}");
        }
        fields_are_listed(&text, heading, &value);
    }
    assert_eq!(headings.len(), 22, "{headings:?}");
    hold(DOCUMENT, &text, &expected, same);
}

/// What differs from run to run, replaced; where `short`, lists have their first element only.
fn settled(value: Value, short: bool) -> Value {
    match value {
        Value::Object(fields) => {
            let settle = |(name, value): (String, Value)| {
                let value = match (name.as_str(), value) {
                    ("run", Value::String(_)) => "20261121T040000Z-4711".into(),
                    ("began" | "ended" | "at" | "started", Value::String(_)) => {
                        "2026-11-21T04:00:00.000Z".into()
                    }
                    ("user", _) => "ada".into(),
                    ("host", _) => "build-7".into(),
                    ("pid", _) => 4711.into(),
                    ("seconds", Value::Number(_)) => 0.5.into(),
                    (_, value) => settled(value, short),
                };
                (name, value)
            };
            shortened(Value::Object(fields.into_iter().map(settle).collect()))
        }
        Value::Array(elements) => {
            let shown = if short { 1 } else { elements.len() };
            let elements = elements.into_iter().take(shown);
            elements.map(|element| settled(element, short)).collect()
        }
        other => other,
    }
}

/// Tracebacks are long and say nothing about the shape: the first line stands for them.
fn shortened(mut value: Value) -> Value {
    if let Some(Value::String(text)) = value.get_mut("stderr")
        && let Some(first) = text.lines().next()
    {
        *text = format!("{first}\n[...]\n");
    }
    value
}

/// The table of a section lists the fields of its object, those of objects inside with their path.
#[track_caller]
fn fields_are_listed(text: &str, heading: &str, value: &Value) {
    let listed: BTreeSet<String> = rows(text, &format!("## {heading}"))
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let mut fields = BTreeSet::new();
    for (name, inner) in value.as_object().expect("an object") {
        fields.insert(name.clone());
        if let Some(Value::Object(element)) = inner.as_array().and_then(|list| list.first()) {
            fields.extend(element.keys().map(|key| format!("{name}[].{key}")));
        }
    }
    assert_eq!(
        listed, fields,
        "{DOCUMENT}, {heading}: the table (left) does not list what the program prints (right); mend it by hand"
    );
}

#[test]
fn findings_and_verdicts_are_described() {
    let text = read(DOCUMENT);
    let printed = printed();
    let check = &printed["`check`"].1;
    let plan = &printed["`plan`"].1;
    let finding = &check["revision"]["findings"][0];
    for (heading, value) in [
        ("## A finding", finding),
        ("## The evidence of a finding", &finding["evidence"]),
        ("## The verdict", &check["verdict"]),
        ("## The verdict", &plan["verdict"]),
    ] {
        let mut fields = BTreeSet::new();
        for (name, inner) in value.as_object().expect("an object") {
            fields.insert(name.clone());
            // The evidence has a table of its own.
            if let (Some(inner), true) = (inner.as_object(), name != "evidence") {
                fields.extend(inner.keys().map(|key| format!("{name}.{key}")));
            }
        }
        let mut listed: BTreeSet<String> = rows(&text, heading)
            .iter()
            .map(|row| row[0].trim_matches('`').to_owned())
            .collect();
        // Where nothing was asked there is the reason for it instead.
        listed.remove("asked.reason");
        assert_eq!(listed, fields, "{DOCUMENT}, {heading} (left)");
    }
}

#[test]
fn the_database_and_its_states_are_described() {
    let text = read(DOCUMENT);
    let keys = |value: &Value| -> BTreeSet<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    let printed = printed();
    let identity = &printed["`current`"].1["database"];
    let listed: BTreeSet<String> = rows(&text, "## The database")
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(listed, keys(identity), "{DOCUMENT}, The database (left)");

    let states: BTreeMap<String, String> = rows(&text, "## Where the database stands")
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    let state = &printed["Event `step_failed`"].1["database"];
    let name = state["state"].as_str().expect("a state");
    let described = &states[name];
    for key in keys(state) {
        assert!(
            key == "state" || described.contains(&format!("`{key}`")),
            "{DOCUMENT}, Where the database stands, {name}: {key} is missing"
        );
    }
    let names: Vec<&str> = states.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "elsewhere",
            "half_done",
            "may_have_changed",
            "step_happened",
            "unchanged",
            "unknown"
        ],
        "{DOCUMENT}, Where the database stands"
    );
}

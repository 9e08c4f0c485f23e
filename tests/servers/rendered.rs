//! What `plan --sql` shows is what the steps do: the statements are run on one database and the steps on another, and
//! both have to be the same after each.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::project::Project;
use crate::support::{Kind, TestDatabase};
use crate::walk::{rows, upgraded};

/// Operations that offline and online take different ways through SQLAlchemy: an enum, an index built outside the
/// transaction, constraints, values, a per cent sign.
const MANY_KINDS: &str = r#"
import sqlalchemy as sa
from alembic import op

revision = "dddd1111"
down_revision = "aaaa1111"

mood = sa.Enum("happy", "sad", name="mood")


def upgrade():
    op.create_table(
        "people",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(20), nullable=False, server_default="x"),
        sa.Column("note", sa.Text()),
    )
    mood.create(op.get_bind())
    op.add_column("people", sa.Column("mood", mood))
    op.create_check_constraint("named", "people", "name <> ''")


def downgrade():
    op.drop_constraint("named", "people")
    op.drop_column("people", "mood")
    op.execute("DROP TYPE mood")
    op.alter_column("people", "name", type_=sa.String(40), nullable=True, server_default=None)
    op.create_unique_constraint("one_name", "people", ["name"])
    people = sa.table("people", sa.column("id", sa.Integer), sa.column("name", sa.String), sa.column("note", sa.Text))
    op.bulk_insert(people, [{"id": 1, "name": "Ann", "note": "100% 'sure'"}])
    op.execute("UPDATE people SET note = note || '%' WHERE id % 2 = 1")
    op.execute(people.update().where(people.c.id == 1).values(name="A%n"))
    with op.get_context().autocommit_block():
        op.create_index("by_note", "people", ["note"], postgresql_concurrently=True)
"#;

fn plan(project: &Project) -> Vec<Value> {
    let plan = project.run("plan base --sql --format json").exits(0).json();
    plan["steps"].as_array().unwrap().clone()
}

/// Statements that may not share a message to the server, such as those outside a transaction, go one by one.
fn run(database: &TestDatabase<'_>, sql: &str) {
    let mut transaction = String::new();
    let mut inside = false;
    for statement in sql.split("\n\n").filter(|text| !text.starts_with("-- ")) {
        inside |= statement.starts_with("BEGIN");
        if inside {
            transaction.push_str(statement);
            transaction.push('\n');
        } else {
            database.execute(statement);
        }
        if statement.starts_with("COMMIT") {
            database.execute(&std::mem::take(&mut transaction));
            inside = false;
        }
    }
    assert_eq!(transaction, "", "a transaction is left open: {sql}");
}

fn same_after_each_step(case: &str, file: Option<(&str, &str)>, table: Option<&str>) {
    let stepwise = TestDatabase::create(Kind::PostgreSql);
    let rendered = TestDatabase::create(Kind::PostgreSql);
    let with_file = |database| {
        let project = upgraded(case, database);
        let Some((path, text)) = file else {
            return project;
        };
        let project = project.file(path, text);
        project.engine("alembic upgrade heads");
        project
    };
    let project = with_file(&stepwise);
    with_file(&rendered);
    for step in plan(&project) {
        let sql = step["sql"].as_str().unwrap_or_else(|| panic!("{step}"));
        // Planned anew, several heads may be taken in another order.
        let argument = step["argument"].as_str().unwrap();
        project.engine(&format!("alembic downgrade {argument}"));
        run(&rendered, sql);
        assert_eq!(
            rendered.open().schema().unwrap(),
            stepwise.open().schema().unwrap(),
            "{case}: {sql}"
        );
        // In which order a merge's parents are written is chance, in the engine as well.
        let heads = |database| rows(database).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(heads(&rendered), heads(&stepwise), "{case}: {sql}");
        let removed = step["removes"].as_str().unwrap();
        if let Some(table) = table.filter(|_| removed == "dddd1111") {
            let all = format!("SELECT * FROM {table} ORDER BY 1");
            assert_eq!(rendered.query(&all), stepwise.query(&all), "{sql}");
            assert_eq!(stepwise.query(&all).len(), 1);
        }
    }
    assert_eq!(rows(&rendered), [""; 0]);
}

#[test]
fn statements_of_many_kinds_end_where_the_step_does() {
    same_after_each_step(
        "two_heads",
        Some(("migrations/versions/dddd1111_many_kinds.py", MANY_KINDS)),
        Some("people"),
    );
}

#[test]
fn statements_of_merges_and_branches_end_where_the_step_does() {
    for case in ["diamond", "forest"] {
        same_after_each_step(case, None, None);
    }
}

//! `rollback current`.

use crate::support::Project;
use insta::assert_snapshot;

#[test]
fn a_database_at_the_head_is_shown_with_its_code() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    alembic (Alembic [VERSION])
    Current:   e86f3a7d1c95 Add a currency to invoices
    Code head: e86f3a7d1c95 Add a currency to invoices
    Behind by: nothing: every revision of the code is applied
    ");
}

use serde_json::json;

use super::connection::EngineConnection;
use super::*;
use rollback_core::connection::ConnectionFacts;
use rollback_core::engine::Keep;
use rollback_core::secret::Secret;

fn connection(dialect: &str, driver: &str, parameters: &Value, info: &Value) -> Value {
    json!({"dialect": dialect, "driver": driver, "arguments": [], "parameters": parameters, "info": info})
}

fn context(connection: &Value, table: &str, rows: &Value) -> Value {
    json!({
        "from_environment": true, "version_table": table, "version_table_schema": null,
        "transactional_ddl": true, "transaction_per_migration": false,
        "rows": rows, "connection": connection,
    })
}

fn report(contexts: &[Value]) -> BridgeReport {
    let whole = json!({
        "rollback_bridge": 1, "alembic": "1.20.1", "contexts": contexts, "attempts": [],
        "history": {"directory": "/p/migrations", "locations": ["/p/migrations/versions"], "whole": true,
            "revisions": [{"id": "a", "down_revisions": [], "depends_on": [], "branch_labels": ["x"],
                "doc": "First\n\nRevision ID: a\nRevises: stale\nCreate Date: 2024-01-02", "path": "/p/a.py"}]},
    });
    BridgeReport::read(whole.to_string().as_bytes()).unwrap()
}

fn facts(connection: Value) -> Option<ConnectionFacts> {
    serde_json::from_value::<EngineConnection>(connection)
        .unwrap()
        .facts()
}

/// They are one text in the server, in which a second definition would take the place of the first.
#[test]
fn no_name_is_defined_twice_where_the_sources_stand_together() {
    let defines = regex::Regex::new(r"(?m)^(?:def |class )?([A-Za-z_]+)(?:\(| =|:)").unwrap();
    let text = format!("{BASE}{SESSION}{SEQUENCE}{RENDERER}{ENGINE}");
    let words = ["else", "try", "if"];
    let mut names: Vec<&str> = defines
        .captures_iter(&text)
        .filter_map(|found| Some(found.get(1)?.as_str()))
        .filter(|name| !words.contains(name) && *name != "main")
        .collect();
    assert!(names.contains(&"hook_session") && names.contains(&"run_engine"));
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// Python reads what is JSON here.
#[test]
fn a_request_has_none_of_the_words_that_python_does_not_know() {
    let sequence = Sequence {
        before: &["a".into()].into(),
        steps: &[],
        keep: Keep::Each,
    };
    let all = BridgeRequest {
        lock_timeout: Some(Duration::from_secs(5)),
        sequence: Some(&sequence),
        ..BridgeRequest::default()
    };
    let observing = BridgeRequest {
        observe: true,
        session: true,
        ..BridgeRequest::default()
    };
    assert_eq!(
        all.value().to_string(),
        r#"{"before":["a"],"keep":"each","lock_timeout":5000,"range":[]}"#
    );
    assert_eq!(
        observing.value().to_string(),
        r#"{"observe":1,"session":1}"#
    );
    assert_eq!(BridgeRequest::default().value().to_string(), "{}");
}

#[test]
fn a_report_of_another_version_or_half_of_one_is_none() {
    assert!(BridgeReport::read(b"").is_none());
    assert!(BridgeReport::read(b"{\"rollback_bridge\": 1").is_none());
    assert!(BridgeReport::read(b"{\"rollback_bridge\": 2}").is_none());
    assert!(
        BridgeReport::read(b"{\"rollback_bridge\": 1}")
            .unwrap()
            .revisions()
            .is_none()
    );
}

#[test]
fn what_became_of_the_lock_timeout_is_told_in_a_line() {
    for (line, expected) in [
        (
            r#"{"lock_timeout": "session", "why": null}"#,
            Some(LockLimit::Session),
        ),
        (
            r#"{"lock_timeout": "transaction", "why": null}"#,
            Some(LockLimit::Transactions),
        ),
        (
            r#"{"lock_timeout": "none", "why": "E: no"}"#,
            Some(LockLimit::None("E: no".to_owned())),
        ),
        (r#"{"applied": 0, "heads": []}"#, None),
        ("", None),
    ] {
        assert_eq!(lock_limit(line), expected, "{line}");
    }
}

#[test]
fn revisions_carry_the_message_and_the_date_of_their_docstring() {
    let revisions = report(&[]).revisions().unwrap();
    assert_eq!(revisions[0].message, "First");
    assert_eq!(revisions[0].created.as_deref(), Some("2024-01-02"));
    assert_eq!(revisions[0].branch_labels, ["x"]);
}

#[test]
fn what_the_open_connection_says_comes_before_what_was_asked_for() {
    let asked =
        json!({"host": "alias", "dbname": "app", "sslmode": "require", "connect_timeout": 5});
    let open =
        json!({"host": "/run/pg", "port": 5433, "user": "o", "password": "p", "sslpassword": "s"});
    let facts = facts(connection("postgresql", "psycopg2", &asked, &open)).unwrap();
    assert_eq!(facts.host.as_deref(), Some("/run/pg"));
    assert_eq!(
        (facts.port, facts.database.as_deref()),
        (Some(5433), Some("app"))
    );
    assert_eq!(facts.password, Some(Secret::new("p")));
    assert_eq!(
        facts.options,
        [("sslmode".to_owned(), "require".to_owned())]
    );
}

#[test]
fn each_driver_has_words_of_its_own() {
    let pg8000 = facts(connection(
        "postgresql",
        "pg8000",
        &json!({"user": "o", "unix_sock": "/run/pg/.s.PGSQL.5432", "ssl_context": true}),
        &json!({}),
    ))
    .unwrap();
    assert_eq!(pg8000.host.as_deref(), Some("/run/pg"));
    assert_eq!(
        pg8000.options,
        [("sslmode".to_owned(), "require".to_owned())]
    );
    let mysql = facts(connection("mysql", "mysqldb",
        &json!({"host": "localhost", "unix_socket": "/s", "passwd": "p", "db": "app", "ssl_ca": "/ca"}), &json!({}))).unwrap();
    assert_eq!((mysql.host, mysql.socket.as_deref()), (None, Some("/s")));
    assert_eq!(mysql.database.as_deref(), Some("app"));
    assert_eq!(mysql.options, [("ssl_ca".to_owned(), "/ca".to_owned())]);
    let mut odbc = connection("mssql", "pyodbc", &json!({}), &json!({}));
    odbc["arguments"] = json!(["DRIVER={x};Server=h,1433;Database=app;UID=o;PWD=secret"]);
    let odbc = facts(odbc).unwrap();
    assert_eq!(
        (odbc.host.as_deref(), odbc.database.as_deref()),
        (Some("h,1433"), Some("app"))
    );
}

#[test]
fn only_a_plain_sqlite_file_is_one_that_we_can_open() {
    let file = |driver: &str, file: &str| {
        let mut connection = connection("sqlite", driver, &json!({}), &json!({}));
        connection["arguments"] = json!([file]);
        facts(connection)
    };
    assert_eq!(
        file("aiosqlite", "/p/a.db").unwrap().database.as_deref(),
        Some("/p/a.db")
    );
    assert_eq!(file("pysqlite", ":memory:"), None);
    assert_eq!(
        file("pysqlcipher", "/p/a.db").unwrap().known_dialect(),
        None
    );
}

#[test]
fn a_context_that_env_py_did_not_run_migrations_with_does_not_count() {
    let app = connection(
        "postgresql",
        "psycopg2",
        &json!({"dbname": "app"}),
        &json!({}),
    );
    let other = connection(
        "postgresql",
        "psycopg2",
        &json!({"dbname": "other"}),
        &json!({}),
    );
    let mut own = context(&other, "alembic_version", &json!(["z"]));
    own["from_environment"] = json!(false);
    let configured = context(&other, "alembic_version", &Value::Null);
    let ran = context(&app, "versions", &json!(["a"]));
    let places = report(&[own, configured.clone(), ran.clone(), ran.clone()]).places();
    assert_eq!(places.len(), 1);
    assert_eq!(places[0].to_string(), "app, table versions");
    assert_eq!(places[0].rows, Some(vec!["a".into()]));
    assert_eq!(report(&[configured]).places().len(), 1);
    let tenant = context(&app, "tenant_versions", &json!([]));
    assert_eq!(report(&[ran, tenant]).places().len(), 2);
}

use super::*;

fn file(name: &str, up: &str) -> MigrationFile {
    MigrationFile {
        id: name.into(),
        path: format!("{name}.sql"),
        description: None,
        up: up.to_owned(),
        rollback: None,
        depends_on: Vec::new(),
        independent_of: Vec::new(),
        checksum: String::new(),
    }
}

/// `table public.a`, `column public.a.x`, `extension pgcrypto`.
fn live(dialect: Dialect, lines: &[&str]) -> LiveSchema {
    let object = |line: &&str| {
        let (kind, name) = line.rsplit_once(' ').unwrap();
        let mut parts: Vec<String> = name.split('.').map(str::to_owned).collect();
        let name = parts.pop().unwrap();
        LiveObject {
            kind: LiveKind::of(kind).unwrap(),
            table: (parts.len() == 2).then(|| parts.pop().unwrap()),
            schema: parts.pop(),
            name,
        }
    };
    let path = match dialect {
        Dialect::Postgres => "public",
        Dialect::MySql => "shop",
        Dialect::Sqlite => "main",
    };
    LiveSchema::new(
        dialect,
        lines.iter().map(object).collect(),
        vec![path.to_owned()],
    )
}

fn words(found: &SchemaEvidence) -> String {
    match found {
        SchemaEvidence::Applied => "applied".to_owned(),
        SchemaEvidence::NotApplied(missing) => format!("not: {}", missing.join(", ")),
        SchemaEvidence::Partly { present, missing } => {
            format!(
                "partly: {}; not: {}",
                present.join(", "),
                missing.join(", ")
            )
        }
        SchemaEvidence::Nothing => "nothing".to_owned(),
    }
}

fn judged(files: &[(&str, &str)], lines: &[&str]) -> Vec<String> {
    let files: Vec<_> = files.iter().map(|(name, up)| file(name, up)).collect();
    let found = evidence(&files, &live(Dialect::Postgres, lines));
    found.values().map(words).collect()
}

/// Fails if a file counts as applied although its objects are missing, or the other way round.
#[test]
fn a_file_is_applied_if_what_it_creates_exists() {
    let files = [
        (
            "1",
            "CREATE TABLE IF NOT EXISTS public.a (id int, \"X\" text, key varchar(9), PRIMARY KEY (id));",
        ),
        (
            "2",
            "ALTER TABLE a ADD COLUMN y int; CREATE INDEX a_y ON public.a (y);",
        ),
        (
            "3",
            "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        ),
        (
            "4",
            "UPDATE a SET y = 1; DO $$ BEGIN CREATE TABLE z (i int); END $$;",
        ),
    ];
    assert_eq!(
        judged(&files, &[]),
        [
            "not: table a, column a.X, column a.id, column a.key",
            "not: column a.y, index a_y",
            "not: function app.f",
            "nothing"
        ]
    );
    let table = [
        "table public.a",
        "column public.a.id",
        "column public.a.X",
        "column public.a.key",
    ];
    assert_eq!(judged(&files, &table)[0], "applied");
    let all = [
        &table[..],
        &["column public.a.y", "index public.a_y", "function app.f"],
    ]
    .concat();
    assert_eq!(
        judged(&files, &all),
        ["applied", "applied", "applied", "nothing"]
    );
    let part = [&table[..], &["column public.a.y", "function public.f"]].concat();
    assert_eq!(
        judged(&files, &part)[1..3],
        [
            "partly: column a.y; not: index a_y".to_owned(),
            "not: function app.f".to_owned()
        ]
    );
}

/// Fails if an object that several files create, or that was there before any of them, counts as proof.
#[test]
fn what_has_several_reasons_to_exist_proves_nothing() {
    let files = [
        (
            "1",
            "CREATE EXTENSION IF NOT EXISTS pgcrypto; CREATE SCHEMA IF NOT EXISTS app;",
        ),
        (
            "2",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        ),
        (
            "3",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';",
        ),
    ];
    let lines = ["extension pgcrypto", "schema app", "function public.f"];
    assert_eq!(judged(&files, &lines), ["nothing", "nothing", "nothing"]);
    assert_eq!(
        judged(&files, &["schema app"]),
        [
            "not: extension pgcrypto",
            "not: function f",
            "not: function f"
        ]
    );
}

/// Fails if a file counts as not applied because a later file dropped or renamed what it had created.
#[test]
fn later_drops_and_renames_are_followed() {
    let files = [
        ("1", "CREATE TABLE a (id int); CREATE TABLE kept (i int);"),
        ("2", "CREATE TABLE b (id int);"),
        ("3", "DROP TABLE a; ALTER TABLE kept DROP COLUMN i;"),
        (
            "4",
            "ALTER TABLE b RENAME TO c; ALTER TABLE c RENAME COLUMN id TO number;",
        ),
        ("5", "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT 1;"),
    ];
    let lines = [
        "table public.kept",
        "table public.c",
        "column public.c.number",
        "view public.v",
    ];
    assert_eq!(
        judged(&files, &lines),
        ["applied", "applied", "nothing", "applied", "applied"]
    );
    assert_eq!(
        judged(&files, &["table public.b", "column public.b.id"])[1..4],
        [
            "nothing".to_owned(),
            "nothing".to_owned(),
            "not: table c, column c.number".to_owned()
        ]
    );
}

#[test]
fn names_are_compared_as_the_server_stores_them() {
    let long = "i".repeat(70);
    let files = [file("1", &format!("CREATE INDEX {long} ON a (x);"))];
    let stored = format!("index public.{}", "i".repeat(63));
    let found = evidence(&files, &live(Dialect::Postgres, &[&stored]));
    assert_eq!(found.values().map(words).collect::<Vec<_>>(), ["applied"]);
    for (dialect, lines) in [
        (
            Dialect::MySql,
            ["table shop.Orders", "column shop.Orders.ID"],
        ),
        (
            Dialect::Sqlite,
            ["table main.Orders", "column main.Orders.ID"],
        ),
    ] {
        let files = [file("1", "CREATE TABLE orders (Id int);")];
        let found = evidence(&files, &live(dialect, &lines));
        assert_eq!(found.values().map(words).collect::<Vec<_>>(), ["applied"]);
    }
}

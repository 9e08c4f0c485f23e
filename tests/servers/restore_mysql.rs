//! Healthy databases of MariaDB that a backup has to hold, and restores that may not lose them.

use rollback_core::backup::{DatabaseDigest, OmittedPart};
use rollback_database::backup::BackupError;

use crate::backup::{Place, as_user, dumped, quiet, restore, scratches, similar};
use crate::backup_mysql::{fill, spoken, whole};
use crate::support::{Kind, Server, TestDatabase};

/// Names, texts and views that a line-by-line reading of a dump takes for something else.
const ODD: &str = r#"
    CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('aaaa1111');
    CREATE TABLE `it's` (id int); INSERT INTO `it's` VALUES (1), (2);
    CREATE TABLE gone (id int); CREATE TABLE t (id int);
    CREATE VIEW broken AS SELECT id FROM gone; CREATE VIEW above_broken AS SELECT id FROM broken; DROP TABLE gone;
    CREATE PROCEDURE writes() BEGIN
INSERT INTO t VALUES (2); SELECT 'it''s
INSERT INTO "'; END;
    CREATE TABLE c (id int); CREATE VIEW counted AS SELECT c.id FROM c;
"#;

/// Turns red if a table's name, the text of a routine, a view that is broken or a definer that is gone keep an
/// operator from a backup, or if what the backup leaves out is not named.
#[test]
fn a_healthy_database_can_be_backed_up_whatever_its_names_and_views() {
    let server = Server::start(Kind::MariaDb);
    let database = server.create_database();
    database.execute(ODD);
    let name = database.name();
    server.execute("CREATE USER leaver@'%'");
    server.execute(&format!("GRANT ALL ON {name}.* TO leaver@'%'"));
    database.execute(
        "CREATE DEFINER=leaver@'%' VIEW of_leaver AS SELECT * FROM t; \
         CREATE DEFINER=leaver@'%' FUNCTION by_leaver() RETURNS int RETURN 1; \
         CREATE DEFINER=leaver@'%' TRIGGER stamped BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id; \
         CREATE VIEW asks_leaver AS SELECT by_leaver() AS one",
    );
    server.execute("DROP USER leaver@'%'");
    let place = Place::new();
    let (file, contents) = dumped(&place, &database, "a.sql");
    let mut left_out = Vec::new();
    for left in &contents.left_out {
        assert_eq!(left.part, OmittedPart::View);
        let definition = left.definition.as_deref().unwrap_or_default();
        assert!(definition.contains("VIEW"), "{left:?}");
        left_out.push(left.name.as_str());
    }
    left_out.sort_unstable();
    assert_eq!(left_out, ["above_broken", "asks_leaver", "broken"]);
    let mut backups = place.backups(&database.facts());
    backups.read_back(&file, &mut quiet()).unwrap();
    let rehearsed = backups.rehearse(&file, &mut quiet()).unwrap();
    assert_eq!(rehearsed.rows, contents.rows);
    assert_eq!(rehearsed.schema, contents.schema);
    assert_eq!(rehearsed.rows["it's"], 2);

    database.execute("DROP TABLE `it's`; DROP PROCEDURE writes; DROP VIEW of_leaver, counted");
    backups
        .restore(&file, &contents.left_out, &mut quiet())
        .unwrap_or_else(|error| panic!("{error}"));
    // The broken views stayed as they were. MySQL has other words for one of them once its function was made again.
    let told = |mut contents: DatabaseDigest| {
        for left in &mut contents.left_out {
            if server.kind().is_mysql() {
                left.reason.clear();
            }
        }
        contents
    };
    assert_eq!(told(backups.contents().unwrap()), told(contents));
    let routines = "SELECT CONCAT(COUNT(*), '') FROM information_schema.routines WHERE routine_schema = DATABASE()";
    assert_eq!(database.query_one(routines), "2");
}

/// Turns red if a package, the history of a table or a row longer than half a packet does not come back, on a
/// database of the same name or of another one.
#[test]
fn packages_history_and_long_rows_come_back() {
    let server = Server::start(Kind::MariaDb);
    server.execute("SET GLOBAL max_allowed_packet = 4194304");
    let database = server.create_database();
    fill(&database);
    // Each value takes three megabytes, more in hexadecimal or with its quotes; a packet holds four.
    database.execute(
        "CREATE TABLE large (id int PRIMARY KEY, raw longblob, words longtext) CHARACTER SET utf8mb4; \
         INSERT INTO large VALUES (1, REPEAT(UNHEX('00FF27'), 1000000), REPEAT(CONCAT(CHAR(39), 'ü'), 1000000)), \
             (2, 'x', 'y')",
    );
    // MySQL has neither packages nor a history of rows.
    let is_mysql = server.kind().is_mysql();
    if !is_mysql {
        database.execute(
            "CREATE TABLE versioned (x int) WITH SYSTEM VERSIONING; \
             INSERT INTO versioned VALUES (1); UPDATE versioned SET x = 2",
        );
        database.execute(
            "SET sql_mode = ORACLE; CREATE PACKAGE pack AS FUNCTION f(x INT) RETURN INT; END;",
        );
        database.execute(
            "SET sql_mode = ORACLE; CREATE PACKAGE BODY pack AS \
             FUNCTION f(x INT) RETURN INT AS BEGIN RETURN x + 1; END; END;",
        );
    }
    let values = || -> Vec<String> {
        let all = [
            "SELECT GROUP_CONCAT(id, ':', SHA2(raw, 256), SHA2(words, 256) ORDER BY id) FROM large",
            "SET sql_mode = ORACLE; SELECT pack.f(1) || ''",
            "SELECT GROUP_CONCAT(x, row_end > NOW(6) ORDER BY row_start) FROM versioned FOR SYSTEM_TIME ALL",
        ];
        let there = if is_mysql { &all[..1] } else { &all[..] };
        there.iter().map(|sql| database.query_one(sql)).collect()
    };
    let (before, was) = (whole(&database), values());
    let place = Place::new();
    let (file, contents) = dumped(&place, &database, "a.sql");
    assert_eq!(contents.rows.get("versioned"), (!is_mysql).then_some(&1));
    let mut backups = place.backups(&database.facts());
    let ready = backups
        .check(&file, true, &mut quiet())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(ready.contents.as_ref(), Some(&contents));
    database.execute("DROP TABLE large");
    if !is_mysql {
        database.execute("SET sql_mode = ORACLE; DROP PACKAGE pack");
        database.execute("DELETE FROM versioned");
    }
    restore(&place, &database, &file).unwrap_or_else(|error| panic!("{error}"));
    similar(&before, &whole(&database));
    assert_eq!(values(), was);
    assert_eq!(backups.contents().unwrap(), contents);

    // In a database of another name nothing refers to the first one.
    let other = server.create_database();
    restore(&place, &other, &file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(place.backups(&other.facts()).contents().unwrap(), contents);
    let named = other.query_one(&format!(
        "SELECT CONCAT(COUNT(*), '') FROM information_schema.columns WHERE table_schema = DATABASE() \
         AND column_default LIKE '%{}%'",
        database.name()
    ));
    assert_eq!(named, "0");
}

/// Turns red if a user with the rights on one database and no others is taken for one that may not log in.
#[test]
fn a_user_without_lock_tables_can_make_a_backup() {
    let server = Server::start(Kind::MariaDb);
    let database = server.create_database();
    fill(&database);
    let name = database.name();
    let rights = format!(
        "CREATE USER modest@'%' IDENTIFIED BY 'modest'; \
         GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {name}.* TO modest@'%'; \
         GRANT SELECT ON mysql.proc TO modest@'%'"
    );
    server.execute(&spoken(server.kind(), &rights));
    let place = Place::new();
    let mut backups = place.backups(&as_user(&database, "modest", "modest"));
    let contents = backups
        .dump(&place.file("a.sql"), &mut quiet())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(contents.left_out, []);
    assert_eq!(contents.rows["kind"], 20_000);

    // What it may not see is named, and is not a reason to have no backup.
    let rights = format!(
        "REVOKE TRIGGER, EVENT ON {name}.* FROM modest@'%'; REVOKE SELECT ON mysql.proc FROM modest@'%'; \
         GRANT EXECUTE ON {name}.* TO modest@'%'"
    );
    server.execute(&spoken(server.kind(), &rights));
    let mut backups = place.backups(&as_user(&database, "modest", "modest"));
    let contents = backups
        .dump(&place.file("b.sql"), &mut quiet())
        .unwrap_or_else(|error| panic!("{error}"));
    let parts: Vec<OmittedPart> = contents.left_out.iter().map(|left| left.part).collect();
    assert_eq!(
        parts,
        [
            OmittedPart::Routines,
            OmittedPart::Events,
            OmittedPart::Triggers
        ]
    );
}

/// Turns red if what keeps a restore from its end is found out after the tables are gone.
#[test]
fn what_would_stop_a_restore_is_known_before_it_begins() {
    let server = Server::start(Kind::MariaDb);
    let database = server.create_database();
    fill(&database);
    database.execute(
        "CREATE TABLE large (raw longblob); INSERT INTO large VALUES (REPEAT('x', 3000000))",
    );
    let before = whole(&database);
    let place = Place::new();
    let (file, _) = dumped(&place, &database, "a.sql");
    // A server with smaller packets.
    server.execute("SET GLOBAL max_allowed_packet = 2097152");
    let error = place
        .backups(&database.facts())
        .check(&file, true, &mut quiet())
        .unwrap_err();
    assert!(matches!(error, BackupError::Unfit(_)), "{error}");
    let advice = "SET GLOBAL max_allowed_packet = 3145728";
    assert!(error.to_string().contains(advice), "{error}");
    server.execute("SET GLOBAL max_allowed_packet = 16777216");

    // A user that lacks one of the rights.
    let name = database.name();
    server.execute(&format!(
        "CREATE USER modest@'%' IDENTIFIED BY 'modest'; GRANT ALL ON {name}.* TO modest@'%'; \
         REVOKE CREATE VIEW ON {name}.* FROM modest@'%'; \
         GRANT ALL ON `rollback\\_scratch\\_%`.* TO modest@'%'"
    ));
    let error = place
        .backups(&as_user(&database, "modest", "modest"))
        .check(&file, true, &mut quiet())
        .unwrap_err();
    assert!(error.to_string().contains("CREATE VIEW"), "{error}");

    // A statement that fails, in the scratch database and nowhere else.
    let text = std::fs::read(&file).unwrap();
    let text = String::from_utf8_lossy(&text).replace("INSERT INTO `kind`", "INSERT INTO `unkind`");
    let half = place.file("half.sql");
    std::fs::write(&half, text).unwrap();
    let error = place
        .backups(&database.facts())
        .check(&half, true, &mut quiet())
        .unwrap_err();
    assert!(error.to_string().contains("unkind"), "{error}");
    assert_eq!(scratches(&database), "0");
    similar(&before, &whole(&database));
}

/// Turns red if one table that cannot be read keeps all others out of the safety copy.
#[test]
fn a_database_that_cannot_be_dumped_is_saved_as_far_as_it_can_be_read() {
    let database = TestDatabase::create(Kind::MariaDb);
    fill(&database);
    database.execute(
        "CREATE TABLE lost (id int); INSERT INTO lost VALUES (1); ALTER TABLE lost DISCARD TABLESPACE",
    );
    let place = Place::new();
    let mut backups = place.backups(&database.facts());
    let file = place.file("a.sql");
    assert!(backups.dump(&file, &mut quiet()).is_err());
    std::fs::remove_file(&file).unwrap();
    let contents = backups
        .salvage(&file, &mut quiet())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(contents.rows["kind"], 20_000);
    let lost = &contents.left_out[0];
    assert_eq!(
        (lost.part, lost.name.as_str()),
        (OmittedPart::Table, "lost")
    );
    let rehearsed = backups.rehearse(&file, &mut quiet()).unwrap();
    assert_eq!(rehearsed.rows["kind"], 20_000);
    database.execute("DROP TABLE lost");
}

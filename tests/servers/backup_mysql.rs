//! Backups of MariaDB by its own clients.

use rollback_database::backup::BackupError;

use crate::backup::{Place, as_user, dumped, left_in, quiet, real, restore, scratches, similar};
use crate::support::{Kind, Server, TestDatabase, USER};

/// Everything that a backup of MariaDB may hold, under names that have to be quoted.
const FILLING: &str = r#"
    CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
    INSERT INTO alembic_version VALUES ('aaaa1111'), ('bbbb2222');
    CREATE SEQUENCE counter START WITH 5 INCREMENT BY 3 MAXVALUE 1000 CYCLE; DO NEXTVAL(counter), NEXTVAL(counter);
    CREATE TABLE `Größe 'x' ``y` (
        id int AUTO_INCREMENT PRIMARY KEY, `Ünicode's` text, raw blob, bin binary(4), bits bit(5), flag boolean, i tinyint, i2 smallint,
        i3 mediumint, i8 bigint unsigned, f float, d double, n decimal(30, 10), da date, t time(3), dt datetime(6), ts timestamp NULL,
        y year, c char(5), v varchar(20) CHARACTER SET latin1, e enum('sad', 'it''s "ok"', 'glücklich'), s set('a', 'b', 'ü'),
        j json, g point, u uuid, ip inet6, long_raw longblob, next_of int DEFAULT (NEXTVAL(counter)),
        twice int AS (i2 * 2) STORED, thrice int AS (i2 * 3) VIRTUAL, CONSTRAINT positive CHECK (i2 > -5),
        UNIQUE KEY `ün` (v), KEY by_prefix (`Ünicode's`(10)), FULLTEXT KEY words (`Ünicode's`)) CHARACTER SET utf8mb4 COMMENT 'it''s "big"';
    INSERT INTO `Größe 'x' ``y` (`Ünicode's`, raw, bin, bits, flag, i, i2, i3, i8, f, d, n, da, t, dt, ts, y, c, v, e, s, j, g, u, ip, long_raw) VALUES
        ('', '', NULL, b'0', NULL, -128, NULL, NULL, 18446744073709551615, 0, -0.1, NULL, '9999-12-31', '-838:59:59', NULL, NULL, NULL, '', '',
            'sad', '', '[]', NULL, NULL, '::', ''),
        ('Zeile\n\r\ttab \\. \\N "q" ''s'' $$ 🙂 \0 -- /* ;', UNHEX('ALLBYTES'), 'ab', b'10101', 1, 127, 3, -1, 2, 1.1, 0.1, 1.0000000001, '2026-02-28',
            '12:34:56.789', '2026-01-01 12:00:00.123456', '2026-03-29 01:30:00', 1999, 'ab', 'é', 'it''s "ok"', 'a,ü', '{"ä": [1, null]}',
            ST_GeomFromText('POINT(1 2)'), '123e4567-e89b-12d3-a456-426655440000', '10::1', REPEAT(UNHEX('00FF27'), 100000));
    CREATE TABLE kind (id int AUTO_INCREMENT PRIMARY KEY, parent int, note varchar(50) DEFAULT 'x',
        FOREIGN KEY (parent) REFERENCES `Größe 'x' ``y` (id) ON DELETE CASCADE) AUTO_INCREMENT = 1000;
    INSERT INTO kind (parent, note) SELECT 1 + seq % 2, CONCAT('n', seq) FROM seq_1_to_20000;
    CREATE TABLE parts (at date NOT NULL, value int) PARTITION BY RANGE (YEAR(at)) (
        PARTITION p0 VALUES LESS THAN (2026), PARTITION p1 VALUES LESS THAN MAXVALUE);
    INSERT INTO parts VALUES ('2025-06-01', 1), ('2031-01-01', 2);
    CREATE TABLE old (id int) ENGINE = MyISAM; INSERT INTO old VALUES (1);
    CREATE VIEW `seen ä` AS SELECT k.id, g.`Ünicode's` FROM kind k JOIN `Größe 'x' ``y` g ON g.id = k.parent;
    CREATE VIEW above AS SELECT COUNT(*) AS n FROM `seen ä`;
    CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN n * 2;
    CREATE PROCEDURE nothing() BEGIN SELECT ';'; SELECT "it's"; END;
    CREATE TRIGGER stamped BEFORE INSERT ON kind FOR EACH ROW BEGIN SET NEW.note = CONCAT(NEW.note, '!;'); END;
    CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM old WHERE id = 815;
"#;

const CHANGES: &str = r"
    SET foreign_key_checks = 0;
    DROP TABLE `Größe 'x' ``y`;
    DROP VIEW above; DROP FUNCTION twice; DROP PROCEDURE nothing; DROP EVENT nightly; DROP SEQUENCE counter;
    ALTER TABLE kind ADD later int, DROP note;
    UPDATE alembic_version SET version_num = 'cccc3333' WHERE version_num = 'aaaa1111';
    INSERT INTO old VALUES (77);
    CREATE TABLE later (id int PRIMARY KEY); CREATE TABLE later_child (id int, FOREIGN KEY (id) REFERENCES later (id));
    CREATE VIEW later_view AS SELECT * FROM later; CREATE SEQUENCE later_counter; CREATE TABLE with_default (i int DEFAULT (NEXTVAL(later_counter)));
    CREATE FUNCTION later_function() RETURNS int RETURN 1; CREATE PROCEDURE later_procedure() SELECT 1;
    CREATE EVENT later_event ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM later;
    CREATE TRIGGER later_trigger BEFORE INSERT ON later FOR EACH ROW SET NEW.id = 1;
";

/// What MySQL has another word for, or lacks.
const ON_MYSQL: [(&str, &str); 8] = [
    (
        "CREATE SEQUENCE counter START WITH 5 INCREMENT BY 3 MAXVALUE 1000 CYCLE; DO NEXTVAL(counter), NEXTVAL(counter);",
        "",
    ),
    ("u uuid, ip inet6", "u char(36), ip varchar(39)"),
    ("DEFAULT (NEXTVAL(counter))", "DEFAULT (1 + 1)"),
    (
        "FROM seq_1_to_20000",
        "FROM (WITH RECURSIVE numbers (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < 20000) \
         SELECT seq FROM numbers) AS numbers",
    ),
    (" DROP SEQUENCE counter;", ""),
    (" CREATE SEQUENCE later_counter;", ""),
    ("DEFAULT (NEXTVAL(later_counter))", "DEFAULT (1 + 1)"),
    ("SELECT ON mysql.proc", "SHOW_ROUTINE ON *.*"),
];

/// The statements as the server takes them.
pub(crate) fn spoken(kind: Kind, sql: &str) -> String {
    if !kind.is_mysql() {
        return sql.to_owned();
    }
    let sql = ON_MYSQL.iter().fold(sql.to_owned(), |sql, (word, other)| {
        sql.replace(word, other)
    });
    format!("SET SESSION cte_max_recursion_depth = 20000;\n{sql}")
}

pub(crate) fn fill(database: &TestDatabase<'_>) {
    let bytes: String = (0..=255_u8).map(|byte| format!("{byte:02x}")).collect();
    let filling = FILLING.replace("ALLBYTES", &bytes);
    database.execute(&spoken(database.kind(), &filling));
}

fn filled() -> TestDatabase<'static> {
    let database = TestDatabase::create(Kind::MariaDb);
    fill(&database);
    database
}

/// Every row, and the text by which each object is made.
pub(crate) fn whole(database: &TestDatabase<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let list = |sql: &str| -> Vec<Vec<String>> {
        let rows = database.query(sql);
        rows.into_iter()
            .map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
            .collect()
    };
    for row in list(
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()",
    ) {
        let (name, kind) = (&row[0], row[1].as_str());
        let columns: Vec<String> = list(&format!("SHOW COLUMNS FROM {}", quoted(name)))
            .iter()
            .map(|column| format!("IFNULL(HEX({}), 'NULL')", quoted(&column[0])))
            .collect();
        for row in list(&format!(
            "SELECT CONCAT_WS('|', {}) FROM {}",
            columns.join(", "),
            quoted(name)
        )) {
            all.push(format!("{name}: {}", row[0]));
        }
        let word = if kind == "VIEW" { "VIEW" } else { "TABLE" };
        all.push(list(&format!("SHOW CREATE {word} {}", quoted(name)))[0][1].clone());
    }
    for (sql, word, at) in [
        (
            "SELECT routine_name, routine_type FROM information_schema.routines WHERE routine_schema = DATABASE()",
            "",
            2,
        ),
        (
            "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
            "TRIGGER",
            2,
        ),
        (
            "SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE()",
            "EVENT",
            3,
        ),
    ] {
        for row in list(sql) {
            let word = if word.is_empty() {
                row[1].as_str()
            } else {
                word
            };
            let made = list(&format!("SHOW CREATE {word} {}", quoted(&row[0])));
            // MySQL keeps the end of a statement that was one of several.
            all.push(made[0][at].trim_end_matches(';').to_owned());
        }
    }
    all.sort();
    all
}

/// Turns red if anything of a database is left out, left over or altered on its way out and back.
#[test]
fn everything_comes_back_on_mariadb() {
    let database = filled();
    let place = Place::new();
    let before = whole(&database);
    let mut backups = place.backups(&database.facts());
    let lines = database.open().schema().unwrap();
    let client = backups.client().unwrap().unwrap();
    assert!(
        client.starts_with(&format!("{} ", Kind::MariaDb.clients().0)),
        "{client}"
    );
    assert!(backups.size().unwrap().unwrap() > 50_000);
    assert!(!backups.is_atomic());

    let (file, contents) = dumped(&place, &database, "a.sql");
    backups.read_back(&file, &mut quiet()).unwrap();
    assert_eq!(contents, backups.contents().unwrap());
    let heads: Vec<&str> = contents
        .heads
        .iter()
        .map(rollback_core::revision::RevisionId::as_str)
        .collect();
    assert_eq!(heads, ["aaaa1111", "bbbb2222"]);
    assert_eq!(contents.rows["kind"], 20_000);

    database.execute(&spoken(Kind::MariaDb, CHANGES));
    assert_ne!(backups.contents().unwrap(), contents);
    restore(&place, &database, &file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(database.open().schema().unwrap(), lines);
    assert_eq!(backups.contents().unwrap(), contents);
    similar(&before, &whole(&database));
    assert_eq!(left_in(&place), ["a.sql"]);
}

/// Turns red if a rehearsal proves less than a restore, leaves its database behind, or does the work of events.
#[test]
fn a_rehearsal_has_the_same_contents_and_leaves_nothing_on_mariadb() {
    let server = Server::start(Kind::MariaDb);
    let database = server.create_database();
    fill(&database);
    let name = database.name();
    database.execute(&format!(
        "CREATE EVENT at_once ON SCHEDULE EVERY 1 SECOND DO INSERT INTO {name}.old VALUES (4711)"
    ));
    let place = Place::new();
    let (file, contents) = dumped(&place, &database, "a.sql");
    let mut backups = place.backups(&database.facts());
    assert_eq!(backups.rehearse(&file, &mut quiet()).unwrap(), contents);
    assert_eq!(scratches(&database), "0");
    server.execute("SET GLOBAL event_scheduler = ON");
    database.execute("DROP EVENT at_once");
    let rows = backups.contents().unwrap().rows["old"];
    assert_eq!(
        backups.rehearse(&file, &mut quiet()).unwrap().rows["old"],
        1
    );
    assert_eq!(backups.contents().unwrap().rows["old"], rows);

    let half = place.file("half.sql");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    for result in [
        backups.read_back(&half, &mut quiet()),
        backups.rehearse(&half, &mut quiet()).map(drop),
        backups
            .restore(&half, &[], &mut quiet())
            .map_err(|not| not.error),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    }
    // A statement that fails.
    let text =
        String::from_utf8_lossy(&bytes).replace("INSERT INTO `kind`", "INSERT INTO `unkind`");
    std::fs::write(&half, text).unwrap();
    let error = backups
        .rehearse(&half, &mut quiet())
        .unwrap_err()
        .to_string();
    assert!(error.contains("unkind"), "{error}");
    assert_eq!(scratches(&database), "0");

    let mut slow = Place::new();
    slow.program(
        Kind::MariaDb.clients().0,
        &format!("exec {} \"$@\"", real(Kind::MariaDb.clients().0).display()),
    );
    slow.program(Kind::MariaDb.clients().1, "sleep 60");
    let interrupt = slow.interrupt.clone();
    let error = slow
        .backups(&database.facts())
        .rehearse(&file, &mut |_| interrupt.raise())
        .unwrap_err();
    assert!(matches!(error, BackupError::Interrupted), "{error}");
    assert_eq!(scratches(&database), "0");
    assert_eq!(backups.contents().unwrap().rows["old"], rows);
}

/// Turns red if a user with rights on its own database only cannot restore what others defined.
#[test]
fn definers_that_may_not_be_named_become_the_user() {
    let server = Server::start(Kind::MariaDb);
    let database = server.create_database();
    fill(&database);
    let name = database.name();
    let rights = format!(
        "CREATE USER modest@'%' IDENTIFIED BY 'modest'; GRANT ALL ON {name}.* TO modest@'%'; \
         GRANT SELECT ON mysql.proc TO modest@'%'"
    );
    server.execute(&spoken(server.kind(), &rights));
    let modest = as_user(&database, "modest", "modest");
    let place = Place::new();
    let mut backups = place.backups(&modest);
    let file = place.file("a.sql");
    let contents = backups
        .dump(&file, &mut quiet())
        .unwrap_or_else(|error| panic!("{error}"));
    let error = backups
        .rehearse(&file, &mut quiet())
        .unwrap_err()
        .to_string();
    assert!(error.contains("rollback\\_scratch\\_%"), "{error}");
    server.execute("GRANT ALL ON `rollback\\_scratch\\_%`.* TO modest@'%'");
    assert_eq!(backups.rehearse(&file, &mut quiet()).unwrap(), contents);
    if server.kind().is_mysql() {
        // There only a user with SYSTEM_USER drops what another one defined, even with all rights on the database.
        database.execute("CREATE DEFINER = modest@'%' PROCEDURE a_first_one() SELECT 1");
        let not = backups.restore(&file, &[], &mut quiet()).unwrap_err();
        let reason = not.error.to_string();
        assert!(
            reason.contains("SYSTEM_USER")
                && reason.contains("(DROP PROCEDURE IF EXISTS `nothing`)"),
            "{reason}"
        );
        assert!(!not.began, "{reason}");
        database.execute("DROP PROCEDURE a_first_one");
        assert_eq!(backups.contents().unwrap(), contents);
        server.execute(&format!(
            "REVOKE SYSTEM_USER ON *.* FROM {USER}@'%', {USER}@localhost"
        ));
    }
    backups
        .restore(&file, &[], &mut quiet())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(backups.contents().unwrap(), contents);
    assert_eq!(
        database.query_one(
            "SELECT definer FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        ),
        "modest@%"
    );
}

/// Turns red if somebody's lock leaves half a restore.
#[test]
fn somebody_elses_lock_ends_a_restore_of_mariadb_before_it_begins() {
    let database = filled();
    let place = Place::new();
    let (file, _) = dumped(&place, &database, "a.sql");
    let before = whole(&database);
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            database.execute("LOCK TABLES parts READ; DO SLEEP(14)");
        });
        std::thread::sleep(std::time::Duration::from_millis(500));
        let error = restore(&place, &database, &file).unwrap_err().to_string();
        assert!(
            error.contains("somebody holds a lock on a table for longer than 10s"),
            "{error}"
        );
        holder.join().unwrap();
    });
    similar(&before, &whole(&database));
}

/// Turns red if a disk that is full is not told, or a change meanwhile makes the record another than the file.
#[test]
fn a_full_disk_and_a_change_meanwhile_are_told_on_mariadb() {
    let database = filled();
    let mut place = Place::new();
    place.program(
        Kind::MariaDb.clients().1,
        &format!("exec {} \"$@\"", real(Kind::MariaDb.clients().1).display()),
    );
    place.program(
        Kind::MariaDb.clients().0,
        &format!(
            "trap '' XFSZ; ulimit -f 16; exec {} \"$@\"",
            real(Kind::MariaDb.clients().0).display()
        ),
    );
    let mut backups = place.backups(&database.facts());
    let error = backups
        .dump(&place.file("full.sql"), &mut quiet())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("{} failed: ", Kind::MariaDb.clients().0)),
        "{error}"
    );
    assert!(error.contains("27") || error.contains("write"), "{error}");

    // Somebody writes as soon as anybody may.
    place.program(
        Kind::MariaDb.clients().0,
        &format!(
            "{} \"$@\"; status=$?; sleep 1; exit $status",
            real(Kind::MariaDb.clients().0).display()
        ),
    );
    let (file, contents) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !place.file("a.sql").exists() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            database.execute("INSERT INTO parts VALUES ('2026-01-01', 3)");
        });
        let made = dumped(&place, &database, "a.sql");
        writer.join().unwrap();
        made
    });
    assert_eq!(
        database.query_one("SELECT CONCAT(COUNT(*), '') FROM parts"),
        "3"
    );
    assert_eq!(contents.rows["parts"], 2);
    restore(&place, &database, &file).unwrap();
    assert_eq!(
        database.query_one("SELECT CONCAT(COUNT(*), '') FROM parts"),
        "2"
    );
}

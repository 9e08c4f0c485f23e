use super::*;

use Dialect::{MySql, Postgres, Sqlite};

fn texts(sql: &str, dialect: Dialect) -> Vec<String> {
    let found = statements(sql, dialect).unwrap();
    found.into_iter().map(|one| one.text).collect()
}

#[track_caller]
fn splits(dialect: Dialect, sql: &str, expected: &[&str]) {
    assert_eq!(texts(sql, dialect), expected);
}

/// One statement whatever is in it, between two others.
#[track_caller]
fn holds(dialect: Dialect, sql: &str) {
    let whole = format!("SELECT 1; {sql};\nSELECT 2");
    assert_eq!(texts(&whole, dialect), ["SELECT 1", sql, "SELECT 2"]);
}

#[track_caller]
fn refused(dialect: Dialect, sql: &str) -> String {
    statements(sql, dialect).unwrap_err().to_string()
}

fn one(text: &str) -> Statement {
    Statement {
        text: text.to_owned(),
        line: 1,
    }
}

#[test]
fn plain_statements_are_told_apart_with_their_lines() {
    let sql = "\u{feff}-- first\nDROP TABLE a;\n\n/* b; */ DROP\nTABLE b ; ;;\n-- the end; of it\nDROP TABLE c -- no; end";
    for dialect in [Postgres, MySql, Sqlite] {
        let found = statements(sql, dialect).unwrap();
        let lines: Vec<usize> = found.iter().map(|one| one.line).collect();
        assert_eq!(lines, [2, 4, 7]);
        splits(
            dialect,
            sql,
            &["DROP TABLE a", "DROP\nTABLE b", "DROP TABLE c"],
        );
    }
}

#[test]
fn nothing_and_comments_alone_give_no_statement() {
    for dialect in [Postgres, MySql, Sqlite] {
        splits(dialect, "", &[]);
        splits(dialect, " \n;;\n-- a;\n/* b; */\n", &[]);
    }
}

#[test]
fn a_semicolon_in_quotes_ends_nothing() {
    for dialect in [Postgres, MySql, Sqlite] {
        holds(dialect, "INSERT INTO t VALUES ('a; it''s', \"b;\"\";\", 1)");
        holds(dialect, "SELECT 1 /* ; */ + 2");
        holds(dialect, "SELECT 1 -- ;\n + 2");
        holds(dialect, "SELECT 1 -- it's\n + 2");
    }
    holds(
        MySql,
        "INSERT INTO `a;``;` VALUES ('it\\'s; so', \"say \\\";\\\" so\")",
    );
    holds(Sqlite, "SELECT [a;'b], `c;` FROM t");
    holds(
        Postgres,
        "SELECT E'it\\'s; so', U&'d\\0061t;a', B'1;0', e'\\\\'",
    );
    holds(Postgres, "SELECT 'a\\'");
    holds(Postgres, "SELECT E'a'\n  'it\\'s; so'");
}

#[test]
fn dollar_quotes_are_strings_of_postgresql() {
    holds(
        Postgres,
        "CREATE FUNCTION f() RETURNS int AS $$ BEGIN; RETURN 1; END; $$ LANGUAGE plpgsql",
    );
    holds(
        Postgres,
        "DO $body$ BEGIN EXECUTE $$DROP TABLE a;$$; END; $body$",
    );
    holds(Postgres, "SELECT $ä1$a;$a$;$ä1$");
    // A name may have the sign in it, and a parameter begins with it.
    splits(
        Postgres,
        "SELECT a$b$; SELECT $1",
        &["SELECT a$b$", "SELECT $1"],
    );
}

#[test]
fn comments_nest_on_postgresql_alone() {
    holds(Postgres, "SELECT 1 /* a /* ; */ ; */ + 2");
    for dialect in [MySql, Sqlite] {
        splits(
            dialect,
            "SELECT 1 /* a /* ; */ ; SELECT 2",
            &["SELECT 1", "SELECT 2"],
        );
    }
}

#[test]
fn mysql_has_comments_of_its_own() {
    holds(MySql, "SELECT 1 # it's; so\n + 2");
    splits(
        MySql,
        "SELECT 1--1; SELECT 2 --\n+ 3;--\tx;\n",
        &["SELECT 1--1", "SELECT 2 --\n+ 3"],
    );
    holds(MySql, "/*!40101 SET NAMES utf8 */");
    splits(
        MySql,
        "/*!50003 DROP TABLE a */; /* DROP TABLE b */;",
        &["/*!50003 DROP TABLE a */"],
    );
}

#[test]
fn bodies_of_sql_functions_are_one_statement() {
    holds(
        Postgres,
        "CREATE OR REPLACE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a > 1 THEN 2 END; \
         SELECT (CASE a WHEN 1 THEN 2 END), t.end AS end FROM t; END",
    );
    holds(
        Postgres,
        "CREATE PROCEDURE p() LANGUAGE SQL begin atomic INSERT INTO t VALUES (1); end",
    );
    // These are a transaction, and what comes between.
    splits(
        Postgres,
        "BEGIN; SELECT 1; END; SELECT 2",
        &["BEGIN", "SELECT 1", "END", "SELECT 2"],
    );
    holds(
        Postgres,
        "CREATE FUNCTION f() RETURNS int LANGUAGE SQL RETURN 1",
    );
}

#[test]
fn a_rule_holds_statements_in_parentheses() {
    holds(
        Postgres,
        "CREATE OR REPLACE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a VALUES (1); DELETE FROM b)",
    );
}

#[test]
fn triggers_of_sqlite_are_one_statement() {
    holds(
        Sqlite,
        "CREATE TEMP TRIGGER t AFTER UPDATE ON a WHEN CASE new.x WHEN 1 THEN 1 END BEGIN \
         UPDATE b SET y = CASE WHEN 1 THEN 2 END; SELECT CASE 1 WHEN 1 THEN 2 END; END",
    );
    splits(
        Sqlite,
        "BEGIN; DROP TABLE a; END;",
        &["BEGIN", "DROP TABLE a", "END"],
    );
}

#[test]
fn compound_statements_of_mysql_are_one_statement() {
    holds(
        MySql,
        "CREATE DEFINER = `a`@`b` PROCEDURE p(IN a INT) BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; END; \
         IF a > IF(1, 2, 3) THEN SELECT 1; ELSEIF a = 2 THEN SELECT 2; ELSE IF b THEN SELECT 3; END IF; END IF; \
         WHILE a DO SET a = REPEAT('x', 3); DO SLEEP(1); END WHILE; l: LOOP LEAVE l; END LOOP l; \
         REPEAT SET a = 1; UNTIL a END REPEAT; CASE a WHEN 1 THEN SELECT 1; ELSE BEGIN END; END CASE; \
         SELECT CASE a WHEN 1 THEN 2 ELSE IF(1, 2, 3) END; DROP TABLE IF EXISTS x; \
         SELECT a FROM t WHERE x IN (1) FOR UPDATE; END",
    );
    holds(
        MySql,
        "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW IF NEW.x THEN SET NEW.x = 1; END IF",
    );
    holds(
        MySql,
        "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.x = IF(NEW.y, 1, 2)",
    );
    holds(
        MySql,
        "CREATE EVENT IF NOT EXISTS e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM t; END",
    );
    holds(
        MySql,
        "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN IF(1, 2, 3)",
    );
    holds(
        MySql,
        "CREATE PROCEDURE p() SELECT a FROM t WHERE x IN (1) FOR UPDATE",
    );
    holds(MySql, "BEGIN NOT ATOMIC SELECT 1; END");
    holds(MySql, "IF 1 THEN SELECT 1; END IF");
    splits(
        MySql,
        "BEGIN; DROP TABLE event; END",
        &["BEGIN", "DROP TABLE event", "END"],
    );
    holds(MySql, "CREATE TABLE event (begin INT)");
}

#[test]
fn delimiters_are_kept_from_the_server() {
    splits(
        MySql,
        "DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT '//'; END; //\nDROP TABLE a; DROP TABLE b //\ndelimiter ;\nDROP TABLE c;",
        &[
            "CREATE PROCEDURE p() BEGIN SELECT '//'; END",
            "DROP TABLE a",
            "DROP TABLE b",
            "DROP TABLE c",
        ],
    );
    splits(
        MySql,
        "DELIMITER $$\r\nCREATE PROCEDURE p() BEGIN END$$\r\nDELIMITER ;\r\nSELECT 1",
        &["CREATE PROCEDURE p() BEGIN END", "SELECT 1"],
    );
    splits(
        MySql,
        "DELIMITER ;;\n/*!50003 CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a = 1; END */;;\nDELIMITER ;",
        &["/*!50003 CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a = 1; END */"],
    );
    assert_eq!(
        refused(MySql, "SELECT 1;\nDELIMITER\nSELECT 2;"),
        "line 2: DELIMITER names no delimiter"
    );
}

#[test]
fn what_never_ends_is_refused_where_it_begins() {
    let begun = "SELECT 1;\nSELECT\n";
    for (dialect, sql, what) in [
        (Postgres, "'a; b", "a string"),
        (Postgres, "E'a\\'", "a string"),
        (MySql, "'a\\'", "a string"),
        (MySql, "\"a;", "a string"),
        (Postgres, "\"a;", "a name in quotes"),
        (MySql, "`a", "a name in quotes"),
        (Sqlite, "[a", "a name"),
        (Postgres, "$a$ b $$;", "a text in dollar quotes"),
        (Postgres, "/* a /* b */;", "a comment"),
        (Sqlite, "/* a;", "a comment"),
    ] {
        assert_eq!(
            refused(dialect, &format!("{begun}{sql}\n\n")),
            format!("line 3: {what} begins here and never ends")
        );
    }
    for (dialect, sql) in [
        (
            Postgres,
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;",
        ),
        (Sqlite, "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;"),
        (MySql, "CREATE PROCEDURE p() BEGIN SELECT 1;"),
    ] {
        assert_eq!(
            refused(dialect, &format!("SELECT 1;\n{sql}\nSELECT 2;")),
            "line 2: the statement that begins here has a body without its END"
        );
    }
}

#[test]
fn parentheses_that_do_not_match_are_refused() {
    for dialect in [Postgres, MySql, Sqlite] {
        assert_eq!(
            refused(dialect, "SELECT 1;\nCREATE TABLE a (b int;\nSELECT 2"),
            "line 2: a parenthesis is opened here and never closed"
        );
        assert_eq!(
            refused(dialect, "CREATE TABLE a (b int)\n);"),
            "line 2: a parenthesis is closed that was never opened"
        );
    }
}

#[test]
fn commands_of_clients_are_refused() {
    assert_eq!(
        refused(Postgres, "SELECT 1;\n\\i other.sql\n"),
        "line 2: \\i is a command of psql, and no SQL"
    );
    assert_eq!(
        refused(MySql, "SELECT 1\\G"),
        "line 1: \\G is a command of the mysql client, and no SQL"
    );
    assert_eq!(
        refused(Sqlite, "\n.read a.sql"),
        "line 2: .read is a command of the sqlite3 shell, and no SQL"
    );
    assert_eq!(
        refused(Postgres, "SELECT 1;\nCOPY t (a)\nFROM STDIN;\n1\n\\.\n"),
        "line 2: COPY reads from or writes to a client, which a rollback has none of"
    );
    holds(Postgres, "COPY (SELECT stdin FROM t) TO '/tmp/a'");
}

#[test]
fn statements_that_run_alone_are_known() {
    let alone = |text: &str, dialect| one(text).runs_alone(dialect).is_some();
    for text in [
        "CREATE UNIQUE INDEX CONCURRENTLY a ON b (c)",
        "drop index concurrently if exists a",
        "REINDEX (CONCURRENTLY) TABLE a",
        "REINDEX TABLE CONCURRENTLY a",
        "REINDEX SCHEMA a",
        "VACUUM FULL a",
        "ALTER SYSTEM SET a = 1",
        "DROP DATABASE a",
        "ALTER TABLE a DETACH PARTITION b CONCURRENTLY",
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
        "DROP SUBSCRIPTION s",
        "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
        "CLUSTER",
        "/* a */ VACUUM",
    ] {
        assert!(alone(text, Postgres), "{text}");
        assert!(!alone(text, MySql), "{text}");
    }
    for text in [
        "CREATE INDEX a ON b (c)",
        "DROP INDEX a -- CONCURRENTLY",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY a",
        "ALTER TYPE a ADD VALUE 'b'",
        "CLUSTER a",
        "ANALYZE",
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false)",
        "ALTER SUBSCRIPTION s DISABLE",
        "COMMENT ON TABLE a IS 'VACUUM'",
    ] {
        assert!(!alone(text, Postgres), "{text}");
    }
    assert!(alone("VACUUM", Sqlite));
    assert!(alone("PRAGMA foreign_keys = OFF", Sqlite));
    assert!(alone("PRAGMA foreign_keys(0)", Sqlite));
    assert!(!alone("PRAGMA foreign_keys", Sqlite));
    assert!(!alone("PRAGMA foreign_key_check", Sqlite));
}

#[test]
fn what_mysql_commits_is_known() {
    for text in [
        "ALTER TABLE a ADD b INT",
        "create or replace table a (b int)",
        "DROP VIEW a",
        "RENAME TABLE a TO b",
        "TRUNCATE a",
        "GRANT SELECT ON a TO b",
        "ANALYZE LOCAL TABLE a",
        "LOCK TABLES a WRITE",
        "SET PASSWORD = 'a'",
        "SET autocommit = 1",
        "BEGIN",
        "/*!50003 DROP TABLE a */",
    ] {
        assert!(one(text).commits(MySql), "{text}");
        assert!(!one(text).commits(Postgres), "{text}");
        assert!(!one(text).commits(Sqlite), "{text}");
    }
    for text in [
        "INSERT INTO a VALUES (1)",
        "UPDATE a SET b = 1",
        "CREATE TEMPORARY TABLE a (b INT)",
        "DROP TEMPORARY TABLE a",
        "SET @a = 1",
        "SAVEPOINT a",
        "SELECT 1",
    ] {
        assert!(!one(text).commits(MySql), "{text}");
    }
}

#[test]
fn control_of_transactions_is_known() {
    for text in [
        "BEGIN",
        "begin work",
        "START TRANSACTION READ ONLY",
        "COMMIT AND CHAIN",
        "END",
        "ROLLBACK TO SAVEPOINT a",
        "ABORT",
        "SAVEPOINT a",
        "RELEASE a",
        "PREPARE TRANSACTION 'a'",
        "SET autocommit=0",
        "SET @@session.autocommit := 0",
        "SET @a = 1, autocommit = 0",
        "/*!40101 SET autocommit=0 */",
        "/* a */ COMMIT",
    ] {
        assert!(one(text).controls_a_transaction(), "{text}");
    }
    for text in [
        "BEGIN NOT ATOMIC SELECT 1; END",
        "START SLAVE",
        "PREPARE a FROM 'COMMIT'",
        "SET a = 'autocommit = 1'",
        "SELECT 1 -- COMMIT",
        "DO $$ BEGIN COMMIT; END $$",
        "SET TRANSACTION READ ONLY",
    ] {
        assert!(!one(text).controls_a_transaction(), "{text}");
    }
}

#[test]
fn a_wrapper_is_taken_off_and_lines_stay() {
    let bare = |sql: &str| without_wrapper(sql, Postgres).unwrap();
    assert_eq!(
        bare("-- a\nBEGIN\n WORK;\nDROP TABLE a;\nCOMMIT ;\n-- b\n"),
        "-- a\n\n\nDROP TABLE a;\n\n-- b\n"
    );
    assert_eq!(
        bare("START TRANSACTION; DROP TABLE a; END TRANSACTION"),
        " DROP TABLE a; "
    );
    for whole in [
        "BEGIN; DROP TABLE a;",
        "DROP TABLE a; COMMIT;",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; DROP TABLE a; COMMIT;",
        "BEGIN; DROP TABLE a; COMMIT AND CHAIN;",
        "BEGIN; DROP TABLE a; ROLLBACK;",
        "BEGIN;",
        "",
    ] {
        assert_eq!(bare(whole), whole);
    }
    let all = statements("BEGIN; DROP TABLE a; COMMIT", MySql).unwrap();
    assert_eq!(unwrapped(&all), &all[1..2]);
}

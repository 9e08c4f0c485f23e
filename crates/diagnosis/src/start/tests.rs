use super::*;

const KEY_ERROR: &str =
    "Traceback (most recent call last):\n  File \"/p/env.py\", line 2, in <module>\n";

fn kind_of(stderr: &str) -> StartKind {
    read("", stderr).kind
}

#[test]
fn the_last_telling_traceback_speaks() {
    let over = "Traceback (most recent call last):\n  File \"a\", line 1\nReal: reason\ndetail\n\n\
                The above exception was the direct cause of the following exception:\n\n\
                Traceback (most recent call last):\n  File \"b\", line 1\nsome.Wrapper: ()\n";
    assert_eq!(traceback_line(over), Some("Real: reason"));
    assert_eq!(traceback_line("no traceback\n"), None);
    let bare = "Traceback (most recent call last):\n  File \"a\", line 1\nAssertionError\n";
    assert_eq!(read("", bare).line, "AssertionError");
}

#[test]
fn a_failure_is_found_on_either_output_and_put_back_into_one_line() {
    let complaint = read(
        "  FAILED: Can't locate revision\n  identified by 'nope'\n",
        "INFO x\n",
    );
    assert_eq!(complaint.line, "Can't locate revision identified by 'nope'");
    assert_eq!(complaint.kind, StartKind::CannotLocate("nope".to_owned()));
    let logged = "INFO  [alembic] hello\nERROR [flask_migrate] Error: Can't locate revision identified by 'a'\n";
    assert_eq!(
        read("", logged).line,
        "Can't locate revision identified by 'a'"
    );
    let usage = "usage: alembic [-h]\nalembic: error: unrecognized arguments: --foo\n";
    assert_eq!(kind_of(usage), StartKind::NoSuchOption("--foo".to_owned()));
}

#[test]
fn a_missing_key_is_told_by_where_it_was_looked_up() {
    let environment =
        format!("{KEY_ERROR}  File \"<frozen os>\", line 679, in __getitem__\nKeyError: 'URL'\n");
    assert_eq!(
        kind_of(&environment),
        StartKind::EnvironmentVariable("URL".to_owned())
    );
    let argument = format!("{KEY_ERROR}    context.get_x_argument(True)['t']\nKeyError: 't'\n");
    assert_eq!(kind_of(&argument), StartKind::XArgument("t".to_owned()));
    assert_eq!(
        kind_of(&format!("{KEY_ERROR}KeyError: 't'\n")),
        StartKind::Other
    );
}

#[test]
fn silence_is_a_kind_of_its_own() {
    let complaint = read("\n", "");
    assert_eq!(
        (complaint.line.as_str(), &complaint.kind),
        ("", &StartKind::Silent)
    );
    assert!(complaint.kind.hints("flask db current")[0].contains("`flask db current`"));
}

#[test]
fn logins_and_servers_are_told_apart_for_each_driver() {
    let error = |text: &str| {
        kind_of(&format!(
            "Traceback (most recent call last):\n  x\n{text}\n"
        ))
    };
    for text in [
        "sqlalchemy.exc.DBAPIError: (asyncpg.Error) password authentication failed for user \"o\"",
        "sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (1045, \"Access denied for user 'o'@'h'\")",
    ] {
        assert_eq!(error(text), StartKind::Login, "{text}");
    }
    for text in [
        "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 1)",
        "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) could not translate host name \"db\" to address",
    ] {
        assert_eq!(error(text), StartKind::Unreachable, "{text}");
    }
    assert_eq!(
        error("ModuleNotFoundError: No module named 'oracledb'"),
        StartKind::Import("oracledb".to_owned())
    );
}

#[test]
fn two_files_with_one_id_are_seen_in_the_warning() {
    let warning = "/v/revision.py:213: UserWarning: Revision m1 is present more than once\n";
    assert_eq!(duplicate(warning).as_deref(), Some("m1"));
}

/// What each engine version prints for one failure must lead to the same advice.
#[test]
fn the_recorded_failures_are_told_apart() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .join("fixtures/transcripts");
    let mut seen = 0;
    for folder in std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        for (case, expected) in [
            ("cycle.heads", StartKind::Cycle),
            ("ini-absent.current", StartKind::NoConfiguration),
            ("ini-not-readable.current", StartKind::BrokenConfiguration),
            ("ini-without-url.current", StartKind::Url),
            ("url-not-readable.current", StartKind::Url),
            (
                "missing_file.current",
                StartKind::MissingParent("aaaa2222".to_owned()),
            ),
            (
                "missing_file-row-only.current",
                StartKind::CannotLocate("aaaa2222".to_owned()),
            ),
            ("mysql-server-down.current", StartKind::Unreachable),
            ("postgresql-server-down.current", StartKind::Unreachable),
            ("postgresql-wrong-password.current", StartKind::Login),
            (
                "postgresql-no-database.current-verbose",
                StartKind::NoDatabase,
            ),
            ("sqlite-no-folder.current", StartKind::NoDatabaseFile),
            (
                "x_argument-left-out.current",
                StartKind::XArgument("tenant".to_owned()),
            ),
            ("app-absent.current", StartKind::NoFlaskCommand),
            (
                "app.downgrade-dash",
                StartKind::NoSuchOption("-1".to_owned()),
            ),
            ("superset-wrong-password.current", StartKind::Login),
            ("superset-server-down.current", StartKind::Unreachable),
        ] {
            let text = |end: &str| std::fs::read_to_string(folder.join(format!("{case}.{end}")));
            if let (Ok(stdout), Ok(stderr)) = (text("stdout"), text("stderr")) {
                assert_eq!(
                    read(&stdout, &stderr).kind,
                    expected,
                    "{case} in {}",
                    folder.display()
                );
                seen += 1;
            }
        }
    }
    assert!(seen >= 40, "too few failures were found: {seen}");
}

/// Python refuses a source with a zero byte before it has a line: the last frame is none of the project.
#[test]
fn a_frame_of_python_itself_is_no_file_to_correct() {
    let told = |frame: &str| {
        let stderr = format!(
            "Traceback (most recent call last):\n  File \"{frame}\", line 241, in _call\n\
             SyntaxError: source code string cannot contain null bytes\n"
        );
        read("", &stderr).kind
    };
    assert_eq!(told("<frozen importlib._bootstrap>"), StartKind::Other);
    let file = "/srv/app/a.py".to_owned();
    let line = "241".to_owned();
    assert_eq!(told("/srv/app/a.py"), StartKind::Syntax { file, line });
}

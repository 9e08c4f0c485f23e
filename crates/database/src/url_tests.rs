use super::*;

fn facts(url: &str) -> ConnectionFacts {
    parse(url, Path::new("/project")).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn sentence(url: &str) -> String {
    let error = parse(url, Path::new("/project")).expect_err(url);
    format!("{error} {error:?}")
}

fn password(url: &str) -> String {
    facts(url).password.expect(url).reveal().to_owned()
}

#[test]
fn every_part_is_read_and_decoded() {
    let facts =
        facts("postgresql+psycopg2://us%40er:p%40s%2Fs@db.example:6543/a%20b?sslmode=require");
    assert_eq!(facts.dialect, "postgresql");
    assert_eq!(facts.user.as_deref(), Some("us@er"));
    assert_eq!(facts.password.as_ref().map(Secret::reveal), Some("p@s/s"));
    assert_eq!(facts.host.as_deref(), Some("db.example"));
    assert_eq!(facts.port, Some(6543));
    assert_eq!(facts.database.as_deref(), Some("a b"));
    assert_eq!(
        facts.options,
        [("sslmode".to_owned(), "require".to_owned())]
    );
}

#[test]
fn missing_parts_stay_missing() {
    for (url, user, host, database) in [
        ("postgres://", None, None, None),
        ("postgresql:///app", None, None, Some("app")),
        ("mysql+pymysql://h", None, Some("h"), None),
        ("mariadb://u@h/", Some("u"), Some("h"), None),
        ("postgresql://@h:/app", None, Some("h"), Some("app")),
        ("oracle://u@h/app", Some("u"), Some("h"), Some("app")),
    ] {
        let facts = facts(url);
        assert_eq!(facts.user.as_deref(), user, "{url}");
        assert_eq!(facts.host.as_deref(), host, "{url}");
        assert_eq!(facts.database.as_deref(), database, "{url}");
        assert_eq!(facts.password, None, "{url}");
        assert_eq!(facts.port, None, "{url}");
    }
}

#[test]
fn an_empty_password_is_a_password() {
    assert_eq!(password("mysql://u:@h/d"), "");
}

#[test]
fn a_password_may_hold_what_an_rfc_parser_stumbles_on() {
    for text in [
        "a:b",
        "a/b",
        "a#b",
        "a?b",
        "a b",
        "a+b",
        "100%",
        "%zz",
        "[x]",
        "ü",
        "a:b/c#d?e",
    ] {
        assert_eq!(password(&format!("postgresql://u:{text}@h/d")), text);
    }
    assert_eq!(password("postgresql://u:%C3%BC@h/d"), "ü");
}

#[test]
fn a_user_may_hold_an_at_sign() {
    let facts = facts("mysql://u@tenant:pw@h/d");
    assert_eq!(facts.user.as_deref(), Some("u@tenant"));
    assert_eq!(facts.password.as_ref().map(Secret::reveal), Some("pw"));
}

#[test]
fn ipv6_hosts_stand_in_brackets() {
    let facts = facts("postgresql://u:p@[2001:db8::1]:5433/d");
    assert_eq!(facts.host.as_deref(), Some("2001:db8::1"));
    assert_eq!(facts.port, Some(5433));
    assert_eq!(masked(&facts), "postgresql://u:***@[2001:db8::1]:5433/d");
}

#[test]
fn sockets_are_found_in_the_query() {
    let postgres = facts("postgresql://user@/db?host=/var/run/postgresql&port=5433");
    assert_eq!(postgres.host.as_deref(), Some("/var/run/postgresql"));
    assert_eq!(postgres.port, Some(5433));
    assert_eq!(
        masked(&postgres),
        "postgresql://user@:5433/db?host=/var/run/postgresql"
    );
    let mysql = facts("mysql://u@/db?unix_socket=%2Frun%2Fm.sock&charset=utf8mb4");
    assert_eq!(mysql.socket.as_deref(), Some("/run/m.sock"));
    assert_eq!(
        mysql.options,
        [("charset".to_owned(), "utf8mb4".to_owned())]
    );
    assert_eq!(masked(&mysql), "mysql://u@/db?unix_socket=/run/m.sock");
}

#[test]
fn the_query_names_the_server_as_the_drivers_read_it() {
    let facts = facts("postgresql:///?host=db:6000&user=u&password=s3cret&dbname=d");
    assert_eq!(facts.host.as_deref(), Some("db"));
    assert_eq!(facts.port, Some(6000));
    assert_eq!(facts.user.as_deref(), Some("u"));
    assert_eq!(facts.password.as_ref().map(Secret::reveal), Some("s3cret"));
    assert_eq!(facts.database.as_deref(), Some("d"));
    assert!(facts.options.is_empty());
}

#[test]
fn no_secret_stays_in_the_options() {
    for url in [
        "postgresql://u@h/d?password=s3cret&sslpassword=s3cret",
        "mysql://u@h/d?passwd=s3cret",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3Ds3cret",
    ] {
        let facts = facts(url);
        assert!(!format!("{facts:?}").contains("s3cret"), "{url}");
        assert!(!masked(&facts).contains("s3cret"), "{url}");
    }
}

#[test]
fn sqlite_paths_are_absolute_or_taken_from_the_directory() {
    for (url, path) in [
        ("sqlite:///relative.db", "/project/relative.db"),
        ("sqlite:////abs/app.db", "/abs/app.db"),
        (
            "sqlite+pysqlite:///data/my%20app.db?timeout=5",
            "/project/data/my app.db",
        ),
        ("sqlite:///file:/abs/app.db?mode=ro&uri=true", "/abs/app.db"),
        ("sqlite:///file:app.db?uri=true", "/project/app.db"),
        ("sqlite:////mail/a@b.db", "/mail/a@b.db"),
    ] {
        assert_eq!(facts(url).database.as_deref(), Some(path), "{url}");
    }
    assert_eq!(
        masked(&facts("sqlite:////abs/app.db")),
        "sqlite:////abs/app.db"
    );
}

#[test]
fn sqlite_in_memory_is_refused() {
    for url in [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
    ] {
        assert!(sentence(url).contains("in memory"), "{url}");
    }
    assert!(sentence("sqlite://relative.db").contains("three slashes"));
    assert!(sentence("sqlite+pysqlcipher://:s3cret@/x.db").contains("encrypted"));
}

/// Turns red if an error quotes the URL, or if a piece of a password is taken for a host, a port or
/// a database name, from where it would be shown.
#[test]
fn a_malformed_url_never_shows_its_password() {
    for url in [
        "s3cret",
        "",
        "postgresql:u:s3cret@h/d",
        "postgresql//u:s3cret@h/d",
        "post-gres://u:s3cret@h/d",
        "://u:s3cret@h/d",
        "postgresql://u:x@s3cret@h/d",
        "postgresql://u:s3cret@x@h/d",
        "postgresql://u:x/y@s3cret@h/d",
        "postgresql://us/er:s3cret@h/d",
        "postgresql://u:s3cret",
        "postgresql://u:s3cret/d",
        "postgresql://u:pw@h:s3cret/d",
        "postgresql://u:pw@h:99999/s3cret",
        "postgresql://u:pw@[::1@s3cret]/d",
        "sqlite://u:s3cret@h/d",
        "mysql://u@h/d?port=s3cret",
    ] {
        assert!(!sentence(url).contains("s3cret"), "{url}");
    }
}

#[test]
fn the_masked_url_of_the_engine_gives_no_password() {
    let facts = parse_masked("postgresql+psycopg2://us%40er:***@h:5432/d", Path::new("/")).unwrap();
    assert_eq!(facts.password, None);
    assert_eq!(facts.user.as_deref(), Some("us@er"));
    assert_eq!(facts.database.as_deref(), Some("d"));
}

#[test]
fn the_mask_hides_the_password_and_escapes_the_rest() {
    let facts = facts("mysql+pymysql://us%40er:s3cret@h:3306/a%2Fb?ssl_ca=/x.pem");
    assert_eq!(masked(&facts), "mysql://us%40er:***@h:3306/a%2Fb");
    assert_eq!(
        parse_masked(&masked(&facts), Path::new("/")).unwrap().user,
        facts.user
    );
}

/// Red where a guess of the client's counts as an address, or what only says how to speak counts as where to.
#[test]
fn an_address_is_the_same_word_for_word_only() {
    let same = |one: &str, other: &str| same_address(&facts(one), &facts(other));
    let url = "postgresql://u:a@h:5432/d";
    assert!(same(
        url,
        "postgresql+psycopg2://u:b@h:5432/d?sslmode=require"
    ));
    for other in [
        "postgresql://u@h/d",
        "postgresql://u@localhost:5432/d",
        "postgresql://v@h:5432/d",
        "postgresql://u@h:5432/e",
        "postgresql://u@h:5432/d?hostaddr=10.0.0.1",
        "mysql://u@h:5432/d",
    ] {
        assert!(!same(url, other), "{other}");
    }
    assert!(!same("postgresql://u@/d", "postgresql://u@/d"));
    assert!(same(
        "mysql://u@/d?unix_socket=/s",
        "mysql://u@/d?unix_socket=/s"
    ));
    assert!(!same("sqlite:////a.db", "sqlite:////a.db"));
}

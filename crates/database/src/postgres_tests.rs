use super::*;
use crate::url;

fn settings(url: &str, environment: &[(&str, &str)]) -> Result<PostgresSettings, DatabaseError> {
    let facts = url::parse(url, Path::new("/"))?;
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    PostgresSettings::new(&facts, &environment)
}

#[test]
fn the_url_wins_over_the_environment() {
    let environment = [
        ("PGHOST", "other"),
        ("PGPORT", "1"),
        ("PGUSER", "nobody"),
        ("PGDATABASE", "none"),
        ("PGPASSWORD", "none"),
        ("PGSSLMODE", "require"),
    ];
    let url = "postgresql://u:p@h:5433/d?sslmode=verify-full&sslrootcert=/ca.pem";
    let settings = settings(url, &environment).unwrap();
    assert_eq!((settings.host.as_str(), settings.port), ("h", 5433));
    assert_eq!(
        (settings.user.as_str(), settings.database.as_str()),
        ("u", "d")
    );
    assert_eq!(settings.password.as_ref().map(Secret::reveal), Some("p"));
    assert!(matches!(settings.ssl_mode, PgSslMode::VerifyFull));
    assert_eq!(settings.ssl_root_cert.as_deref(), Some("/ca.pem"));
    let options = settings.options();
    assert_eq!(
        options.len(),
        1,
        "nothing less than the mode that was asked for"
    );
    assert_eq!(options[0].get_application_name(), Some("rollback"));
}

#[test]
fn the_environment_fills_what_the_url_leaves_open() {
    let environment = [
        ("PGHOST", "/sockets"),
        ("PGPORT", "5434"),
        ("PGUSER", "u"),
        ("PGSSLMODE", "require"),
    ];
    let settings = settings("postgresql://", &environment).unwrap();
    assert_eq!((settings.host.as_str(), settings.port), ("/sockets", 5434));
    assert_eq!(settings.database, "u", "libpq's default is the user's name");
    assert!(
        matches!(settings.ssl_mode, PgSslMode::Disable),
        "a socket is never encrypted"
    );
}

#[test]
fn without_a_wish_encryption_is_tried_and_then_left() {
    let options = settings("postgresql://u@h/d", &[]).unwrap().options();
    assert!(matches!(options[0].get_ssl_mode(), PgSslMode::Prefer));
    assert!(matches!(options[1].get_ssl_mode(), PgSslMode::Disable));
}

#[test]
fn what_cannot_be_told_for_certain_is_refused() {
    for (url, word) in [
        ("postgresql:///d?service=prod", "service"),
        ("postgresql:///d?host=a&host=b", "several hosts"),
        ("postgresql://h/d?sslmode=perhaps", "perhaps"),
    ] {
        let error = settings(url, &[]).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn session_options_are_read_as_libpq_writes_them() {
    let pairs = |text| session_options(text);
    let expected = [
        ("search_path".to_owned(), "a b".to_owned()),
        ("geqo".to_owned(), "off".to_owned()),
    ];
    assert_eq!(pairs(r"-csearch_path=a\ b -c geqo=off"), expected);
    assert_eq!(pairs(r"--search_path=a\ b  --geqo=off"), expected);
    assert_eq!(pairs(""), []);
}

#[test]
fn the_product_is_the_name_and_the_version() {
    for (version, product_name) in [
        (
            "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu, ...",
            "PostgreSQL 15.18",
        ),
        (
            "PostgreSQL 9.6.24 on x86_64-pc-linux-gnu, compiled by gcc",
            "PostgreSQL 9.6.24",
        ),
        (
            "CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built ...)",
            "CockroachDB CCL v23.1.11",
        ),
        ("PostgreSQL 17beta1", "PostgreSQL 17beta1"),
    ] {
        assert_eq!(product(version), product_name);
    }
}

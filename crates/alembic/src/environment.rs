//! What env.py and the configuration let be known of the connection that migrations run over.
//!
//! They are read as texts and not followed: only what they are silent about is certain.

use std::path::Path;

use python_source::source;

/// What may make a connection commit each statement by itself. `execution_options` may hold an isolation
/// level that stands elsewhere.
const TELLING: [&str; 3] = ["autocommit", "isolation_level", "execution_options"];

/// What makes an engine of SQLAlchemy's. Where neither is there, it comes from code elsewhere.
const MAKING: [&str; 2] = ["engine_from_config(", "create_engine("];

/// Whether the connection may commit each statement by itself, so that there is no transaction: a text
/// hints at it, env.py cannot be read, or it takes its engine from elsewhere.
pub(super) fn may_autocommit<'a>(
    directory: &Path,
    configuration: impl IntoIterator<Item = &'a str>,
) -> bool {
    configuration.into_iter().any(hints)
        || source::read(&directory.join("env.py")).map_or(true, |env| is_open(&env))
}

fn is_open(env: &str) -> bool {
    hints(env) || !MAKING.iter().any(|call| env.contains(call))
}

fn hints(text: &str) -> bool {
    // That is a migration's own, and known where it stands.
    let text = text.to_lowercase().replace("autocommit_block", "");
    TELLING.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_env_py_has_a_transaction() {
        for call in [
            "engine_from_config(config.get_section('alembic'), prefix='sqlalchemy.')",
            "async_engine_from_config(section, poolclass=pool.NullPool)",
            "create_engine(url)  # a migration may use autocommit_block",
        ] {
            assert!(!is_open(call), "{call}");
        }
    }

    #[test]
    fn what_hints_at_autocommit_leaves_it_open() {
        for env in [
            "create_engine(url, isolation_level='AUTOCOMMIT')",
            "create_engine(url).execution_options(**options)",
            "create_engine(url)\nconnection.connection.autocommit = True",
            "from app import engine",
        ] {
            assert!(is_open(env), "{env}");
        }
    }

    #[test]
    fn the_configuration_counts_and_so_does_a_missing_env_py() {
        let home = tempfile::tempdir().unwrap();
        assert!(may_autocommit(home.path(), []));
        std::fs::write(home.path().join("env.py"), "create_engine(url)").unwrap();
        assert!(!may_autocommit(home.path(), ["[alembic]"]));
        let hint = "[alembic]\nsqlalchemy.isolation_level = AUTOCOMMIT";
        assert!(may_autocommit(home.path(), [hint]));
    }
}

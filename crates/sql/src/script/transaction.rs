//! What a statement means for the transaction that it is run in.

use super::super::tokens::{Kind, outside};
use super::Statement;
use super::nesting::begins;
use rollback_core::dialect::Dialect;

/// The words of a statement, in capitals, and of its symbols the `=`. What is in parentheses is not among them,
/// for options there are named as statements are.
fn words(text: &str, dialect: Dialect) -> Vec<String> {
    outside(text, dialect)
        .filter(|token| token.kind == Kind::Word || token.is("="))
        .map(|token| token.text.to_ascii_uppercase())
        .collect()
}

impl Statement {
    /// Why it cannot be run inside a transaction, completing "it cannot run in a transaction: ".
    ///
    /// PostgreSQL: what calls `PreventInTransactionBlock` in its sources whatever the table is. SQLite: `VACUUM`
    /// fails, and the pragmas that are named here do nothing or fail. MariaDB and MySQL refuse nothing, see
    /// [`Statement::commits`].
    pub fn runs_alone(&self, dialect: Dialect) -> Option<&'static str> {
        let words = words(&self.text, dialect);
        let first = |pattern: &[&str]| begins(&words, pattern);
        let has = |word: &str| words.iter().any(|it| it == word);
        match dialect {
            Dialect::MySql => None,
            Dialect::Sqlite => {
                if first(&["VACUUM"]) {
                    return Some("SQLite rewrites the whole file");
                }
                let set = has("=") || self.text.contains('(');
                (first(&["PRAGMA"])
                    && set
                    && (has("FOREIGN_KEYS") || has("JOURNAL_MODE") || has("SYNCHRONOUS")))
                .then_some("SQLite does not change this setting inside one")
            }
            Dialect::Postgres => {
                let concurrently = has("CONCURRENTLY")
                    && (first(&["CREATE", "UNIQUE?", "INDEX"])
                        || first(&["DROP", "INDEX"])
                        || first(&["REINDEX"])
                        || first(&["ALTER", "TABLE"]) && has("DETACH"));
                // `REINDEX (CONCURRENTLY) TABLE t`, as it is written since PostgreSQL 14.
                let concurrently = concurrently
                    || first(&["REINDEX"])
                        && self.text.to_ascii_uppercase().contains("CONCURRENTLY");
                if concurrently {
                    return Some("PostgreSQL does it in several transactions");
                }
                if first(&["VACUUM"])
                    || first(&["REINDEX", "DATABASE|SYSTEM|SCHEMA"])
                    || first(&["CLUSTER", "VERBOSE?"])
                        && words.len() == 1 + usize::from(has("VERBOSE"))
                {
                    return Some("PostgreSQL does it in a transaction for each table");
                }
                if first(&["ALTER", "SYSTEM"])
                    || first(&["CREATE|DROP", "DATABASE|TABLESPACE"])
                    || first(&["ALTER", "DATABASE"]) && has("TABLESPACE")
                    || first(&["CREATE|DROP|ALTER", "SUBSCRIPTION"]) && self.reaches_out(&words)
                    || first(&["DISCARD", "ALL"])
                {
                    return Some("PostgreSQL could not take it back");
                }
                None
            }
        }
    }

    /// Whether a statement about a subscription speaks with the other server, as most do.
    fn reaches_out(&self, words: &[String]) -> bool {
        let text = self.text.to_ascii_lowercase().replace(' ', "");
        if begins(words, &["CREATE"]) {
            !["create_slot=false", "connect=false"]
                .iter()
                .any(|off| text.contains(off))
        } else if begins(words, &["ALTER"]) {
            let renews = ["REFRESH", "SET", "ADD", "DROP"].iter().any(|change| {
                words
                    .windows(2)
                    .any(|pair| pair[0] == *change && pair[1] == "PUBLICATION")
            });
            renews && !text.contains("refresh=false")
        } else {
            true
        }
    }

    /// Whether the server commits what was done before it, and it with that: on MariaDB and MySQL nearly
    /// every statement that changes the schema.
    ///
    /// <https://mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit/>; whatever either of the two
    /// servers commits is named, and nothing of temporary tables, which neither does.
    pub fn commits(&self, dialect: Dialect) -> bool {
        if dialect != Dialect::MySql {
            return false;
        }
        let words = words(&self.text, dialect);
        let first = |pattern: &[&str]| begins(&words, pattern);
        if first(&["CREATE", "OR?", "REPLACE?", "TEMPORARY"]) || first(&["DROP", "TEMPORARY"]) {
            return false;
        }
        first(&["ALTER|CREATE|DROP|RENAME|TRUNCATE|GRANT|REVOKE|FLUSH|RESET|SHUTDOWN|RESTART"])
            || first(&[
                "ANALYZE|CHECK|OPTIMIZE|REPAIR",
                "LOCAL|NO_WRITE_TO_BINLOG?",
                "TABLE|TABLES",
            ])
            || first(&["CACHE", "INDEX"])
            || first(&["LOAD", "INDEX"])
            || first(&["LOCK|UNLOCK", "TABLE|TABLES|INSTANCE"])
            || first(&["INSTALL|UNINSTALL|IMPORT|CLONE|CHANGE"])
            || first(&[
                "START|STOP",
                "ALL?",
                "SLAVE|SLAVES|REPLICA|REPLICAS|GROUP_REPLICATION",
            ])
            || first(&["SET", "PASSWORD|DEFAULT"])
            || self.controls_a_transaction() && !first(&["SAVEPOINT|RELEASE|ROLLBACK"])
    }

    /// Whether it begins or ends a transaction by itself.
    pub fn controls_a_transaction(&self) -> bool {
        // Only there can a statement begin with a comment that the server runs.
        let dialect = if self.text.starts_with("/*") {
            Dialect::MySql
        } else {
            Dialect::Sqlite
        };
        let words = words(&self.text, dialect);
        let first = |pattern: &[&str]| begins(&words, pattern);
        if first(&["BEGIN", "NOT"]) {
            return false;
        }
        first(&["BEGIN|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|XA"])
            || first(&["START|PREPARE", "TRANSACTION"])
            || first(&["SET"])
                && words
                    .windows(2)
                    .any(|pair| pair[0].ends_with("AUTOCOMMIT") && pair[1] == "=")
    }

    /// `BEGIN`, and nothing that would be lost without it.
    pub(super) fn opens_plainly(&self) -> bool {
        let words = words(&self.text, Dialect::Sqlite);
        let plain = begins(&words, &["BEGIN"]) || begins(&words, &["START", "TRANSACTION"]);
        plain
            && words.iter().all(|word| {
                matches!(
                    word.as_str(),
                    "BEGIN"
                        | "START"
                        | "WORK"
                        | "TRANSACTION"
                        | "DEFERRED"
                        | "IMMEDIATE"
                        | "EXCLUSIVE"
                )
            })
    }

    /// `COMMIT` or `END`.
    pub(super) fn closes_plainly(&self) -> bool {
        let words = words(&self.text, Dialect::Sqlite);
        begins(&words, &["COMMIT|END"])
            && words
                .iter()
                .all(|word| matches!(word.as_str(), "COMMIT" | "END" | "WORK" | "TRANSACTION"))
    }
}

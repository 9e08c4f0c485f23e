//! A database that an engine filled once, copied for every other test that begins with the same.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::{Kind, Server, TestDatabase};

/// What later tests copy, by kind and name. The lock of an entry is held while it is made, so that it is made once.
type Templates = HashMap<(Kind, String), Arc<Mutex<Option<Template>>>>;

enum Template {
    /// The name of a database on the shared server.
    Database(String),
    File(Vec<u8>),
    /// It holds something that is not copied here, or somebody is connected to it.
    None,
}

impl TestDatabase<'_> {
    /// Fills the empty database: by `make`, or where `make` did that before for the same name, by a copy of the result.
    pub(crate) fn filled(&self, name: &str, make: impl FnOnce()) {
        static TEMPLATES: LazyLock<Mutex<Templates>> = LazyLock::new(Mutex::default);
        let kind = self.kind();
        let shared = match self.server() {
            None => None,
            Some(server) if std::ptr::eq(server, Server::shared(kind)) => Some(server),
            // Its databases go with it.
            Some(_) => return make(),
        };
        let entry = {
            let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(templates.entry((kind, name.to_owned())).or_default())
        };
        let mut template = entry.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*template, shared) {
            (Some(Template::File(bytes)), _) => std::fs::write(self.path(), bytes).unwrap(),
            (Some(Template::Database(from)), Some(server)) => {
                let from = from.clone();
                // A copy takes no turns.
                drop(template);
                if !copy(server, &from, self.name()) {
                    make();
                }
            }
            (Some(_), _) => {
                drop(template);
                make();
            }
            (None, None) => {
                make();
                *template = Some(Template::File(std::fs::read(self.path()).unwrap()));
            }
            (None, Some(server)) => {
                make();
                let to = format!("template_{name}");
                server.execute(&format!("CREATE DATABASE {to}"));
                *template = Some(if copy(server, self.name(), &to) {
                    Template::Database(to)
                } else {
                    Template::None
                });
            }
        }
    }
}

/// Makes the empty database `to` a copy of another one on the server. `false` where that cannot be done.
fn copy(server: &Server, from: &str, to: &str) -> bool {
    if server.kind() != Kind::PostgreSql {
        return copy_tables(server, from, to);
    }
    if server.try_execute(&format!("DROP DATABASE {to}")).is_err() {
        // The test is connected to it.
        return false;
    }
    // The server itself waits 5 s for a session that was closed a moment ago. One that stays is the test's own.
    if server
        .try_execute(&format!("CREATE DATABASE {to} TEMPLATE {from}"))
        .is_ok()
    {
        return true;
    }
    server.execute(&format!("CREATE DATABASE {to}"));
    false
}

/// MariaDB has no templates: tables and rows, if that is all there is.
fn copy_tables(server: &Server, from: &str, to: &str) -> bool {
    let others = format!(
        "SELECT table_name FROM information_schema.tables \
          WHERE table_schema = '{from}' AND table_type <> 'BASE TABLE' \
          UNION ALL SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = '{from}' \
          UNION ALL SELECT routine_name FROM information_schema.routines WHERE routine_schema = '{from}' \
          UNION ALL SELECT event_name FROM information_schema.events WHERE event_schema = '{from}'"
    );
    if !server.query(&others).is_empty() {
        return false;
    }
    let mut script = format!("SET SESSION foreign_key_checks = 0; USE `{to}`;");
    let tables =
        format!("SELECT table_name FROM information_schema.tables WHERE table_schema = '{from}'");
    for row in server.query(&tables) {
        let table = row[0].clone().unwrap();
        let made = server.query(&format!("SHOW CREATE TABLE `{from}`.`{table}`"));
        let made = made[0][1].as_deref().unwrap();
        script +=
            &format!("{made}; INSERT INTO `{to}`.`{table}` SELECT * FROM `{from}`.`{table}`;");
    }
    server.execute(&script);
    true
}

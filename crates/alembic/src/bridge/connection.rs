//! A connection of the engine, as a listener of SQLAlchemy saw it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use rollback_core::connection::ConnectionFacts;
use rollback_core::secret::Secret;

/// The parameters that decide how to connect; libpq names dozens of others with their defaults, and
/// some are secrets.
const OPTIONS: [&str; 19] = [
    "hostaddr",
    "options",
    "ssl",
    "ssl_ca",
    "ssl_capath",
    "ssl_cert",
    "ssl_check_hostname",
    "ssl_context",
    "ssl_disabled",
    "ssl_key",
    "ssl_mode",
    "ssl_verify_cert",
    "ssl_verify_identity",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
];
#[derive(Deserialize)]
pub(super) struct EngineConnection {
    dialect: String,
    pub(super) driver: String,
    arguments: Vec<String>,
    parameters: BTreeMap<String, Value>,
    info: BTreeMap<String, Value>,
}

/// `localhost:5432/app` or the file, for people.
pub fn describe(facts: &ConnectionFacts) -> String {
    let database = facts.database.as_deref().unwrap_or_default();
    let host = facts.host.as_deref().or(facts.socket.as_deref());
    match (host, facts.port) {
        (Some(host), Some(port)) => format!("{host}:{port}/{database}"),
        (Some(host), None) => format!("{host}/{database}"),
        (None, _) => database.to_owned(),
    }
}

impl EngineConnection {
    /// The driver's words for a parameter differ; what it says about the open connection comes first.
    fn text(&self, names: &[&str]) -> Option<String> {
        [&self.info, &self.parameters].into_iter().find_map(|map| {
            names
                .iter()
                .find_map(|name| map.get(*name).and_then(scalar))
        })
    }

    pub(super) fn facts(&self) -> Option<ConnectionFacts> {
        let mut facts = ConnectionFacts {
            dialect: self.dialect.to_lowercase(),
            ..Default::default()
        };
        if facts.dialect == "sqlite" {
            if !self.driver.contains("sqlite") {
                // An encrypted file, for one: it looks like SQLite and no other client can read it.
                facts.dialect = format!("sqlite+{}", self.driver);
            }
            facts.database = self
                .arguments
                .first()
                .filter(|file| *file != ":memory:")
                .cloned();
            facts.session.library = self.text(&["sqlite_version"]);
            return facts.database.is_some().then_some(facts);
        }
        facts.host = self.text(&["host"]);
        facts.port = self.text(&["port"]).and_then(|port| port.parse().ok());
        facts.socket = self.text(&["unix_socket"]);
        facts.database = self.text(&["dbname", "database", "db"]);
        facts.user = self.text(&["user", "username"]);
        facts.password = self.text(&["password", "passwd"]).map(Secret::new);
        facts.options = self.options();
        match facts.dialect.as_str() {
            "postgresql" => {
                if let Some(file) = self.text(&["unix_sock"]) {
                    facts.host = file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
                }
            }
            "mysql" | "mariadb" => {
                if facts.socket.is_some() {
                    // The drivers say `localhost` anyway.
                    facts.host = None;
                    facts.port = None;
                }
            }
            _ => self.read_odbc_string(&mut facts),
        }
        Some(facts)
    }

    fn options(&self) -> Vec<(String, String)> {
        let mut options: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in self.parameters.iter().chain(&self.info) {
            if OPTIONS.contains(&name.as_str())
                && let Some(value) = scalar(value)
            {
                options.insert(name.clone(), value);
            }
        }
        if options.get("hostaddr") == self.text(&["host"]).as_ref() {
            // psycopg says the address even where that is how the host was named.
            options.remove("hostaddr");
        }
        if self.dialect == "postgresql" {
            // asyncpg and pg8000 have one switch where libpq has modes.
            for name in ["ssl", "ssl_context"] {
                match options.remove(name).as_deref() {
                    None | Some("false") => {}
                    Some("true") => {
                        options
                            .entry("sslmode".to_owned())
                            .or_insert_with(|| "require".to_owned());
                    }
                    Some(mode) => {
                        options
                            .entry("sslmode".to_owned())
                            .or_insert_with(|| mode.to_owned());
                    }
                }
            }
        }
        options.into_iter().collect()
    }

    /// `DRIVER={...};SERVER=host,1433;DATABASE=app;UID=...`: for display only.
    fn read_odbc_string(&self, facts: &mut ConnectionFacts) {
        let fields = self
            .arguments
            .iter()
            .flat_map(|argument| argument.split(';'));
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            let part = match name.trim().to_lowercase().as_str() {
                "server" => &mut facts.host,
                "database" => &mut facts.database,
                "uid" => &mut facts.user,
                _ => continue,
            };
            part.get_or_insert_with(|| value.trim().to_owned());
        }
    }
}

/// An empty value is what a driver says for "not set".
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

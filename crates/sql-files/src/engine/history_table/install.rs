//! Making the tables, and bringing older ones up to now.

use super::functions::{FUNCTIONS, form, from};
use super::layout::{ALL, DEPENDENCIES, FORMAT, HISTORY, INDEXES, VERSION};
use super::{SCHEMA, Tables, refused, run};
use rollback_core::dialect::Dialect;
use rollback_core::query::{Execution, RunError};

/// The roles that the clients of an API layer have, as `PostgREST` and Supabase name them.
const WEB: &str = "'anon', 'authenticated', 'authenticator', 'web_anon'";

/// What is to be done to have the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installation {
    /// The version that was found; `None` where there were no tables, 0 where there were those of a team that
    /// kept a history of this form before.
    pub found: Option<u32>,
    /// For one transaction; none where nothing is to be done.
    pub statements: Vec<String>,
    /// Why the functions are not made, where they are not: a sentence.
    pub without_functions: Option<String>,
    /// Whether the functions are in the schema `public`, where everybody finds them.
    pub functions_in_public: bool,
    /// Whether such tables stand in the schema `public` and other ones are to be made.
    pub others_in_public: bool,
}

/// What of PostgreSQL the tables live with.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
struct InstallTarget {
    has_schema: bool,
    has_functions: bool,
    /// Functions of these names that rollback did not make.
    has_other_functions: bool,
    /// The roles of an API that are there.
    web: Vec<String>,
    /// Whether others than the owner come into the schema.
    is_open: bool,
    others_in_public: bool,
}

impl Tables {
    /// What makes the tables and functions, or brings those of an older version up to now. `outline` is the query
    /// that gives the lines of a schema on PostgreSQL.
    pub fn install(
        &self,
        execution: &mut dyn Execution,
        outline: &str,
    ) -> Result<Installation, RunError> {
        let found = self.version(execution)?;
        let names = ALL;
        let columns = self.columns(execution, &names)?;
        let has = |table: &str, column: &str| {
            columns
                .iter()
                .any(|(one, other)| one == table && other == column)
        };
        let mut statements = Vec::new();
        for table in self.layout() {
            let there = columns.iter().any(|(one, _)| one == table.name);
            if !there {
                statements.push(self.create(&table));
                continue;
            }
            // What every history of this form has. Another table of the same name is left alone.
            let needed = match table.name {
                HISTORY => &["id", "migration_name", "migration_version"][..],
                DEPENDENCIES => &["id", "migration_name", "depends_on"],
                _ => &["migration_name", "version"],
            };
            let fits = match table.name {
                HISTORY | DEPENDENCIES => needed.iter().all(|column| has(table.name, column)),
                _ => needed.iter().any(|column| has(table.name, column)),
            };
            if !fits {
                return Err(refused(format!(
                    "there is a table {} already, and it is none of a migration history",
                    self.table(table.name)
                )));
            }
            let missing = table
                .columns
                .iter()
                .filter(|column| !has(table.name, column.name));
            statements.extend(missing.map(|column| {
                format!(
                    "ALTER TABLE {} ADD COLUMN {} {}",
                    self.table(table.name),
                    column.name,
                    column.added
                )
            }));
        }
        if found != Some(VERSION) {
            statements.extend(self.indexes(execution)?);
        }
        let mut installation = Installation {
            found,
            ..Installation::default()
        };
        if self.dialect == Dialect::Postgres {
            let around = self.surroundings(execution)?;
            if found == Some(0) {
                statements.extend(self.adopt());
            }
            let changed = !statements.is_empty() || found != Some(VERSION);
            if !around.has_schema {
                statements.insert(0, format!("CREATE SCHEMA {}", self.schema_name()));
            }
            if changed {
                statements.extend(self.closed(&around));
            }
            let schema = self.schema.as_deref().unwrap_or(SCHEMA);
            let is_public = schema == "public";
            if around.has_other_functions {
                installation.without_functions = Some(format!(
                    "the functions are not made, because the schema {schema} has functions of these names that \
                     rollback did not make; drop or rename them, then install again"
                ));
            } else if around.is_open && !is_public {
                installation.without_functions = Some(format!(
                    "the functions are not made, because others come into the schema {schema}, such as the \
                     clients of a web API: whoever calls them runs stored SQL"
                ));
            } else if changed || !around.has_functions {
                statements.extend(self.functions(outline, &around.web));
            }
            installation.functions_in_public =
                is_public && installation.without_functions.is_none();
            installation.others_in_public = schema != "public" && around.others_in_public;
        }
        if found != Some(VERSION) {
            let format = self.table(FORMAT);
            statements.push(format!("DELETE FROM {format}"));
            statements.push(format!("INSERT INTO {format} (version) VALUES ({VERSION})"));
        }
        installation.statements = statements;
        Ok(installation)
    }

    fn schema_name(&self) -> String {
        let schema = self.schema.as_deref().unwrap_or(SCHEMA);
        crate::literal::identifier(self.dialect, schema)
    }

    /// The statements that make the indexes that are missing.
    fn indexes(&self, execution: &mut dyn Execution) -> Result<Vec<String>, RunError> {
        // MySQL knows no IF NOT EXISTS here.
        let there: Vec<String> = match self.dialect {
            Dialect::MySql => run(
                execution,
                "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = database()",
            )?
            .into_iter()
            .flatten()
            .flatten()
            .collect(),
            Dialect::Postgres | Dialect::Sqlite => Vec::new(),
        };
        let missing = INDEXES
            .iter()
            .filter(|(name, ..)| !there.iter().any(|there| there == name));
        let unless = match self.dialect {
            Dialect::MySql => "",
            Dialect::Postgres | Dialect::Sqlite => "IF NOT EXISTS ",
        };
        Ok(missing
            .map(|(name, table, column)| {
                format!(
                    "CREATE INDEX {unless}{name} ON {} ({column})",
                    self.table(table)
                )
            })
            .collect())
    }

    /// The roles that may call the function that runs stored SQL, superusers not counted.
    pub fn callers(&self, execution: &mut dyn Execution) -> Result<Vec<String>, RunError> {
        let schema = self.text(self.schema.as_deref().unwrap_or(SCHEMA));
        let rows = run(
            execution,
            &format!(
                "SELECT DISTINCT coalesce(r.rolname, 'PUBLIC') FROM pg_catalog.pg_proc p \
                 JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
                 CROSS JOIN pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a \
                 LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
                 WHERE n.nspname = {schema} AND p.proname = 'execute_migration_rollback' \
                 AND a.privilege_type = 'EXECUTE' ORDER BY 1"
            ),
        )?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    /// Tables that somebody else made may leave ids to who writes a row, and statuses open.
    fn adopt(&self) -> Vec<String> {
        let (history, dependencies) = (self.table(HISTORY), self.table(DEPENDENCIES));
        vec![
            format!("ALTER TABLE {history} ALTER COLUMN id SET DEFAULT gen_random_uuid()"),
            format!("ALTER TABLE {dependencies} ALTER COLUMN id SET DEFAULT gen_random_uuid()"),
            format!("UPDATE {history} SET status = 'applied' WHERE status IS NULL"),
            format!(
                "ALTER TABLE {history} ALTER COLUMN status SET DEFAULT 'applied', \
                 ALTER COLUMN status SET NOT NULL, ADD CONSTRAINT migration_history_status_known \
                 CHECK (status IN ('applied', 'rolled_back', 'failed'))"
            ),
        ]
    }

    /// Whoever may write a row decides what is run with the rights of the next operator. In a schema of their own
    /// nobody else reads the tables either.
    fn closed(&self, around: &InstallTarget) -> Vec<String> {
        let is_own = self.schema.as_deref() != Some("public") && !around.is_open;
        let rights = if is_own {
            "ALL"
        } else {
            "INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER"
        };
        let tables: Vec<String> = ALL.iter().map(|name| self.table(name)).collect();
        vec![format!(
            "REVOKE {rights} ON {} FROM {}",
            tables.join(", "),
            from(&around.web)
        )]
    }

    fn surroundings(&self, execution: &mut dyn Execution) -> Result<InstallTarget, RunError> {
        let schema = self.text(self.schema.as_deref().unwrap_or(SCHEMA));
        let mut is_true =
            |query: String| -> Result<bool, RunError> { Ok(!run(execution, &query)?.is_empty()) };
        let has_schema = is_true(format!(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {schema}"
        ))?;
        let functions: Vec<String> = FUNCTIONS
            .iter()
            .map(|(name, _)| format!("'{name}'"))
            .collect();
        let has_functions = is_true(format!(
            "SELECT count(*) FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
             WHERE n.nspname = {schema} AND p.proname IN ({}) HAVING count(*) >= {} \
             AND bool_or(strpos(p.prosrc, {}) > 0)",
            functions.join(", "),
            functions.len(),
            self.text(&form())
        ))?;
        // What rollback makes has this path, in all versions.
        let has_other_functions = is_true(format!(
            "SELECT 1 FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
             WHERE n.nspname = {schema} AND p.proname IN ({}) AND NOT coalesce( \
             p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)",
            functions.join(", "),
        ))?;
        let is_open = is_true(format!(
            "SELECT 1 FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
             WHERE n.nspname = {schema} AND a.privilege_type = 'USAGE' \
             AND (a.grantee = 0 OR r.rolname IN ({WEB}))"
        ))?;
        let others_in_public = is_true(format!(
            "SELECT 1 FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
             WHERE n.nspname = 'public' AND c.relname = '{HISTORY}' AND a.attname = 'migration_name'"
        ))?;
        let web = run(
            execution,
            &format!("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ({WEB}) ORDER BY 1"),
        )?;
        Ok(InstallTarget {
            has_schema,
            has_functions,
            has_other_functions,
            web: web.into_iter().flatten().flatten().collect(),
            is_open,
            others_in_public,
        })
    }
}

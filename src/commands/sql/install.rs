//! `rollback sql install`.

use clap::Args;

use crate::app::CommandContext;
use crate::app::sql::history_writer::{HistoryWriter, WaitArgs, told};
use crate::error::Failure;
use rollback_database::SCHEMA_OF_POSTGRES;
use rollback_sql_files::engine::history_table::{Installation, VERSION};

/// Make the tables of the migration history, or bring those of an older version up to now.
///
/// On PostgreSQL they are in a schema of their own, rollback, with functions that give the same answers in SQL.
/// Nobody but their owner may read or call them. Done twice, the second time changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback sql install
  rollback sql install --dry-run    Show the SQL and stop")]
pub struct InstallArgs {
    /// Show the SQL and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// How another run is waited for.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Does it.
pub fn run(args: &InstallArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let mut keeping = HistoryWriter::open(context, &args.wait, !args.dry_run)?;
    let tables = keeping.project.tables.clone();
    let table = tables.version_table();
    let installation = tables
        .install(keeping.execution.as_mut(), SCHEMA_OF_POSTGRES)
        .map_err(|error| {
            told("the tables of the migration history cannot be made", error)
                .hint("or keep them elsewhere: history_schema = \"SCHEMA\" in rollback.toml")
        })?;
    if installation.others_in_public
        && installation.found.is_none()
        && context.settings.history_schema.is_none()
    {
        return Err(Failure::user(
            "there is a migration history already, in public.migration_history",
        )
        .because("a second one would be empty, and the two would say different things")
        .hint("go on with that one: history_schema = \"public\" in rollback.toml")
        .hint("or begin a new one beside it: history_schema = \"rollback\" in rollback.toml"));
    }
    if args.dry_run {
        let text: String = installation
            .statements
            .iter()
            .map(|statement| format!("{};\n", statement.trim_end().trim_end_matches(';')))
            .collect();
        context.ui.document(&text)?;
    } else {
        keeping.transact(
            "the tables of the migration history cannot be made; nothing was changed",
            &installation.statements,
        )?;
    }
    if let Some(reason) = &installation.without_functions {
        context.ui.warn(reason);
    }
    if installation.functions_in_public && !installation.statements.is_empty() {
        let callers = tables
            .callers(keeping.execution.as_mut())
            .unwrap_or_default();
        context.ui.warn(&in_public(&callers));
    }
    context
        .ui
        .say(&sentence(&installation, args.dry_run, &table.to_string()));
    if !args.dry_run && installation.found.unwrap_or_default() == 0 {
        context.ui.say(&format!(
            "  next, write down what is applied: {}",
            context.command(&["sql", "sync"])
        ));
    }
    Ok(())
}

/// Who may call functions that everybody finds. Nobody is known in a dry run before the first installation.
fn in_public(callers: &[String]) -> String {
    let who = if callers.is_empty() {
        "their owner".to_owned()
    } else {
        callers.join(", ")
    };
    format!(
        "the functions are in the schema public, where everybody finds them; {who} and superusers may call them, and \
         execute_migration_rollback runs stored SQL with the rights of its caller; to take that from a role: \
         REVOKE EXECUTE ON FUNCTION public.execute_migration_rollback(text, boolean) FROM ROLE"
    )
}

fn sentence(installation: &Installation, dry_run: bool, table: &str) -> String {
    if installation.statements.is_empty() {
        return format!("{table} is there, version {VERSION}; nothing to do");
    }
    let done = match installation.found {
        None => "made",
        Some(0) => "there from before, and now completed",
        Some(VERSION) => "mended",
        Some(_) => "brought up to now",
    };
    if dry_run {
        return format!("nothing was changed; {table} would be {done}, version {VERSION}");
    }
    format!("{table} and the tables beside it are {done}, version {VERSION}")
}

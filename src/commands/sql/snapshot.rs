//! `rollback sql snapshot`.

use std::time::UNIX_EPOCH;

use clap::{Args, Subcommand};
use sha2::{Digest as _, Sha256};

use crate::app::CommandContext;
use crate::app::connection::database_failure;
use crate::app::sql::history_writer::{HistoryWriter, WaitArgs, told};
use crate::error::Failure;
use crate::ui::SnapshotDiffView;
use rollback_core::audit;
use rollback_core::dialect::Dialect;
use rollback_core::query::{RunError, always};
use rollback_core::revision::RevisionId;
use rollback_core::schema::{Difference, SchemaLines};
use rollback_database::{SCHEMA_OF_POSTGRES, schema_of};
use rollback_sql_files::file::named;
use rollback_sql_files::history::HistorySnapshot;

/// Keep the schema as it is, and compare it later.
///
/// A snapshot has a line for each table, column, index and constraint, and no rows: it shows what became of a
/// schema, and brings nothing back. The tables of the migration history are no part of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback sql snapshot create 20250120_add_tags --note 'before the change of the schema'
  rollback sql snapshot list
  rollback sql snapshot diff 3f2a              What changed since
  rollback sql snapshot diff 3f2a 9c01         What changed from one to the other")]
pub struct SnapshotArgs {
    /// The command.
    #[command(subcommand)]
    pub command: SnapshotCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Keep the schema as it is now.
    Create {
        /// The migration that it is taken for.
        #[arg(value_name = "NAME")]
        migration: Option<String>,

        /// Why.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,

        /// How another run is waited for.
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Show all snapshots, the newest first.
    List,
    /// Show the lines of one.
    Show {
        /// A snapshot, by its id or the beginning of it, or latest.
        id: String,
    },
    /// Show what changed from one to another, or to now.
    Diff {
        /// The older one, by its id or the beginning of it, or latest.
        id: String,

        /// The newer one; the database as it is now where none is named.
        id2: Option<String>,
    },
}

/// Does it.
pub fn run(args: &SnapshotArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let read = || -> Result<HistoryWriter, Failure> {
        let wait = WaitArgs { wait: None };
        let mut keeping = HistoryWriter::open(context, &wait, false)?;
        keeping.history(context)?;
        Ok(keeping)
    };
    match &args.command {
        SnapshotCommand::Create {
            migration,
            note,
            wait,
        } => create(migration.as_deref(), note.as_deref(), wait, context),
        SnapshotCommand::List => {
            let all = all(&mut read()?, false)?;
            context.ui.snapshots(&all)
        }
        SnapshotCommand::Show { id } => {
            let all = all(&mut read()?, true)?;
            context.ui.snapshot(find(id, &all, context)?)
        }
        SnapshotCommand::Diff { id, id2 } => {
            let mut keeping = read()?;
            let all = all(&mut keeping, true)?;
            let one = find(id, &all, context)?;
            let other = match id2 {
                Some(id) => Some(find(id, &all, context)?),
                None => None,
            };
            let now = match other {
                Some(_) => SchemaLines::new(),
                None => schema(&mut keeping)?,
            };
            let after = other.map_or(&now, |other| &other.schema);
            context.ui.compared(&SnapshotDiffView {
                one,
                other,
                difference: &Difference::between(Some(&one.schema), Some(after)),
            })
        }
    }
}

fn create(
    name: Option<&str>,
    note: Option<&str>,
    wait: &WaitArgs,
    context: &CommandContext<'_>,
) -> Result<(), Failure> {
    let name = match name {
        Some(name) => Some(named(name).map_err(|error| {
            Failure::user(error.to_string()).hint("give the name of its file, without the folder")
        })?),
        None => None,
    };
    let mut keeping = HistoryWriter::open(context, wait, true)?;
    keeping.history(context)?;
    let schema = schema(&mut keeping)?;
    let id = id(context, &schema);
    let who = keeping.by.who.clone();
    let name = name.as_ref().map(RevisionId::as_str);
    let keep = keeping.project.tables.keep(&id, name, note, &who, &schema);
    keeping.transact("no snapshot was kept", &[keep])?;
    let all = all(&mut keeping, true)?;
    let kept = find(&id, &all, context)?;
    context.ui.kept(kept)?;
    context.ui.say(&format!(
        "  to see what changes from now on: {}",
        context.command(&["sql", "snapshot", "diff", &id])
    ));
    Ok(())
}

/// All snapshots, without the tables of our own.
fn all(keeping: &mut HistoryWriter, lines: bool) -> Result<Vec<HistorySnapshot>, Failure> {
    let tables = keeping.project.tables.clone();
    let mut all = tables
        .snapshots(keeping.execution.as_mut(), lines)
        .map_err(|error| told("the snapshots cannot be read", error))?;
    for one in &mut all {
        one.schema = theirs(std::mem::take(&mut one.schema), keeping);
    }
    Ok(all)
}

fn find<'a>(
    typed: &str,
    all: &'a [HistorySnapshot],
    context: &CommandContext<'_>,
) -> Result<&'a HistorySnapshot, Failure> {
    let list = || {
        format!(
            "see which there are: {}",
            context.command(&["sql", "snapshot", "list"])
        )
    };
    if typed == "latest" {
        return all
            .first()
            .ok_or_else(|| Failure::user("there is no snapshot").hint(list()));
    }
    let meant: Vec<&HistorySnapshot> = all.iter().filter(|one| one.id.starts_with(typed)).collect();
    match meant.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::user(format!("there is no snapshot {typed}")).hint(list())),
        _ => Err(Failure::user(format!(
            "{typed} is the beginning of {} snapshots",
            meant.len()
        ))
        .hint("type more of its id")),
    }
}

/// The schema of the project as it is now.
///
/// On PostgreSQL with a fixed search path, as the function of the database has it: it decides which names the
/// server writes with their schema, and two snapshots have to be comparable, whoever took them.
fn schema(keeping: &mut HistoryWriter) -> Result<SchemaLines, Failure> {
    let schema = if keeping.project.dialect == Dialect::Postgres {
        let mut ask = |sql: &str| keeping.execution.run(sql, &mut always);
        let mut outline = || -> Result<_, RunError> {
            ask("BEGIN READ ONLY")?;
            ask("SET LOCAL search_path = pg_catalog, pg_temp")?;
            let rows = ask(SCHEMA_OF_POSTGRES)?;
            ask("COMMIT")?;
            Ok(rows)
        };
        let rows = outline().map_err(|error| told("the schema cannot be read", error))?;
        schema_of(rows)
    } else {
        let schema = keeping.project.database.schema();
        schema.map_err(|error| database_failure(&error))?
    };
    Ok(theirs(schema, keeping))
}

/// A schema without the tables of our own, which come and change with this program and not with the project.
fn theirs(schema: SchemaLines, keeping: &HistoryWriter) -> SchemaLines {
    let qualified = keeping.project.dialect == Dialect::Postgres;
    let tables = &keeping.project.tables;
    let mut schema = audit::without(schema, qualified);
    schema.retain(|line| !tables.is_ours(line));
    schema
}

/// A new id: nobody takes two snapshots of the same schema at the same moment from the same process.
fn id(context: &CommandContext<'_>, schema: &SchemaLines) -> String {
    let now = (context.now)().duration_since(UNIX_EPOCH);
    let mut hash = Sha256::new();
    hash.update(now.unwrap_or_default().as_nanos().to_be_bytes());
    hash.update(context.operator.pid.to_be_bytes());
    hash.update(&context.operator.host);
    for line in schema.iter() {
        hash.update(line);
    }
    let digits = hex::encode(hash.finalize());
    // Version 8 of RFC 9562: of our own making.
    format!(
        "{}-{}-8{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..15],
        &digits[15..18],
        &digits[18..30]
    )
}

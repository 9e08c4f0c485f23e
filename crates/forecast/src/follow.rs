//! What a migration runs against while it is followed: a schema model that changes as the server's schema
//! would, inside the transactions that the server would have.

use std::sync::Arc;

use super::change_log::ChangeLog;
use super::{Event, EventKind, Happened, Host, Raised, SideEffect};
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::operation::{Operation, TableName};
use rollback_core::revision::RevisionId;
use rollback_core::subject::Subject;
use rollback_schema::{ApplyContext, ApplyError, ApplyErrorKind, Failure, Presence, SchemaModel};
use rollback_sql::{Effect, count_statements, foreign_key_settings, take_apart};

/// What PostgreSQL answers to everything once a statement of the transaction has failed.
const ABORTED: &str =
    "current transaction is aborted, commands ignored until end of transaction block";

/// What a driver refuses that takes one statement at a time.
pub(super) const SEVERAL_STATEMENTS: &str = "several statements in one text";

/// What would be left, did the step fail now.
#[derive(Debug, Clone)]
pub(super) struct ResidueAfterFailure {
    pub(super) model: Option<Arc<SchemaModel>>,
    /// The length of the ledger.
    pub(super) entries: usize,
}

/// The downgrade of one step.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each may hold with each of the others"
)]
pub(super) struct Walk<'plan> {
    dialect: Option<Dialect>,
    by: &'plan RevisionId,
    pub(super) ledger: &'plan mut ChangeLog,
    pub(super) model: Option<Arc<SchemaModel>>,
    pub(super) happened: Vec<Happened>,
    /// For each event, what would be left had it failed.
    pub(super) kept_before: Vec<ResidueAfterFailure>,
    /// Each with the length of the ledger before it.
    pub(super) obstacles: Vec<(ApplyError, usize)>,
    kept: ResidueAfterFailure,
    /// What is left if what may fail does.
    otherwise: Option<Arc<SchemaModel>>,
    /// A certain failure is on its way up through the migration, which may still catch it.
    raised: bool,
    /// It has left the migration.
    ended_by: bool,
    /// A certain failure was met inside a transaction of PostgreSQL, and stays even when it is caught.
    aborted: bool,
    /// SQLite: rows were changed, so that the driver has opened a transaction. Before that each
    /// statement stands by itself.
    open: bool,
    /// The migration itself has ended the transaction that Alembic opened.
    ended: bool,
    /// PostgreSQL: there may be no transaction at all.
    pub(super) may_autocommit: bool,
    /// Whether the statements go through a driver, and not one by one through a connection of ours.
    pub(super) by_driver: bool,
}

impl<'plan> Walk<'plan> {
    pub(super) fn new(
        dialect: Option<Dialect>,
        by: &'plan RevisionId,
        model: Option<Arc<SchemaModel>>,
        ledger: &'plan mut ChangeLog,
    ) -> Self {
        // That is over with the session.
        let model = model.map(|mut model| {
            if dialect == Some(Dialect::MySql) && model.foreign_keys.is_some() {
                Arc::make_mut(&mut model).foreign_keys = None;
            }
            model
        });
        let kept = ResidueAfterFailure {
            model: model.clone(),
            entries: ledger.len(),
        };
        Self {
            dialect,
            by,
            ledger,
            model,
            happened: Vec::new(),
            kept_before: Vec::new(),
            obstacles: Vec::new(),
            kept,
            otherwise: None,
            raised: false,
            ended_by: false,
            aborted: false,
            open: false,
            ended: false,
            may_autocommit: false,
            by_driver: true,
        }
    }

    /// The migration is at its end. Whether the step has failed for certain.
    pub(super) fn failed(&mut self) -> bool {
        self.caught();
        self.ended_by || self.aborted
    }

    /// What was raised last is caught, unless it has left the migration.
    fn caught(&mut self) {
        if !std::mem::take(&mut self.raised) || self.aborted {
            return;
        }
        match self.obstacles.last_mut() {
            // In a transaction it counts all the same.
            Some((obstacle, _)) if self.may_autocommit => obstacle.failure.certain = false,
            _ => {
                self.obstacles.pop();
            }
        }
    }

    /// What is left when the step fails where it stands.
    pub(super) fn left(&self) -> ResidueAfterFailure {
        let mut left = self.kept.clone();
        let committed = self.model.as_ref().filter(|_| self.may_autocommit);
        for other in [self.otherwise.as_ref(), committed].into_iter().flatten() {
            if let Some(model) = &mut left.model
                && model != other
            {
                *model = Arc::new(model.or(other));
            }
        }
        left
    }

    /// Something may fail here, and what comes after it may not come.
    fn may_fail(&mut self) {
        if self.otherwise.is_none() {
            self.otherwise.clone_from(&self.kept.model);
        }
    }

    /// A failure that is none of the schema model's.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.ended_by |= failure.certain;
        if !failure.certain {
            self.may_fail();
        }
        self.note(failure);
    }

    fn note(&mut self, failure: Failure) {
        let obstacle = ApplyError {
            subject: Subject::Table(TableName::plain("")),
            trouble: ApplyErrorKind::Other,
            failure,
        };
        self.obstacles.push((obstacle, self.ledger.len()));
    }

    /// Nothing that is known holds any more.
    pub(super) fn doubt(&mut self) {
        if let Some(model) = &mut self.model
            && !model.doubtful
        {
            Arc::make_mut(model).doubtful = true;
        }
    }

    /// What was asked of any table may not hold any more.
    fn rows_may_change(&mut self) {
        if let Some(model) = &mut self.model {
            Arc::make_mut(model).any_rows_may_change();
        }
    }

    fn enforce_foreign_keys(&mut self, enforced: Option<bool>) {
        if let Some(model) = &mut self.model {
            Arc::make_mut(model).foreign_keys = enforced;
        }
    }

    fn keep(&mut self) {
        self.kept = ResidueAfterFailure {
            model: self.model.clone(),
            entries: self.ledger.len(),
        };
    }

    /// The transaction ends: by a commit, or by a rollback where a statement has failed.
    fn ends(&mut self) {
        if self.aborted {
            self.model = self.kept.model.clone();
            self.ledger.truncate(self.kept.entries);
            self.aborted = false;
            self.obstacles.pop();
        }
        self.open = false;
        self.ended = true;
        self.keep();
    }

    fn one(&mut self, event: &Event, directive: bool) -> Result<(), Raised> {
        if self.raised {
            // The migration goes on, so it must have caught it.
            self.caught();
        }
        if self.aborted && !matches!(event.kind, EventKind::EndsTransaction) {
            return match event.kind {
                EventKind::Operation(_) => Err(Raised {
                    message: ABORTED.to_owned(),
                }),
                _ => Ok(()),
            };
        }
        self.happened.push(Happened {
            event: event.clone(),
            before: self.model.clone(),
        });
        self.kept_before.push(self.left());
        match &event.kind {
            EventKind::Operation(operation) => self.operation(operation, event, directive),
            EventKind::EndsTransaction => {
                self.ends();
                Ok(())
            }
            EventKind::Raises { exception, message } => {
                let words = message.as_ref().map(|words| format!(": {words}"));
                self.fail(Failure {
                    code: FindingCode::Irreversible,
                    sentence: format!(
                        "the migration raises {exception}{}",
                        words.unwrap_or_default()
                    ),
                    object: exception.clone(),
                    certain: event.certain,
                    place: event.place.clone(),
                    culprit: None,
                });
                Ok(())
            }
            EventKind::Unknown { may_change, .. } => {
                match may_change {
                    SideEffect::Rows => self.rows_may_change(),
                    SideEffect::Schema => self.doubt(),
                }
                Ok(())
            }
        }
    }

    fn operation(
        &mut self,
        operation: &Operation,
        event: &Event,
        directive: bool,
    ) -> Result<(), Raised> {
        if matches!(operation, Operation::Sql { .. }) {
            // What cannot be taken apart.
            self.doubt();
            return Ok(());
        }
        if self.dialect == Some(Dialect::Postgres) && !event.autocommit && !self.ended {
            let index = concurrent(operation);
            if let Some(index) = index {
                let sentence = format!(
                    "index {index} cannot be built or dropped CONCURRENTLY inside a transaction"
                );
                let certain = event.certain && !self.may_autocommit;
                self.refuse(
                    FindingCode::NotInTransaction,
                    index,
                    sentence,
                    certain,
                    event,
                )?;
            }
        }
        let Some(before) = self.model.clone() else {
            return Ok(());
        };
        let act = ApplyContext {
            place: &event.place,
            certain: event.certain,
            by: self.by,
            directive,
        };
        let mut after = SchemaModel::clone(&before);
        let mut obstacles = after.apply(operation, act);
        let is_mysql = self.dialect == Some(Dialect::MySql);
        if is_mysql && before.foreign_keys == Some(false) {
            obstacles.retain(|obstacle| obstacle.failure.code != FindingCode::Dependents);
        }
        let entries = self.ledger.len();
        if after != *before {
            for effect in before.effects_to(&after) {
                self.ledger.note(effect, self.by, &event.place);
            }
            self.model = Some(Arc::new(after));
        }
        let failed = obstacles.iter().any(|obstacle| obstacle.failure.certain);
        if obstacles.iter().any(|obstacle| !obstacle.failure.certain) {
            self.may_fail();
        }
        let obstacles = obstacles.into_iter().map(|obstacle| (obstacle, entries));
        self.obstacles.extend(obstacles);
        match self.dialect {
            // What came before in the same directive stays.
            Some(Dialect::MySql) => self.keep(),
            Some(Dialect::Sqlite) => {
                let rows = matches!(operation, Operation::ChangeRows { .. })
                    || operation.copies_table(Dialect::Sqlite);
                if rows && event.certain && !failed {
                    self.open = true;
                }
                if !self.open {
                    self.keep();
                }
            }
            _ if event.autocommit => self.keep(),
            _ => {}
        }
        if failed {
            self.raised = true;
            self.aborted = self.dialect == Some(Dialect::Postgres)
                && !event.autocommit
                && !self.may_autocommit;
            return Err(self.last());
        }
        Ok(())
    }

    /// A failure that has nothing to do with the schema.
    fn refuse(
        &mut self,
        code: FindingCode,
        object: &str,
        sentence: String,
        certain: bool,
        event: &Event,
    ) -> Result<(), Raised> {
        self.note(Failure {
            code,
            sentence,
            object: object.to_owned(),
            certain,
            place: event.place.clone(),
            culprit: None,
        });
        if !certain {
            self.may_fail();
            return Ok(());
        }
        self.raised = true;
        self.aborted =
            self.dialect == Some(Dialect::Postgres) && !event.autocommit && !self.may_autocommit;
        Err(self.last())
    }

    /// Refuses a text of several statements that the driver may not take.
    fn one_at_a_time(
        &mut self,
        event: &Event,
        text: &[Option<String>],
        dialect: Dialect,
    ) -> Result<(), Raised> {
        let refuses = self.model.as_ref().and_then(|model| model.one_statement);
        let Some(refuses) = refuses.filter(|_| self.by_driver && !self.aborted) else {
            return Ok(());
        };
        let Some(count) = count_statements(text, dialect).filter(|count| *count > 1) else {
            return Ok(());
        };
        if self.raised {
            self.caught();
        }
        let sentence =
            format!("the driver takes one statement at a time, and this text has {count}");
        let certain = event.certain && refuses == Presence::Certain;
        let (code, object) = (FindingCode::NotSupported, SEVERAL_STATEMENTS);
        self.refuse(code, object, sentence, certain, event)
    }

    fn last(&self) -> Raised {
        let sentence = self.obstacles.last();
        Raised {
            message: sentence.map_or_else(String::new, |(obstacle, _)| {
                obstacle.failure.sentence.clone()
            }),
        }
    }
}

impl Host for Walk<'_> {
    fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    fn schema_model(&self) -> Option<&SchemaModel> {
        self.model.as_deref()
    }

    fn happens(&mut self, event: Event) -> Result<(), Raised> {
        let Some((text, dialect)) = sql_of(&event).zip(self.dialect) else {
            return self.one(&event, true);
        };
        self.one_at_a_time(&event, text, dialect)?;
        let settings = foreign_key_settings(text, dialect);
        // In an open transaction SQLite ignores it.
        let takes_effect = !(dialect == Dialect::Sqlite && self.open);
        if let Some(first) = settings.first().filter(|_| takes_effect) {
            self.enforce_foreign_keys(Some(*first));
        }
        for event in apart(&event, text, dialect) {
            self.one(&event, false)?;
        }
        if let Some(last) = settings.last().filter(|_| takes_effect) {
            self.enforce_foreign_keys(Some(*last));
        }
        Ok(())
    }

    fn escaped(&mut self, _raised: &Raised, certain: bool) {
        // Inside a transaction of PostgreSQL nothing goes any more, whether it is caught or not.
        if !std::mem::take(&mut self.raised) || self.aborted {
            return;
        }
        if certain {
            self.ended_by = true;
        } else if let Some((obstacle, _)) = self.obstacles.last_mut() {
            obstacle.failure.certain = false;
        }
    }
}

/// What an upgrade runs against: nothing.
pub(super) struct Collect {
    dialect: Option<Dialect>,
    pub(super) happened: Vec<Happened>,
}

impl Collect {
    pub(super) fn new(dialect: Option<Dialect>) -> Self {
        Self {
            dialect,
            happened: Vec::new(),
        }
    }
}

impl Host for Collect {
    fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    fn schema_model(&self) -> Option<&SchemaModel> {
        None
    }

    fn happens(&mut self, event: Event) -> Result<(), Raised> {
        let events = match sql_of(&event).zip(self.dialect) {
            Some((text, dialect)) => apart(&event, text, dialect),
            None => vec![event],
        };
        let seen = |event| Happened {
            event,
            before: None,
        };
        self.happened.extend(events.into_iter().map(seen));
        Ok(())
    }
}

/// The index that is built or dropped beside the transactions of others.
fn concurrent(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::CreateIndex {
            name,
            concurrently: true,
            ..
        }
        | Operation::DropIndex {
            name,
            concurrently: true,
            ..
        } => Some(name.known().unwrap_or("without a name")),
        _ => None,
    }
}

/// The text of statements that the migration writes itself; `None` for a directive.
fn sql_of(event: &Event) -> Option<&[Option<String>]> {
    let EventKind::Operation(operation) = &event.kind else {
        return None;
    };
    match &**operation {
        Operation::Sql { text } => Some(text),
        _ => None,
    }
}

/// The events of such a text.
fn apart(event: &Event, text: &[Option<String>], dialect: Dialect) -> Vec<Event> {
    let told = |effect| Event {
        kind: match effect {
            Effect::Operation(operation) => EventKind::Operation(operation),
            Effect::EndsTransaction => EventKind::EndsTransaction,
        },
        ..event.clone()
    };
    take_apart(text, dialect).into_iter().map(told).collect()
}

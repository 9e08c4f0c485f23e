//! What `current` shows of the records: the run that is not over, and the newest backup.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Ui, count};
use rollback_core::backup::Manifest;
use rollback_core::journal::Run;
use rollback_core::{figures, time};

/// A run on the database that did not reach its target.
#[derive(Debug, Clone, Copy)]
pub struct UnfinishedRun<'a> {
    /// The run.
    pub run: &'a Run,
    /// Whether a process is at work on it now.
    pub at_work: bool,
    /// What to type next: when, and the command.
    pub next: &'a [(&'static str, String)],
}

/// What the folder of records holds about the database.
#[derive(Debug, Clone, Copy)]
pub struct RecordedState<'a> {
    /// The run that is not over.
    pub unfinished: Option<UnfinishedRun<'a>>,
    /// The newest backup.
    pub backup: Option<&'a Manifest>,
    /// The present moment.
    pub now: SystemTime,
}

impl Ui {
    /// Lines for people; nothing if there is neither a run nor a backup.
    pub(super) fn recorded(&self, recorded: &RecordedState<'_>) -> String {
        let mut text = String::new();
        if let Some(unfinished) = &recorded.unfinished {
            let begun = &unfinished.run.begun;
            text.push_str(&self.labelled(
                "Run",
                &format!(
                    "{} by {}@{} to {}, started {}, {}: {} of {} done",
                    begun.run,
                    begun.by.user,
                    begun.by.host,
                    begun.target,
                    ago(&unfinished.run.since, recorded.now),
                    if unfinished.at_work {
                        "is running"
                    } else {
                        "is unfinished"
                    },
                    unfinished.run.done,
                    count(begun.removes.len(), "step"),
                ),
            ));
            if let Some((_, command)) = unfinished.next.first() {
                text.push_str(&self.labelled("Next", command));
            }
        }
        if let Some(backup) = recorded.backup {
            let of = match &backup.run {
                Some(run) => format!("made for run {run}"),
                None => "made by hand".to_owned(),
            };
            let made = ago(&backup.at, recorded.now);
            text.push_str(&self.labelled("Backup", &format!("{}, {made}, {of}", backup.id)));
        }
        text
    }
}

/// The value of `unfinished`.
pub(super) fn unfinished_json(recorded: &RecordedState<'_>) -> Value {
    let Some(UnfinishedRun { run, at_work, next }) = recorded.unfinished else {
        return Value::Null;
    };
    let next = next
        .iter()
        .map(|(when, command)| format!("{when}: {command}"));
    json!({
        "run": run.begun.run,
        "by": run.begun.by,
        "since": run.since,
        "target": run.begun.target,
        "steps_done": run.done,
        "steps": run.begun.removes.len(),
        "at_work": at_work,
        "next": next.collect::<Vec<_>>(),
    })
}

/// The value of `last_backup`.
pub(super) fn backup_json(recorded: &RecordedState<'_>) -> Value {
    let Some(backup) = recorded.backup else {
        return Value::Null;
    };
    json!({
        "id": backup.id,
        "at": backup.at,
        "run": backup.run,
        "bytes": backup.bytes,
    })
}

/// How long ago a moment was, given in RFC 3339; the moment itself if the clock is behind it.
fn ago(moment: &str, now: SystemTime) -> String {
    let elapsed = time::moment(moment).and_then(|moment| now.duration_since(moment).ok());
    elapsed.map_or_else(
        || format!("at {moment}"),
        |elapsed| format!("{} ago", figures::age(elapsed)),
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// Red if a moment after the present one, which a clock set back leaves, is shown as "0 s ago".
    #[test]
    fn ages_are_in_one_unit_and_never_negative() {
        let now = UNIX_EPOCH + Duration::from_secs(400_000);
        for (moment, told) in [
            ("1970-01-05T15:06:40Z", "0 s ago"),
            ("1970-01-05T15:06:00Z", "40 s ago"),
            ("1970-01-05T15:03:00Z", "3 min ago"),
            ("1970-01-05T10:00:00Z", "5 h ago"),
            ("1970-01-04T15:06:40Z", "1 day ago"),
            ("1970-01-01T00:00:00Z", "4 days ago"),
            ("1970-01-05T15:06:41Z", "at 1970-01-05T15:06:41Z"),
            ("yesterday", "at yesterday"),
        ] {
            assert_eq!(ago(moment, now), told, "{moment}");
        }
    }
}

//! The account as a page: what is told, in which order, without a word on how it looks.

use crate::engine::SQL_FILES;
use crate::figures::{bytes, count, counted, recorded_seconds, thousands};
use crate::names::latest;

use super::{Check, Moment, Named, ReportStep, ReportTable, RunReport, RunStatus, StepState};
use crate::backup::Verified;
use crate::journal::{BackupMoment, RecordedRows};
use crate::policy::checklist::{ChecklistState, Phase};

/// How many lines of a difference of the schema are shown; report.json has all.
const SHOWN: usize = 40;

/// A part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// What stands below it.
    pub blocks: Vec<PageBlock>,
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageBlock {
    /// Names and what belongs to them.
    Facts(Vec<(&'static str, Cell)>),
    /// Rows under a head.
    Table(Vec<&'static str>, Vec<Vec<Cell>>),
    /// What was printed or is to be typed, as it is.
    Code(String),
    /// One line each.
    List(Vec<Cell>),
    /// Things to do: whether each is done, and what it is.
    Tasks(Vec<(bool, Cell)>),
    /// A heading of lesser rank.
    Heading(Cell),
    /// A sentence.
    Paragraph(Cell),
}

/// A piece of text, mostly from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Words.
    Plain(String),
    /// Something to be read letter by letter: an id, a command.
    Literal(String),
}

fn plain(text: impl Into<String>) -> Cell {
    Cell::Plain(text.into())
}

fn literal(text: impl Into<String>) -> Cell {
    Cell::Literal(text.into())
}

/// The title of the page.
pub const TITLE: &str = "Migration rollback report";

/// The sections of a page. One that has nothing to tell is left out.
pub fn page(document: &RunReport) -> Vec<Section> {
    let sections = [
        section("Summary", summary(document)),
        section("Rollback", rollback(document)),
        section("State before", before(document)),
        section("Foretold", predicted(document)),
        section("Policy", policy(document)),
        section("Backup", backup(document)),
        section("Steps", steps(document)),
        section("Where it stopped", stops(document)),
        section("Checks", checks(document)),
        section("Data", data(document)),
        section("Course", course(document)),
        section("Checklist", checklist(document)),
        section("Next steps", next(document)),
    ];
    sections.into_iter().flatten().collect()
}

fn section(title: &'static str, blocks: Vec<PageBlock>) -> Option<Section> {
    (!blocks.is_empty()).then_some(Section { title, blocks })
}

/// Those that are known.
fn facts(facts: Vec<(&'static str, Option<Cell>)>) -> PageBlock {
    let known = facts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    PageBlock::Facts(known.collect())
}

fn summary(document: &RunReport) -> Vec<PageBlock> {
    let guarded = document.guarded.as_ref();
    let known =
        |text: &Option<String>| Some(text.clone().map_or_else(|| plain("not given"), plain));
    vec![facts(vec![
        ("Run", Some(literal(&document.run))),
        (
            "Status",
            Some(plain(match document.status {
                RunStatus::Done => format!("done: {}", document.result),
                status => format!("{}: {}", status.word(), document.result),
            })),
        ),
        (
            "Exit code",
            document.exit_code.map(|code| plain(code.to_string())),
        ),
        ("Date", Some(plain(moment(&document.began)))),
        ("Ended", document.ended.as_deref().map(moment).map(plain)),
        (
            "Duration",
            document.seconds.map(|taken| plain(recorded_seconds(taken))),
        ),
        (
            "Command under guard",
            guarded.map(|guarded| literal(&guarded.command)),
        ),
        (
            "It ended",
            guarded.map(|guarded| {
                let took = recorded_seconds(guarded.seconds);
                plain(format!("{}, after {took}", guarded.how()))
            }),
        ),
        ("Reason", known(&document.reason)),
        ("Incident", known(&document.incident)),
        ("Approved by", known(&document.approved_by)),
        ("Executed by", Some(plain(document.who()))),
        ("Environment", document.environment.clone().map(plain)),
        (
            "Release of",
            document.deployed_at.as_deref().map(moment).map(plain),
        ),
        ("Database", Some(plain(&document.database))),
        ("Server", document.server.clone().map(plain)),
        ("Engine", Some(plain(&document.engine))),
        ("Tool", Some(plain(format!("rollback {}", document.tool)))),
    ])]
}

fn rollback(document: &RunReport) -> Vec<PageBlock> {
    vec![facts(vec![
        (
            "From revision",
            Some(plain(named(&document.from, document.rows_told()))),
        ),
        (
            "To revision",
            document
                .to
                .as_deref()
                .map(|to| plain(named(to, document.rows_told()))),
        ),
        ("Target as typed", Some(literal(&document.target))),
        (
            "Stands at",
            Some(plain(named(&document.stands_at, document.rows_told()))),
        ),
        (
            "Method",
            Some(plain(if document.atomic {
                "all steps or none (--atomic)"
            } else if document.engine == SQL_FILES {
                "one migration after the other, each looked up before the next"
            } else {
                "one process of the engine for each revision, each looked up before the next"
            })),
        ),
        (
            "Steps done",
            Some(plain(format!(
                "{} of {}",
                document.done(),
                document.steps.len()
            ))),
        ),
    ])]
}

fn before(document: &RunReport) -> Vec<PageBlock> {
    let data = &document.data;
    let known: Vec<RecordedRows> = data.rows.iter().filter_map(|table| table.before).collect();
    let rows = (!known.is_empty()).then(|| {
        let sum = known.iter().map(|rows| rows.rows).sum();
        let exact = known.iter().all(|rows| rows.exact);
        let about = if exact { "" } else { "about " };
        plain(format!(
            "{about}{} in {}",
            thousands(sum),
            count(known.len(), "table")
        ))
    });
    let touched: Vec<String> = data
        .rows
        .iter()
        .filter(|table| table.touched)
        .map(|table| {
            let rows = table.before.map_or("unknown rows".to_owned(), |rows| {
                counted(rows.rows, rows.exact, "row", "rows")
            });
            format!("{}: {rows}", table.table)
        })
        .collect();
    let mut blocks = vec![facts(vec![
        (
            "Current revision",
            Some(plain(named(&document.from, document.rows_told()))),
        ),
        (
            "Tables",
            data.tables.map(|tables| plain(tables.to_string())),
        ),
        ("Rows", rows.or_else(|| Some(plain("not counted")))),
    ])];
    if !touched.is_empty() {
        blocks.push(PageBlock::Paragraph(plain(
            "Tables that the steps changed:",
        )));
        blocks.push(PageBlock::List(touched.into_iter().map(plain).collect()));
    }
    blocks
}

fn predicted(document: &RunReport) -> Vec<PageBlock> {
    let findings = document.steps.iter().flat_map(|step| {
        step.findings.iter().map(|finding| {
            vec![
                plain(step.step.to_string()),
                plain(finding.level.name()),
                plain(&finding.sentence),
                literal(&finding.code),
            ]
        })
    });
    let findings: Vec<Vec<Cell>> = findings.collect();
    let allowed = if document.allowed.is_empty() {
        "nothing by name".to_owned()
    } else {
        document.allowed.join(", ")
    };
    let losses = document
        .losses
        .as_deref()
        .unwrap_or("nothing is known to be lost");
    let mut blocks = vec![facts(vec![
        ("Losses", Some(plain(losses))),
        ("Consented to", Some(plain(allowed))),
    ])];
    if !findings.is_empty() {
        blocks.push(PageBlock::Table(
            vec!["step", "level", "what", "code"],
            findings,
        ));
    }
    blocks
}

fn policy(document: &RunReport) -> Vec<PageBlock> {
    let Some(ruling) = &document.ruling else {
        return Vec::new();
    };
    let environment = ruling.environment.as_deref().unwrap_or("none");
    let points = ruling.points.iter().map(|point| {
        vec![
            literal(&point.code),
            plain(if point.met { "met" } else { "NOT met" }),
            plain(&point.sentence),
        ]
    });
    vec![
        facts(vec![("Environment", Some(plain(environment)))]),
        PageBlock::Table(vec!["point", "state", "what"], points.collect()),
    ]
}

fn backup(document: &RunReport) -> Vec<PageBlock> {
    let Some(backup) = &document.backup else {
        return vec![PageBlock::Paragraph(plain("This run made no backup."))];
    };
    vec![
        facts(vec![
            ("Id", Some(literal(&backup.id))),
            (
                "Made",
                Some(plain(format!(
                    "{}, {}",
                    backup.before.phrase(),
                    moment(&backup.at)
                ))),
            ),
            ("File", Some(literal(&backup.file))),
            ("Size", Some(plain(bytes(backup.bytes)))),
            ("SHA-256", Some(literal(&backup.sha256))),
            (
                "Verified",
                Some(plain(match backup.verified {
                    Verified::Read => "read back whole",
                    Verified::Restored => {
                        "restored beside the database, and the same was found in it"
                    }
                })),
            ),
            ("By", backup.client.clone().map(plain)),
            ("Duration", Some(plain(recorded_seconds(backup.seconds)))),
        ]),
        PageBlock::Paragraph(plain(format!(
            "To restore the database to {}, and discard what was written since:",
            match backup.before {
                BackupMoment::Command => "the state before the command",
                BackupMoment::Run => "the state before the run",
                BackupMoment::Resume => "the state when the run was resumed",
            }
        ))),
        PageBlock::Code(backup.restore.clone()),
    ]
}

fn steps(document: &RunReport) -> Vec<PageBlock> {
    let rows = document.steps.iter().map(|step| {
        vec![
            plain(step.step.to_string()),
            literal(step.removes.as_str()),
            plain(first_line(step.message.as_deref().unwrap_or(""))),
            plain(state(step)),
            plain(step.started.as_deref().map(moment).unwrap_or_default()),
            plain(step.seconds.map(recorded_seconds).unwrap_or_default()),
        ]
    });
    let mut blocks = vec![PageBlock::Table(
        vec!["step", "revision", "message", "result", "started", "took"],
        rows.collect(),
    )];
    for step in &document.steps {
        blocks.push(PageBlock::Heading(plain(format!(
            "Step {}: {}",
            step.step, step.removes
        ))));
        blocks.push(PageBlock::Code(step.command.clone()));
        blocks.extend(schema_of(step));
    }
    blocks
}

/// What a step did to the schema.
fn schema_of(step: &ReportStep) -> Vec<PageBlock> {
    let sentence = |text: &str| vec![PageBlock::Paragraph(plain(text))];
    match (&step.difference, step.state) {
        (Some(difference), _) if difference.is_empty() => sentence("The schema is as before it."),
        (Some(difference), _) => {
            let gone = difference.gone.iter().map(|line| format!("- {line}"));
            let new = difference.new.iter().map(|line| format!("+ {line}"));
            let all: Vec<String> = gone.chain(new).collect();
            let mut shown: Vec<String> = all.iter().take(SHOWN).cloned().collect();
            if all.len() > SHOWN {
                shown.push(format!("... and {} lines more", all.len() - SHOWN));
            }
            vec![
                PageBlock::Paragraph(plain("What it did to the schema:")),
                PageBlock::Code(shown.join("\n")),
            ]
        }
        (None, StepState::Done) => sentence("What it did to the schema was not looked at."),
        (None, _) => Vec::new(),
    }
}

fn state(step: &ReportStep) -> String {
    let state = match step.state {
        StepState::NotRun => "not run",
        StepState::UnderWay => "no end recorded",
        StepState::Done => "done",
        StepState::Failed => "failed",
        StepState::TakenBack => "taken back",
        StepState::Accepted => "vouched for",
    };
    match step.attempts {
        0 | 1 => state.to_owned(),
        times => format!("{state}, begun {times} times"),
    }
}

fn stops(document: &RunReport) -> Vec<PageBlock> {
    let mut blocks = Vec::new();
    for stop in &document.stops {
        let at = &stop.stopped;
        blocks.push(facts(vec![
            ("When", Some(plain(moment(&stop.at)))),
            (
                "Step",
                Some(plain(format!(
                    "{} of {}, {}",
                    at.step + 1,
                    document.steps.len(),
                    at.revision
                ))),
            ),
            ("Cause", Some(plain(&at.cause))),
            ("Reason", at.reason.clone().map(plain)),
            ("Database", Some(plain(&at.position))),
        ]));
        if let Some(diagnosis) = &at.diagnosis {
            blocks.push(facts(vec![
                ("Diagnosis", Some(plain(&diagnosis.cause))),
                ("Meaning", Some(plain(&diagnosis.meaning))),
                ("Code", Some(literal(&diagnosis.code))),
            ]));
            let to_do = diagnosis.what_to_do.iter().map(plain);
            blocks.push(PageBlock::List(to_do.collect()));
        }
        for (stream, text) in [("stdout", &at.stdout), ("stderr", &at.stderr)] {
            if !text.trim().is_empty() {
                blocks.push(PageBlock::Paragraph(plain(format!(
                    "What the engine printed on {stream}:"
                ))));
                blocks.push(PageBlock::Code(text.trim_end().to_owned()));
            }
        }
    }
    blocks
}

fn checks(document: &RunReport) -> Vec<PageBlock> {
    if document.checks.is_empty() {
        return vec![PageBlock::Paragraph(plain("No check is recorded."))];
    }
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    // What is in order is told in one row for each moment.
    let moment = |check: &Check| (check.moment, check.step);
    let together = |one: &Check, other: &Check| {
        moment(one) == moment(other) && one.fault.is_none() && other.fault.is_none()
    };
    for group in document.checks.chunk_by(together) {
        let Some(check) = group.first() else { continue };
        let when = match moment(check) {
            (Moment::Before, _) => "before the first step".to_owned(),
            (Moment::AfterStep, Some(step)) => format!("after step {step}"),
            _ => "at the end".to_owned(),
        };
        let names: Vec<&str> = group.iter().map(|check| check.name.as_str()).collect();
        let mark = if check.fault.is_some() { "FAULT" } else { "ok" };
        rows.push(vec![
            plain(when),
            plain(names.join(", ")),
            plain(mark),
            plain(check.fault.as_deref().unwrap_or("in order")),
        ]);
    }
    vec![PageBlock::Table(
        vec!["when", "check", "state", "result"],
        rows,
    )]
}

fn data(document: &RunReport) -> Vec<PageBlock> {
    let data = &document.data;
    if data.rows.is_empty() {
        return vec![PageBlock::Paragraph(plain("Rows were not counted."))];
    }
    if !data.counted_after {
        return vec![PageBlock::Paragraph(plain(
            "Rows were counted at the beginning only; report.json has the numbers.",
        ))];
    }
    let same = |table: &&ReportTable| table.change == Some(0) && !table.gone;
    let unchanged = data.rows.iter().filter(same).count();
    let rows = data.rows.iter().filter(|table| !same(table)).map(|table| {
        let after = match (table.gone, table.after) {
            (true, _) => "table gone".to_owned(),
            (false, after) => after.map_or("unknown".to_owned(), told),
        };
        vec![
            plain(&table.table),
            plain(table.before.map_or("not there".to_owned(), told)),
            plain(after),
            plain(table.change.map_or("unknown".to_owned(), signed)),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    let mut blocks = Vec::new();
    if !rows.is_empty() {
        blocks.push(PageBlock::Table(
            vec!["table", "rows before", "rows after", "difference"],
            rows,
        ));
    }
    if unchanged > 0 {
        let tables = if unchanged == 1 {
            "table has"
        } else {
            "tables have"
        };
        blocks.push(PageBlock::Paragraph(plain(format!(
            "{unchanged} {tables} as many rows as before."
        ))));
    }
    blocks
}

fn course(document: &RunReport) -> Vec<PageBlock> {
    let told = document.events.iter().map(|event| {
        let by = event.by.as_ref();
        let by = by.map(|by| format!(", by {}@{}", by.user, by.host));
        plain(format!(
            "{}: {}{}",
            moment(&event.at),
            event.sentence,
            by.unwrap_or_default()
        ))
    });
    let told: Vec<Cell> = told.collect();
    if told.is_empty() {
        return Vec::new();
    }
    vec![PageBlock::List(told)]
}

fn checklist(document: &RunReport) -> Vec<PageBlock> {
    let mut blocks = Vec::new();
    for (phase, title) in [
        (Phase::Before, "Before"),
        (Phase::During, "While it runs"),
        (Phase::After, "After"),
    ] {
        let items = document.checklist.iter().filter(|item| item.phase == phase);
        let items = items.map(|item| {
            let failed = if item.state == ChecklistState::Failed {
                "FAILED: "
            } else {
                ""
            };
            let text = format!("{}: {failed}{}", item.sentence, item.evidence);
            (item.state == ChecklistState::Done, plain(text))
        });
        let items: Vec<_> = items.collect();
        if !items.is_empty() {
            blocks.push(PageBlock::Heading(plain(title)));
            blocks.push(PageBlock::Tasks(items));
        }
    }
    blocks
}

fn next(document: &RunReport) -> Vec<PageBlock> {
    if document.next.is_empty() {
        return Vec::new();
    }
    vec![PageBlock::List(document.next.iter().map(plain).collect())]
}

fn named(revisions: &[Named], told: usize) -> String {
    let named = |named: &Named| match &named.message {
        Some(message) => format!("{} ({})", named.revision, first_line(message)),
        None => named.revision.to_string(),
    };
    if revisions.is_empty() {
        "base: nothing is applied".to_owned()
    } else {
        latest(revisions.iter().map(named), told)
    }
}

fn first_line(text: &str) -> &str {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("")
}

/// `2026-11-21 04:00:00 UTC` of an RFC 3339 moment; anything else as it is.
pub fn moment(at: &str) -> String {
    match (at.get(..10), at.get(10..11), at.get(11..19)) {
        (Some(date), Some("T"), Some(time)) if at.ends_with('Z') => format!("{date} {time} UTC"),
        _ => at.to_owned(),
    }
}

fn told(rows: RecordedRows) -> String {
    let about = if rows.exact { "" } else { "about " };
    format!("{about}{}", thousands(rows.rows))
}

fn signed(change: i64) -> String {
    match change {
        0 => "0".to_owned(),
        more if more > 0 => format!("+{}", thousands(more.unsigned_abs())),
        fewer => format!("-{}", thousands(fewer.unsigned_abs())),
    }
}

impl Cell {
    /// The text itself.
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Literal(text) => text,
        }
    }
}

use pulldown_cmark::{Event as Mark, Options, Parser, Tag};

use super::markdown::markdown;
use super::*;
use crate::finding_code::Level;
use crate::journal::{AtomicEnd, Begun, Checked, Entry, Line, Planned};
use crate::policy::{Requirement, RunContext};
use crate::revision::Heads;
use crate::schema::{FORM, SchemaLines};

fn heads(ids: &[&str]) -> Heads {
    ids.iter().copied().map(RevisionId::from).collect()
}

fn schema(lines: &[&str]) -> SchemaLines {
    lines.iter().map(ToString::to_string).collect()
}

fn ada() -> Operator {
    Operator {
        user: "ada".into(),
        host: "db1".into(),
        pid: 7,
    }
}

fn exact(rows: u64) -> RecordedRows {
    RecordedRows { rows, exact: true }
}

fn rows(counts: &[(&str, u64)]) -> BTreeMap<String, RecordedRows> {
    let rows = counts
        .iter()
        .map(|(table, rows)| ((*table).to_owned(), exact(*rows)));
    rows.collect()
}

/// Of `c` and `b`, down to `a`.
fn begun() -> Begun {
    let planned = |removes: &str, message: &str| Planned {
        removes: removes.into(),
        message: message.into(),
        command: vec!["alembic".into(), "downgrade".into(), format!("{removes}@x")],
        findings: vec![RecordedFinding {
            code: "table-dropped".into(),
            level: Level::High,
            sentence: format!("drops table {removes} with 3 rows"),
        }],
    };
    Begun {
        run: "20261121T040000Z-7".into(),
        database: "SQLite, file app.db".into(),
        target: "-2".into(),
        removes: vec!["c".into(), "b".into()],
        arguments: vec!["c@b".into(), "b@a".into()],
        by: ada(),
        reason: Some("bad release".into()),
        tool: "0.1.0".into(),
        engine: "alembic".into(),
        heads: heads(&["c"]),
        schema: schema(&["table kept", "table t", "column t.x int"]),
        server: Some("SQLite 3".into()),
        circumstances: RunContext {
            incident: Some("INC-1".into()),
            approved_by: Some("bob".into()),
            ..RunContext::default()
        },
        ruling: Some(PolicyDecision {
            environment: Some("production".into()),
            points: vec![Requirement {
                code: "reason".into(),
                sentence: "a reason is given".into(),
                met: true,
                remedy: None,
                is_option: false,
            }],
        }),
        steps: vec![planned("c", "Add c"), planned("b", "Add b")],
        losses: Some("drops 1 table".into()),
        allowed: vec!["table-dropped".into()],
        rows: rows(&[("kept", 2), ("t", 3)]),
        aim: Some(heads(&["a"])),
        messages: [("a".to_owned(), "The first".to_owned())].into(),
        project: vec!["-C".into(), "api".into()],
        ..Begun::default()
    }
}

/// One entry a second.
fn lines(entries: Vec<Entry>) -> Vec<Line> {
    let lines = entries.into_iter().enumerate().map(|(index, entry)| Line {
        version: crate::journal::VERSION,
        at: format!("2026-11-21T04:00:{index:02}.000Z"),
        form: FORM,
        entry,
    });
    lines.collect()
}

fn account(entries: Vec<Entry>) -> RunReport {
    RunReport::of(&lines(entries)).unwrap()
}

fn start() -> Entry {
    Entry::Begun(Box::new(begun()))
}

fn intent(step: usize) -> Entry {
    Entry::Intent {
        step,
        removes: ["c", "b"][step].into(),
        evidence: None,
    }
}

fn done(step: usize) -> Entry {
    Entry::Done {
        step,
        removes: ["c", "b"][step].into(),
        heads: heads(&[["b", "a"][step]]),
        difference: Some(difference(step)),
        effect: None,
        schema: String::new(),
        seconds: 1.5,
    }
}

fn difference(step: usize) -> Difference {
    let gone = [
        vec!["column t.x int".to_owned()],
        vec!["table t".to_owned()],
    ];
    Difference {
        gone: gone[step].clone(),
        new: Vec::new(),
    }
}

fn checked(step: Option<usize>, fault: Option<&str>) -> Entry {
    Entry::Checked {
        step,
        checks: vec![Checked {
            name: "rows".into(),
            fault: fault.map(str::to_owned),
        }],
    }
}

fn stopped(step: usize) -> Entry {
    Entry::Stopped(Box::new(Stopped {
        step,
        revision: ["c", "b"][step].into(),
        cause: "the engine exited with status 1".into(),
        position: "unchanged".into(),
        unannounced: Vec::new(),
        reason: Some("no such table".into()),
        diagnosis: None,
        next: vec!["mend it, then: rollback resume".into()],
        stdout: String::new(),
        stderr: "Traceback\n".into(),
    }))
}

fn ended(exit_code: u8) -> Entry {
    Entry::Ended {
        exit_code,
        cause: (exit_code > 0).then(|| "the engine exited with status 1".to_owned()),
        heads: Some(heads(&["a"])),
    }
}

fn resumed() -> Entry {
    Entry::Resumed {
        by: ada(),
        circumstances: None,
        ruling: None,
    }
}

fn states(document: &RunReport) -> Vec<StepState> {
    document.steps.iter().map(|step| step.state).collect()
}

fn all_done() -> Vec<Entry> {
    vec![
        start(),
        checked(None, None),
        intent(0),
        done(0),
        checked(Some(0), None),
        intent(1),
        done(1),
        checked(Some(1), None),
        checked(None, None),
        Entry::Counted {
            rows: rows(&[("kept", 1)]),
        },
        ended(0),
    ]
}

#[test]
fn a_run_that_reached_its_target_is_told_from_beginning_to_end() {
    let told = account(all_done());
    assert_eq!((told.status, told.exit_code), (RunStatus::Done, Some(0)));
    assert_eq!(told.result, "rolled back 2 revisions");
    assert_eq!(told.seconds, Some(10.0));
    let named = |revision: &str, message: &str| {
        vec![Named {
            revision: revision.into(),
            message: Some(message.to_owned()),
        }]
    };
    assert_eq!(told.from, named("c", "Add c"));
    assert_eq!(told.to, Some(named("a", "The first")));
    assert_eq!(told.stands_at, named("a", "The first"));
    assert_eq!(
        (told.incident.as_deref(), told.approved_by.as_deref()),
        (Some("INC-1"), Some("bob"))
    );
    assert_eq!(states(&told), [StepState::Done; 2]);
    assert_eq!(
        told.steps[1].started.as_deref(),
        Some("2026-11-21T04:00:05.000Z")
    );
    assert_eq!(told.steps[1].seconds, Some(1.5));
    assert_eq!(told.steps[1].difference, Some(difference(1)));
    let moments: Vec<_> = told
        .checks
        .iter()
        .map(|check| (check.moment, check.step))
        .collect();
    assert_eq!(
        moments,
        [
            (Moment::Before, None),
            (Moment::AfterStep, Some(1)),
            (Moment::AfterStep, Some(2)),
            (Moment::After, None)
        ]
    );
    assert!(!told.checklist.is_empty());
}

#[test]
fn rows_are_compared_and_a_table_that_went_is_told() {
    let told = account(all_done()).data;
    assert_eq!(told.tables, Some(2));
    let table = |at: usize| {
        (
            told.rows[at].change,
            told.rows[at].gone,
            told.rows[at].touched,
        )
    };
    assert_eq!(table(0), (Some(-1), false, false));
    assert_eq!(table(1), (Some(-3), true, true));
    // An estimate says nothing about a difference, and a table without a count is not gone.
    let mut entries = all_done();
    entries[9] = Entry::Counted {
        rows: [(
            "kept".to_owned(),
            RecordedRows {
                rows: 1,
                exact: false,
            },
        )]
        .into(),
    };
    let Entry::Done { difference, .. } = &mut entries[6] else {
        unreachable!()
    };
    *difference = Some(Difference::default());
    let told = account(entries).data;
    let table = |at: usize| (told.rows[at].change, told.rows[at].gone);
    assert_eq!([table(0), table(1)], [(None, false), (None, false)]);
}

#[test]
fn a_failure_is_told_with_its_reason_and_the_commands_of_then() {
    for (code, fault) in [(4, None), (5, Some("table t lost rows"))] {
        let told = account(vec![
            start(),
            intent(0),
            done(0),
            checked(Some(0), fault),
            intent(1),
            stopped(1),
            ended(code),
        ]);
        assert_eq!(
            (told.status, told.exit_code),
            (RunStatus::Failed, Some(code))
        );
        assert_eq!(
            told.result,
            "failed at step 2 of 2, b: the engine exited with status 1"
        );
        assert_eq!(states(&told), [StepState::Done, StepState::Failed]);
        assert_eq!(told.next, ["mend it, then: rollback resume"]);
        assert_eq!(told.checks[0].fault.as_deref(), fault);
        assert!(!told.data.counted_after);
    }
}

#[test]
fn a_crash_leaves_an_account_that_says_what_to_type() {
    let told = account(vec![start(), intent(0), done(0), intent(1)]);
    assert_eq!((told.status, told.exit_code), (RunStatus::Unfinished, None));
    assert_eq!(
        told.result,
        "no end is recorded: step 2 of 2, b, is under way or was broken off"
    );
    assert_eq!(states(&told), [StepState::Done, StepState::UnderWay]);
    assert_eq!(
        told.next[0],
        "have it examined and go on: rollback -C api resume"
    );
}

#[test]
fn a_run_that_was_gone_on_with_keeps_where_it_had_stopped() {
    let told = account(vec![
        start(),
        intent(0),
        stopped(0),
        ended(4),
        resumed(),
        intent(0),
        done(0),
        intent(1),
        done(1),
        ended(0),
    ]);
    assert_eq!(told.status, RunStatus::Done);
    assert_eq!((told.stops.len(), told.steps[0].attempts), (1, 2));
    assert_eq!(told.events[0].event, "resumed");
    assert_eq!(told.result, "rolled back 2 revisions");
}

#[test]
fn a_run_that_was_given_up_says_so() {
    let told = account(vec![
        start(),
        intent(0),
        done(0),
        intent(1),
        stopped(1),
        ended(4),
        Entry::Abandoned { by: ada() },
    ]);
    assert_eq!(told.status, RunStatus::Abandoned);
    assert_eq!(told.result, "given up after 1 of 2 revisions");
    assert_eq!(
        told.next,
        ["see where the database stands: rollback -C api current"]
    );
}

#[test]
fn of_a_whole_that_failed_everything_was_taken_back() {
    let whole = Entry::Whole { copy: None };
    let told = account(vec![
        start(),
        whole.clone(),
        intent(0),
        Entry::TakenBack,
        stopped(1),
        ended(4),
    ]);
    assert!(told.atomic);
    assert_eq!(states(&told), [StepState::TakenBack, StepState::Failed]);
    assert_eq!(told.data.rows[0].change, None);

    // The later intents of a whole that was kept are of no step's beginning.
    let finished = |step: usize| AtomicEnd {
        step,
        removes: ["c", "b"][step].into(),
        heads: heads(&[["b", "a"][step]]),
        difference: difference(step),
        schema: String::new(),
        seconds: 1.0,
    };
    let told = account(vec![
        start(),
        whole,
        intent(0),
        Entry::Committing {
            steps: vec![finished(0), finished(1)],
        },
        done(0),
        intent(1),
        done(1),
        ended(0),
    ]);
    assert_eq!(states(&told), [StepState::Done; 2]);
    assert!(told.steps[0].started.is_some());
    assert_eq!(told.steps[1].started, None);
}

#[test]
fn a_restore_is_the_end_of_a_run() {
    let told = account(vec![
        start(),
        intent(0),
        stopped(0),
        Entry::Restored {
            backup: "B1".into(),
            by: ada(),
            heads: heads(&["c"]),
            seconds: 2.0,
            other_database: None,
        },
        ended(5),
    ]);
    assert_eq!(
        (told.status, told.exit_code),
        (RunStatus::Restored, Some(5))
    );
    assert!(told.events[0].sentence.contains("from the backup B1"));
    assert_eq!(told.stands_at[0].revision, RevisionId::from("c"));
}

#[test]
fn an_account_is_read_back_as_it_was_written() {
    let told = account(all_done());
    let text = serde_json::to_string(&told).unwrap();
    assert_eq!(serde_json::from_str::<RunReport>(&text).unwrap(), told);
}

/// Recorded by a version that wrote no reports. Turns red if its journals can be told no more.
#[test]
fn a_journal_of_before_there_were_reports_is_told_as_far_as_it_goes() {
    let lines: Vec<Line> = include_str!("before_reports.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = RunReport::of(&lines).unwrap();
    assert_eq!((told.status, told.exit_code), (RunStatus::Failed, Some(5)));
    assert_eq!(
        told.result,
        "failed at step 3 of 3, 3333aaaa: the engine exited with status 1"
    );
    assert_eq!(told.reason.as_deref(), Some("why not"));
    assert_eq!((told.to.clone(), told.server.clone()), (None, None));
    assert_eq!(
        states(&told),
        [StepState::Done, StepState::Done, StepState::Failed]
    );
    assert_eq!(told.steps[0].command, "5555aaaa@4444aaaa");
    assert_eq!(told.stands_at[0].revision, RevisionId::from("3333aaaa"));
    assert_eq!(told.data.tables, Some(6));
    assert!(told.next[0].ends_with("rollback resume"), "{:?}", told.next);
    assert!(markdown(&told).contains("Rows were not counted."));
}

#[test]
fn lines_without_a_beginning_are_no_run() {
    assert_eq!(RunReport::of(&lines(vec![intent(0)])), None);
    assert_eq!(RunReport::of(&[]), None);
}

/// What a reader of Markdown sees: the tags in their order, and whether there was HTML other than a break.
fn structure(page: &str) -> (Vec<String>, Vec<String>) {
    let mut tags = Vec::new();
    let mut html = Vec::new();
    for mark in Parser::new_ext(page, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS) {
        match mark {
            Mark::Start(Tag::Heading { level, .. }) => tags.push(level.to_string()),
            Mark::Start(Tag::TableCell) => tags.push("cell".to_owned()),
            Mark::Start(Tag::Item) => tags.push("item".to_owned()),
            Mark::Start(Tag::CodeBlock(_)) => tags.push("code".to_owned()),
            Mark::Start(Tag::Link { .. }) => tags.push("link".to_owned()),
            Mark::Start(Tag::Image { .. }) => tags.push("image".to_owned()),
            Mark::Start(Tag::Emphasis | Tag::Strikethrough) => tags.push("emphasis".to_owned()),
            Mark::Start(Tag::BlockQuote(_)) => tags.push("quote".to_owned()),
            Mark::Html(text) | Mark::InlineHtml(text) => html.push(text.to_string()),
            _ => {}
        }
    }
    (tags, html)
}

/// Everything that comes from outside, replaced by one text.
fn with(text: &str) -> Vec<Entry> {
    let mut begun = begun();
    begun.reason = Some(text.to_owned());
    begun.circumstances.incident = Some(text.to_owned());
    begun.circumstances.approved_by = Some(text.to_owned());
    begun.target = text.to_owned();
    begun.database = text.to_owned();
    begun.losses = Some(text.to_owned());
    begun.by.user = text.to_owned();
    begun.schema = schema(&[
        "table kept",
        &format!("table {text}"),
        "table t",
        "column t.x int",
    ]);
    begun.rows = rows(&[("kept", 2), (text, 3)]);
    for step in &mut begun.steps {
        step.message = text.to_owned();
        step.command = vec!["alembic".into(), text.to_owned()];
        step.findings[0].sentence = text.to_owned();
    }
    for point in &mut begun.ruling.as_mut().unwrap().points {
        point.sentence = text.to_owned();
    }
    let mut entries = vec![
        Entry::Begun(Box::new(begun)),
        intent(0),
        done(0),
        checked(Some(0), Some(text)),
        intent(1),
    ];
    let Entry::Checked { checks, .. } = &mut entries[3] else {
        unreachable!()
    };
    checks[0].name = text.to_owned();
    let Entry::Stopped(mut at) = stopped(1) else {
        unreachable!()
    };
    at.cause = text.to_owned();
    at.reason = Some(text.to_owned());
    at.position = text.to_owned();
    at.stderr = text.to_owned();
    at.next = vec![text.to_owned()];
    entries.push(Entry::Stopped(at));
    entries.push(Entry::Counted {
        rows: rows(&[("kept", 2), (text, 1)]),
    });
    entries.push(ended(5));
    entries
}

/// Turns red if any text from outside can do more in report.md than be read.
#[test]
fn no_text_from_outside_breaks_the_page() {
    let (harmless, _) = structure(&markdown(&account(with("word"))));
    assert!(harmless.len() > 60, "{harmless:?}");
    for hostile in [
        "a | b | c",
        "`one` ``two`` ```three```",
        "```\n# heading\n```",
        "line\n\n# heading\n\n- item\n\n| a | b |\n|---|---|",
        "<script>alert(1)</script><!-- <img src=x onerror=y>",
        "[link](javascript:x) ![image](http://x) <http://auto.link>",
        "*bold* _under_ ~~gone~~ ***",
        "\\",
        "ends in a backslash \\",
        "`|`",
        "| \\| `",
        "# heading",
        "- item",
        "+ item",
        "12. item",
        "12) item",
        "> quote",
        "===",
        "&lt;b&gt; &#60;",
        "\u{1b}[31mred\u{7}\r\nnext",
        "\u{202e}turned",
        "x\u{2028}# heading",
        "[x] done",
        "~~~\ncode\n~~~",
        "    indented",
        "\tindented",
        "--- \n***\n___",
    ] {
        let page = markdown(&account(with(hostile)));
        let (tags, html) = structure(&page);
        assert_eq!(tags, harmless, "{hostile:?}\n{page}");
        assert!(
            html.iter().all(|tag| tag == "<br>"),
            "{hostile:?}: {html:?}"
        );
        assert!(
            !page
                .chars()
                .any(|c| c.is_control() && c != '\n' && c != '\t'),
            "{hostile:?}"
        );
    }
}

#[test]
fn an_escaped_text_reads_as_it_was() {
    let text = "a|b `c` <d> *e* _f_ [g] \\ & 1. #";
    let shown: String = Parser::new_ext(
        &format!("| {} |\n| --- |\n", markdown::escaped(text)),
        Options::ENABLE_TABLES,
    )
    .filter_map(|mark| match mark {
        Mark::Text(text) => Some(text.to_string()),
        _ => None,
    })
    .collect();
    assert_eq!(shown, text);
}

use super::*;
use crate::journal::{Planned, RecordedFinding, RecordedRows, VERSION};
use crate::lock::Operator;
use crate::policy::{PolicyDecision, Requirement, RunContext};
use crate::revision::RevisionId;
use crate::schema::{Difference, FORM};

fn heads(ids: &[&str]) -> Heads {
    ids.iter().copied().map(RevisionId::from).collect()
}

fn begun(change: impl FnOnce(&mut Begun)) -> Entry {
    let mut begun = Begun {
        run: "run".into(),
        removes: vec!["c".into(), "b".into()],
        by: Operator {
            user: "ada".into(),
            host: "db1".into(),
            pid: 7,
        },
        heads: heads(&["c"]),
        ..Begun::default()
    };
    change(&mut begun);
    Entry::Begun(Box::new(begun))
}

fn intent(step: usize) -> Entry {
    Entry::Intent {
        step,
        removes: "c".into(),
        evidence: None,
    }
}

fn done(step: usize) -> Entry {
    Entry::Done {
        step,
        removes: "c".into(),
        heads: heads(&["b"]),
        difference: Some(Difference::default()),
        effect: None,
        schema: String::new(),
        seconds: 0.0,
    }
}

fn checked(step: Option<usize>, checks: &[(&str, Option<&str>)]) -> Entry {
    let checks = checks.iter().map(|(name, fault)| Checked {
        name: (*name).to_owned(),
        fault: fault.map(str::to_owned),
    });
    Entry::Checked {
        step,
        checks: checks.collect(),
    }
}

fn ended(exit_code: u8, cause: Option<&str>) -> Entry {
    Entry::Ended {
        exit_code,
        cause: cause.map(str::to_owned),
        heads: Some(heads(&["a"])),
    }
}

fn lines(entries: Vec<Entry>) -> Vec<Line> {
    let line = |entry| Line {
        version: VERSION,
        at: String::new(),
        form: FORM,
        entry,
    };
    entries.into_iter().map(line).collect()
}

/// `x` done, `!` failed, blank open, as a list is ticked off.
fn told(entries: Vec<Entry>) -> Vec<String> {
    let mark = |state| match state {
        ChecklistState::Done => 'x',
        ChecklistState::Failed => '!',
        ChecklistState::Open => ' ',
    };
    checklist(&lines(entries))
        .iter()
        .map(|item| {
            format!(
                "[{}] {}: {}",
                mark(item.state),
                item.sentence,
                item.evidence
            )
        })
        .collect()
}

fn line(entries: Vec<Entry>, sentence: &str) -> String {
    let told = told(entries);
    let found = told.iter().find(|line| line[4..].starts_with(sentence));
    found
        .unwrap_or_else(|| panic!("{sentence}: {told:#?}"))
        .clone()
}

#[test]
fn what_nobody_checked_stays_open() {
    assert_eq!(
        told(vec![
            begun(|_| {}),
            intent(0),
            done(0),
            intent(1),
            done(1),
            ended(0, None)
        ]),
        [
            "[ ] Back the database up: this run made none",
            "[x] Check the current revision: the version table said c",
            "[ ] Review the migration files: what the program read in them is told here; that a person read them is not known",
            "[ ] Assess what is lost: nothing was foretold of the steps",
            "[ ] Say why, and for which incident: neither was given",
            "[ ] Notify the team: nobody can tell from here",
            "[ ] Get approval: nobody was named",
            "[ ] Keep to the policy: no policy was asked",
            "[ ] Make the project's checks before the first step: none was made",
            "[x] Run the rollback, one revision at a time: 2 of 2 steps done",
            "[x] Watch for errors: each step was watched to its end, and none failed",
            "[x] Look at the database after each step: version table and schema were read after each step",
            "[x] Verify where the database stands: the version table says a",
            "[ ] Check the integrity of the data: rows and faults were not looked at",
            "[ ] Test the application: the project has no check that is made after a run",
            "[ ] Watch the application's logs: nobody can tell from here",
        ]
    );
}

#[test]
fn what_the_journal_shows_is_ticked_off() {
    let begun = begun(|begun| {
        begun.reason = Some("broken".into());
        begun.circumstances = RunContext {
            incident: Some("INC-7".into()),
            approved_by: Some("grace".into()),
            ..RunContext::default()
        };
        begun.ruling = Some(PolicyDecision {
            environment: Some("production".into()),
            points: vec![Requirement {
                code: "reason".into(),
                sentence: "a reason is given".into(),
                met: true,
                remedy: None,
                is_option: false,
            }],
        });
        begun.steps = vec![Planned {
            removes: "c".into(),
            message: String::new(),
            command: Vec::new(),
            findings: vec![RecordedFinding {
                code: "index-dropped".into(),
                level: Level::Low,
                sentence: "drops an index".into(),
            }],
        }];
    });
    let entries = vec![
        begun,
        checked(None, &[("nobody is paying", None)]),
        intent(0),
        done(0),
        checked(Some(0), &[("rows", None), ("faults", None)]),
        intent(1),
        done(1),
        checked(Some(1), &[("rows", None), ("faults", None)]),
        checked(None, &[("health", None)]),
        Entry::Counted {
            rows: [(
                "t".to_owned(),
                RecordedRows {
                    rows: 1,
                    exact: true,
                },
            )]
            .into(),
        },
        ended(0, None),
    ];
    let told = told(entries);
    for expected in [
        "[x] Assess what is lost: 1 finding: loses nothing that is known",
        "[x] Say why, and for which incident: incident INC-7: broken",
        "[x] Get approval: ada says that grace approved",
        "[x] Keep to the policy: 1 point required, all met",
        "[x] Make the project's checks before the first step: passed: nobody is paying",
        "[x] Check the integrity of the data: passed: faults, rows; the rows of 1 table were counted at the end",
        "[x] Test the application: passed: health",
    ] {
        assert!(
            told.iter().any(|line| line == expected),
            "{expected}\n{told:#?}"
        );
    }
}

#[test]
fn what_went_wrong_is_told_as_such() {
    let approved = |entry: &mut Begun| entry.circumstances.approved_by = Some("Ada".into());
    assert_eq!(
        line(vec![begun(approved)], "Get approval"),
        "[!] Get approval: Ada approved what the same person ran"
    );
    let fault = checked(Some(0), &[("rows", Some("table t had 3 rows and has 1"))]);
    let entries = || {
        vec![
            begun(|_| {}),
            intent(0),
            done(0),
            fault.clone(),
            ended(5, Some("a check failed")),
        ]
    };
    for (sentence, expected) in [
        (
            "Run",
            "[!] Run the rollback, one revision at a time: 1 of 2 steps done: a check failed",
        ),
        (
            "Look",
            "[!] Look at the database after each step: after step 1: table t had 3 rows and has 1",
        ),
        (
            "Check the integrity",
            "[!] Check the integrity of the data: rows: table t had 3 rows and has 1",
        ),
        (
            "Verify",
            "[!] Verify where the database stands: a person must look: a check failed; the version table says a",
        ),
    ] {
        assert_eq!(line(entries(), sentence), expected);
    }
}

#[test]
fn a_run_that_was_killed_or_not_looked_at_is_open() {
    let killed = || vec![begun(|_| {}), intent(0)];
    assert!(line(killed(), "Run the rollback").starts_with("[ ]"));
    assert!(line(killed(), "Watch for errors").starts_with("[ ]"));
    assert!(line(killed(), "Verify").starts_with("[ ]"));
    let mut unseen = done(0);
    if let Entry::Done { difference, .. } = &mut unseen {
        *difference = None;
    }
    let entries = vec![begun(|_| {}), intent(0), unseen, ended(0, None)];
    assert!(line(entries, "Look").starts_with("[ ]"));
}

#[test]
fn an_end_counts_no_more_once_the_run_goes_on() {
    let resumed = Entry::Resumed {
        by: Operator::default(),
        circumstances: None,
        ruling: None,
    };
    let entries = vec![
        begun(|_| {}),
        intent(0),
        checked(None, &[("health", Some("503"))]),
        ended(4, Some("the engine failed")),
        resumed,
        intent(0),
        done(0),
        done(1),
        ended(0, None),
    ];
    assert!(line(entries.clone(), "Watch for errors").starts_with("[x]"));
    assert!(line(entries, "Test the application").starts_with("[ ]"));
}

#[test]
fn lines_that_are_no_journal_have_no_checklist() {
    assert!(checklist(&[]).is_empty());
    assert!(checklist(&lines(vec![intent(0)])).is_empty());
}

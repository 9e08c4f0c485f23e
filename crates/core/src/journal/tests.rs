use super::*;
use crate::plan::{Plan, Step};
use crate::proof::{Counted, Doubt, PostgresEvidence};
use crate::testing::drawn;

const LINE: &str = "a; b:a; c:b";

fn heads(ids: &[&str]) -> Heads {
    ids.iter().copied().map(RevisionId::from).collect()
}

fn schema(lines: &[&str]) -> SchemaLines {
    lines.iter().map(ToString::to_string).collect()
}

fn operator() -> Operator {
    Operator {
        user: "ada".into(),
        host: "db1".into(),
        pid: 7,
    }
}

fn begun(target: &str) -> Entry {
    Entry::Begun(Box::new(Begun {
        run: "run".into(),
        database_key: "key".into(),
        database: "database".into(),
        target: target.into(),
        removes: vec!["c".into(), "b".into()],
        arguments: vec!["c@b".into(), "b@a".into()],
        by: operator(),
        reason: None,
        tool: "0".into(),
        engine: "alembic".into(),
        heads: heads(&["c"]),
        schema: schema(&["table one", "table two"]),
        ..Begun::default()
    }))
}

fn intent(step: usize) -> Entry {
    Entry::Intent {
        step,
        removes: "c".into(),
        evidence: None,
    }
}

fn done(step: usize, rows: &[&str], gone: &[&str]) -> Entry {
    Entry::Done {
        step,
        removes: "c".into(),
        heads: heads(rows),
        effect: None,
        difference: Some(Difference {
            gone: gone.iter().map(ToString::to_string).collect(),
            new: Vec::new(),
        }),
        schema: String::new(),
        seconds: 0.0,
    }
}

fn run(entries: Vec<Entry>) -> Run {
    run_in_forms(
        entries
            .into_iter()
            .map(|entry| (entry, Some(FORM)))
            .collect(),
    )
}

/// The form is `None` where it was not written down yet.
fn run_in_forms(entries: Vec<(Entry, Option<u32>)>) -> Run {
    let lines = entries.into_iter().map(|(entry, form)| {
        let line = Line {
            version: VERSION,
            at: String::new(),
            form: FORM,
            entry,
        };
        // Through the written form, as in life.
        let mut line = serde_json::to_value(&line).unwrap();
        match form {
            Some(form) => line["form"] = form.into(),
            None => drop(line.as_object_mut().unwrap().remove("form")),
        }
        serde_json::from_value(line).unwrap()
    });
    Run::read(lines).unwrap()
}

#[test]
fn a_journal_knows_where_the_database_stood_after_the_last_step() {
    let run = run(vec![
        begun("-2"),
        intent(0),
        done(0, &["b"], &["table two"]),
    ]);
    assert_eq!((run.done, run.in_flight), (1, None));
    assert_eq!(run.heads, heads(&["b"]));
    assert_eq!(run.schema, Some(schema(&["table one"])));
    assert!(run.is_unfinished());
}

/// Turns red if the target is planned again: three steps from `d` are not three steps from `b`.
#[test]
fn the_rest_is_what_is_left_of_the_recorded_plan() {
    let counted = run(vec![begun("-2")]);
    let rest = |rows: &[&str]| {
        let rows: Vec<RevisionId> = rows.iter().copied().map(RevisionId::from).collect();
        let plan = counted.rest(&drawn(LINE), &rows);
        plan.map(|plan| {
            let steps = plan.steps.iter();
            steps.map(|step| step.argument.clone()).collect::<Vec<_>>()
        })
    };
    assert_eq!(rest(&["c"]).unwrap(), ["c@b", "b@a"]);
    assert_eq!(rest(&["b"]).unwrap(), ["b@a"]);
    assert_eq!(rest(&["a"]).unwrap(), [""; 0]);
    assert!(matches!(rest(&["zz"]), Err(RestError::UnknownRevision(_))));
    // One in the middle is gone: that was not this run.
    assert_eq!(counted.remaining(&heads(&["a", "c"])), None);
}

/// Turns red if the rest is planned again: from the middle of this history the same target gives another order.
#[test]
fn the_rest_of_a_tangled_history_keeps_the_recorded_order() {
    let graph = drawn(
        "a1; a2:a1; b3:a2; c4:a2; a5:b3,c4; a6:a5; d7:a6; a8:a6,d7; a9:a8; e1; e2:e1+a5; e3:e2; \
         a10:a9+e2; a11:a10; e4:e3",
    );
    let rows: Vec<RevisionId> = ["a11", "e4"].map(RevisionId::from).into();
    let base = "base".parse().unwrap();
    let plan = Plan::new(&graph, &rows, &base).unwrap();
    assert_eq!(plan.steps.len(), 15);
    let ids = |steps: &[Step]| -> Vec<String> {
        let ids = steps.iter().map(|step| step.removes.to_string());
        ids.collect()
    };
    let run = run(vec![Entry::Begun(Box::new(Begun {
        target: "base".into(),
        removes: ids(&plan.steps),
        heads: rows.into_iter().collect(),
        ..Begun::default()
    }))]);
    let mut planned_otherwise = 0;
    for cut in 1..=plan.steps.len() {
        let rows: Vec<RevisionId> = plan.steps[cut - 1].heads_after.iter().cloned().collect();
        let rest = run.rest(&graph, &rows).unwrap();
        assert_eq!(
            ids(&rest.steps),
            ids(&plan.steps[cut..]),
            "after step {cut}"
        );
        for (resumed, planned) in rest.steps.iter().zip(&plan.steps[cut..]) {
            assert_eq!(resumed.heads_after, planned.heads_after, "after step {cut}");
        }
        let again = Plan::new(&graph, &rows, &base).unwrap();
        planned_otherwise += usize::from(ids(&again.steps) != ids(&plan.steps[cut..]));
    }
    assert!(planned_otherwise > 0, "the history is not tangled enough");
}

/// Turns red if a later step that is gone is taken for progress, or something that was applied since goes along.
#[test]
fn a_rest_that_the_graph_does_not_allow_says_which_step_and_why() {
    let counted = run(vec![begun("-2")]);
    let rest = |drawing: &str, rows: &[&str]| {
        let rows: Vec<RevisionId> = rows.iter().copied().map(RevisionId::from).collect();
        counted
            .rest(&drawn(drawing), &rows)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        rest("a; b:a; c:b; d:b", &["d"]),
        "b cannot be removed alone now: d would go with it"
    );
    // The code puts `c` beside `b` now.
    assert_eq!(
        rest("a; b:a; c:a", &["c"]),
        "b is not applied, and c is, which the plan removes before it: somebody changed the database since"
    );
}

#[test]
fn a_step_under_way_is_told_from_what_the_database_shows() {
    let graph = drawn(LINE);
    let run = run(vec![begun("a"), intent(0)]);
    let both = schema(&["table one", "table two"]);
    assert_eq!(
        run.examine(&graph, &heads(&["c"]), Some(&both), &[]),
        CrashState::NothingHappened
    );
    assert_eq!(
        run.examine(&graph, &heads(&["b"]), Some(&schema(&["table one"])), &[]),
        CrashState::StepHappened
    );
    let half = run.examine(&graph, &heads(&["c"]), Some(&schema(&["table one"])), &[]);
    assert_eq!(
        half,
        CrashState::HalfDone(Difference {
            gone: vec!["table two".into()],
            new: Vec::new()
        })
    );
    assert_eq!(
        run.examine(&graph, &heads(&["a"]), Some(&both), &[]),
        CrashState::Elsewhere
    );
}

/// Turns red if what another version wrote is held against what this one reads.
#[test]
fn a_schema_in_another_form_is_compared_with_none() {
    let graph = drawn(LINE);
    let ours = schema(&["table one in the form of today"]);
    let examine = |run: &Run, at: &str| run.examine(&graph, &heads(&[at]), Some(&ours), &[]);
    for form in [None, Some(FORM + 1)] {
        let old = |entry| (entry, form);
        let begun_only = run_in_forms(vec![old(begun("a"))]);
        assert_eq!(examine(&begun_only, "c"), CrashState::AtTheBoundary);
        // Half of it may have happened.
        let in_flight = run_in_forms(vec![old(begun("a")), old(intent(0))]);
        assert_eq!(examine(&in_flight, "c"), CrashState::OtherForm);
        assert_eq!(examine(&in_flight, "b"), CrashState::StepHappened);
        // Gone on with by this version, which only knows what a step did, not to what.
        let mut entries = vec![
            old(begun("a")),
            (done(0, &["b"], &["table two"]), Some(FORM)),
        ];
        assert_eq!(
            examine(&run_in_forms(entries.clone()), "b"),
            CrashState::AtTheBoundary
        );
        entries.push((intent(1), Some(FORM)));
        assert_eq!(
            examine(&run_in_forms(entries.clone()), "b"),
            CrashState::OtherForm
        );
        // What is accepted is known whole.
        let accepted = Entry::Accepted {
            heads: heads(&["b"]),
            schema: ours.clone(),
        };
        entries.extend([accepted, intent(1)].map(|entry| (entry, Some(FORM))));
        assert_eq!(
            examine(&run_in_forms(entries), "b"),
            CrashState::NothingHappened
        );
    }
}

#[test]
fn between_steps_the_database_has_to_stand_where_the_record_ends() {
    let graph = drawn(LINE);
    let run = run(vec![begun("a"), intent(0), done(0, &["b"], &["table two"])]);
    let one = schema(&["table one"]);
    assert_eq!(
        run.examine(&graph, &heads(&["b"]), Some(&one), &[]),
        CrashState::AtTheBoundary
    );
    assert_eq!(
        run.examine(&graph, &heads(&["a"]), Some(&one), &[]),
        CrashState::Elsewhere
    );
    assert_eq!(
        run.examine(&graph, &heads(&["b"]), None, &[]),
        CrashState::AtTheBoundary
    );
}

/// As a journal has it after the engine was told to commit.
fn whole(copy: Option<&str>, committing: bool) -> Vec<Entry> {
    let copy = copy.map(str::to_owned);
    let mut entries = vec![begun("a"), Entry::Whole { copy }, intent(0)];
    if committing {
        let step = |step, rows: &[&str], gone: &str| AtomicEnd {
            step,
            removes: "c".into(),
            heads: heads(rows),
            difference: Difference {
                gone: vec![gone.into()],
                new: Vec::new(),
            },
            schema: String::new(),
            seconds: 0.0,
        };
        let steps = vec![step(0, &["b"], "table two"), step(1, &["a"], "table one")];
        entries.push(Entry::Committing { steps });
    }
    entries
}

#[test]
fn of_a_whole_in_a_transaction_all_or_nothing_is_found() {
    let graph = drawn(LINE);
    let (both, none) = (schema(&["table one", "table two"]), schema(&[]));
    let one = schema(&["table one"]);
    for committing in [false, true] {
        let run = run(whole(None, committing));
        let found = |rows: &[&str], schema| run.examine(&graph, &heads(rows), Some(schema), &[]);
        assert_eq!(found(&["c"], &both), CrashState::NothingHappened);
        assert!(matches!(found(&["c"], &one), CrashState::HalfDone(_)));
        assert_eq!(found(&["b"], &one), CrashState::Elsewhere);
        if committing {
            assert_eq!(found(&["a"], &none), CrashState::WholeHappened);
            assert!(matches!(found(&["a"], &one), CrashState::NotAsSeen(_)));
        } else {
            assert_eq!(found(&["a"], &none), CrashState::Elsewhere);
        }
    }
}

#[test]
fn what_was_recorded_of_a_whole_is_not_recorded_again() {
    let mut entries = whole(None, true);
    entries.push(done(0, &["b"], &["table two"]));
    let half = run(entries.clone());
    let left: Vec<usize> = half.unrecorded().iter().map(|step| step.step).collect();
    assert_eq!(left, [1]);
    let graph = drawn(LINE);
    assert_eq!(
        half.examine(&graph, &heads(&["a"]), Some(&schema(&[])), &[]),
        CrashState::WholeHappened
    );
    entries.extend(half.unrecorded().into_iter().map(Entry::from));
    let run = run(entries);
    assert_eq!((run.done, run.open_whole()), (2, None));
    assert_eq!(run.schema, Some(schema(&[])));
}

#[test]
fn a_copy_is_put_back_where_our_steps_were_under_way() {
    let graph = drawn(LINE);
    let run_with_copy = run(whole(Some("copy"), false));
    for rows in ["a", "b"] {
        assert_eq!(
            run_with_copy.examine(&graph, &heads(&[rows]), Some(&schema(&[])), &[]),
            CrashState::PartOfAWhole
        );
    }
    // Before the first step it was somebody else.
    let mut entries = whole(Some("copy"), false);
    entries.pop();
    assert_eq!(
        run(entries).examine(&graph, &heads(&["b"]), Some(&schema(&[])), &[]),
        CrashState::Elsewhere
    );
    let mut entries = whole(Some("copy"), true);
    entries.extend([done(0, &["b"], &["table two"]), Entry::TakenBack]);
    let run = run(entries);
    assert_eq!((run.done, run.in_flight, &run.whole), (0, None, &None));
    assert_eq!(run.heads, heads(&["c"]));
    assert_eq!(run.schema, Some(schema(&["table one", "table two"])));
    assert!(run.as_a_whole);
}

#[test]
fn only_a_run_at_its_target_or_given_up_is_finished() {
    let end = |exit_code| Entry::Ended {
        exit_code,
        cause: None,
        heads: None,
    };
    assert!(!run(vec![begun("a"), end(0)]).is_unfinished());
    assert!(run(vec![begun("a"), end(4)]).is_unfinished());
    assert!(!run(vec![begun("a"), Entry::Abandoned { by: operator() }]).is_unfinished());
    let resumed = vec![
        begun("a"),
        end(4),
        Entry::Resumed {
            by: operator(),
            circumstances: None,
            ruling: None,
        },
    ];
    assert!(!run(resumed).ended_cleanly());
}

fn manifest() -> Manifest {
    Manifest {
        version: 1,
        id: "20261121T040000Z-1".into(),
        at: "2026-11-21T04:00:00.000Z".into(),
        run: Some("run".into()),
        by: operator(),
        database_key: "key".into(),
        database: "database".into(),
        dialect: "sqlite".into(),
        server: None,
        client: None,
        file: "20261121T040000Z-1.sqlite".into(),
        bytes: 4096,
        sha256: "00".into(),
        seconds: 0.1,
        heads: heads(&["c"]),
        schema: "v2:0".into(),
        rows: [("one".to_owned(), 3)].into(),
        verified: crate::backup::Verified::Read,
        ..Manifest::default()
    }
}

/// A manifest has a version and a moment of its own. Beside those of the line they would make it unreadable.
#[test]
fn a_backup_in_a_line_is_read_back_with_the_moments_of_both() {
    let line = Line {
        version: VERSION,
        at: "2026-11-21T04:00:01.000Z".into(),
        form: FORM,
        entry: backed_up(Some(BackupMoment::Command)),
    };
    let text = serde_json::to_string(&line).unwrap();
    assert_eq!(text.matches("\"version\"").count(), 2, "{text}");
    assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["at"], "2026-11-21T04:00:01.000Z");
    assert_eq!(value["manifest"]["at"], "2026-11-21T04:00:00.000Z");
}

#[test]
fn a_run_whose_backup_was_put_back_is_over_whatever_it_ended_with() {
    let restored = Entry::Restored {
        backup: manifest().id,
        by: operator(),
        heads: heads(&["c"]),
        seconds: 0.1,
        other_database: None,
    };
    let ended = Entry::Ended {
        exit_code: 4,
        cause: None,
        heads: None,
    };
    let run = run(vec![
        begun("-2"),
        backed_up(None),
        intent(0),
        done(0, &["b"], &[]),
        restored,
        ended,
    ]);
    assert!(!run.is_unfinished());
    assert_eq!(run.end, Some(End::Restored));
    assert_eq!(run.heads, heads(&["c"]));
    let made = to_go_back(&run.backups).unwrap();
    assert_eq!(
        (&made.manifest, made.before),
        (&manifest(), BackupMoment::Run)
    );
}

fn backed_up(before: Option<BackupMoment>) -> Entry {
    Entry::BackedUp {
        manifest: Box::new(manifest()),
        before,
    }
}

fn called(id: &str, before: Option<BackupMoment>) -> Entry {
    Entry::BackedUp {
        manifest: Box::new(Manifest {
            id: id.to_owned(),
            ..manifest()
        }),
        before,
    }
}

/// Turns red if the newest backup is taken for the one from before the run.
#[test]
fn a_run_goes_back_to_its_first_backup_however_often_it_was_resumed() {
    let of = |entries: Vec<Entry>| {
        let run = run([vec![begun("-2")], entries].concat());
        to_go_back(&run.backups).map(|made| (made.manifest.id.clone(), made.before))
    };
    let told = |id: &str, before| Some((id.to_owned(), before));
    let first_step = || vec![intent(0), done(0, &["b"], &[])];
    for explicit in [false, true] {
        let moment = |before| explicit.then_some(before);
        let before_run = called("first", moment(BackupMoment::Run));
        let before_resume = called("second", moment(BackupMoment::Resume));
        assert_eq!(
            of([
                vec![before_run.clone()],
                first_step(),
                vec![before_resume.clone()]
            ]
            .concat()),
            told("first", BackupMoment::Run)
        );
        assert_eq!(
            of([first_step(), vec![before_resume]].concat()),
            told("second", BackupMoment::Resume)
        );
    }
    let command = called("command", Some(BackupMoment::Command));
    assert_eq!(
        of([vec![called("first", None), command], first_step()].concat()),
        told("command", BackupMoment::Command)
    );
    // Begun, and not proven that nothing of it is left.
    assert_eq!(
        of(vec![intent(0), called("one", None)]),
        told("one", BackupMoment::Resume)
    );
    // Nothing of it is left.
    let whole = vec![Entry::Whole { copy: None }, intent(0), Entry::TakenBack];
    assert_eq!(
        of([whole, vec![called("one", None)]].concat()),
        told("one", BackupMoment::Run)
    );
    assert_eq!(of(first_step()), None);
}

/// Turns red if a restore to the middle of a run counts as a restore of all of it.
#[test]
fn a_run_whose_resume_was_undone_stands_where_the_resume_began() {
    let run = run(vec![
        begun("-2"),
        intent(0),
        done(0, &["b"], &["table two"]),
        called("second", Some(BackupMoment::Resume)),
        intent(1),
        done(1, &["a"], &["table one"]),
        Entry::Restored {
            backup: "second".to_owned(),
            by: operator(),
            heads: heads(&["b"]),
            seconds: 0.1,
            other_database: None,
        },
        Entry::Ended {
            exit_code: 4,
            cause: Some("the engine exited with status 1".to_owned()),
            heads: Some(heads(&["b"])),
        },
    ]);
    assert!(run.is_unfinished());
    assert_eq!((run.done, run.in_flight), (1, None));
    assert_eq!(run.heads, heads(&["b"]));
    assert_eq!(run.schema, Some(schema(&["table one"])));
    assert_eq!(run.end, Some(End::Early(4)));
}

fn statement(at: usize, state: StatementState) -> Entry {
    Entry::Statement {
        step: 0,
        statement: Statement {
            at,
            of: 3,
            state,
            text: format!("digest of {at}"),
            schema: None,
        },
    }
}

#[test]
fn only_a_statement_that_was_sent_and_not_answered_is_in_flight() {
    use StatementState::{Begun, Ended, Refused};
    let in_flight = |entries: Vec<Entry>| {
        let all = [begun("base"), intent(0)].into_iter().chain(entries);
        let run = run(all.collect());
        run.statement_in_flight()
            .map(|(at, text)| (at, text.to_owned()))
    };
    assert_eq!(in_flight(vec![]), None);
    let sent = Some((1, "digest of 1".to_owned()));
    let one = [statement(0, Begun), statement(0, Ended)];
    let with = |more: Vec<Entry>| one.iter().cloned().chain(more).collect();
    assert_eq!(in_flight(with(vec![])), None);
    assert_eq!(in_flight(with(vec![statement(1, Begun)])), sent);
    // Gone on with and cut off again, before anything more was sent.
    let again = vec![statement(1, Begun), intent(0)];
    assert_eq!(in_flight(with(again)), sent);
    let refused = vec![statement(1, Begun), statement(1, Refused)];
    assert_eq!(in_flight(with(refused)), None);
    let next = vec![statement(1, Begun), done(0, &["b"], &[]), intent(1)];
    assert_eq!(in_flight(with(next)), None);
}

#[test]
fn in_the_middle_of_a_step_the_schema_is_what_was_found_there() {
    let middle = Entry::InTheMiddle {
        step: 0,
        statements: 1,
        schema: schema(&["table two"]),
    };
    let run = run(vec![begun("base"), intent(0), middle]);
    assert_eq!(run.schema, Some(schema(&["table two"])));
    assert_eq!((run.done, run.in_flight), (0, Some(0)));
}

/// Red if a step in flight is run again although nothing proves that it left nothing, or one is not whose end was
/// recorded with that proof: what was written since is somebody else's.
#[test]
fn a_step_in_flight_is_run_again_only_with_proof() {
    let graph = drawn(LINE);
    let both = schema(&["table one", "table two"]);
    let doubts = [Doubt::RowsChanged(vec!["one".to_owned()])];
    let found =
        |entries: Vec<Entry>| run(entries).examine(&graph, &heads(&["c"]), Some(&both), &doubts);
    let unproven = CrashState::MayHaveChanged(doubts.to_vec());
    assert_eq!(found(vec![begun("a"), intent(0)]), unproven);
    let ended = |exit_code| Entry::Ended {
        exit_code,
        cause: None,
        heads: None,
    };
    let resumed = || Entry::Resumed {
        by: operator(),
        circumstances: None,
        ruling: None,
    };
    let after = |exit_code| vec![begun("a"), intent(0), ended(exit_code), resumed()];
    assert_eq!(found(after(4)), CrashState::NothingHappened);
    assert_eq!(found(after(130)), CrashState::NothingHappened);
    assert_eq!(found(after(5)), unproven);
    // The next attempt needs a proof of its own.
    let mut again = after(4);
    again.push(intent(0));
    assert_eq!(found(again), unproven);
    // Steps that are all done or none have a copy to go back to, or a transaction that proves it.
    let with_copy = run(whole(Some("copy"), false));
    assert_eq!(
        with_copy.examine(&graph, &heads(&["c"]), Some(&both), &doubts),
        CrashState::PartOfAWhole
    );
    assert_eq!(found(whole(None, false)), unproven);
}

/// Red if the evidence of a step is lost in a record, or that of a record of before counts.
#[test]
fn the_evidence_of_the_step_in_flight_is_in_the_record() {
    let evidence = |rows: u64| {
        RowEvidence::Postgresql(PostgresEvidence {
            snapshot: "1:2:".to_owned(),
            counted: Some(Counted {
                rows: [("a".to_owned(), 1), ("b".to_owned(), rows)].into(),
                ..Counted::default()
            }),
            ..PostgresEvidence::default()
        })
    };
    let mut known = BTreeMap::new();
    let mut with = |rows: u64| Entry::Intent {
        step: 0,
        removes: "c".into(),
        evidence: Some(evidence(rows).without(&mut known)),
    };
    let entries = vec![begun("a"), with(1), with(2)];
    assert_eq!(run(entries).evidence(), Some(&evidence(2)));
    assert_eq!(run(vec![begun("a"), intent(0)]).evidence(), None);
}

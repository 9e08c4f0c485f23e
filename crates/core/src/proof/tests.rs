use super::*;

fn rows(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let pairs = pairs.iter();
    pairs
        .map(|(table, rows)| ((*table).to_owned(), *rows))
        .collect()
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn postgres() -> PostgresEvidence {
    PostgresEvidence {
        snapshot: "10:12:".to_owned(),
        counted: Some(Counted {
            rows: rows(&[("public.a", 2), ("public.b", 0)]),
            ..Counted::default()
        }),
        sequences: [("public.s".to_owned(), SequenceEvidence(Some(5), 1))].into(),
        ..PostgresEvidence::default()
    }
}

fn table(rows: u64, newer: u64) -> TableTrace {
    TableTrace {
        rows: Some(rows),
        newer: Some(newer),
    }
}

/// Red if a commit of somebody is taken for proof, or the rows for a doubt where every transaction was rolled back.
#[test]
fn on_postgresql_rolled_back_transactions_prove_it_and_else_every_table_has_to() {
    let before = postgres();
    let proof = |after: &PostgresTrace| before.doubts(after);
    let mut after = PostgresTrace::default();
    assert_eq!(proof(&after), []);
    after.kept = 1;
    after.tables = [
        ("public.a".to_owned(), table(2, 0)),
        ("public.b".to_owned(), table(0, 0)),
    ]
    .into();
    assert_eq!(proof(&after), []);
    // An update leaves the number as it is.
    after.tables.insert("public.a".to_owned(), table(2, 1));
    assert_eq!(proof(&after), [Doubt::RowsChanged(strings(&["public.a"]))]);
    after.tables.insert("public.a".to_owned(), table(1, 0));
    assert_eq!(proof(&after), [Doubt::RowsChanged(strings(&["public.a"]))]);
    after.step_rolled_back = true;
    assert_eq!(proof(&after), []);
    after.step_rolled_back = false;
    // What could not be counted is not the same.
    after
        .tables
        .insert("public.a".to_owned(), TableTrace::default());
    after.unreadable = 1;
    assert_eq!(
        proof(&after),
        [
            Doubt::NotCompared(strings(&["public.a"])),
            Doubt::Unreadable(1)
        ]
    );
    let uncounted = PostgresEvidence {
        counted: None,
        ..postgres()
    };
    assert_eq!(uncounted.doubts(&after), [Doubt::NoEvidence]);
}

/// Red if a sequence that was set back, which no rollback undoes, is passed over, or one that only counted on is not.
#[test]
fn on_postgresql_a_sequence_may_have_counted_on_but_not_back() {
    let at = |last: Option<i64>, increment: i64| {
        let was = PostgresEvidence {
            sequences: [("s".to_owned(), SequenceEvidence(Some(5), increment))].into(),
            ..PostgresEvidence::default()
        };
        let after = PostgresTrace {
            sequences: [("s".to_owned(), SequenceEvidence(last, increment))].into(),
            ..PostgresTrace::default()
        };
        was.doubts(&after)
    };
    assert_eq!(at(Some(9), 1), []);
    assert_eq!(at(Some(1), 1), [Doubt::SequencesSetBack(strings(&["s"]))]);
    assert_eq!(at(None, 1), [Doubt::SequencesSetBack(strings(&["s"]))]);
    assert_eq!(at(Some(1), -1), []);
    assert_eq!(at(Some(9), -1), [Doubt::SequencesSetBack(strings(&["s"]))]);
}

/// Red if a server with other transactions, or a session that is still at work, counts as proof.
#[test]
fn on_postgresql_another_server_and_a_session_at_work_are_doubts() {
    let after = PostgresTrace {
        wound_back: true,
        ..PostgresTrace::default()
    };
    assert_eq!(postgres().doubts(&after), [Doubt::AnotherServer]);
    let after = PostgresTrace {
        at_work: true,
        ..PostgresTrace::default()
    };
    assert_eq!(postgres().doubts(&after), [Doubt::StillAtWork]);
    let other = Proof::of(
        &RowEvidence::Postgresql(postgres()),
        &Trace::Sqlite(SqliteEvidence::default()),
    );
    assert_eq!(other.doubts, [Doubt::AnotherServer]);
}

fn mysql() -> MySqlEvidence {
    MySqlEvidence {
        started: 1000,
        moment: 2000,
        empty: ["void".to_owned()].into(),
        hot: [
            (
                "small".to_owned(),
                Hot {
                    checksum: Some("7".to_owned()),
                },
            ),
            ("large".to_owned(), Hot::default()),
        ]
        .into(),
        ..MySqlEvidence::default()
    }
}

fn state(written: Option<u64>, has_rows: bool) -> TableState {
    TableState {
        notes_writes: true,
        created: Some(1500),
        written,
        checksum: None,
        has_rows: Some(has_rows),
    }
}

fn seen(name: &str, state: TableState) -> Vec<Doubt> {
    let after = MySqlTrace {
        started: 1001,
        tables: [(name.to_owned(), state)].into(),
        ..MySqlTrace::default()
    };
    mysql().doubts(&after)
}

/// Red if one of the ways in which a table is changed by a step that fails later is passed over.
#[test]
fn on_mysql_every_way_to_change_a_table_is_a_doubt() {
    let t = || strings(&["t"]);
    assert_eq!(seen("t", state(Some(1999), true)), []);
    assert_eq!(seen("t", state(None, true)), []);
    assert_eq!(
        seen("t", state(Some(2000), true)),
        [Doubt::RowsChanged(t())]
    );
    assert_eq!(
        seen("t", state(Some(2001), false)),
        [Doubt::RowsChanged(t())]
    );
    // TRUNCATE is noted nowhere.
    assert_eq!(seen("t", state(Some(1999), false)), [Doubt::Emptied(t())]);
    assert_eq!(seen("void", state(Some(1999), false)), []);
    let altered = TableState {
        created: Some(2003),
        ..state(None, true)
    };
    assert_eq!(seen("t", altered), [Doubt::RowsChanged(t())]);
    let in_memory = TableState {
        notes_writes: false,
        ..state(None, true)
    };
    assert_eq!(seen("t", in_memory), [Doubt::NotCompared(t())]);
    let unasked = TableState {
        has_rows: None,
        ..state(None, true)
    };
    assert_eq!(seen("t", unasked), [Doubt::NotCompared(t())]);
}

/// Red if a write in the very second of the note counts as one before it, or every one as one after it.
#[test]
fn on_mysql_a_table_of_the_same_second_is_told_by_its_checksum() {
    let with = |checksum: &str| TableState {
        checksum: Some(checksum.to_owned()),
        ..state(Some(2000), true)
    };
    assert_eq!(seen("small", with("7")), []);
    assert_eq!(
        seen("small", with("8")),
        [Doubt::RowsChanged(strings(&["small"]))]
    );
    assert_eq!(
        seen("large", state(Some(2000), true)),
        [Doubt::NotCompared(strings(&["large"]))]
    );
}

/// Red if a server that has forgotten when its tables were written counts as one whose tables were not.
#[test]
fn on_mysql_a_server_that_forgets_proves_nothing() {
    let after = MySqlTrace {
        started: 1900,
        ..MySqlTrace::default()
    };
    assert_eq!(mysql().doubts(&after), [Doubt::Restarted]);
    let after = MySqlTrace {
        started: 1000,
        forgets: true,
        tables: [("t".to_owned(), state(None, true))].into(),
        ..MySqlTrace::default()
    };
    assert_eq!(
        mysql().doubts(&after),
        [Doubt::NotCompared(strings(&["t"]))]
    );
}

/// Red if a commit goes unnoticed in either mode, or a transaction that was rolled back counts as one.
#[test]
fn a_sqlite_file_is_the_same_if_nothing_was_committed() {
    let plain = SqliteEvidence {
        length: 8192,
        counter: 3,
        written: Some(1),
        ..SqliteEvidence::default()
    };
    let touched = SqliteEvidence {
        written: Some(2),
        ..plain.clone()
    };
    assert_eq!(plain.doubts(&touched), []);
    let committed = SqliteEvidence {
        counter: 4,
        ..plain.clone()
    };
    assert_eq!(plain.doubts(&committed), [Doubt::FileWritten]);
    let with_log = |pages| SqliteEvidence {
        has_log: true,
        log: Some(Log { salts: 9, pages }),
        ..plain.clone()
    };
    assert_eq!(with_log(2).doubts(&with_log(2)), []);
    assert_eq!(with_log(2).doubts(&with_log(3)), [Doubt::FileWritten]);
    let copied_back = SqliteEvidence {
        written: Some(2),
        ..with_log(2)
    };
    assert_eq!(with_log(2).doubts(&copied_back), [Doubt::FileWritten]);
}

/// Red if a record loses a count, or keeps one of a table that has none any more.
#[test]
fn what_is_left_out_of_a_record_comes_back() {
    let mut written = BTreeMap::new();
    let mut read = BTreeMap::new();
    for all in [
        rows(&[("a", 1), ("b", 2)]),
        rows(&[("a", 1), ("b", 3), ("c", 0)]),
        rows(&[("b", 3)]),
        rows(&[]),
    ] {
        let evidence = RowEvidence::Postgresql(PostgresEvidence {
            counted: Some(Counted {
                rows: all,
                ..Counted::default()
            }),
            ..postgres()
        });
        let short = evidence.clone().without(&mut written);
        let text = serde_json::to_string(&short).unwrap();
        let back: RowEvidence = serde_json::from_str(&text).unwrap();
        assert_eq!(back.with(&mut read), evidence, "{text}");
    }
}

/// Red if rows that a step's own session did not remove are held against it.
#[test]
fn a_session_removes_what_it_deleted_or_could_empty() {
    let mut session = StepSession {
        deleted: rows(&[("a", 2)]),
        locked: strings(&["b"]),
        ..StepSession::default()
    };
    assert_eq!(session.may_have_removed("a", 2), Some(true));
    assert_eq!(session.may_have_removed("a", 3), Some(false));
    assert_eq!(session.may_have_removed("b", 100), Some(true));
    assert_eq!(session.may_have_removed("c", 1), Some(false));
    // A commit that did not come from SQLAlchemy tells nothing.
    session.transactions = vec![7];
    assert_eq!(session.may_have_removed("a", 2), Some(true));
    assert_eq!(session.may_have_removed("c", 1), None);
}

use super::*;
use crate::file::{Form, Rollback};
use crate::supabase::UnknownRemote;

fn id(name: &str) -> RevisionId {
    RevisionId::new(name)
}

fn record(name: &str, status: MigrationStatus) -> HistoryRecord {
    HistoryRecord {
        id: id(name),
        status,
        applied_at: Some("2025-01-20T10:00:00Z".to_owned()),
        applied_by: None,
        rollback_sql: Some("DROP TABLE t".to_owned()),
        checksum: None,
        rollback_at: None,
        rollback_by: None,
        notes: None,
        metadata: Metadata::default(),
    }
}

/// `a b:a c:a,?b -d:a !e ~f`: `-` is rolled back, `!` failed, `~` has no SQL; `?` is declared not to be one.
fn history(drawing: &str) -> History {
    let mut history = History::default();
    for word in drawing.split_whitespace() {
        let (name, needed) = word.split_once(':').unwrap_or((word, ""));
        let bare = name.trim_start_matches(['-', '!', '~']);
        let status = match name.chars().next() {
            Some('-') => MigrationStatus::RolledBack,
            Some('!') => MigrationStatus::Failed,
            _ => MigrationStatus::Applied,
        };
        let mut record = record(bare, status);
        if name.starts_with('~') {
            record.rollback_sql = Some(" \n".to_owned());
        }
        history.records.push(record);
        for on in needed.split(',').filter(|on| !on.is_empty()) {
            history.dependencies.push(Dependency {
                of: id(bare),
                on: id(on.trim_start_matches('?')),
                kind: if on.starts_with('?') {
                    HistoryKind::Independent
                } else {
                    HistoryKind::Declared
                },
                object: None,
            });
        }
    }
    history
}

fn order(drawing: &str) -> Vec<String> {
    let graph = history(drawing).graph(&[]).unwrap();
    graph.revisions().iter().map(|one| one.id.clone()).collect()
}

fn told(drawing: &str, name: &str) -> (String, Vec<String>) {
    let verdict = history(drawing).verdict(&id(name));
    assert_eq!(verdict.can_rollback, verdict.reason == CAN);
    let dependents = verdict.dependents.iter().map(ToString::to_string).collect();
    (verdict.reason, dependents)
}

#[test]
fn what_is_applied_comes_by_name_and_after_what_it_needs() {
    assert_eq!(order("c a b"), ["a", "b", "c"]);
    assert_eq!(order("a:c b c"), ["c", "a", "b"]);
    assert_eq!(order("a:?c b c"), ["a", "b", "c"]);
    assert_eq!(order("-a b c:a !d"), ["b", "c", "d", "a"]);
}

#[test]
fn files_that_were_never_registered_come_last() {
    let file = |name: &str| MigrationFile {
        id: id(name),
        path: format!("migrations/{name}.sql"),
        description: None,
        up: String::new(),
        rollback: Some(Rollback {
            form: Form::Plain,
            sql: "SELECT 1".to_owned(),
            file: String::new(),
            line: 1,
        }),
        depends_on: Vec::new(),
        independent_of: Vec::new(),
        checksum: String::new(),
    };
    let history = history("20250120_b 20250121_c-d:20250120_b -20250119_x");
    let files = ["20250118_a__b", "20250120_b"].map(file);
    let graph = history.graph(&files).unwrap();
    let rows: Vec<_> = graph
        .revisions()
        .iter()
        .map(|one| (one.id.as_str(), one.message.as_str(), one.depends_on.len()))
        .collect();
    assert_eq!(
        rows,
        [
            ("20250120_b", "b", 0),
            ("20250121_c-d", "c d", 1),
            ("20250118_a__b", "a b", 0),
            ("20250119_x", "x", 0),
        ]
    );
    let of = |index: usize| &graph.revisions()[index];
    assert_eq!(of(0).path.as_deref(), Some("migrations/20250120_b.sql"));
    assert_eq!(of(0).created.as_deref(), Some("2025-01-20T10:00:00Z"));
    assert_eq!(of(3).created, None);
}

#[test]
fn a_circle_is_named() {
    let Err(GraphError::Cycle { ids }) = history("a b:c c:b d:c").graph(&[]) else {
        panic!("a circle is no order")
    };
    assert_eq!(ids, ["b", "c"], "and not what only needs it");
    // Nor does it keep the verdict from ending.
    assert_eq!(
        told("a b:c,a c:b d:c", "a"),
        (NEEDED.to_owned(), ["d", "c", "b"].map(str::to_owned).into())
    );
    assert_eq!(
        told("a:a", "a").0,
        CAN,
        "nothing stands in its way but itself"
    );
}

#[test]
fn the_reasons_have_an_order() {
    let plain = |reason: &str| (reason.to_owned(), Vec::new());
    assert_eq!(told("a", "b"), plain(UNKNOWN));
    assert_eq!(told("-a b:a", "a"), plain(GONE));
    assert_eq!(
        told("!a b:a", "a"),
        (FAILED.to_owned(), vec!["b".to_owned()])
    );
    assert_eq!(
        told("~a b:a", "a"),
        (NEEDED.to_owned(), vec!["b".to_owned()])
    );
    assert_eq!(told("~a b:?a", "a"), plain(NO_SQL));
    assert_eq!(told("a -b:a c:b", "a"), plain(CAN));
}

#[test]
fn dependents_come_in_the_order_in_which_they_go() {
    assert_eq!(told("a b:a c:b d:a e", "a").1, ["d", "c", "b"]);
    assert_eq!(told("a b:a,d c:b d:a", "a").1, ["c", "b", "d"]);
    assert_eq!(told("a !b:a c:b", "a").1, ["c", "b"]);
}

/// Turns red if the two orders could tell somebody to take down what another one still needs.
#[test]
fn the_order_of_the_dependents_is_a_part_of_the_order_of_all() {
    for drawing in [
        "a b:a,f c:b d:a e:d,b f",
        "a:z b:a z y:b x:z,y",
        "m a:m b:m c:a d:b,c",
    ] {
        let history = history(drawing);
        let all = order(drawing);
        for record in &history.records {
            let dependents = history.verdict(&record.id).dependents;
            let of_all: Vec<RevisionId> = all
                .iter()
                .rev()
                .map(|name| id(name))
                .filter(|one| dependents.contains(one))
                .collect();
            assert_eq!(dependents, of_all, "{drawing}: {}", record.id);
        }
    }
}

#[test]
fn what_needs_something_that_is_gone_is_told() {
    let history = history("-a b:a c:x d:b");
    assert_eq!(
        history.broken(),
        [(&id("b"), &id("a")), (&id("c"), &id("x"))]
    );
}

#[test]
fn supabase_and_we_may_disagree() {
    let mut history = history("20250101_a 20250102_b -20250103_c -20250104_d");
    assert!(history.disagreement(&[]).is_empty());
    let rows = [
        RemoteMigration::new("20250101", Some("a")),
        // The version of another migration's row.
        RemoteMigration::new("20250102", Some("other")),
        RemoteMigration::new("20250103", None),
        RemoteMigration::new("20250109", Some("gone")),
    ];
    history.supabase = Some(rows.to_vec());
    let unknown = |row: &RemoteMigration| UnknownRemote {
        row: row.clone(),
        files: Vec::new(),
        has_file: false,
    };
    assert_eq!(
        history.disagreement(&[]),
        Disagreement {
            not_in_supabase: vec![id("20250102_b")],
            rolled_back_here: vec![id("20250103_c")],
            not_registered: vec![unknown(&rows[1]), unknown(&rows[3])],
        }
    );
}

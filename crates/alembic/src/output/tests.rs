use super::*;

/// Recorded from Alembic 1.20.1 at `m1` and `x3`.
const HISTORY: &str = "\
Rev: x3 (head)
Parent: x2
Also depends on: left, b2
Branch names: pkg, other
Path: /project/alembic/more/x3_x.py

    by label
    
    Revision ID: x3
    Revises: stale
    Create Date: 2024-01-02 03:04:05.678901

Rev: m1 (head) (branchpoint) (mergepoint) (current)
Merges: b1, c1
Branches into: n1, n2
Path: /project/alembic/versions/m1_x.py

    

Rev: a1
Parent: <base>
Path: /project/alembic/versions/a1_x.py

    first
    Rev: fake (head)
    Parent: nothing
    
    more text
    
    Revision ID: a1
    Revises: 
    Create Date: 2024-01-02 03:04:05.678901

";

#[test]
fn a_verbose_history_is_read_whole_and_put_into_the_order_of_loading() {
    let revisions = history(HISTORY).unwrap();
    let ids: Vec<_> = revisions
        .iter()
        .map(|revision| revision.id.as_str())
        .collect();
    assert_eq!(ids, ["x3", "a1", "m1"]);
    assert_eq!(revisions[0].depends_on, ["left", "b2"]);
    assert_eq!(revisions[0].branch_labels, ["pkg", "other"]);
    assert_eq!(
        revisions[0].created.as_deref(),
        Some("2024-01-02 03:04:05.678901")
    );
    assert_eq!(revisions[1].down_revisions, [""; 0]);
    assert_eq!(
        revisions[1].message,
        "first\nRev: fake (head)\nParent: nothing\n\nmore text"
    );
    assert_eq!(revisions[2].down_revisions, ["b1", "c1"]);
    assert_eq!(revisions[2].message, "");
    assert_eq!(
        revisions[2].path.as_deref(),
        Some("/project/alembic/versions/m1_x.py")
    );
}

#[test]
fn chatter_around_the_listing_is_passed_over() {
    let text = format!(
        "Loaded your LOCAL configuration at [/project/superset_config.py]\n2024-01-01 INFO up\n\
         {HISTORY}INFO:root:bye\n"
    );
    assert_eq!(history(&text).unwrap().len(), 3);
    assert_eq!(
        history("Loaded your LOCAL configuration at [x]\n"),
        Ok(vec![])
    );
}

#[test]
fn what_is_no_history_is_quoted() {
    let error = history("bash: history: --: invalid option\n")
        .unwrap_err()
        .to_string();
    assert!(error.contains("bash: history"), "{error}");
    let error = history("Rev: a\nPath: /p\n").unwrap_err().to_string();
    assert!(error.contains("Rev: a"), "{error}");
    assert_eq!(history(""), Ok(vec![]));
}

#[test]
fn current_names_each_database_and_what_is_applied() {
    let text = format!(
        "Loaded your LOCAL configuration at [x]\nCurrent revision(s) for postgresql://u:***@h/d:\n\
         {HISTORY}Current revision(s) for sqlite:///two.db:\n"
    );
    let reports = current(&text).unwrap();
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].url, "postgresql://u:***@h/d");
    assert_eq!(
        reports[0].revisions,
        ["x3".into(), "m1".into(), "a1".into()]
    );
    assert_eq!(
        (reports[1].url.as_str(), reports[1].revisions.len()),
        ("sqlite:///two.db", 0)
    );
}

#[test]
fn a_current_without_its_first_line_is_refused() {
    assert!(current("").is_err());
    assert!(
        current("m1 (head)\n")
            .unwrap_err()
            .to_string()
            .contains("m1 (head)")
    );
    assert!(current(HISTORY).is_err());
}

#[test]
fn the_short_form_is_read_with_labels_and_marks() {
    let text = "Loaded your LOCAL configuration at [x]\n\
                m1 (left) (head) (mergepoint)\nx3 (pkg, other) (effective head)\nae1027a6acf\n";
    assert_eq!(
        short(text).unwrap(),
        ["m1".into(), "x3".into(), "ae1027a6acf".into()]
    );
    assert!(short("no such thing\n").is_err());
}

/// Every recorded listing of every engine version: what succeeded is understood, and all listings of
/// one project agree.
#[test]
fn the_recorded_transcripts_are_understood() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .join("fixtures/transcripts");
    let mut seen = [0, 0, 0];
    for folder in std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let Some(name) = name.strip_suffix(".stdout") else {
                continue;
            };
            let text = std::fs::read_to_string(&file).unwrap();
            let status = std::fs::read_to_string(file.with_extension("exit")).unwrap_or_default();
            if !["", "0"].contains(&status.trim()) {
                continue;
            }
            let verb = name.rsplit_once('.').unwrap().1;
            let headers = text
                .lines()
                .filter(|line| line.starts_with("Rev: "))
                .count();
            match verb {
                "history-verbose" => {
                    assert_eq!(history(&text).unwrap().len(), headers, "{}", file.display());
                    seen[0] += 1;
                }
                "current-verbose" => {
                    let reports = current(&text)
                        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                    assert_eq!(reports.len(), 1);
                    let short_file = file.with_file_name(name.replace("-verbose", "") + ".stdout");
                    if let Ok(text) = std::fs::read_to_string(short_file) {
                        let mut ids = short(&text).unwrap();
                        let mut verbose = reports[0].revisions.clone();
                        ids.sort();
                        verbose.sort();
                        assert_eq!(verbose, ids, "{}", file.display());
                        seen[2] += 1;
                    }
                    seen[1] += 1;
                }
                _ => {}
            }
        }
    }
    assert!(
        seen.iter().all(|count| *count >= 20),
        "too few listings were found: {seen:?}"
    );
}

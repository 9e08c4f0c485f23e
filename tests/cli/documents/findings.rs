//! The table of findings names what the rules find.

use rollback_core::finding_code::FindingCode;

use super::{read, rows};

#[test]
fn the_table_of_findings_names_every_code() {
    let document = read("docs/foresight.md");
    let listed = rows(&document, "## Codes");
    let mut names: Vec<&str> = listed.iter().map(|row| row[0].trim_matches('`')).collect();
    names.sort_unstable();
    let codes: Vec<String> = FindingCode::all().iter().map(ToString::to_string).collect();
    assert_eq!(
        names, codes,
        "the table of docs/foresight.md, Codes (left), is not FindingCode (right)"
    );
    for row in listed {
        assert_eq!(row.len(), 4, "{row:?}");
    }
}

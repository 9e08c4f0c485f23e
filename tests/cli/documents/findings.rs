//! The table of findings names what the rules find.

use std::collections::BTreeSet;

use super::{read, rows};

#[test]
fn the_table_of_findings_names_every_code() {
    let document = read("docs/foresight.md");
    let listed = rows(&document, "## Codes");
    let names: Vec<&str> = listed.iter().map(|row| row[0].trim_matches('`')).collect();
    let set: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), set.len(), "a code stands twice: {names:?}");
    assert_eq!(
        set,
        rollback::domain::risk::codes(),
        "mend the table of docs/foresight.md, Codes (left), or it is not what src/domain/risk finds (right)"
    );
    for row in listed {
        assert_eq!(row.len(), 4, "{row:?}");
    }
}

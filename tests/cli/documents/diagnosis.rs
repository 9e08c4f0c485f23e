//! The table of diagnoses is the catalogue.

use error_diagnosis::rows;

use super::{hold, read};

const PAGE: &str = "docs/diagnosis.md";

/// What stands above the table, and where it ends.
const HEAD: &str = "| code | when | what it means | what to do |\n|---|---|---|---|\n";

#[test]
fn the_table_of_diagnoses_is_the_catalogue() {
    let said = read(PAGE);
    let (before, rest) = said.split_once(HEAD).expect("the table of codes");
    let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
    let mut rows = rows();
    rows.sort_by_key(|row| row.code);
    let table: String = rows
        .iter()
        .map(|row| {
            let cells = [row.when, row.means, row.remedy].map(|cell| cell.replace('|', "\\|"));
            for cell in &cells {
                assert!(cell.ends_with('.'), "{}: {cell}", row.code);
            }
            format!("| `{}` | {} |\n", row.code, cells.join(" | "))
        })
        .collect();
    let page = format!("{before}{HEAD}{table}\n{after}");
    hold(PAGE, &said, &page, said == page);
}

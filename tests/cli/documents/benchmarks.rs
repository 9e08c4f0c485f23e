//! The figures that the README quotes, held against those that were measured.

use regex::Regex;

use super::read;

/// Turns red when the README quotes a figure that docs/benchmarks.md has not, such as one from before the last measuring.
#[test]
fn the_readme_quotes_only_figures_that_were_measured() {
    let readme = read("README.md");
    let section = readme
        .split("\n## ")
        .find_map(|section| section.strip_prefix("How fast\n"))
        .expect("the README has a section How fast");
    let measured = read("docs/benchmarks.md");
    let quoted = figures(section);
    assert!(
        quoted.iter().filter(|figure| figure.contains(' ')).count() >= 3,
        "{quoted:?}"
    );
    let measured = figures(&measured);
    let unknown: Vec<&String> = quoted
        .iter()
        .filter(|figure| !measured.contains(figure))
        .collect();
    assert!(
        unknown.is_empty(),
        "not in docs/benchmarks.md: {unknown:?}; write both anew: make bench"
    );
}

/// Every number, with its unit where it has one.
fn figures(text: &str) -> Vec<String> {
    let figure = Regex::new(r"\b\d+(?:[.,/]\d+)*(?: (?:ms|s|MB|times)\b)?").expect("a pattern");
    figure
        .find_iter(text)
        .map(|found| found.as_str().to_owned())
        .collect()
}

//! Cases of a test as text.

/// A line, and the marked ones below it.
pub(crate) struct Case<'a> {
    pub(crate) head: &'a str,
    lines: Vec<(&'a str, &'a str)>,
}

impl<'a> Case<'a> {
    /// The lines with this mark.
    pub(crate) fn marked(&self, mark: &str) -> Vec<&'a str> {
        let lines = self.lines.iter().filter(|(with, _)| *with == mark);
        lines.map(|(_, line)| *line).collect()
    }
}

/// The cases of a text. `…` keeps a space at the end of a line.
pub(crate) fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in text.lines().map(str::trim_start) {
        let line = line.trim_end_matches('…');
        match (line.split_once(' '), cases.last_mut()) {
            (Some((mark @ ("-" | "+" | "<" | "!"), line)), Some(case)) => {
                case.lines.push((mark, line));
            }
            _ if line.is_empty() => {}
            _ => cases.push(Case {
                head: line,
                lines: Vec::new(),
            }),
        }
    }
    cases
}

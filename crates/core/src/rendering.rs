//! What a step's statements are, as far as they can be told without a database.

/// The statements of one step, or what keeps them from being told.
pub type Rendering = Result<String, RenderError>;

/// Why a step cannot be rendered, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError {
    /// What the migration wants that only a database has, and its own error; no full stop.
    pub sentence: String,
    /// The version file, where the step came as far as that.
    pub file: Option<String>,
    /// The line of that file which was at work.
    pub line: Option<u64>,
}

/// An exception of a downgrade that was run without a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised<'a> {
    /// Its type and its message.
    pub error: &'a str,
    /// The source line at work.
    pub source: Option<&'a str>,
    /// The project's code that this line called, `FILE:LINE`.
    pub within: Option<&'a str>,
}

/// How much of an error's message is shown: SQLAlchemy's hold whole statements.
const LONGEST_ERROR: usize = 240;

impl RenderError {
    /// An obstacle that is no line of a migration.
    pub fn of_engine(said: &str) -> Self {
        Self {
            sentence: shortened(said),
            file: None,
            line: None,
        }
    }

    /// Names what an exception shows to be missing.
    pub fn raised(raised: Raised<'_>, file: Option<String>, line: Option<u64>) -> Self {
        let source = raised.source.unwrap_or_default().trim();
        let quoted = if source.is_empty() {
            String::new()
        } else {
            format!(": `{source}`")
        };
        let within = raised
            .within
            .map(|place| format!(", at {place}"))
            .unwrap_or_default();
        Self {
            sentence: format!(
                "{}{quoted} ({}{within})",
                wants(raised.error, source),
                shortened(raised.error)
            ),
            file,
            line,
        }
    }

    /// `FILE:LINE`, as far as known.
    pub fn place(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(match self.line {
            Some(line) => format!("{file}:{line}"),
            None => file.clone(),
        })
    }
}

/// Offline the connection is a stand-in of SQLAlchemy's that writes down what it is given and answers
/// nothing: each of these is how that shows.
fn wants(error: &str, source: &str) -> &'static str {
    let kind = error.split([':', ' ']).next().unwrap_or_default();
    let kind = kind.rsplit('.').next().unwrap_or_default();
    let says = |words: &str| error.contains(words);
    // SQLAlchemy raises it, too, for what a dialect cannot do.
    if kind == "NotImplementedError" && source.starts_with("raise") {
        "is not meant to be taken back"
    } else if says("has no attribute 'downgrade'") {
        "has no downgrade"
    } else if kind == "Offline" {
        "connects by itself"
    } else if says("NoneType") {
        "needs an answer of the database"
    } else if kind == "NoInspectionAvailable"
        || says("MockConnection")
        || says("live database connection")
        || says("--sql mode")
    {
        "needs the live connection"
    } else if kind == "NotAsPlanned" {
        "is not taken back alone by the engine"
    } else if kind == "CompileError" {
        "has a value that no text stands for"
    } else {
        "fails offline"
    }
}

fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut text = words.join(" ");
    if let Some((end, _)) = text.char_indices().nth(LONGEST_ERROR) {
        text.truncate(end);
        text.push('…');
    }
    text.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(error: &str, source: &str) -> String {
        let raised = Raised {
            error,
            source: Some(source),
            within: None,
        };
        RenderError::raised(raised, None, None).sentence
    }

    #[test]
    fn what_is_missing_comes_before_the_exception() {
        for (error, wanted) in [
            (
                "NoInspectionAvailable: No inspection system",
                "needs the live connection",
            ),
            (
                "sqlalchemy.exc.NoInspectionAvailable: No",
                "needs the live connection",
            ),
            (
                "AttributeError: 'MockConnection' object has no attribute 'begin'",
                "needs the live connection",
            ),
            (
                "AttributeError: 'NoneType' object has no attribute 'fetchall'",
                "needs an answer of the database",
            ),
            (
                "AttributeError: module 'a_py' has no attribute 'downgrade'",
                "has no downgrade",
            ),
            (
                "Offline: the database is connected to",
                "connects by itself",
            ),
            (
                "CompileError: no renderable value",
                "has a value that no text stands for",
            ),
            (
                "NotImplementedError: No support for ALTER of constraints in SQLite dialect",
                "fails offline",
            ),
            (
                "NotAsPlanned: the engine would remove a, b",
                "is not taken back alone by the engine",
            ),
            ("KeyError: 'x'", "fails offline"),
        ] {
            assert_eq!(
                sentence(error, "    bind = op.get_bind()\n"),
                format!("{wanted}: `bind = op.get_bind()` ({error})")
            );
        }
        assert_eq!(
            sentence("NotImplementedError", "raise NotImplementedError"),
            "is not meant to be taken back: `raise NotImplementedError` (NotImplementedError)"
        );
        assert_eq!(
            sentence("KeyError: 'x'", ""),
            "fails offline (KeyError: 'x')"
        );
    }

    #[test]
    fn a_long_message_is_cut_and_a_long_way_is_named() {
        let error = format!("ProgrammingError: {}", "é".repeat(500));
        let raised = Raised {
            error: &error,
            source: None,
            within: Some("/app/helpers.py:12"),
        };
        let obstacle = RenderError::raised(raised, Some("/app/a.py".to_owned()), Some(3));
        assert!(obstacle.sentence.ends_with("é…, at /app/helpers.py:12)"));
        assert_eq!(obstacle.place().unwrap(), "/app/a.py:3");
        assert_eq!(RenderError::of_engine("No  way.\n").sentence, "No way");
    }
}

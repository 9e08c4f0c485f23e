//! The script that a dump is, statement by statement, as the client reads it.

use std::io::{self, BufRead, Read as _, Seek as _, SeekFrom};

/// The last line of a dump that came to its end.
const COMPLETED: &[u8] = b"-- Dump completed";

/// How a dump begins; newer clients of MariaDB put a line for safety first.
const HEADS: [&[u8]; 3] = [b"-- MariaDB dump", b"-- MySQL dump", SANDBOX];

/// That line. It is no statement and has no end.
const SANDBOX: &[u8] = b"/*M!999999\\-";

/// The line of the head that names the database, after its host.
const SOURCE: (&[u8], &str) = (b"-- Host: ", "    Database: ");

/// Bytes at the end in which the last line is.
const END: u64 = 4096;

/// The first line of an event.
pub(super) const EVENT: &[u8] = b"/*!50106 CREATE*/";

/// The setting under which a backslash is a sign like others.
const NO_ESCAPES: &[u8] = b"NO_BACKSLASH_ESCAPES";

/// What a part of a script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScriptPart {
    /// A blank line, or a comment on a line of its own.
    Comment,
    /// A line for the client, which changes the delimiter.
    Delimiter,
    /// A statement with its delimiter.
    Statement,
    /// The end of the script within a statement.
    Open,
}

/// Where in a statement a byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Code,
    Quotes(u8),
    LineComment,
    Comment,
}

/// Reads the parts of a script.
pub(super) struct DumpScript<R> {
    source: R,
    delimiter: Vec<u8>,
    escapes: bool,
    /// What follows a statement on its last line.
    rest: Vec<u8>,
}

impl<R: BufRead> DumpScript<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            delimiter: b";".to_vec(),
            escapes: true,
            rest: Vec::new(),
        }
    }

    /// Whether a backslash in a text takes the next sign with it.
    pub(super) fn escapes(&self) -> bool {
        self.escapes
    }

    /// The delimiter of statements for now.
    pub(super) fn delimiter(&self) -> &[u8] {
        &self.delimiter
    }

    /// Reads the next part into `part`; `None` at the end of the script.
    pub(super) fn next(&mut self, part: &mut Vec<u8>) -> io::Result<Option<ScriptPart>> {
        part.clear();
        let mut within = Within::Code;
        let mut at = 0;
        loop {
            let is_first = part.is_empty();
            if !self.rest.is_empty() {
                part.append(&mut self.rest);
            } else if self.source.read_until(b'\n', part)? == 0 {
                return Ok((!is_first).then_some(ScriptPart::Open));
            }
            if is_first && let Some(kind) = self.line(part) {
                return Ok(Some(kind));
            }
            if let Some(end) = self.end(part, &mut at, &mut within) {
                self.rest = part.split_off(end);
                if self.rest.trim_ascii().is_empty() {
                    part.append(&mut self.rest);
                }
                self.note_mode(part);
                return Ok(Some(ScriptPart::Statement));
            }
        }
    }

    /// What a line is that begins no statement.
    fn line(&mut self, line: &[u8]) -> Option<ScriptPart> {
        let line = line.trim_ascii();
        let is_comment = line.is_empty()
            || line.starts_with(b"#")
            || line == b"--"
            || line.starts_with(b"-- ")
            || line.starts_with(SANDBOX);
        if is_comment {
            return Some(ScriptPart::Comment);
        }
        let word = line.split(u8::is_ascii_whitespace).next()?;
        if !word.eq_ignore_ascii_case(b"DELIMITER") {
            return None;
        }
        let delimiter = line[word.len()..].trim_ascii();
        if !delimiter.is_empty() {
            self.delimiter = delimiter.to_vec();
        }
        Some(ScriptPart::Delimiter)
    }

    /// The end of the statement, if it is in what was read so far.
    fn end(&self, text: &[u8], at: &mut usize, within: &mut Within) -> Option<usize> {
        while *at < text.len() {
            let byte = text[*at];
            let next = text.get(*at + 1).copied();
            match *within {
                Within::Code => {
                    if byte == self.delimiter[0] && text[*at..].starts_with(&self.delimiter) {
                        return Some(*at + self.delimiter.len());
                    }
                    match (byte, next) {
                        (b'\'' | b'"' | b'`', _) => *within = Within::Quotes(byte),
                        (b'#', _) => *within = Within::LineComment,
                        (b'-', Some(b'-'))
                            if text.get(*at + 2).is_none_or(u8::is_ascii_whitespace) =>
                        {
                            *within = Within::LineComment;
                        }
                        // Others than these hold code for servers of some version.
                        (b'/', Some(b'*')) if !is_conditional(&text[*at + 2..]) => {
                            *within = Within::Comment;
                            *at += 1;
                        }
                        _ => {}
                    }
                }
                Within::Quotes(quote) => {
                    let is_last = |byte: &u8| *byte == quote || *byte == b'\\';
                    *at += text[*at..]
                        .iter()
                        .position(is_last)
                        .unwrap_or(text.len() - *at);
                    match text.get(*at) {
                        Some(b'\\') if self.escapes && quote != b'`' => *at += 1,
                        Some(byte) if *byte == quote => *within = Within::Code,
                        _ => {}
                    }
                }
                Within::LineComment if byte == b'\n' => *within = Within::Code,
                Within::Comment if byte == b'*' && next == Some(b'/') => {
                    *within = Within::Code;
                    *at += 1;
                }
                Within::LineComment | Within::Comment => {}
            }
            *at += 1;
        }
        None
    }

    /// A dump says before and after each routine how its text is to be read.
    fn note_mode(&mut self, statement: &[u8]) {
        const BEGIN: &[u8] = b"/*!50003 SET sql_mode ";
        if statement.starts_with(BEGIN) {
            self.escapes = !statement
                .windows(NO_ESCAPES.len())
                .any(|bytes| bytes == NO_ESCAPES);
        }
    }
}

fn is_conditional(after: &[u8]) -> bool {
    after.starts_with(b"!") || after.starts_with(b"M!")
}

/// Whether the file ends as a dump does; a quick look before anything is done with it.
pub(super) fn has_end(file: &mut std::fs::File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    file.seek(SeekFrom::Start(0))?;
    let last = end
        .split(|byte| *byte == b'\n')
        .rfind(|line| !line.is_empty());
    Ok(last.is_some_and(|line| line.starts_with(COMPLETED)))
}

/// The database that a dump was made of, as its head says; reads no more than that.
pub(super) fn source(script: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    while script.read_until(b'\n', &mut line)? > 0 && line.len() < LONG {
        if line.starts_with(SOURCE.0) {
            return Ok(named(&line));
        }
        if !HEADS.iter().any(|head| line.starts_with(head)) && line.trim_ascii() != b"--" {
            break;
        }
        line.clear();
    }
    Ok(None)
}

/// What is known of a dump that was read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a kind of object that needs a right of its own"
)]
pub(super) struct Survey {
    /// Bytes of the longest value of a row, of those rows that are longer than [`LONG`].
    pub(super) longest_value: u64,
    /// Bytes of the longest statement that is no row.
    pub(super) longest_statement: u64,
    pub(super) has_views: bool,
    pub(super) has_triggers: bool,
    pub(super) has_routines: bool,
    pub(super) has_events: bool,
}

/// No server has a smaller limit for its packets, so that shorter statements need no look.
pub(super) const LONG: usize = 1024;

/// Why a reading came to no end.
#[derive(Debug)]
pub(super) enum Unread {
    /// The file cannot be read.
    Io(io::Error),
    /// It is no whole dump.
    Damaged(&'static str),
    /// Somebody wanted it to end.
    Stopped,
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a dump whole. `look` is told of the bytes so far, and ends the reading by a no.
pub(super) fn survey(
    source: impl BufRead,
    look: &mut dyn FnMut(u64) -> bool,
) -> Result<Survey, Unread> {
    let mut script = DumpScript::new(source);
    let mut survey = Survey::default();
    let mut part = Vec::new();
    let mut bytes = 0;
    let mut last_is_end = false;
    let mut is_first = true;
    while let Some(kind) = script.next(&mut part)? {
        bytes += part.len() as u64;
        if !look(bytes) {
            return Err(Unread::Stopped);
        }
        if is_first && !HEADS.iter().any(|head| part.starts_with(head)) {
            return Err(Unread::Damaged("it does not begin as a dump does"));
        }
        is_first = false;
        match kind {
            ScriptPart::Open => return Err(Unread::Damaged("a statement in it has no end")),
            ScriptPart::Statement => survey.note(&part, script.delimiter(), script.escapes()),
            ScriptPart::Comment | ScriptPart::Delimiter => {}
        }
        if !part.trim_ascii().is_empty() {
            last_is_end = part.starts_with(COMPLETED);
        }
    }
    if last_is_end {
        Ok(survey)
    } else {
        Err(Unread::Damaged("it does not end as a dump does"))
    }
}

impl Survey {
    fn note(&mut self, statement: &[u8], delimiter: &[u8], escapes: bool) {
        if super::rows::is_insert(statement) {
            if statement.len() > LONG {
                let longest = super::rows::longest_value(statement, escapes);
                self.longest_value = self.longest_value.max(longest);
            }
            return;
        }
        self.longest_statement = self.longest_statement.max(statement.len() as u64);
        if statement.starts_with(b"/*!50001 CREATE ALGORITHM") {
            self.has_views = true;
        } else if statement.starts_with(EVENT) {
            self.has_events = true;
        } else if delimiter != b";" {
            if statement.starts_with(b"/*!50003 CREATE*/") {
                self.has_triggers = true;
            } else {
                self.has_routines = true;
            }
        }
    }
}

fn named(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    let (_, name) = line.trim_end().split_once(SOURCE.1)?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(script: &str) -> Vec<(ScriptPart, String)> {
        let mut script = DumpScript::new(script.as_bytes());
        let (mut part, mut parts) = (Vec::new(), Vec::new());
        while let Some(kind) = script.next(&mut part).unwrap() {
            parts.push((kind, String::from_utf8(part.clone()).unwrap()));
        }
        parts
    }

    fn told(script: &str) -> Result<Survey, &'static str> {
        survey(script.as_bytes(), &mut |_| true).map_err(|unread| match unread {
            Unread::Damaged(reason) => reason,
            other => panic!("{other:?}"),
        })
    }

    /// Turns red if a quote, a delimiter or a comment is taken for one where it is none.
    #[test]
    fn statements_end_where_the_client_ends_them() {
        let statements = [
            "INSERT INTO `it's` VALUES (1,'a;b'),\n(2,'it\\'s; '';');\n",
            "/*!50003 SET sql_mode = @saved */ ;\n",
            "/* a; 'comment */ SELECT 1 -- it's; one\n, 2 # it's; two\n;\n",
            "SELECT 1--2;\n",
            "/*!50001 CREATE VIEW v AS SELECT ';' */;\n",
        ];
        let script = statements.concat();
        let expected: Vec<(ScriptPart, String)> = statements
            .iter()
            .map(|text| (ScriptPart::Statement, (*text).to_owned()))
            .collect();
        assert_eq!(parts(&script), expected);
        assert_eq!(
            parts(
                "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN\nINSERT INTO t VALUES ('\nINSERT (');\nEND ;;\nDELIMITER ;\n"
            ),
            [
                (ScriptPart::Delimiter, "DELIMITER ;;\n".to_owned()),
                (
                    ScriptPart::Statement,
                    "CREATE PROCEDURE p() BEGIN\nINSERT INTO t VALUES ('\nINSERT (');\nEND ;;\n"
                        .to_owned()
                ),
                (ScriptPart::Delimiter, "DELIMITER ;\n".to_owned()),
            ]
        );
        let [first, second] = &parts("SET a; SET b;\n")[..] else {
            panic!("two statements")
        };
        assert_eq!(
            (first.1.as_str(), second.1.as_str()),
            ("SET a;", " SET b;\n")
        );
    }

    /// Turns red if the mode under which a routine was made is not followed.
    #[test]
    fn a_backslash_is_a_sign_like_others_where_the_script_says_so() {
        let script = "/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */ ;\nSELECT 'C:\\';\n\
                      /*!50003 SET sql_mode = @saved_sql_mode */ ;\nSELECT 'it\\'s;';\n";
        let kinds: Vec<ScriptPart> = parts(script).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [ScriptPart::Statement; 4]);
    }

    /// Turns red if a cut in any place goes unnoticed, or a healthy name or text is taken for one.
    #[test]
    fn a_dump_that_is_not_whole_is_known() {
        let whole = "-- MariaDB dump 10.19\n-- Host: h    Database: it's\nINSERT INTO `it's` VALUES ('it\\'s; -- ''x'' \\\\');\n-- Dump completed on 2026\n";
        assert_eq!(told(whole), Ok(Survey::default()));
        let from = source(&mut whole.replacen("-- Host", "--\n-- Host", 1).as_bytes()).unwrap();
        assert_eq!(from.as_deref(), Some("it's"));
        assert_eq!(told(""), Err("it does not end as a dump does"));
        assert_eq!(
            told(&whole[..whole.len() - 20]),
            Err("it does not end as a dump does")
        );
        assert_eq!(told(&whole[1..]), Err("it does not begin as a dump does"));
        assert_eq!(
            told(&whole.replace("\\\\')", "\\\\)")),
            Err("a statement in it has no end")
        );
    }

    #[test]
    fn what_a_restore_needs_is_known_from_the_script() {
        let script = "-- MySQL dump\nINSERT INTO t VALUES (1);\n\
            /*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50001 VIEW `v` AS SELECT 1 */;\nDELIMITER ;;\n\
            /*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER t BEFORE INSERT ON t FOR EACH ROW SET @a = 1 */;;\n\
            CREATE DEFINER=`a`@`b` PROCEDURE p() SELECT 1 ;;\nDELIMITER ;\n-- Dump completed\n";
        let survey = told(script).unwrap();
        assert!(survey.has_views && survey.has_triggers && survey.has_routines);
        assert!(!survey.has_events);
        assert!(survey.longest_statement > 100 && survey.longest_value == 0);
    }
}

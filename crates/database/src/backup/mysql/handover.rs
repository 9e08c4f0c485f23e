//! How a dump is handed to a server: as it is, or fit for a user, a database and packets of another size.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};

use super::rows;
use super::script::{DumpScript, EVENT, ScriptPart};
use crate::quoted;

/// Where the name of a definer is in a statement.
const DEFINERS: [&[u8]; 3] = [
    b"CREATE DEFINER=",
    b"/*!50003 CREATE*/ /*!50017 DEFINER=",
    b"/*!50106 CREATE*/ /*!50117 DEFINER=",
];

/// How a view begins, and where its definer is: on a line of its own.
const VIEW: (&[u8], &[u8]) = (b"/*!50001 CREATE ALGORITHM", b"\n/*!50013 DEFINER=");

/// How a trigger begins.
const TRIGGER: &[u8] = b"/*!50003 CREATE*/";

/// How a table begins.
const TABLE: &[u8] = b"CREATE TABLE ";

/// What is asked of a sequence, which is written with its database.
const OF_SEQUENCES: [&[u8]; 3] = [b"nextval(", b"lastval(", b"setval("];

/// Bytes of a packet that are not the statement's.
const HEADER: usize = 64;

/// What is changed on the way.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    /// All definers but this one go, as `` `user`@`host` ``, where the user may name no other.
    pub(super) definers_but: Option<String>,
    /// Events are left out: in a copy they would do their work a second time.
    pub(super) without_events: bool,
    /// The name of a database that goes from the names of its own objects.
    pub(super) without_database: Option<String>,
    /// The longest packet that the server takes.
    pub(super) packet: Option<usize>,
}

/// Hands a script on to a client.
pub(super) fn hand_over(
    script: impl BufRead,
    mut input: impl Write,
    changes: &Changes,
) -> io::Result<()> {
    let mut script = DumpScript::new(script);
    let mut part = Vec::new();
    while let Some(kind) = script.next(&mut part)? {
        if kind != ScriptPart::Statement {
            input.write_all(&part)?;
            continue;
        }
        if changes.without_events && part.starts_with(EVENT) {
            continue;
        }
        if rows::is_insert(&part) {
            match changes.packet {
                Some(packet) if part.len() + HEADER > packet => {
                    input.write_all(&rows::in_packets(&part, packet, script.escapes()))?;
                }
                _ => input.write_all(&part)?,
            }
            continue;
        }
        if let Some(whole) = without_inner_end(&part, script.delimiter()) {
            part = whole;
        }
        let mut statement = Cow::from(&part[..]);
        if let Some(own) = &changes.definers_but {
            statement = without_definer(&part, own);
        }
        if let Some(database) = &changes.without_database
            && (part.starts_with(VIEW.0) || part.starts_with(TABLE))
        {
            statement = without_database(&statement, database).into();
        }
        input.write_all(&statement)?;
    }
    input.flush()
}

/// A trigger or an event without the `;` before the end of its comment. MySQL keeps the `;` of a body that was one of
/// several statements, its client writes it down, and the server takes it for the end of the statement.
fn without_inner_end(statement: &[u8], delimiter: &[u8]) -> Option<Vec<u8>> {
    if !statement.starts_with(TRIGGER) && !statement.starts_with(EVENT) {
        return None;
    }
    let body = statement
        .trim_ascii_end()
        .strip_suffix(delimiter)?
        .trim_ascii_end()
        .strip_suffix(b"*/")?
        .trim_ascii_end()
        .strip_suffix(b";")?;
    Some([body, b" */", delimiter, b"\n"].concat())
}

fn without_definer<'a>(statement: &'a [u8], own: &str) -> Cow<'a, [u8]> {
    let before = DEFINERS
        .iter()
        .find(|start| statement.starts_with(start))
        .map(|start| start.len())
        .or_else(|| {
            let of_view = || {
                let place = statement
                    .windows(VIEW.1.len())
                    .position(|bytes| bytes == VIEW.1)?;
                Some(place + VIEW.1.len())
            };
            statement.starts_with(VIEW.0).then(of_view)?
        });
    let Some(name) = before else {
        return statement.into();
    };
    let Some(length) = definer(&statement[name..]) else {
        return statement.into();
    };
    if is_same(&statement[name..name + length], own) {
        return statement.into();
    }
    let from = name - b"DEFINER=".len();
    [&statement[..from], &statement[name + length..]]
        .concat()
        .into()
}

/// In Oracle mode names are in other quotes.
fn is_same(definer: &[u8], own: &str) -> bool {
    let own = own.as_bytes();
    definer == own || {
        let turned: Vec<u8> = own
            .iter()
            .map(|byte| if *byte == b'`' { b'"' } else { *byte })
            .collect();
        definer == turned
    }
}

/// The length of `` `user`@`host` `` or `"user"@"host"`, or of a role, with doubled quotes inside.
fn definer(text: &[u8]) -> Option<usize> {
    let user = name(text)?;
    match text.get(user) {
        Some(b'@') => Some(user + 1 + name(&text[user + 1..])?),
        _ => Some(user),
    }
}

/// The length of a quoted name.
fn name(text: &[u8]) -> Option<usize> {
    let quote = *text.first().filter(|byte| matches!(byte, b'`' | b'"'))?;
    let mut at = 1;
    loop {
        match (*text.get(at)?, text.get(at + 1)) {
            (byte, Some(next)) if byte == quote && *next == quote => at += 2,
            (byte, _) if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// A view or a table that names no database for what is in its own. A server writes the name where the
/// definer is gone, and always before a sequence.
fn without_database(statement: &[u8], database: &str) -> Vec<u8> {
    let prefix = format!("{}.", quoted(database, '`')).into_bytes();
    let mut text = Vec::with_capacity(statement.len());
    let mut at = 0;
    while at < statement.len() {
        let rest = &statement[at..];
        let length = match rest[0] {
            b'`' if rest.starts_with(&prefix) && is_whole_name(&text, &rest[prefix.len()..]) => {
                at += prefix.len();
                continue;
            }
            b'`' => name(rest).unwrap_or(rest.len()),
            b'\'' => text_length(rest),
            _ => 1,
        };
        text.extend_from_slice(&rest[..length]);
        at += length;
    }
    text
}

/// Whether what stands before a name is its database and not an alias of a table.
fn is_whole_name(before: &[u8], after: &[u8]) -> bool {
    if before.ends_with(b".") {
        return false;
    }
    let before = before.to_ascii_lowercase();
    if OF_SEQUENCES.iter().any(|start| before.ends_with(start)) {
        return true;
    }
    let next = name(after).and_then(|length| after.get(length));
    matches!(next, Some(b'.' | b'('))
}

fn text_length(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(script: &str, changes: &Changes) -> String {
        let mut all = Vec::new();
        hand_over(script.as_bytes(), &mut all, changes).unwrap();
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn definers_go_if_they_are_others_and_nowhere_else() {
        let changes = Changes {
            definers_but: Some("`me`@`%`".to_owned()),
            ..Changes::default()
        };
        for (script, expected) in [
            (
                "CREATE DEFINER=`a``b`@`local` PROCEDURE `p`();\n",
                "CREATE  PROCEDURE `p`();\n",
            ),
            (
                "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`x`@`%` SQL SECURITY DEFINER */\n/*!50001 VIEW v AS SELECT 1 */;\n",
                "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013  SQL SECURITY DEFINER */\n/*!50001 VIEW v AS SELECT 1 */;\n",
            ),
            (
                "/*!50003 CREATE*/ /*!50017 DEFINER=`x`@`%`*/ /*!50003 TRIGGER t */;\n",
                "/*!50003 CREATE*/ /*!50017 */ /*!50003 TRIGGER t */;\n",
            ),
            (
                "CREATE DEFINER=`me`@`%` FUNCTION `f`();\n",
                "CREATE DEFINER=`me`@`%` FUNCTION `f`();\n",
            ),
            (
                "CREATE DEFINER=\"x\"@\"%\" PACKAGE \"p\" AS END;\n",
                "CREATE  PACKAGE \"p\" AS END;\n",
            ),
            (
                "CREATE DEFINER=\"me\"@\"%\" PACKAGE \"p\" AS END;\n",
                "CREATE DEFINER=\"me\"@\"%\" PACKAGE \"p\" AS END;\n",
            ),
            (
                "INSERT INTO t VALUES ('\nCREATE DEFINER=`x`@`%` ');\n",
                "INSERT INTO t VALUES ('\nCREATE DEFINER=`x`@`%` ');\n",
            ),
        ] {
            assert_eq!(handed(script, &changes), expected);
        }
    }

    /// Turns red if a body that MySQL keeps with its `;` cannot be loaded, or if another one is changed.
    #[test]
    fn a_body_of_mysql_does_not_end_the_statement() {
        let trigger = |end: &str| {
            format!(
                "DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER t BEFORE INSERT ON t FOR EACH ROW SET @a = ';'{end}"
            )
        };
        let changes = Changes::default();
        let whole = trigger(" */;;\nDELIMITER ;\n");
        assert_eq!(handed(&trigger("; */;;\nDELIMITER ;\n"), &changes), whole);
        assert_eq!(handed(&whole, &changes), whole);
        let view = "/*!50001 CREATE VIEW v AS SELECT 1; */;\n";
        assert_eq!(handed(view, &changes), view);
    }

    #[test]
    fn an_event_is_left_out_to_its_end() {
        let script = "DELIMITER ;;\n/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`b`*/ /*!50106 EVENT `e`\nDO SELECT ';;' */ ;;\nDELIMITER ;\n";
        let changes = Changes {
            without_events: true,
            ..Changes::default()
        };
        assert_eq!(handed(script, &changes), "DELIMITER ;;\nDELIMITER ;\n");
        assert_eq!(handed(script, &Changes::default()), script);
    }

    /// Turns red if a view is loaded with the name of another database, or an alias is taken for one.
    #[test]
    fn the_name_of_the_database_goes_from_its_own_objects() {
        let changes = Changes {
            without_database: Some("a".to_owned()),
            ..Changes::default()
        };
        for (from, to) in [
            ("select `a`.`t`.`id` from `t`", "select `t`.`id` from `t`"),
            (
                "select `a`.`id` from `t` `a`",
                "select `a`.`id` from `t` `a`",
            ),
            (
                "select `a`.`f`(1), `b`.`a`.`c`",
                "select `f`(1), `b`.`a`.`c`",
            ),
            (
                "select '`a`.`t`.`id`', `a`.`a`.`a`",
                "select '`a`.`t`.`id`', `a`.`a`",
            ),
        ] {
            let view = |text: &str| {
                format!("/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50001 VIEW `v` AS {text} */;\n")
            };
            assert_eq!(handed(&view(from), &changes), view(to));
        }
        assert_eq!(
            handed(
                "CREATE TABLE `t` (`i` int DEFAULT nextval(`a`.`s`));\n",
                &changes
            ),
            "CREATE TABLE `t` (`i` int DEFAULT nextval(`s`));\n"
        );
    }
}

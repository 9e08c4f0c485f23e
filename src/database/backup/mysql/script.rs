//! The script that a dump is: whether it is whole, and what of it goes to a server.

use std::io::{self, BufRead, Read as _, Seek as _, SeekFrom, Write};

/// The last line of a dump that came to its end.
const COMPLETED: &[u8] = b"-- Dump completed";

/// How a dump begins; newer clients of MariaDB put a line for safety first.
const HEADS: [&[u8]; 3] = [b"-- MariaDB dump", b"-- MySQL dump", b"/*M!999999\\-"];

/// Bytes at the end in which the last line is.
const END: u64 = 4096;

/// Where the name of a definer stands in a line, apart from the lines of the data, which begin otherwise.
const DEFINERS: [&[u8]; 4] = [
    b"CREATE DEFINER=",
    b"/*!50003 CREATE*/ /*!50017 DEFINER=",
    b"/*!50013 DEFINER=",
    b"/*!50106 CREATE*/ /*!50117 DEFINER=",
];

/// The first line of an event, which goes on to the next `;;`.
const EVENT: &[u8] = b"/*!50106 CREATE*/";

/// What is not handed on.
#[derive(Debug, Clone, Default)]
pub(super) struct Without {
    /// All definers but this one, as `` `user`@`host` ``, where the user may name no other.
    pub(super) definers_but: Option<String>,
    /// Events: in a copy they would do their work a second time.
    pub(super) events: bool,
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

/// Reads a dump; what is wrong with it, if anything. `look` is told of the bytes so far, and ends the reading by
/// a no.
pub(super) fn fault(
    mut script: impl BufRead,
    look: &mut dyn FnMut(u64) -> bool,
) -> io::Result<Option<&'static str>> {
    let mut line = Vec::new();
    let mut bytes = 0;
    let mut last_is_end = false;
    let mut is_first = true;
    loop {
        line.clear();
        let length = script.read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        bytes += length as u64;
        if !look(bytes) {
            return Ok(None);
        }
        if is_first && !HEADS.iter().any(|head| line.starts_with(head)) {
            return Ok(Some("it does not begin as a dump does"));
        }
        is_first = false;
        let is_data = line.starts_with(b"INSERT ") || line.starts_with(b"(");
        if is_data && is_open(&line) {
            return Ok(Some("a row in it has no end"));
        }
        if !line.trim_ascii().is_empty() {
            last_is_end = line.starts_with(COMPLETED);
        }
    }
    Ok((!last_is_end).then_some("it does not end as a dump does"))
}

/// Whether a line of data ends within a value: each value is on one line.
fn is_open(line: &[u8]) -> bool {
    let mut is_text = false;
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\'' => is_text = !is_text,
            b'\\' if is_text => {
                bytes.next();
            }
            _ => {}
        }
    }
    is_text
}

/// Hands a script on to a client.
pub(super) fn pass(
    mut script: impl BufRead,
    mut input: impl Write,
    without: &Without,
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut in_event = false;
    loop {
        line.clear();
        if script.read_until(b'\n', &mut line)? == 0 {
            return input.flush();
        }
        in_event |= without.events && line.starts_with(EVENT);
        if in_event {
            in_event = !line.trim_ascii_end().ends_with(b";;");
            continue;
        }
        match &without.definers_but {
            Some(own) => input.write_all(&without_definer(&line, own))?,
            None => input.write_all(&line)?,
        }
    }
}

fn without_definer<'a>(line: &'a [u8], own: &str) -> std::borrow::Cow<'a, [u8]> {
    let place = DEFINERS
        .iter()
        .find(|start| line.starts_with(start))
        .map(|start| (start.len() - b"DEFINER=".len(), start.len()));
    let Some((from, name)) = place else {
        return line.into();
    };
    let Some(length) = definer(&line[name..]) else {
        return line.into();
    };
    if line[name..name + length] == *own.as_bytes() {
        return line.into();
    }
    [&line[..from], &line[name + length..]].concat().into()
}

/// The length of `` `user`@`host` ``, or of `` `role` ``, with doubled quotes inside.
fn definer(text: &[u8]) -> Option<usize> {
    let quoted = |text: &[u8]| {
        let mut at = 1;
        if text.first() != Some(&b'`') {
            return None;
        }
        loop {
            match (text.get(at)?, text.get(at + 1)) {
                (b'`', Some(b'`')) => at += 2,
                (b'`', _) => return Some(at + 1),
                _ => at += 1,
            }
        }
    };
    let user = quoted(text)?;
    match text.get(user) {
        Some(b'@') => Some(user + 1 + quoted(&text[user + 1..])?),
        _ => Some(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(script: &str, without: &Without) -> String {
        let mut all = Vec::new();
        pass(script.as_bytes(), &mut all, without).unwrap();
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn definers_go_where_they_are_others_and_nowhere_else() {
        let without = Without {
            definers_but: Some("`me`@`%`".to_owned()),
            events: false,
        };
        for (line, expected) in [
            (
                "CREATE DEFINER=`a``b`@`local` PROCEDURE `p`()\n",
                "CREATE  PROCEDURE `p`()\n",
            ),
            (
                "/*!50013 DEFINER=`x`@`%` SQL SECURITY DEFINER */\n",
                "/*!50013  SQL SECURITY DEFINER */\n",
            ),
            (
                "/*!50003 CREATE*/ /*!50017 DEFINER=`x`@`%`*/ /*!50003 TRIGGER t\n",
                "/*!50003 CREATE*/ /*!50017 */ /*!50003 TRIGGER t\n",
            ),
            (
                "CREATE DEFINER=`me`@`%` FUNCTION `f`()\n",
                "CREATE DEFINER=`me`@`%` FUNCTION `f`()\n",
            ),
            (
                "INSERT INTO t VALUES ('CREATE DEFINER=`x`@`%` ');\n",
                "INSERT INTO t VALUES ('CREATE DEFINER=`x`@`%` ');\n",
            ),
        ] {
            assert_eq!(passed(line, &without), expected);
        }
    }

    #[test]
    fn an_event_is_left_out_to_its_end() {
        let script = "DELIMITER ;;\n/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`b`*/ /*!50106 EVENT `e`\nDO SELECT 1 */ ;;\nDELIMITER ;\n";
        let without = Without {
            definers_but: None,
            events: true,
        };
        assert_eq!(passed(script, &without), "DELIMITER ;;\nDELIMITER ;\n");
        assert_eq!(passed(script, &Without::default()), script);
    }

    #[test]
    fn a_dump_that_is_not_whole_is_known() {
        let whole = "-- MariaDB dump 10.19\nINSERT INTO t VALUES ('it\\'s; -- ''x'' \\\\');\n-- Dump completed on 2026\n";
        let told = |script: &str| fault(script.as_bytes(), &mut |_| true).unwrap();
        assert_eq!(told(whole), None);
        assert_eq!(told(""), Some("it does not end as a dump does"));
        assert_eq!(
            told(&whole[..whole.len() - 20]),
            Some("it does not end as a dump does")
        );
        assert_eq!(told(&whole[1..]), Some("it does not begin as a dump does"));
        assert_eq!(
            told(&whole.replace("\\\\')", "\\\\)")),
            Some("a row in it has no end")
        );
    }
}

//! The rows of a dump: how long their values are, and how those are sent that no packet of the server holds.

use std::ops::Range;

/// How the statements with rows begin.
const INSERTS: [&[u8]; 3] = [b"INSERT INTO ", b"INSERT  IGNORE INTO ", b"REPLACE INTO "];

/// Values longer than this are sent apart where a statement is too long.
const APART: usize = 512;

/// A variable holds a value in so many pieces at least.
const PIECES: usize = 4;

/// Room in a packet for what is around a piece.
const ROOM: usize = 256;

/// Whether a statement holds rows.
pub(super) fn is_insert(statement: &[u8]) -> bool {
    INSERTS.iter().any(|start| statement.starts_with(start))
}

/// One value of a row as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DumpValue {
    /// With its introducer, such as `_binary `.
    all: Range<usize>,
    /// Without.
    literal: Range<usize>,
}

/// Bytes of the longest value in a statement with rows.
pub(super) fn longest_value(statement: &[u8], escapes: bool) -> u64 {
    let rows = rows(statement, escapes);
    let lengths = rows.iter().flat_map(|row| &row.values);
    lengths
        .map(|value| length(&statement[value.literal.clone()], escapes))
        .max()
        .unwrap_or_default()
}

/// Bytes of a value once it is read.
fn length(literal: &[u8], escapes: bool) -> u64 {
    if let Some(digits) = hexadecimal(literal) {
        return digits.len().div_ceil(2) as u64;
    }
    let Some((_, quoted)) = literal.split_first() else {
        return 0;
    };
    if literal[0] != b'\'' {
        return literal.len() as u64;
    }
    let (mut bytes, mut at) = (0, 0);
    while at + 1 < quoted.len() {
        at += sign(&quoted[at..], escapes);
        bytes += 1;
    }
    bytes
}

/// Bytes of one sign as it is written within quotes, a byte of others than ASCII by itself.
fn sign(text: &[u8], escapes: bool) -> usize {
    match text {
        [b'\\', _, ..] if escapes => 2,
        [b'\'', b'\'', ..] => 2,
        _ => 1,
    }
}

fn hexadecimal(literal: &[u8]) -> Option<&[u8]> {
    literal
        .strip_prefix(b"0x")
        .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// A row and its values that are texts or hexadecimal.
struct DumpRow {
    all: Range<usize>,
    values: Vec<DumpValue>,
}

/// The rows of a statement, which ends with its delimiter.
fn rows(statement: &[u8], escapes: bool) -> Vec<DumpRow> {
    let mut rows = Vec::new();
    let mut at = values_at(statement).unwrap_or(statement.len());
    while let Some(open) = statement[at..].iter().position(|byte| *byte == b'(') {
        let start = at + open;
        let mut row = DumpRow {
            all: start..start,
            values: Vec::new(),
        };
        at = start + 1;
        let mut depth = 1;
        let mut word = at;
        while at < statement.len() && depth > 0 {
            match statement[at] {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\'' => {
                    let end = at + quoted(&statement[at..], escapes);
                    row.values.push(DumpValue {
                        all: introducer(statement, word, at)..end,
                        literal: at..end,
                    });
                    at = end;
                    continue;
                }
                b'0' if at == word && statement.get(at + 1) == Some(&b'x') => {
                    let digits = &statement[at + 2..];
                    let length = digits
                        .iter()
                        .position(|byte| !byte.is_ascii_hexdigit())
                        .unwrap_or(digits.len());
                    let end = at + 2 + length;
                    row.values.push(DumpValue {
                        all: at..end,
                        literal: at..end,
                    });
                    at = end;
                    continue;
                }
                _ => {}
            }
            if matches!(statement[at], b',' | b'(') {
                word = at + 1;
            }
            at += 1;
        }
        row.all = start..at;
        rows.push(row);
    }
    rows
}

/// Where a value begins that is written as `_binary 'text'`.
fn introducer(statement: &[u8], word: usize, quote: usize) -> usize {
    if statement[word..quote].starts_with(b"_") {
        word
    } else {
        quote
    }
}

/// Bytes of a text with its quotes.
fn quoted(text: &[u8], escapes: bool) -> usize {
    let mut at = 1;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return at + 1,
            _ => at += sign(&text[at..], escapes),
        }
    }
    text.len()
}

/// Where the rows begin: behind the word that follows the names.
fn values_at(statement: &[u8]) -> Option<usize> {
    const WORD: &[u8] = b" VALUES";
    let mut in_name = false;
    let mut at = 0;
    while at < statement.len() {
        if statement[at] == b'`' {
            in_name = !in_name;
        } else if !in_name && statement[at..].starts_with(WORD) {
            return Some(at + WORD.len());
        }
        at += 1;
    }
    None
}

/// A statement with rows as statements that are not longer than `packet` as long as none of its values is.
pub(super) fn in_packets(statement: &[u8], packet: usize, escapes: bool) -> Vec<u8> {
    let Some(start) = values_at(statement) else {
        return statement.to_vec();
    };
    let head = &statement[..start];
    let mut text = Vec::new();
    for row in rows(statement, escapes) {
        let mut end = Vec::new();
        let mut from = row.all.start;
        for (number, value) in row.values.iter().enumerate() {
            if value.all.len() <= APART {
                continue;
            }
            let name = format!("@rollback_{number}");
            let introducer = &statement[value.all.start..value.literal.start];
            let pieces = pieces(&statement[value.literal.clone()], packet, escapes);
            for (position, piece) in pieces.into_iter().enumerate() {
                text.extend_from_slice(format!("SET {name} = ").as_bytes());
                if position > 0 {
                    text.extend_from_slice(format!("CONCAT({name}, ").as_bytes());
                }
                text.extend_from_slice(introducer);
                text.extend_from_slice(&piece);
                text.extend_from_slice(if position > 0 { b");\n" } else { b";\n" });
            }
            end.extend_from_slice(&statement[from..value.all.start]);
            end.extend_from_slice(name.as_bytes());
            from = value.all.end;
        }
        end.extend_from_slice(&statement[from..row.all.end]);
        text.extend_from_slice(head);
        text.push(b' ');
        text.extend_from_slice(&end);
        text.extend_from_slice(b";\n");
    }
    text
}

/// A value as several of its kind that come to the same one after another.
fn pieces(literal: &[u8], packet: usize, escapes: bool) -> Vec<Vec<u8>> {
    let most = (packet / PIECES).saturating_sub(ROOM).max(ROOM);
    if let Some(digits) = hexadecimal(literal) {
        return digits
            .chunks(most & !1)
            .map(|digits| [b"0x", digits].concat())
            .collect();
    }
    let text = &literal[1..literal.len() - 1];
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < text.len() {
        // Neither within a sign that is written as two nor within one of several bytes.
        let length = at - from;
        if length >= most && (text[at] & 0xC0 != 0x80 || length >= most + ROOM / 4) {
            pieces.push([b"'", &text[from..at], b"'"].concat());
            from = at;
        }
        at += sign(&text[at..], escapes);
    }
    pieces.push([b"'", &text[from..], b"'"].concat());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_long_as_the_server_reads_them() {
        for (row, expected) in [
            ("(1,0x00FF,'ab')", 2),
            ("(1,'it\\'s ''so''')", 9),
            ("(_binary '\\\\\\0a',NULL,-1.5)", 3),
            ("('ü')", 2),
            ("(1,2)", 0),
        ] {
            let statement = format!("INSERT INTO `it's VALUES` (`a(b`) VALUES\n{row};\n");
            assert_eq!(longest_value(statement.as_bytes(), true), expected, "{row}");
        }
        assert_eq!(longest_value(b"INSERT INTO t VALUES ('a\\');", false), 2);
    }

    /// Turns red if a piece is longer than it may be, or cuts a sign in two.
    #[test]
    fn long_values_go_piece_by_piece() {
        let hex = "AB".repeat(2000);
        let words = "ü\\'''x".repeat(600);
        let statement =
            format!("INSERT INTO `t` VALUES\n(1,0x{hex},'short'),\n(2,_binary '{words}',NULL);\n");
        let text = in_packets(statement.as_bytes(), 4096, true);
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.len() < 4096), "{text}");
        assert!(
            text.contains(" VALUES (1,@rollback_0,'short');\n"),
            "{text}"
        );
        assert!(text.contains(" VALUES (2,@rollback_0,NULL);\n"), "{text}");
        assert!(
            text.matches("CONCAT(@rollback_0, _binary '").count() > 1,
            "{text}"
        );
        let joined: String = lines
            .iter()
            .filter(|line| line.contains("_binary"))
            .map(|line| {
                let text = line.split_once("_binary '").unwrap().1;
                text.trim_end_matches([';', ')'])
                    .strip_suffix('\'')
                    .unwrap()
            })
            .collect();
        assert_eq!(joined, words);
        let joined: String = lines
            .iter()
            .filter_map(|line| line.split_once("0x"))
            .map(|(_, digits)| digits.trim_end_matches([';', ')']))
            .collect();
        assert_eq!(joined, hex);
    }
}

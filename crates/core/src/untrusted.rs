//! Text from outside: names, messages, docstrings, the words of engines and servers.
//!
//! A terminal obeys control characters, and a reader is misled by marks that turn the direction of a line or have
//! no width. Here they are made visible. Printing is in `ui::terminal`, which lets nothing past this module.

use std::borrow::Cow;

use serde::Serialize;

/// Whether a character is obeyed or invisible, instead of shown: control characters, marks of direction, characters
/// without width, and separators of lines. Tab and line feed are layout. A few signs that Unicode counts among the
/// format characters are seen, such as `U+0600`, and stay.
pub fn is_hidden(character: char) -> bool {
    match character {
        '\t' | '\n' => false,
        control if control.is_control() => true,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// The text with each hidden character written out: `\x1b`, `\u{202e}`. A Windows line end becomes a line feed.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\r' && characters.peek() == Some(&'\n') {
            continue;
        }
        push_visible(&mut shown, character);
    }
    shown
}

/// A name on one line: tab and line feed are written out as well, because a name with a line feed could pretend to be
/// the next line of our own.
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\t', '\n']) {
        text.replace('\t', "\\t").replace('\n', "\\n").into()
    } else {
        text.into()
    }
}

/// Adds one character, written out where it is hidden.
pub fn push_visible(shown: &mut String, character: char) {
    match u32::from(character) {
        _ if !is_hidden(character) => shown.push(character),
        code if code < 0x100 => shown.push_str(&format!("\\x{code:02x}")),
        code => shown.push_str(&format!("\\u{{{code:x}}}")),
    }
}

/// The value as JSON on one line. Hidden characters are `\u` escapes, so that the text is the same to a program and
/// harmless on a terminal.
pub fn json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(escaped_json(&serde_json::to_string(value)?))
}

/// The same, indented.
pub fn pretty_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(escaped_json(&serde_json::to_string_pretty(value)?))
}

/// Outside of its strings JSON has no hidden character but the line feeds between the lines.
fn escaped_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red when a character is let through that a terminal obeys, or when layout is escaped.
    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(
            visible("\x1b[2J\x07a\u{9b}1m\x7f\u{202e}b\u{200b}\u{2028}\tc\nd\re\r\nf"),
            "\\x1b[2J\\x07a\\x9b1m\\x7f\\u{202e}b\\u{200b}\\u{2028}\tc\nd\\x0de\nf"
        );
        let plain = "naïve — 数据 ✓ \u{1f600} \u{600}";
        assert_eq!(visible(plain), plain);
    }

    /// Red when the id of a revision, which may come from any database, can begin a line.
    #[test]
    fn a_name_has_one_line() {
        assert_eq!(on_one_line("a\tb\nok"), "a\\tb\\nok");
        let id = crate::revision::RevisionId::new("abc\nCurrent:   head");
        assert_eq!(id.to_string(), "abc\\nCurrent:   head");
        assert_eq!(
            format!("{:>4}", crate::revision::RevisionId::new("a")),
            "   a"
        );
    }

    /// Red when JSON loses a value, or holds one of these characters itself.
    #[test]
    fn json_has_escapes_and_the_same_value() {
        let hidden: String = ('\0'..='\u{e0fff}').filter(|&one| is_hidden(one)).collect();
        let value = serde_json::json!({ "text": hidden, "plain": "a\tb\n" });
        for text in [json(&value).unwrap(), pretty_json(&value).unwrap()] {
            assert!(!text.chars().any(is_hidden), "{text}");
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read, value);
        }
    }
}

//! The text of a file, as Python decodes it: <https://peps.python.org/pep-0263/>.

use std::path::Path;
use std::sync::LazyLock;

use regex::bytes::Regex;

/// A version file is code written by hand; Alembic itself would take long over more.
const LARGEST: u64 = 64 * 1024 * 1024;

static CODING: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the pattern is a constant, used by a test"
    )]
    Regex::new(r"^[ \t\x0c]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)").expect("a valid pattern")
});

/// Reads a file of Python; else why it could not be.
pub fn read(path: &Path) -> Result<String, String> {
    let facts = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !facts.is_file() {
        return Err("it is no file".to_owned());
    }
    if facts.len() > LARGEST {
        return Err(format!("it has {} bytes", facts.len()));
    }
    let bytes = rollback_system::files::read(path).map_err(|error| error.to_string())?;
    decode(bytes)
}

/// Decodes by a byte order mark, a coding line or as UTF-8, in that order.
pub fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let declared = declared(&bytes);
    let (bytes, marked) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => (rest.to_vec(), true),
        None => (bytes, false),
    };
    if bytes.contains(&0) {
        return Err("it contains a zero byte".to_owned());
    }
    let encoding = declared.unwrap_or_else(|| "utf-8".to_owned());
    let normal = normal(&encoding);
    if is_utf8(&normal) {
        return String::from_utf8(bytes)
            .map_err(|error| format!("it is not UTF-8: {}", error.utf8_error()));
    }
    if marked {
        return Err(format!(
            "it begins as UTF-8 does and says that it is {encoding}"
        ));
    }
    if bytes.is_ascii() && is_superset_of_ascii(&normal) {
        return String::from_utf8(bytes).map_err(|error| error.to_string());
    }
    match normal.as_str() {
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "iso-latin-1" | "l1" | "8859"
        | "cp819" => Ok(bytes.into_iter().map(char::from).collect()),
        "iso-8859-15" | "iso8859-15" | "latin-9" => Ok(bytes.into_iter().map(latin9).collect()),
        "cp1252" | "windows-1252" | "1252" => {
            let text: Option<String> = bytes.into_iter().map(windows1252).collect();
            text.ok_or_else(|| format!("it is not {encoding}"))
        }
        _ => Err(format!("it is written in {encoding}")),
    }
}

fn declared(bytes: &[u8]) -> Option<String> {
    let mut lines = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .split(|byte| matches!(byte, b'\n' | b'\r'));
    let first = lines.next()?;
    let name = |line: &[u8]| {
        let found = CODING.captures(line)?;
        Some(String::from_utf8_lossy(&found[1]).into_owned())
    };
    name(first).or_else(|| {
        // The second line counts only below a comment or nothing.
        let code = first
            .iter()
            .find(|byte| !matches!(byte, b' ' | b'\t' | b'\x0c'));
        let passes = code.is_none_or(|byte| *byte == b'#');
        let second = match lines.next() {
            // The end of a line on Windows.
            Some([]) => lines.next(),
            line => line,
        };
        second.filter(|_| passes).and_then(name)
    })
}

fn normal(encoding: &str) -> String {
    encoding.to_lowercase().replace('_', "-")
}

fn is_utf8(encoding: &str) -> bool {
    matches!(encoding, "utf-8" | "utf8" | "u8" | "utf" | "cp65001")
        || encoding.starts_with("utf-8-")
        || encoding.starts_with("utf8-")
}

/// Whether it is an encoding of Python's in which ASCII is itself.
fn is_superset_of_ascii(encoding: &str) -> bool {
    [
        "ascii",
        "us-ascii",
        "646",
        "latin",
        "iso-8859",
        "iso8859",
        "iso-latin",
        "l1",
        "cp12",
        "cp125",
        "windows-125",
        "koi8",
        "gb",
        "euc",
        "big5",
        "mac-",
    ]
    .iter()
    .any(|prefix| encoding.starts_with(prefix))
}

fn latin9(byte: u8) -> char {
    match byte {
        0xa4 => '€',
        0xa6 => 'Š',
        0xa8 => 'š',
        0xb4 => 'Ž',
        0xb8 => 'ž',
        0xbc => 'Œ',
        0xbd => 'œ',
        0xbe => 'Ÿ',
        byte => char::from(byte),
    }
}

/// The letters of Windows between 0x80 and 0x9f, in order; a zero where there is none.
const WINDOWS: &str = "€\0‚ƒ„…†‡ˆ‰Š‹Œ\0Ž\0\0‘’“”•–—˜™š›œ\0žŸ";

fn windows1252(byte: u8) -> Option<char> {
    match byte {
        0x80..=0x9f => WINDOWS
            .chars()
            .nth(usize::from(byte - 0x80))
            .filter(|letter| *letter != '\0'),
        byte => Some(char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<String, String> {
        decode(bytes.to_vec())
    }

    #[test]
    fn as_python_decodes() {
        assert_eq!(decoded("a = 'ä'".as_bytes()).unwrap(), "a = 'ä'");
        assert_eq!(decoded(b"\xef\xbb\xbfa = 1").unwrap(), "a = 1");
        assert_eq!(
            decoded(b"# -*- coding: latin-1 -*-\na = '\xe4'").unwrap(),
            "# -*- coding: latin-1 -*-\na = 'ä'"
        );
        assert_eq!(
            decoded(b"#!/usr/bin/python\r\n# vim: set fileencoding=iso8859_15 :\r\n'\xa4'")
                .unwrap(),
            "#!/usr/bin/python\r\n# vim: set fileencoding=iso8859_15 :\r\n'€'"
        );
        assert_eq!(
            decoded(b"# coding: cp1252\na = 1").unwrap(),
            "# coding: cp1252\na = 1"
        );
        assert_eq!(
            decoded(b"# coding: cp1252\n'\x80\x9f\xe4'").unwrap(),
            "# coding: cp1252\n'€Ÿä'"
        );
        assert_eq!(
            decoded(b"# coding: utf_8\na").unwrap(),
            "# coding: utf_8\na"
        );
    }

    #[test]
    fn what_cannot_be_decoded_is_told() {
        for (bytes, reason) in [
            (&b"a = '\xe4'"[..], "it is not UTF-8"),
            (b"# coding: cp1252\na = '\x81'", "it is not cp1252"),
            (b"# coding: koi8-r\na = '\xe4'", "it is written in koi8-r"),
            (b"# coding: nonsense\na", "it is written in nonsense"),
            (
                b"\xef\xbb\xbf# coding: latin-1\n",
                "it begins as UTF-8 does",
            ),
            (b"a\0b", "it contains a zero byte"),
            (b"a = 1\n# coding: latin-1\n'\xe4'", "it is not UTF-8"),
        ] {
            let said = decoded(bytes).unwrap_err();
            assert!(said.starts_with(reason), "{said}");
        }
    }
}

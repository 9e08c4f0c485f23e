//! The only way to stdout and stderr.
//!
//! What is printed is a mixture of our words and of text from outside, and nobody could keep the two apart in each
//! of a thousand lines. So the lines may hold anything, and this module decides what of it a terminal obeys: the
//! styles of [`styled`], which carry a key that no text from outside can know. Everything else is shown
//! ([`untrusted`](rollback_core::untrusted)). `clippy.toml` forbids the other ways.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::sync::LazyLock;

use indicatif::ProgressBar;

use rollback_core::untrusted::{push_visible, visible};

/// How a style of our own begins in this process: as an escape sequence, so that it has no width for those who wrap.
static MARK: LazyLock<String> = LazyLock::new(|| {
    let key = RandomState::new().build_hasher().finish();
    format!("\x1b[{key};")
});

/// What ends each style.
const RESET: &str = "0";

/// The text in a style, such as `1` for bold. A style inside of it ends where it ended, and this one goes on.
pub(super) fn styled(style: &str, text: &str) -> String {
    let mark = MARK.as_str();
    let (begin, end) = (format!("{mark}{style}m"), format!("{mark}{RESET}m"));
    let text = text.replace(&end, &format!("{end}{begin}"));
    format!("{begin}{text}{end}")
}

/// The text as it may reach a terminal.
pub(super) fn rendered(text: &str) -> String {
    let mark = MARK.as_str();
    let mut parts = text.split(mark);
    let mut shown = visible(parts.next().unwrap_or_default());
    for part in parts {
        // Only `styled` writes marks, and each is whole, unless somebody cut a line in the middle of one.
        match part.split_once('m') {
            Some((style, rest))
                if style
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b';') =>
            {
                shown.push_str(&format!("\x1b[{style}m"));
                shown.push_str(&visible(rest));
            }
            _ => {
                push_visible(&mut shown, '\x1b');
                shown.push_str(&visible(part));
            }
        }
    }
    shown
}

/// Writes text to stdout.
pub(super) fn to_stdout(text: &str) -> io::Result<()> {
    verbatim_to_stdout(&rendered(text))
}

/// Writes text to stdout as it is, for a program or a file that is to have it unchanged.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(super) fn verbatim_to_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes text to stderr. Where nobody listens any more (a closed terminal) nothing is to be done about it.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(super) fn to_stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(rendered(text).as_bytes());
    let _ = stderr.flush();
}

/// Writes the message of a progress bar, which prints by itself.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(super) fn set_message(bar: &ProgressBar, text: &str) {
    bar.set_message(visible(text).replace('\n', " "));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red when a style from outside is obeyed, or one of our own is lost.
    #[test]
    fn only_our_own_styles_are_obeyed() {
        let hostile = "a\x1b[31mb\x1b[0m\r\x1b]52;c;eA==\x07";
        assert_eq!(
            rendered(&styled("1", hostile)),
            "\x1b[1ma\\x1b[31mb\\x1b[0m\\x0d\\x1b]52;c;eA==\\x07\x1b[0m"
        );
        assert_eq!(rendered("plain\n"), "plain\n");
    }

    #[test]
    fn a_style_goes_on_after_one_inside_of_it() {
        let text = styled("2", &format!("a {} c", styled("31", "b")));
        assert_eq!(rendered(&text), "\x1b[2ma \x1b[31mb\x1b[0m\x1b[2m c\x1b[0m");
    }
}

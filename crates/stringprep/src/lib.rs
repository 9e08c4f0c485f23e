//! SASLprep (RFC 4013) as libpq applies it to a password, in place of the crate that sqlx uses for it.
//!
//! The RFC refuses some texts, such as one with a tab. PostgreSQL and libpq then take the password as it is; sqlx 0.9
//! ends with an error before it logs in. Only the function that sqlx calls is here.

use std::borrow::Cow;
use std::convert::Infallible;

use unicode_normalization::UnicodeNormalization as _;

/// The prepared text, or the text itself where the RFC refuses it.
///
/// Two reasons to refuse a text are left out: that Unicode 3.2 did not have a character yet, and that the text mixes
/// directions. They make a difference only if the text also has a character that is mapped or normalized.
pub fn saslprep(text: &str) -> Result<Cow<'_, str>, Infallible> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text));
    }
    let mapped = text
        .chars()
        .filter(|&one| !is_nothing(one))
        .map(|one| if is_space(one) { ' ' } else { one });
    let prepared: String = mapped.nfkc().collect();
    let is_refused = prepared.is_empty() || prepared.chars().any(is_prohibited);
    Ok(if is_refused {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(prepared)
    })
}

/// Table B.1 of RFC 3454.
fn is_nothing(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200b}'..='\u{200d}' | '\u{2060}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Table C.1.2, without the space of no width, which is in B.1 as well.
fn is_space(character: char) -> bool {
    matches!(
        character,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Tables C.2 to C.9.
fn is_prohibited(character: char) -> bool {
    let code = u32::from(character);
    character.is_control()
        || code & 0xfffe == 0xfffe
        || matches!(code,
            0x6dd | 0x70f | 0x180e | 0x340 | 0x341 | 0x200c..=0x200f | 0x2028..=0x202e | 0x2060..=0x2063
            | 0x206a..=0x206f | 0x2ff0..=0x2ffb | 0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xfeff | 0xfff9..=0xfffd
            | 0x1d173..=0x1d17a | 0xe0001 | 0xe0020..=0xe007f | 0xf0000..=0x10_ffff)
}

#[cfg(test)]
mod tests {
    use super::saslprep;

    /// Red when a password reaches the server in another form than libpq would give it.
    #[test]
    fn what_is_refused_stays_as_it_is() {
        for (text, prepared) in [
            ("plain ~", "plain ~"),
            ("a\tb", "a\tb"),
            ("ä\tb\u{a0}", "ä\tb\u{a0}"),
            ("I\u{ad}X", "IX"),
            ("a\u{a0}\u{2007}b", "a  b"),
            ("\u{aa}\u{2168}", "aIX"),
            ("e\u{301}", "\u{e9}"),
            ("\u{ad}", "\u{ad}"),
            ("\u{e000}\u{aa}", "\u{e000}\u{aa}"),
        ] {
            assert_eq!(saslprep(text).as_deref(), Ok(prepared), "{text:?}");
        }
    }
}

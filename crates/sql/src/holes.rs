//! Parts of a text that were computed from what cannot be followed.

/// Stands for a hole while a text is read. It can be a part of a name, a value and a literal.
const HOLE: &str = "zq9hole9qz";

/// The text; `None` in it is a hole.
pub(super) fn joined(text: &[Option<String>]) -> String {
    let pieces = text.iter();
    pieces
        .map(|piece| piece.as_deref().unwrap_or(HOLE))
        .collect()
}

/// The opposite of [`joined`].
pub(super) fn pieces(text: &str) -> Vec<Option<String>> {
    let mut pieces = Vec::new();
    for piece in text.split(HOLE) {
        if !pieces.is_empty() {
            pieces.push(None);
        }
        pieces.push(Some(piece.to_owned()));
    }
    pieces.retain(|piece| piece.as_deref() != Some(""));
    pieces
}

/// Whether something was computed from what cannot be followed.
pub(super) fn has_hole(text: &str) -> bool {
    text.contains(HOLE)
}

/// For people.
pub(super) fn shown(text: &str) -> String {
    text.replace(HOLE, "{...}")
}

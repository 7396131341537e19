//! What is wrong with one field of a request.

use serde::{Deserialize, Serialize};

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// JSON pointer into the request body, for example `/params/shipped_before`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// Writes a name as a part of a JSON pointer, without the slash before it.
#[must_use]
pub fn pointer_part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Fields that one problem names at most: an answer must not be larger than what it answers.
pub const MAX_ERRORS: usize = 100;

/// Characters that are shown of what a caller made up.
const MAX_SHOWN: usize = 300;

/// Cuts what is too long.
pub(super) fn shorten(errors: &mut [FieldError]) {
    for text in errors.iter_mut().take(MAX_ERRORS).flat_map(|error| [&mut error.pointer, &mut error.detail]) {
        if let Some((at, _)) = text.char_indices().nth(MAX_SHOWN) {
            text.truncate(at);
            text.push('…');
        }
    }
}

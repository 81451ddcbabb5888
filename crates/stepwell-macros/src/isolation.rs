//! `isolation = "…"` of a transaction.

use syn::{Error, Ident, LitStr};

/// The word, and the variant of `stepwell::Isolation`.
const LEVELS: [(&str, &str); 3] = [
    ("read_committed", "ReadCommitted"),
    ("repeatable_read", "RepeatableRead"),
    ("serializable", "Serializable"),
];

/// Refuses what is no level.
pub(crate) fn checked(literal: &LitStr) -> syn::Result<LitStr> {
    let word = literal.value();
    if LEVELS.iter().any(|(known, _)| *known == word) {
        return Ok(literal.clone());
    }
    let message = format!(
        "`{word}` is no isolation level: write \"read_committed\", \"repeatable_read\" or \
         \"serializable\""
    );
    Err(Error::new_spanned(literal, message))
}

/// The variant of a level that was checked.
pub(crate) fn variant(literal: &LitStr) -> Ident {
    let word = literal.value();
    let known = LEVELS.iter().find(|(known, _)| *known == word);
    let variant = known.map_or("Serializable", |(_, variant)| variant);
    Ident::new(variant, literal.span())
}

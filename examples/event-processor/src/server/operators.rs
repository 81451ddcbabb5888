//! Who may see dead letters: what events hold is in them.

use axum::{
    extract::{Request, State},
    http::header::AUTHORIZATION,
    middleware::Next,
    response::Response,
};
use stepwell::axum::Access;
use subtle::ConstantTimeEq;

/// What operators show. None opens to nobody.
#[derive(Clone)]
pub(super) struct Token(Option<String>);

impl Token {
    pub(super) fn new(token: Option<String>) -> Self {
        Self(token)
    }

    fn opens(&self, request: &Request) -> bool {
        let shown = request.headers().get(AUTHORIZATION);
        let shown = shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match (&self.0, shown) {
            (Some(token), Some(shown)) => token.as_bytes().ct_eq(shown).into(),
            _ => false,
        }
    }
}

/// Lets those do everything who have the token; the routes themselves refuse everybody else.
pub(super) async fn operators(
    State(token): State<Token>,
    mut request: Request,
    next: Next,
) -> Response {
    if token.opens(&request) {
        request.extensions_mut().insert(Access::Full);
    }
    next.run(request).await
}

//! [`Access`]: what a caller of routes for operators may do.

use http::{Extensions, StatusCode};

use crate::problem::Problem;

/// What a caller may do on routes for operators, such as [`dead_letters`](crate::dead_letters()). Your
/// own authentication decides it and puts it into the request's extensions; who brings none is
/// refused with 403, so that routes which were forgotten in it are open to nobody.
///
/// ```
/// use axum::{Router, extract::Request, http::header, middleware::{self, Next}, response::Response};
/// use stepwell::axum::Access;
///
/// async fn operators(mut request: Request, next: Next) -> Response {
///     // Whatever you have: a session, a token, a header of the proxy in front.
///     let caller = request.headers().get(header::AUTHORIZATION);
///     match caller.and_then(|it| it.to_str().ok()) {
///         Some("Bearer the-one-on-call") => drop(request.extensions_mut().insert(Access::Full)),
///         Some(_) => drop(request.extensions_mut().insert(Access::ReadOnly)),
///         None => {}
///     }
///     next.run(request).await
/// }
///
/// # async fn of(app: stepwell::App) {
/// let operators = stepwell::axum::dead_letters(&app).layer(middleware::from_fn(operators));
/// let router: Router = Router::new().nest("/dead-letters", operators);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Look, and change nothing.
    ReadOnly,
    /// Everything.
    Full,
}

/// Refuses a caller of whom nobody has said that they may look.
pub(crate) fn may_read(extensions: &Extensions) -> Result<(), Problem> {
    match extensions.get::<Access>() {
        Some(_) => Ok(()),
        None => Err(refused(
            "nobody has said that you may see this: the authentication in front of this route gives no \
             `Access`",
        )),
    }
}

/// Refuses a caller of whom nobody has said that they may change something.
pub(crate) fn may_write(extensions: &Extensions) -> Result<(), Problem> {
    may_read(extensions)?;
    match extensions.get::<Access>() {
        Some(Access::Full) => Ok(()),
        _ => Err(refused("you may look here, and change nothing")),
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
}

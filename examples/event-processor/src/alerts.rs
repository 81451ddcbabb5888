//! What happens when something fails for good: workflows that tell the operators.

use stepwell::{Attempt, Ctx, step, workflow};

use crate::{
    outside::{Outside, Service, patience},
    processor::Processor,
};

/// Tells the operators.
#[workflow]
pub async fn page(ctx: &mut Ctx<Processor>, what: String) -> stepwell::Result<()> {
    ctx.run(tell_operators(&what).retry(patience())).await
}

#[step]
async fn tell_operators(
    #[state] outside: &Outside,
    #[attempt] attempt: &Attempt,
    what: &str,
) -> stepwell::Result<()> {
    outside.ask(Service::Pager, attempt, what).await?;
    Ok(())
}

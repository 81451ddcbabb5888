//! The store agrees with a model in memory, whatever is asked of it.

use crate::{backend::Schema, server::unique};

#[test]
fn random_sequences_agree_with_the_model() {
    let schema = unique("oracle");
    stepwell_conformance::oracle::agree(40, |lane| {
        Schema::again(&format!("{schema}_{lane}"), "pooled=auto")
    });
}

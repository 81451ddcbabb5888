//! The store agrees with a model in memory, whatever is asked of it.

use crate::backend::Schema;

#[test]
fn random_sequences_agree_with_the_model() {
    stepwell_conformance::oracle::agree(40, || Schema::new("pooled=auto"));
}

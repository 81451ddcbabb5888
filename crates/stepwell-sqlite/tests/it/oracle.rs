//! The store agrees with a model in memory, whatever is asked of it.

use crate::backend::Memory;

#[test]
fn random_sequences_agree_with_the_model() {
    stepwell_conformance::oracle::agree(200, |_| Memory::new());
}

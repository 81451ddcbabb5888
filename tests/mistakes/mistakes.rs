//! What the compiler says to likely mistakes, one file each.
//!
//! `TRYBUILD=overwrite cargo test -p mistakes` writes the expected output anew.

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("cases/*.rs");
}

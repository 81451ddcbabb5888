//! What the compiler says to likely mistakes, one file each, and that it says nothing to what is right.
//!
//! `TRYBUILD=overwrite cargo test -p mistakes` writes the expected output anew.

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.pass("cases/pass/*.rs");
    cases.compile_fail("cases/*.rs");
}

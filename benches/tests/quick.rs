//! The benchmark at its smallest size, so that it never rots. What it measures here says nothing.

use std::process::Command;

#[test]
fn the_smallest_benchmark_runs() {
    let done = Command::new(env!("CARGO_BIN_EXE_benches"))
        .arg("--quick")
        .output()
        .expect("the benchmark starts");
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

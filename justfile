# What CI runs, in pieces. `./test` runs everything.

# Everything, as CI does it.
test:
    ./test

# The quick round while working: format, lints, tests without the slow proofs.
verify: fmt lint
    tests/with-postgres tests/with-sqs tests/with-signers cargo test --workspace --exclude crash-tests

fmt:
    cargo fmt --all --check

lint:
    cargo clippy --workspace --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The crash tests at their everyday size.
crash:
    cargo test -p crash-tests -- --nocapture

# The crash tests at their full size: 200 kills under 50 checkouts.
crash-long:
    STEPWELL_CRASH_KILLS=200 cargo test -p crash-tests -- --nocapture

# A redrive of 15,000 letters at 100 a second, killed, stopped and resumed.
redrive-long:
    STEPWELL_REDRIVE_LETTERS=15000 cargo test -p crash-tests --test it redrive -- --nocapture

# Two releases of one program, launched, stopped and killed 300 times.
rolling-versions-long:
    STEPWELL_ROLLING_ROUNDS=300 tests/with-postgres cargo test -p stepwell-any --test it rolling -- --nocapture

# Code that blocks its threads or panics in odd places, 1,000 workflows in each run.
hostile-threads-long:
    STEPWELL_HOSTILE_WORKFLOWS=1000 tests/with-postgres cargo test -p stepwell-any --test it hostile -- --nocapture

# The fleet on Postgres at its full size: 1,000 workflows for each kind of trouble, and 25 power cuts.
crash-fleet-long:
    STEPWELL_FLEET_WORKFLOWS=1000 STEPWELL_CRASH_CUTS=25 cargo test -p crash-tests --test fleet -- --nocapture
    STEPWELL_CRASH_CUTS=100 cargo test -p crash-tests --test it power -- --nocapture

# The tests of stepwell-postgres on PostgreSQL 14 to 18, which it downloads from npm.
postgres-versions:
    tests/postgres-versions

# The widget store in a real browser.
browser:
    cargo build -p widget-store
    npm --prefix examples/widget-store/browser ci
    npm --prefix examples/widget-store/browser test

# The benchmark with its targets.
bench:
    cargo run --release -p benches

# The benchmark beside dbos and durare (needs PostgreSQL, and builds them).
bench-peers:
    cargo run --release -p benches -- --peers

# A consumer of a real Kafka broker, which is killed; needs Maven and Java.
kafka:
    STEPWELL_KAFKA_MESSAGES=10000 tests/with-kafka cargo test -p stepwell-kafka real -- --nocapture

# Events of all sources at once, while processes and the broker are killed; needs Maven and Java.
events-long:
    STEPWELL_EVENTS=10000 tests/with-postgres tests/with-sqs tests/with-signers tests/with-kafka cargo test -p event-processor proof -- --nocapture

# Consumers in the benchmark, on a real Kafka broker and on a mock one.
bench-kafka:
    cargo run --release -p benches -- --kafka
    tests/with-kafka cargo run --release -p benches -- --kafka

# The benchmark at its smallest size, so that it never rots.
bench-once:
    cargo run --release -p benches -- --quick

# Every feature of the facade alone (needs cargo-hack).
features:
    cargo hack check -p stepwell --each-feature --no-dev-deps

# Licences, sources, bans, and advisories where their database can be had.
deny:
    tests/dependencies

# Ids from everybody who makes or chooses them, 300 runs on each store.
identity-long:
    STEPWELL_IDENTITY_SEEDS=300 tests/with-postgres cargo test -p identity-tests

# 10,000 random sequences on each store against the model in memory; half an hour on Postgres.
oracle-long:
    STEPWELL_ORACLE_SEQUENCES=10000 cargo test -p stepwell-sqlite --test it oracle -- --nocapture
    STEPWELL_ORACLE_SEQUENCES=10000 tests/with-postgres cargo test -p stepwell-postgres --test postgres oracle -- --nocapture

# Every kind of change, refused in every way, on both databases: ten minutes.
fault-matrix-long:
    STEPWELL_FAULTS=all tests/with-postgres cargo test -p stepwell-any --test it matrix -- --nocapture

# 2,000 values of every shape by every way in and out, on both stores.
round-trip-long:
    STEPWELL_ROUND_TRIPS=2000 tests/with-postgres cargo test -p stepwell-any --test it round_trip -- --nocapture

# Clients that mean harm, in larger numbers.
hostile-http-long:
    STEPWELL_HOSTILE_HTTP=20 cargo test -p stepwell-axum --test it hostile -- --nocapture

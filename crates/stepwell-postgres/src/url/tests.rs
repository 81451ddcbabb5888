use std::path::PathBuf;

use tokio_postgres::config::SslMode;

use super::*;

fn parse(parameters: &str) -> Result<Address, StoreError> {
    Address::parse(&format!("postgres://shop:s3cr3t@db:5433/shop?{parameters}"))
}

#[track_caller]
fn refused(parameters: &str, reason: &str) {
    let Err(error) = parse(parameters) else {
        panic!("`{parameters}` was accepted");
    };
    assert_eq!(error.kind(), StoreErrorKind::Unusable);
    assert!(error.to_string().contains(reason), "{error}");
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
}

#[test]
fn a_database_is_described_without_its_password() {
    let plain = parse("").ok().map(|address| address.describe());
    assert_eq!(plain.as_deref(), Some("postgres://db:5433/shop"));
    let other = parse("schema=orders").ok().map(|it| it.describe());
    assert_eq!(
        other.as_deref(),
        Some("postgres://db:5433/shop?schema=orders")
    );
}

#[test]
fn our_parameters_are_read_and_the_drivers_left_to_it() {
    let address = parse(
        "schema=orders&statement_timeout=2500&pooled=true&application_name=shop%20floor\
         &connect_timeout=3",
    )
    .unwrap();
    assert_eq!(address.schema, "orders");
    assert_eq!(address.timeouts.statement, Duration::from_millis(2500));
    assert_eq!(address.timeouts.lock, Timeouts::default().lock);
    assert_eq!(address.pooled, Pooled::Yes);
    assert_eq!(address.config.get_application_name(), Some("shop floor"));
    let patience = address.config.get_connect_timeout();
    assert_eq!(patience, Some(&Duration::from_secs(3)));
}

#[test]
fn what_is_not_said_has_a_bound() {
    let address = parse("").unwrap();
    assert_eq!(address.config.get_application_name(), Some("stepwell"));
    assert_eq!(address.config.get_connect_timeout(), Some(&CONNECT_MAX));
    assert_eq!(
        address.config.get_tcp_user_timeout(),
        Some(&UNACKNOWLEDGED_MAX)
    );
}

#[test]
fn a_bad_parameter_is_refused_with_what_to_do() {
    refused("sslmod=require", "parameter `sslmod` that is not known");
    refused("sslmode=on", "`on` is no `sslmode`");
    refused("schema=my-schema", "no name for a schema");
    refused("schema=pg_catalog", "no name for a schema");
    refused("schema=", "no name for a schema");
    refused("schema=a%22b", "no name for a schema");
    refused("statement_timeout=soon", "write milliseconds");
    refused("lock_timeout=-1", "write milliseconds");
    refused("pooled=maybe", "no value of `pooled`");
    refused("sslmode=verify-ca&sslrootcert=system", "verify-full");
    refused("sslmode=require&sslrootcert=system", "verify-full");
    // Whoever has a certificate of a public authority could stand in for the server.
    refused("sslmode=verify-ca", "needs `sslrootcert=FILE`");
    refused("port=many", "no URL of a Postgres database");
}

#[test]
fn tls_means_what_libpq_means() {
    let tls = |parameters: &str| {
        let address = parse(parameters).unwrap();
        (address.config.get_ssl_mode(), address.trust)
    };
    let file = || PathBuf::from("/etc/ca.pem");
    assert_eq!(tls(""), (SslMode::Prefer, Trust::Anybody));
    assert_eq!(tls("sslmode=disable"), (SslMode::Disable, Trust::Anybody));
    assert_eq!(tls("sslmode=require"), (SslMode::Require, Trust::Anybody));
    assert_eq!(
        tls("sslmode=require&sslrootcert=/etc/ca.pem"),
        (SslMode::Require, Trust::SignedBy(file()))
    );
    assert_eq!(
        tls("sslmode=verify-ca&sslrootcert=/etc/ca.pem"),
        (SslMode::Require, Trust::SignedBy(file()))
    );
    assert_eq!(
        tls("sslmode=verify-full&sslrootcert=/etc/ca.pem"),
        (SslMode::Require, Trust::Named(Some(file())))
    );
    assert_eq!(
        tls("sslmode=verify-full&sslrootcert=system"),
        (SslMode::Require, Trust::Named(None))
    );
}

/// Addresses that are written wrongly, around a secret.
const WRONG: [&str; 14] = [
    "postgres://shop:$",
    "postgres://shop:a?$@db/shop",
    "postgres://shop:a?schema=$@db/shop",
    "postgres://shop:a?sslmode=$@db/shop",
    "postgres://shop:a@$@db/shop",
    "postgres://db/shop?$",
    "postgres://db/shop?a:$=1",
    "postgres:shop:$@db/shop",
    "postgres:shop:a=$@db/shop",
    "shop:$@db/shop",
    "host=db password=$ nothing=1",
    "postgres://shop:$@db:port/shop",
    "postgres://shop:$@db/shop?port=many",
    "postgres://shop:$@db/shop?statement_timeout=soon",
];

#[test]
fn no_error_about_an_address_shows_its_password() {
    for shape in WRONG {
        for secret in [
            "Hunter2",
            "Hun=ter2",
            "Hun/ter2",
            "Hun:ter2",
            "Hun&ter2",
            "%48unter2x%",
        ] {
            let address = shape.replace('$', secret);
            let said = match Address::parse(&address) {
                Ok(parsed) => parsed.describe(),
                Err(error) => format!("{error} {error:?}"),
            };
            let leaks = ["Hun", "unter", "ter2"]
                .iter()
                .any(|part| said.contains(part));
            assert!(!leaks, "{address}: {said}");
        }
    }
}

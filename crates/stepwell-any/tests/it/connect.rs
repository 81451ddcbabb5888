//! What is said when a database cannot be opened.

use stepwell::{AnyPool, ErrorKind};

async fn refused(url: &str) -> (ErrorKind, String) {
    let error = AnyPool::connect(url).await.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn a_database_that_nobody_knows_is_named_without_its_password() {
    let (kind, said) = refused("mysql://shop:s3cr3t@db/shop").await;
    assert_eq!(kind, ErrorKind::Setup);
    assert!(said.contains("mysql://…@db/shop"), "{said}");
    assert!(said.contains("sqlite:shop.db"), "{said}");
    let (_, said) = refused("shop.db").await;
    assert!(said.contains("`shop.db` is no address"), "{said}");
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_named() {
    let (kind, said) = refused("sqlite:/nowhere/shop.db").await;
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(
        said.contains("`/nowhere/shop.db` cannot be opened"),
        "{said}"
    );
}

/// At once, and not after a pool has tried for half a minute.
#[tokio::test]
async fn a_server_that_does_not_listen_is_named_without_its_password() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let (kind, said) = refused(&format!("postgres://shop:s3cr3t@{address}/shop")).await;
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(
        said.contains(&format!("postgres://…@{address}/shop")),
        "{said}"
    );
    assert!(!said.contains("s3cr3t"), "{said}");
    let (kind, said) = refused("postgres://shop:s3cr3t@db:port/shop").await;
    assert_eq!(kind, ErrorKind::Setup);
    assert!(!said.contains("s3cr3t"), "{said}");
}

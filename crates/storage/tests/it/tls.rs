//! TLS to PostgreSQL, as the URL's sslmode says.

use std::net::TcpListener;

use rcgen::{CertificateParams, KeyPair};
use storage::testing::{Cluster, TestDatabase};
use storage::{DatabaseSettings, QueryType, Statement};

use crate::proxy::Proxy;
use crate::support::{Kept, until};

/// Whether the connection is encrypted, as the server sees it.
async fn encrypted(url: &str) -> bool {
    let kept = Kept::open(&DatabaseSettings::at(url), Vec::new());
    kept.wait_until_ready().await;
    let ssl = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let ssl = Statement::new(QueryType::Select, "pg_stat_ssl", ssl);
    kept.database.fetch_one::<(bool,)>(ssl).await.unwrap().0
}

async fn refused(url: &str, words: &[&str]) {
    let kept = Kept::open(&DatabaseSettings::at(url), Vec::new());
    until("it is refused", async || match kept.database.ready().await {
        Err(reason) if words.iter().any(|word| reason.contains(word)) => Ok(()),
        other => Err(other),
    })
    .await;
}

pub(crate) async fn the_url_decides_on_tls(test: TestDatabase) {
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem();
    let key = key.serialize_pem();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = "listen_addresses = '127.0.0.1'\nssl = on";
    let files = [("server.crt", certificate.as_str()), ("server.key", key.as_str())];
    let cluster = Cluster::start_with(port, settings, &files);
    let database = cluster.database();
    let database = database.split_once('?').unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.crt");
    std::fs::write(&authority, &certificate).unwrap();
    let authority = authority.display();

    assert!(!encrypted(&format!("{database}?sslmode=disable")).await);
    assert!(encrypted(&format!("{database}?sslmode=require")).await);
    assert!(encrypted(&format!("{database}?sslmode=verify-full&sslrootcert={authority}")).await);
    refused(&format!("{database}?sslmode=verify-full"), &["TLS", "certificate"]).await;
    let other_name = database.replace("localhost", "127.0.0.1");
    refused(&format!("{other_name}?sslmode=verify-full&sslrootcert={authority}"), &["TLS", "certificate"]).await;

    // A server that has no TLS, for somebody who insists.
    let socket = test.url().rsplit_once("host=").unwrap().1;
    let proxy = Proxy::before(std::path::Path::new(socket).join(".s.PGSQL.5432")).await;
    refused(&format!("{}?sslmode=require", proxy.url(test.url())), &["TLS"]).await;
}

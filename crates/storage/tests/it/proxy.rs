//! A TCP port before PostgreSQL's socket that can stop to pass anything on, as a network does.

use std::path::PathBuf;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

pub(crate) struct Proxy {
    port: u16,
    open: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn before(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, gate) = watch::channel(true);
        actix_web::rt::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&socket).await else { continue };
                let (client, server) = (client.into_split(), server.into_split());
                actix_web::rt::spawn(pass(client.0, server.1, gate.clone()));
                actix_web::rt::spawn(pass(server.0, client.1, gate.clone()));
            }
        });
        Self { port, open }
    }

    /// The URL of a database behind it: the one that names the socket.
    pub(crate) fn url(&self, direct: &str) -> String {
        let (database, _) = direct.split_once('?').unwrap();
        database.replace("localhost:5432", &format!("127.0.0.1:{}", self.port))
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Keeps everything to itself from now on; connections stay.
    pub(crate) fn shut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut gate: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if gate.wait_for(|open| *open).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

//! A Redis or Valkey server of the test's own.
//!
//! It listens on a socket in a temporary folder, nowhere else. A shell stands between the server and the tests: it ends the
//! server and removes the folder as soon as the pipe from the test process closes, and that the kernel does however the
//! process ends.

#![expect(clippy::expect_used, reason = "a test set-up that fails must fail the test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue};
use web::CancellationToken;

use crate::{Cache, CacheSettings};

/// Said where there is no server to start.
pub const MISSING: &str = "there is no Redis here: neither valkey-server nor redis-server is on PATH";

/// Takes orders a line each, answers each with a line. `$1` is the folder, `$2` the program; the rest are its arguments.
const SUPERVISOR: &str = r#"
trap '' INT TERM HUP
folder=$1 program=$2
shift 2
pid=
stop() { if [ -n "$pid" ]; then kill -KILL "$pid"; wait "$pid"; pid=; rm -f "$folder/socket"; fi; }
while read -r order; do
    case $order in
    start) "$program" "$@" >>"$folder/log" 2>&1 </dev/null & pid=$! ;;
    crash) stop ;;
    freeze) kill -STOP "$pid" ;;
    thaw) kill -CONT "$pid" ;;
    esac
    echo "$order" || break
done
stop 2>/dev/null
cd / && rm -rf "$folder"
"#;

/// A running server.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    supervisor: Mutex<Supervisor>,
}

#[derive(Debug)]
struct Supervisor {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server for a test under the usual harness; none where there is no program, and then a line on standard
    /// error says so, past the harness. In CI that fails.
    ///
    /// # Panics
    /// When it cannot be started, with its log; in CI also when there is none.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With further arguments, such as `--requirepass`.
    ///
    /// # Panics
    /// As [`Server::start`].
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
            assert!(!in_ci, "{MISSING}");
            // Not through the macro, whose output the harness keeps to itself when a test passes.
            let _ = writeln!(std::io::stderr(), "NOT RUN with Redis: {MISSING}");
            return None;
        };
        // A socket's path may have about a hundred characters only. The shell removes the folder.
        let folder = tempfile::Builder::new().prefix("ct-redis-").tempdir().expect("a folder for the server").keep();
        let mut child = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&folder)
            .arg(program)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--maxmemory", "64mb", "--unixsocket"])
            .arg(folder.join("socket"))
            .arg("--dir")
            .arg(&folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir(&folder)
            // Ctrl-C is for the tests; the shell then sees their end.
            .process_group(0)
            .spawn()
            .expect("a shell");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("the shell's answers"));
        let server = Self { folder, supervisor: Mutex::new(Supervisor { child, orders, answers }) };
        server.start_again();
        Some(server)
    }

    /// Starts the server after [`Server::crash`], empty, and waits until it lets clients in.
    ///
    /// # Panics
    /// When it does not within half a minute; with its log.
    pub fn start_again(&self) {
        self.order("start");
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "Redis does not start: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the server as a crash would: all that it holds is lost.
    pub fn crash(&self) {
        self.order("crash");
    }

    /// The server does nothing any more, and closes nothing.
    pub fn freeze(&self) {
        self.order("freeze");
    }

    /// It goes on after [`Server::freeze`].
    pub fn thaw(&self) {
        self.order("thaw");
    }

    /// For `REDIS_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Settings with this server. A busy machine must not look like a server that is away.
    #[must_use]
    pub fn settings(&self) -> CacheSettings {
        CacheSettings { redis_timeout_ms: 2_000, ..CacheSettings::at(&self.url()) }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn client(&self) -> Connection {
        let client = redis::Client::open(self.url()).expect("a client");
        client.get_connection().expect("a connection to the test's server")
    }

    /// Has the server do something: `["SET", "key", "value"]`.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.client()).expect("an answer of the test's server")
    }

    /// The keys of all that stands in it, sorted.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", "*"]);
        keys.sort();
        keys
    }

    /// Puts this in the place of all that stands in it, for as long as that would have stood there.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn spoil(&self, garbage: &str) {
        for key in self.keys() {
            let _: String = self.ask(&["SET", &key, garbage, "KEEPTTL"]);
        }
    }

    fn order(&self, order: &str) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = supervisor.orders.as_mut().expect("the server runs");
        writeln!(orders, "{order}").expect("the server's shell");
        let mut answer = String::new();
        supervisor.answers.read_line(&mut answer).expect("the server's shell");
        assert_eq!(answer.trim(), order, "the server's shell");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        supervisor.orders = None;
        // Its only failure is to have ended already.
        let _ = supervisor.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["valkey-server", "redis-server"].iter().find_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| Path::is_file(program))
    })
}

/// A cache that is kept up until this is dropped.
pub struct Kept {
    /// The cache.
    pub cache: Cache,
    stop: CancellationToken,
}

impl Kept {
    /// Opens a cache as a process of its own would, and keeps it up.
    ///
    /// # Panics
    /// When the settings cannot be used.
    #[must_use]
    pub fn open(settings: &CacheSettings) -> Self {
        telemetry::testing::init();
        let cache = Cache::open(settings).expect("a cache");
        let stop = CancellationToken::new();
        tokio::task::spawn_local(cache.clone().keep_up(stop.clone()));
        Self { cache, stop }
    }

    /// Waits until it is connected.
    ///
    /// # Panics
    /// When it is not within half a minute.
    pub async fn connected(self) -> Self {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(reason) = self.cache.ready().await {
            assert!(Instant::now() < deadline, "{reason}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

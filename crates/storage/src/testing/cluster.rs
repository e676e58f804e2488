//! A PostgreSQL server of the test process's own.
//!
//! It listens on a socket in a temporary folder, nowhere else. A shell stands between the server and the tests: it stops
//! the server and removes the folder as soon as the pipe from the test process closes, and that the kernel does however
//! the process ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Said where there is no PostgreSQL.
pub const MISSING: &str =
    "there is no PostgreSQL server here: initdb and postgres are neither on PATH nor in /usr/lib/postgresql";

/// Takes orders a line each, answers each with a line. `$1` is the folder, `$2` that of the programs.
const SUPERVISOR: &str = r#"
trap '' INT TERM HUP
pid=
stop() { if [ -n "$pid" ]; then kill -"$1" "$pid"; wait "$pid"; pid=; fi; }
while read -r order; do
    case $order in
    start) "$2/postgres" -D "$1/data" >>"$1/log" 2>&1 </dev/null & pid=$! ;;
    stop) stop INT ;;
    crash) stop QUIT ;;
    esac
    echo "$order" || break
done
stop INT
cd / && rm -rf "$1"
"#;

/// Nothing has to outlast the machine, so nothing is synced; what was committed outlasts a crash of the server. Many
/// tests at once have a pool each.
const SETTINGS: &str = "
listen_addresses = ''
fsync = off
full_page_writes = off
max_connections = 400
shared_buffers = 32MB
log_min_messages = warning
";

/// A running server.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
    databases: AtomicU32,
    supervisor: Mutex<Supervisor>,
}

#[derive(Debug)]
struct Supervisor {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// Whether there is a PostgreSQL to start.
    #[must_use]
    pub fn is_possible() -> bool {
        programs().is_some()
    }

    /// Makes a cluster and starts its server.
    ///
    /// # Panics
    /// When there is no PostgreSQL, or it cannot be started; with its log.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(5432, "", &[])
    }

    /// With a port that its socket is named after, further settings, and private files in its data folder.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    #[must_use]
    pub fn start_with(port: u16, settings: &str, files: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let programs = programs().expect(MISSING);
        // A socket's path may have about a hundred characters only, and a target folder can lie deep.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ct-pg-{}-{number}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).expect("a folder for the cluster");
        let user = server_user(&folder);
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).expect("giving the folder to the server's user");
        }
        let command = |program: &Path| {
            let mut command = Command::new(program);
            command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC").current_dir(&folder);
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let data = folder.join("data");
        let made = command(&programs.join("initdb"))
            .args(["--auth=trust", "--username=test", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("initdb");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        for (name, text) in files {
            let path = data.join(name);
            let mut file = std::fs::OpenOptions::new()
                .create_new(true)
                .write(true)
                .mode(0o600)
                .open(&path)
                .expect("a file of the cluster");
            file.write_all(text.as_bytes()).expect("a file of the cluster");
            if let Some((uid, gid)) = user {
                std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("giving a file to the server's user");
            }
        }
        let socket = folder.display();
        let settings = format!("{SETTINGS}unix_socket_directories = '{socket}'\nport = {port}\n{settings}\n");
        let mut file =
            std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).expect("its settings");
        file.write_all(settings.as_bytes()).expect("its settings");
        let mut child = command(Path::new("/bin/sh"))
            .args(["-c", SUPERVISOR, "supervisor"])
            .args([&folder, &programs])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for the tests; the shell then sees their end.
            .process_group(0)
            .spawn()
            .expect("a shell");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("the shell's answers"));
        let supervisor = Mutex::new(Supervisor { child, orders, answers });
        let cluster = Self { folder, programs, port, databases: AtomicU32::new(0), supervisor };
        cluster.start_again();
        cluster
    }

    /// Starts the server after [`Cluster::stop`] or [`Cluster::crash`], and waits until it lets clients in.
    ///
    /// # Panics
    /// When it does not within a minute; with its log.
    pub fn start_again(&self) {
        self.order("start");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !self.psql("postgres", "SELECT 1").status.success() {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(std::time::Instant::now() < deadline, "PostgreSQL does not start: {}", log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Stops the server as an operator would; sessions are ended.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Stops the server as a crash would.
    pub fn crash(&self) {
        self.order("crash");
    }

    /// Makes a fresh database; its URL.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = self.psql("postgres", &format!("CREATE DATABASE {name}"));
        assert!(made.status.success(), "no database: {}", String::from_utf8_lossy(&made.stderr));
        format!("postgres://test@localhost:{}/{name}?host={}", self.port, self.folder.display())
    }

    /// The socket that the server listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Runs a statement with PostgreSQL's own client.
    fn psql(&self, database: &str, statement: &str) -> std::process::Output {
        Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-U", "test", "-d", database, "-c", statement, "-p", &self.port.to_string(), "-h"])
            .arg(&self.folder)
            .env_remove("PGOPTIONS")
            .stdin(Stdio::null())
            .output()
            .expect("psql")
    }

    fn order(&self, order: &str) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = supervisor.orders.as_mut().expect("the cluster runs");
        writeln!(orders, "{order}").expect("the cluster's shell");
        let mut answer = String::new();
        supervisor.answers.read_line(&mut answer).expect("the cluster's shell");
        assert_eq!(answer.trim(), order, "the cluster's shell");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        supervisor.orders = None;
        // Its only failure is to have ended already.
        let _ = supervisor.child.wait();
    }
}

/// The folder with the server's programs: on PATH, or where Debian has them, the newest.
fn programs() -> Option<PathBuf> {
    let complete = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(complete) {
        return Some(folder);
    }
    let version = |folder: &PathBuf| {
        let name = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        name.and_then(|name| name.parse::<u32>().ok())
    };
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).filter(complete).max_by_key(version)
}

/// Who runs the server, where we are root, which PostgreSQL refuses: `postgres` where there is one, else `nobody`.
fn server_user(folder: &Path) -> Option<(u32, u32)> {
    if folder.metadata().expect("the cluster's folder").uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("the users of this machine");
    let ids = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == wanted).then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    };
    Some(ids("postgres").or_else(|| ids("nobody")).unwrap_or_else(|| panic!("there is no user for PostgreSQL here")))
}

//! `crypto-telemetry preflight`: what would keep the stack from starting, all of it, before anything starts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::holder;
use super::ports::{self, PortSetting};
use super::terminal::{Terminal, complain};

const MIB: u64 = 1024 * 1024;

/// Programs that process-compose.yaml starts by name, what each is, and how to get it.
const TOOLS: [(&str, &str, &str); 7] = [
    ("process-compose", "starts and stops everything", "'make backends' builds it"),
    ("otelcol", "the Collector", "'make backends' builds it"),
    ("prometheus", "metrics", "'make backends' builds it"),
    ("alertmanager", "alerts", "'make backends' builds it"),
    ("tempo", "traces", "'make backends' builds it"),
    ("loki", "logs", "'make backends' builds it"),
    ("crypto-telemetry", "the services", "'cargo build --release' builds it, and target/release belongs on PATH"),
];

/// Optional: the stack runs without it.
const GRAFANA: &str = "grafana";

/// Check ports, tools and disk before the stack starts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder that the stack writes to
    #[arg(long, env = "CRYPTO_TELEMETRY_DATA", default_value = ".data")]
    data_dir: PathBuf,

    /// Space that must be free there, in MiB
    #[arg(long, env = "PREFLIGHT_MIN_FREE_MIB", default_value_t = 1024)]
    min_free_mib: u64,
}

/// Checks everything; problems go to standard error, a sentence each.
///
/// # Errors
/// When standard output cannot be written.
#[expect(clippy::unused_async, reason = "every tool is run the same way")]
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let checked = check(&args, ports::environment, std::env::var_os("PATH").as_deref());
    if checked.problems.is_empty() {
        Terminal::stdout().line(&format!("preflight: {}", checked.good.join("; ")))?;
        return Ok(ExitCode::SUCCESS);
    }
    for problem in &checked.problems {
        complain(&format!("preflight: {problem}"));
    }
    Ok(ExitCode::FAILURE)
}

#[derive(Debug, Default)]
struct Checked {
    problems: Vec<String>,
    good: Vec<String>,
}

fn check(args: &Args, env: impl Fn(&str) -> Option<String>, path: Option<&OsStr>) -> Checked {
    let mut checked = Checked::default();
    let grafana = find(path, GRAFANA);
    for (name, purpose, remedy) in TOOLS {
        if find(path, name).is_none() {
            checked.problems.push(format!("{name} ({purpose}) is not on PATH: {remedy}."));
        }
    }
    // Nothing will listen on Grafana's port where there is no Grafana.
    let wanted: Vec<PortSetting> =
        ports::ALL.iter().copied().filter(|port| port.component != GRAFANA || grafana.is_some()).collect();
    checked.problems.extend(port_problems(&wanted, env));
    match data_folder(&args.data_dir, args.min_free_mib) {
        Err(problem) => checked.problems.push(problem),
        Ok(free_mib) => {
            checked.good.push(format!("all {} ports are free", wanted.len()));
            checked.good.push(format!(
                "every program is there{}",
                if grafana.is_some() {
                    ""
                } else {
                    ", except grafana, without which the stack runs without dashboards"
                }
            ));
            checked.good.push(format!("{} MiB are free in {}", free_mib, args.data_dir.display()));
        }
    }
    checked
}

/// The first file of that name on the path that may be run.
fn find(path: Option<&OsStr>, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path?)
        .map(|folder| folder.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0))
}

/// Bad values first, then ports that two components want, then ports that are taken.
fn port_problems(wanted: &[PortSetting], env: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut by_port: BTreeMap<u16, Vec<PortSetting>> = BTreeMap::new();
    for setting in wanted {
        match setting.read(&env) {
            Ok(port) => by_port.entry(port).or_default().push(*setting),
            Err(error) => problems.push(format!("{error} (it is for {}: {}).", setting.component, setting.purpose)),
        }
    }
    for (port, settings) in by_port.iter().filter(|(_, settings)| settings.len() > 1) {
        let who: Vec<String> =
            settings.iter().map(|s| format!("{} ({}: {})", s.variable, s.component, s.purpose)).collect();
        problems.push(format!(
            "Port {port} is wanted more than once, by {}: give each a port of its own.",
            who.join(" and ")
        ));
    }
    // Suggested ports must differ from each other too.
    let mut spoken_for: BTreeSet<u16> = by_port.keys().copied().collect();
    for (port, settings) in &by_port {
        let Err(error) = bind(*port) else { continue };
        let Some(setting) = settings.first() else { continue };
        let what = format!("Port {port} ({}; {}: {})", setting.variable, setting.component, setting.purpose);
        problems.push(match error.kind() {
            io::ErrorKind::AddrInUse => {
                let other = alternative(*port, &spoken_for);
                spoken_for.extend(other);
                let other = other.map_or_else(|| "another port".to_owned(), |other| other.to_string());
                format!("{what} is taken by {}: stop it, or set {}={other}.", holder::of(*port), setting.variable)
            }
            io::ErrorKind::PermissionDenied => {
                format!("{what} may not be used by this user: set {} to a port from 1024 on.", setting.variable)
            }
            _ => format!("{what} cannot be used: {error}."),
        });
    }
    problems
}

/// Binds as the services will: on loopback, with SO_REUSEADDR (the standard library's choice on Unix), so that
/// connections which are still winding down do no harm.
fn bind(port: u16) -> io::Result<()> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop)
}

/// A free port that nobody else of the stack wants.
fn alternative(port: u16, spoken_for: &BTreeSet<u16>) -> Option<u16> {
    // Ten thousand further on first: 19090 is easier to remember than 9091. From 32768 on Linux hands ports out to
    // outgoing connections, which would be in the way now and then.
    let steps = (10_000..10_050).chain(1..100);
    steps
        .filter_map(|step| port.checked_add(step).filter(|other| *other < 32_768))
        .find(|other| !spoken_for.contains(other) && bind(*other).is_ok())
}

/// Makes the folder, writes to it, and says how many MiB are free.
fn data_folder(folder: &Path, min_free_mib: u64) -> Result<u64, String> {
    let unwritable = |error: io::Error| {
        format!(
            "The data folder {} cannot be written: {error}. Give this user the right to, or choose another with CRYPTO_TELEMETRY_DATA.",
            folder.display()
        )
    };
    fs::create_dir_all(folder).map_err(unwritable)?;
    // Free space before the write: on a full disk that is the sentence that helps.
    let disk = rustix::fs::statvfs(folder).map_err(|error| unwritable(error.into()))?;
    let free_mib = disk.f_bavail.saturating_mul(disk.f_frsize) / MIB;
    if free_mib < min_free_mib {
        return Err(format!(
            "Only {free_mib} MiB are free in the data folder {}, and {min_free_mib} MiB are wanted: make room ('make clean-data' removes old data), choose another \
             folder with CRYPTO_TELEMETRY_DATA, or ask for less with PREFLIGHT_MIN_FREE_MIB.",
            folder.display()
        ));
    }
    let mut name = OsString::from(".preflight-");
    name.push(std::process::id().to_string());
    let probe = folder.join(name);
    let written = fs::File::create(&probe).and_then(|mut file| {
        file.write_all(&[0; 64 * 1024])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&probe);
    written.and(removed).map_err(unwritable)?;
    Ok(free_mib)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(variable: &'static str, default: u16) -> PortSetting {
        PortSetting { variable, default, component: "tempo", purpose: "its API" }
    }

    fn none(_: &str) -> Option<String> {
        None
    }

    /// A folder of this test's own, removed with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("preflight-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_taken_port_is_told_with_its_variable_and_who_holds_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let problems = port_problems(&[setting("TEMPO_PORT", port)], none);
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(problem.starts_with(&format!("Port {port} (TEMPO_PORT; tempo: its API) is taken by ")), "{problem}");
        assert!(problem.contains(": stop it, or set TEMPO_PORT="), "{problem}");
        if cfg!(target_os = "linux") {
            assert!(problem.contains(&format!("pid {}", std::process::id())), "{problem}");
        }
        drop(listener);
        assert_eq!(port_problems(&[setting("TEMPO_PORT", port)], none), Vec::<String>::new());
    }

    #[test]
    fn a_listener_on_every_interface_is_in_the_way_too() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let problems = port_problems(&[setting("TEMPO_PORT", port)], none);
        assert_eq!(problems.len(), 1, "{problems:?}");
    }

    #[test]
    fn bad_values_and_ports_wanted_twice_are_all_told() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let wanted = [setting("A_PORT", free), setting("B_PORT", 1), setting("C_PORT", 2), setting("D_PORT", 3)];
        let env = |name: &str| match name {
            "B_PORT" => Some(free.to_string()),
            "C_PORT" => Some("70000".to_owned()),
            "D_PORT" => Some("web".to_owned()),
            _ => None,
        };
        let problems = port_problems(&wanted, env);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].contains("C_PORT is \"70000\"; a port is a number from 1 to 65535"), "{}", problems[0]);
        assert!(problems[1].contains("D_PORT is \"web\""), "{}", problems[1]);
        assert!(
            problems[2]
                .starts_with(&format!("Port {free} is wanted more than once, by A_PORT (tempo: its API) and B_PORT")),
            "{}",
            problems[2]
        );
    }

    #[test]
    fn suggested_ports_differ() {
        let first = alternative(9_090, &BTreeSet::new()).unwrap();
        assert!((19_090..19_140).contains(&first) || (9_091..9_190).contains(&first), "{first}");
        assert_ne!(alternative(9_090, &BTreeSet::from([first])), Some(first));
        assert_eq!(alternative(40_000, &BTreeSet::new()), None, "outgoing connections use those ports");
    }

    #[test]
    fn a_tool_counts_only_when_it_can_be_run() {
        let folder = Folder::new("tools");
        let path = folder.0.clone().into_os_string();
        assert_eq!(find(Some(&path), "loki"), None);
        assert_eq!(find(None, "loki"), None);
        let file = folder.0.join("loki");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find(Some(&path), "loki"), None);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(Some(&path), "loki"), Some(file));
    }

    #[test]
    fn the_data_folder_must_be_writable_and_roomy() {
        let folder = Folder::new("data");
        let data = folder.0.join("deep/er");
        assert!(data_folder(&data, 0).is_ok());
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "the probing file is removed");
        let full = data_folder(&data, u64::MAX).unwrap_err();
        assert!(full.contains("MiB are free") && full.contains("PREFLIGHT_MIN_FREE_MIB"), "{full}");
        let file = folder.0.join("file");
        fs::write(&file, "").unwrap();
        let bad = data_folder(&file.join("below"), 0).unwrap_err();
        assert!(bad.contains("cannot be written") && bad.contains("CRYPTO_TELEMETRY_DATA"), "{bad}");
    }

    #[test]
    fn everything_is_reported_at_once() {
        let folder = Folder::new("all");
        let args = Args { data_dir: folder.0.clone(), min_free_mib: u64::MAX };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port().to_string();
        let env = |name: &str| match name {
            "LOKI_PORT" => Some(taken.clone()),
            "TEMPO_PORT" => Some("x".to_owned()),
            _ => None,
        };
        let checked = check(&args, env, Some(folder.0.as_os_str()));
        let all = checked.problems.join("\n");
        for piece in ["otelcol (the Collector) is not on PATH", "LOKI_PORT", "TEMPO_PORT is \"x\"", "MiB are free"] {
            assert!(all.contains(piece), "{piece} is missing from:\n{all}");
        }
        assert!(!all.contains("grafana"), "Grafana is optional:\n{all}");
    }
}

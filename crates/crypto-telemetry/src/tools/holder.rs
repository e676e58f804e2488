//! Who holds a TCP port of this machine.

/// A description for a sentence: "prometheus (pid 4711: prometheus --config.file=…)", or that it cannot be told.
pub(crate) fn of(port: u16) -> String {
    imp::of(port)
        .unwrap_or_else(|| format!("a process that this user cannot see (as root, {} names it)", imp::command(port)))
}

#[cfg(target_os = "linux")]
mod imp {
    use std::collections::HashSet;

    use procfs::net::TcpState;
    use procfs::process::{FDTarget, Process, all_processes};

    use crate::tools::terminal::{printable, shortened};

    pub(super) fn command(port: u16) -> String {
        format!("'ss -ltnp sport = :{port}'")
    }

    pub(super) fn of(port: u16) -> Option<String> {
        let inodes = inodes(port);
        if inodes.is_empty() {
            return None;
        }
        // Processes come and go while this reads, and those of others cannot be read: both are passed over.
        let holder = all_processes().ok()?.filter_map(Result::ok).find(|process| holds(process, &inodes))?;
        let name = holder.stat().map_or_else(|_| "a process".to_owned(), |stat| stat.comm);
        let command = holder.cmdline().unwrap_or_default().join(" ");
        Some(format!("{} (pid {}: {})", printable(&name), holder.pid, shortened(&printable(&command), 60)))
    }

    /// Sockets at that port: those that listen, or else whichever hold it.
    fn inodes(port: u16) -> HashSet<u64> {
        let v4 = procfs::net::tcp().unwrap_or_default();
        let v6 = procfs::net::tcp6().unwrap_or_default();
        let at_port: Vec<_> =
            v4.into_iter().chain(v6).filter(|entry| entry.local_address.port() == port && entry.inode != 0).collect();
        let listening: HashSet<u64> =
            at_port.iter().filter(|entry| entry.state == TcpState::Listen).map(|entry| entry.inode).collect();
        if listening.is_empty() { at_port.iter().map(|entry| entry.inode).collect() } else { listening }
    }

    fn holds(process: &Process, inodes: &HashSet<u64>) -> bool {
        let Ok(open) = process.fd() else { return false };
        open.filter_map(Result::ok).any(|fd| matches!(fd.target, FDTarget::Socket(inode) if inodes.contains(&inode)))
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn command(port: u16) -> String {
        format!("'lsof -nP -iTCP:{port} -sTCP:LISTEN'")
    }

    pub(super) const fn of(_port: u16) -> Option<String> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    #[test]
    fn this_process_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = super::of(listener.local_addr().unwrap().port());
        assert!(holder.contains(&format!("(pid {}:", std::process::id())), "{holder}");
    }

    #[test]
    fn nobody_is_not_made_up() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(super::of(free).contains("cannot see"));
    }
}

//! What doctor prints.

use std::path::Path;

use serde::Serialize;

use super::components::{Component, Health};
use super::hop::{Hop, Next, State, in_ms};
use crate::tools::terminal::{Style, Terminal, millis, printable};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// The component, or the hop that loses signals.
    pub(super) place: String,
    /// The signals that a hop loses; none for a component.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) signals: Vec<&'static str>,
    /// What was seen.
    pub(super) detail: String,
    /// The command to run next.
    pub(super) next: String,
}

/// Everything, for `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    pub(super) ok: bool,
    pub(super) probe_id: &'a str,
    pub(super) trace_id: &'a str,
    pub(super) took_ms: u64,
    pub(super) components: &'a [Component],
    pub(super) hops: &'a [Hop],
    pub(super) problems: &'a [Problem],
}

/// Everything that is wrong, each once: the lost signals first, which are what matters to users, then the components
/// that no hop has blamed already.
pub(super) fn problems(components: &[Component], hops: &[Hop], data_dir: &Path) -> Vec<Problem> {
    let broken: Vec<&Hop> = hops.iter().filter(|hop| hop.state == State::Broken).collect();
    let mut problems: Vec<Problem> = Vec::new();
    for hop in &broken {
        match problems.iter_mut().find(|problem| problem.place == hop.name && problem.detail == hop.detail) {
            Some(problem) => problem.signals.push(hop.signal),
            None => problems.push(Problem {
                place: hop.name.clone(),
                signals: vec![hop.signal],
                detail: hop.detail.clone(),
                next: command(hop.next.as_ref(), data_dir),
            }),
        }
    }
    let blamed =
        |component: &&Component| component.next.is_some() && broken.iter().any(|hop| hop.next == component.next);
    problems.extend(components.iter().filter(|component| component.health == Health::Ill && !blamed(component)).map(
        |component| Problem {
            place: component.name.to_owned(),
            signals: Vec::new(),
            detail: component.detail.clone(),
            next: command(component.next.as_ref(), data_dir),
        },
    ));
    problems
}

/// The command as it can be pasted. Without logs the stack never ran with this data folder; a process that has not
/// said anything yet has no log of its own.
fn command(next: Option<&Next>, data_dir: &Path) -> String {
    match next {
        None => String::new(),
        Some(Next::Command(command)) => command.clone(),
        Some(Next::Log(process)) => {
            let logs = data_dir.join("logs");
            let of_process = logs.join(format!("{process}.log"));
            let log = [of_process, logs.join("process-compose.log")].into_iter().find(|log| log.is_file());
            log.map_or_else(start_again, |log| format!("tail -n 50 {}", log.display()))
        }
    }
}

/// What starts the stack here, or shows why it does not run: whoever installed it says so.
fn start_again() -> String {
    std::env::var("CRYPTO_TELEMETRY_UP").ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "make up".to_owned())
}

/// The components, a line each.
pub(super) fn components(components: &[Component], terminal: Terminal) -> String {
    let width = components.iter().map(|component| component.name.len()).max().unwrap_or(0);
    let lines = components.iter().map(|component| {
        let (mark, style) = match component.health {
            Health::Well => ("✔", Style::Good),
            Health::Ill => ("✘", Style::Bad),
            Health::Note => ("·", Style::Warn),
        };
        let name = format!("{:<width$}", component.name);
        format!(
            "{} {name}  {:>7}  {}",
            terminal.paint(style, mark),
            millis(component.took_ms),
            dim(component.health == Health::Well, &component.detail, terminal)
        )
    });
    std::iter::once(terminal.paint(Style::Bold, "Components")).chain(lines).collect::<Vec<_>>().join("\n")
}

/// The hops of one signal, a line each.
pub(super) fn hops(title: &str, hops: &[Hop], terminal: Terminal) -> String {
    /// As wide as the longest name of a hop.
    const NAME: usize = 24;
    let lines = hops.iter().map(|hop| {
        let (mark, style) = match hop.state {
            State::Well => ("✔", Style::Good),
            State::Broken => ("✘", Style::Bad),
            State::NotReached => ("-", Style::Dim),
            State::Note => ("·", Style::Warn),
        };
        let after = hop.after.map_or_else(String::new, |after| millis(in_ms(after)));
        let detail = if hop.state == State::NotReached { "not reached" } else { &hop.detail };
        let line = format!(
            "{} {:<NAME$}  {after:>7}  {}",
            terminal.paint(style, mark),
            hop.name,
            dim(hop.state != State::Broken, detail, terminal)
        );
        line.trim_end().to_owned()
    });
    std::iter::once(terminal.paint(Style::Bold, title)).chain(lines).collect::<Vec<_>>().join("\n")
}

fn dim(minor: bool, text: &str, terminal: Terminal) -> String {
    let text = printable(text);
    if minor { terminal.paint(Style::Dim, &text) } else { text }
}

/// The last word.
pub(super) fn verdict(problems: &[Problem], took_ms: u64, trace_id: &str, terminal: Terminal) -> String {
    if problems.is_empty() {
        let good = terminal.paint(Style::Good, "✔ All is well:");
        return format!(
            "{good} a trace, a log record and a metric went through every hop in {} (trace {trace_id}).",
            millis(took_ms)
        );
    }
    let count = if problems.len() == 1 { "1 problem:".to_owned() } else { format!("{} problems:", problems.len()) };
    let mut lines = vec![terminal.paint(Style::Bad, &format!("✘ {count}"))];
    for problem in problems {
        let lost = match problem.signals.as_slice() {
            [] => String::new(),
            [signal] => format!(" loses the probe's {signal}"),
            [first @ .., last] => format!(" loses the probe's {} and {last}", first.join(", ")),
        };
        lines.push(format!("  {}{lost}: {}", terminal.paint(Style::Bold, &problem.place), printable(&problem.detail)));
        lines.push(format!("    next: {}", problem.next));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hop(name: &str, state: State) -> Hop {
        let broken = state == State::Broken;
        Hop {
            signal: "traces",
            name: name.to_owned(),
            state,
            after: (state == State::Well).then_some(Duration::from_millis(12)),
            detail: if broken { "Tempo does not answer".to_owned() } else { String::new() },
            next: broken.then_some(Next::Log("tempo")),
        }
    }

    fn component(name: &'static str, health: Health) -> Component {
        Component {
            name,
            health,
            detail: "told".to_owned(),
            took_ms: 3,
            next: (health == Health::Ill).then_some(Next::Log(name)),
        }
    }

    #[test]
    fn a_broken_hop_is_named_with_what_to_do() {
        let hops_seen = [
            hop("doctor → Collector", State::Well),
            hop("Collector → Tempo", State::Broken),
            hop("Tempo by id", State::NotReached),
        ];
        assert_eq!(
            hops("Traces", &hops_seen, Terminal::plain(100)),
            "Traces\n✔ doctor → Collector          12 ms\n✘ Collector → Tempo                  Tempo does not answer\n- Tempo by id                        not reached"
        );
        // The hop blames Tempo already; what else is wrong is told beside it.
        let components =
            [component("tempo", Health::Ill), component("simulator", Health::Ill), component("grafana", Health::Note)];
        let found = problems(&components, &hops_seen, Path::new("/nowhere"));
        assert_eq!(
            verdict(&found, 1_000, "4bf9", Terminal::plain(100)),
            "✘ 2 problems:\n  Collector → Tempo loses the probe's traces: Tempo does not answer\n    next: make up\n  simulator: told\n    next: make up"
        );
    }

    #[test]
    fn one_hop_that_loses_several_signals_is_one_problem() {
        let lost = |signal| Hop { signal, ..hop("doctor → Collector", State::Broken) };
        let found = problems(&[], &[lost("traces"), lost("logs"), lost("metrics")], Path::new("/nowhere"));
        assert_eq!(found.len(), 1);
        assert!(
            verdict(&found, 1, "4bf9", Terminal::plain(100))
                .contains("doctor → Collector loses the probe's traces, logs and metrics: ")
        );
    }

    #[test]
    fn notes_are_no_problems() {
        let components = [component("loki", Health::Well), component("grafana", Health::Note)];
        let found = problems(&components, &[hop("a", State::Well), hop("b", State::Note)], Path::new("."));
        assert_eq!(found, []);
        assert!(verdict(&found, 9_100, "4bf9", Terminal::plain(100)).starts_with("✔ All is well"));
        assert_eq!(
            super::components(&components, Terminal::plain(100)),
            "Components\n✔ loki        3 ms  told\n· grafana     3 ms  told"
        );
    }

    #[test]
    fn a_log_that_is_there_is_pointed_to() {
        let folder = std::env::temp_dir().join(format!("doctor-report-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("logs")).unwrap();
        std::fs::write(folder.join("logs/tempo.log"), "").unwrap();
        std::fs::write(folder.join("logs/process-compose.log"), "").unwrap();
        let told = [Next::Log("tempo"), Next::Log("loki")].map(|next| command(Some(&next), &folder));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(told[0], format!("tail -n 50 {}/logs/tempo.log", folder.display()));
        assert_eq!(told[1], format!("tail -n 50 {}/logs/process-compose.log", folder.display()));
    }
}

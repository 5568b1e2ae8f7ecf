//! `[[check]]`: what the node says of itself.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use fencing::checks::{LONGEST_NAME, MOST_CHECKS, State, is_name};
use serde::Deserialize;
use toml::Spanned;

use super::Domains;
use super::file::Wrong;
use crate::checks::{Configured, Page, Patterns, Plan, Probe};

/// Lines of the kernel that mean trouble, without a word about it.
const PATTERNS: [&str; 5] = [
    "blocked for more than",
    "soft lockup",
    "Hardware Error",
    "I/O error",
    "Remounting filesystem",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Script,
    Http,
    Tcp,
    Ping,
    Ttl,
    Mount,
    KernelLog,
    Unit,
    Libvirt,
    Temperature,
    Fans,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Script => "script",
            Kind::Http => "http",
            Kind::Tcp => "tcp",
            Kind::Ping => "ping",
            Kind::Ttl => "ttl",
            Kind::Mount => "mount",
            Kind::KernelLog => "kernel_log",
            Kind::Unit => "unit",
            Kind::Libvirt => "libvirt",
            Kind::Temperature => "temperature",
            Kind::Fans => "fans",
        }
    }

    /// The keys of its own.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Kind::Script => &["command"],
            Kind::Http => &["url", "status", "contains"],
            Kind::Tcp => &["address"],
            Kind::Ping => &["address", "warning", "critical"],
            Kind::Ttl => &[],
            Kind::Mount => &["path"],
            Kind::KernelLog => &["path", "patterns", "remember", "state"],
            Kind::Unit => &["unit", "systemctl"],
            Kind::Libvirt => &[],
            Kind::Temperature => &["directory", "warning", "critical"],
            Kind::Fans => &["directory"],
        }
    }
}

/// A section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileCheck {
    name: String,
    kind: Kind,
    every: Option<String>,
    within: Option<String>,
    rise: Option<u32>,
    fall: Option<u32>,
    command: Option<Vec<String>>,
    url: Option<String>,
    status: Option<Vec<u16>>,
    contains: Option<String>,
    address: Option<String>,
    warning: Option<String>,
    critical: Option<String>,
    path: Option<PathBuf>,
    patterns: Option<Vec<String>>,
    remember: Option<String>,
    state: Option<String>,
    unit: Option<String>,
    systemctl: Option<PathBuf>,
    directory: Option<PathBuf>,
}

/// A key, and what is wrong with it.
type Bad = (&'static str, String);

/// Reads all sections; an error stands at the line of its key. `domains` is whom a check of libvirt asks.
pub(super) fn checks(
    text: &str,
    file: Vec<Spanned<FileCheck>>,
    domains: &Domains,
) -> Result<Vec<Configured>, Wrong> {
    let mut names = BTreeSet::new();
    let mut checked = Vec::new();
    for section in file {
        let start = section.span().start;
        let check = section.into_inner();
        let name = check.name.clone();
        let found = if checked.len() >= MOST_CHECKS {
            Err(("name", format!("there are more than {MOST_CHECKS} checks; leave some out")))
        } else if !names.insert(name.clone()) {
            Err(("name", "two checks are called so; give each a name of its own".to_owned()))
        } else {
            configured(check, domains)
        };
        match found {
            Ok(found) => checked.push(found),
            Err((key, what)) => {
                return Err((line_of(text, start, key), format!("check {name:?}: {what}")));
            }
        }
    }
    Ok(checked)
}

/// The line of a key in the section that begins here, or of the section.
fn line_of(text: &str, start: usize, key: &str) -> usize {
    let before = text.get(..start).map_or(0, |before| before.matches('\n').count());
    let is_key = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut lines = text.lines().enumerate().skip(before);
    let first = lines.next().filter(|(_, line)| is_key(line));
    let found = first.or_else(|| {
        lines.take_while(|(_, line)| !line.starts_with('[')).find(|(_, line)| is_key(line))
    });
    found.map_or(before, |(index, _)| index) + 1
}

fn configured(check: FileCheck, domains: &Domains) -> Result<Configured, Bad> {
    if !is_name(&check.name) {
        let what = format!(
            "a name has up to {LONGEST_NAME} lower-case letters, digits, `-` and `_`, a letter first"
        );
        return Err(("name", what));
    }
    only_its_keys(&check)?;
    let pushed = check.kind == Kind::Ttl;
    let every = time("every", check.every.as_deref(), Duration::from_secs(10))?;
    if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&every) {
        return Err(("every", "every must be 1s to 1h".to_owned()));
    }
    let within = time("within", check.within.as_deref(), every.min(Duration::from_secs(5)))?;
    if within < Duration::from_millis(100) || within > every {
        return Err(("within", "within must be 100ms at least, and at most every".to_owned()));
    }
    // What is pushed, or read in a log, was looked at by somebody already.
    let said = pushed || check.kind == Kind::KernelLog;
    let rise = times("rise", check.rise, if said { 1 } else { 2 })?;
    let fall = times("fall", check.fall, if said { 1 } else { 3 })?;
    let plan = Plan { name: check.name.clone(), every, within, rise, fall, pushed };
    Ok(Configured { plan, probe: probe(check, within, domains)? })
}

fn only_its_keys(check: &FileCheck) -> Result<(), Bad> {
    let given = [
        ("command", check.command.is_some()),
        ("url", check.url.is_some()),
        ("status", check.status.is_some()),
        ("contains", check.contains.is_some()),
        ("address", check.address.is_some()),
        ("warning", check.warning.is_some()),
        ("critical", check.critical.is_some()),
        ("path", check.path.is_some()),
        ("patterns", check.patterns.is_some()),
        ("remember", check.remember.is_some()),
        ("state", check.state.is_some()),
        ("unit", check.unit.is_some()),
        ("systemctl", check.systemctl.is_some()),
        ("directory", check.directory.is_some()),
    ];
    let (kind, keys) = (check.kind.word(), check.kind.keys());
    let strange = given.into_iter().find(|(key, given)| *given && !keys.contains(key));
    let Some((key, _)) = strange else { return Ok(()) };
    let own = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    let what = format!("{key} is no key of kind {kind:?}, whose own are: {own}; remove it");
    Err((key, what))
}

fn probe(check: FileCheck, within: Duration, domains: &Domains) -> Result<Probe, Bad> {
    let sensors = PathBuf::from("/sys/class/hwmon");
    Ok(match check.kind {
        Kind::Script => {
            let command =
                needed("command", "[\"/usr/lib/nagios/plugins/check_disk\"]", check.command)?;
            if !command.first().is_some_and(|program| program.starts_with('/')) {
                let what = "begin it with the program's whole path, such as \"/usr/bin/true\"; no shell is between";
                return Err(("command", what.to_owned()));
            }
            Probe::Script { command }
        }
        Kind::Http => {
            let (address, path) = url(&needed("url", "\"http://127.0.0.1:8775/\"", check.url)?)?;
            let status = check.status.unwrap_or_default();
            if let Some(bad) = status.iter().find(|status| !(100..600).contains(*status)) {
                return Err((
                    "status",
                    format!("{bad} is no HTTP status; write such as [200, 300]"),
                ));
            }
            Probe::Http(Page { address, path, status, contains: check.contains })
        }
        Kind::Tcp => Probe::Tcp { address: address(check.address)? },
        Kind::Ping => {
            let warning = time("warning", check.warning.as_deref(), Duration::from_millis(20))?;
            let critical = time("critical", check.critical.as_deref(), Duration::from_millis(200))?;
            if warning > critical || critical > within {
                let what = "warning must be at most critical, and critical at most within";
                return Err(("critical", what.to_owned()));
            }
            Probe::Ping { address: address(check.address)?, warning, critical }
        }
        Kind::Ttl => Probe::Pushed,
        Kind::Mount => {
            let path = needed("path", "\"/var/lib/nova/instances\"", check.path)?;
            if !path.is_absolute() {
                return Err(("path", "write the whole path of a directory".to_owned()));
            }
            Probe::Mount { path }
        }
        Kind::KernelLog => Probe::KernelLog(patterns(check)?),
        Kind::Unit => {
            let unit = needed("unit", "\"nova-compute.service\"", check.unit)?;
            let systemctl = check.systemctl.unwrap_or_else(|| PathBuf::from("/usr/bin/systemctl"));
            Probe::Unit { unit, systemctl }
        }
        Kind::Libvirt => match domains {
            Domains::Virsh(virsh) => Probe::Libvirt(virsh.clone()),
            Domains::Directory(_) => {
                let what = "there is no libvirt where [domains] names a directory: name virsh there, or remove this check";
                return Err(("kind", what.to_owned()));
            }
        },
        Kind::Temperature => {
            let warning = degrees("warning", check.warning.as_deref(), 85)?;
            let critical = degrees("critical", check.critical.as_deref(), 95)?;
            if warning > critical {
                return Err(("critical", "critical must be at least warning".to_owned()));
            }
            let directory = check.directory.unwrap_or(sensors);
            Probe::Temperature { directory, warning, critical }
        }
        Kind::Fans => Probe::Fans { directory: check.directory.unwrap_or(sensors) },
    })
}

fn patterns(check: FileCheck) -> Result<Patterns, Bad> {
    let patterns = match check.patterns {
        None => PATTERNS.map(str::to_owned).to_vec(),
        Some(patterns) if !patterns.is_empty() && patterns.iter().all(|text| !text.is_empty()) => {
            patterns
        }
        Some(_) => {
            let what = "name the texts that mean trouble, or leave patterns out";
            return Err(("patterns", what.to_owned()));
        }
    };
    let state = match check.state.as_deref().map(State::named) {
        None => State::Critical,
        Some(Some(state @ (State::Warning | State::Critical))) => state,
        Some(Some(State::Ok | State::Unknown) | None) => {
            return Err(("state", "a line means \"warning\" or \"critical\"".to_owned()));
        }
    };
    Ok(Patterns {
        path: check.path.unwrap_or_else(|| PathBuf::from("/dev/kmsg")),
        patterns,
        remember: time("remember", check.remember.as_deref(), Duration::from_secs(600))?,
        state,
    })
}

fn needed<T>(key: &'static str, such: &str, value: Option<T>) -> Result<T, Bad> {
    value.ok_or_else(|| (key, format!("{key} is missing; add {key} = {such}")))
}

fn time(key: &'static str, text: Option<&str>, usual: Duration) -> Result<Duration, Bad> {
    let Some(text) = text else { return Ok(usual) };
    humantime::parse_duration(text).map_err(|error| {
        (key, format!("{key} {text:?}: {error}; write a time with its unit, such as \"20s\""))
    })
}

fn times(key: &'static str, number: Option<u32>, usual: u32) -> Result<u32, Bad> {
    let number = number.unwrap_or(usual);
    if (1..=100).contains(&number) {
        return Ok(number);
    }
    Err((key, format!("{key} must be 1 to 100: how often in a row it must say so")))
}

fn degrees(key: &'static str, text: Option<&str>, usual: i32) -> Result<i32, Bad> {
    let Some(text) = text else { return Ok(usual) };
    let number = text.strip_suffix('C').and_then(|number| number.trim().parse().ok());
    number
        .filter(|degrees| (1..=150).contains(degrees))
        .ok_or_else(|| (key, format!("{key} {text:?}: write degrees Celsius such as \"85C\"")))
}

/// Addresses alone: looking a name up may hang, and then the check would say something about the name server.
fn address(text: Option<String>) -> Result<SocketAddr, Bad> {
    let text = needed("address", "\"10.1.0.1:3260\"", text)?;
    text.parse().map_err(|_| {
        ("address", format!("{text:?} is no address with a port, such as \"10.1.0.1:3260\""))
    })
}

fn url(url: &str) -> Result<(SocketAddr, String), Bad> {
    let bad = || {
        let what = format!(
            "{url:?}: write \"http://ADDRESS:PORT/PATH\", such as \"http://127.0.0.1:8775/\": plain HTTP, and no name"
        );
        ("url", what)
    };
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let host = host.replacen("localhost", &Ipv4Addr::LOCALHOST.to_string(), 1);
    let bare = host.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 80));
    let address = host.parse::<SocketAddr>().or(bare).map_err(|_| bad())?;
    // What is sent must stay one line.
    if path.chars().any(|letter| letter.is_control() || letter == ' ') {
        return Err(bad());
    }
    Ok((address, path.to_owned()))
}

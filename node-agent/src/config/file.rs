//! The TOML as it is written, and what it must satisfy. An error is a line and a sentence with the remedy.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fencing::lease::{LeaseTimes, Profile};
use fencing::sign::PublicKey;
use fencing::watchdog::Kind;
use fencing::{ControllerId, NodeId};
use gossip::ceiling::Ceiling;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use uuid::Uuid;

use crate::preflight::Preflight;
use crate::proxy::subnet::Subnet;

use super::checks::{self, FileCheck};
use super::{
    Config, Controller, Domains, KERNEL_BOOT_ID, MOST_NETWORKS, Network, Proxy, Virsh, Watchdog,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cluster: Uuid,
    name: String,
    id: Uuid,
    profile: Option<Profile>,
    lease: Option<Lease>,
    boot_id_file: Option<PathBuf>,
    run_dir: PathBuf,
    state_dir: PathBuf,
    gossip_key_file: PathBuf,
    key_file: PathBuf,
    keys_file: PathBuf,
    #[serde(default = "yes")]
    sentinel: bool,
    #[serde(default)]
    network: Vec<FileNetwork>,
    #[serde(default)]
    controller: Vec<FileController>,
    watchdog: Option<FileWatchdog>,
    domains: Option<FileDomains>,
    record: Option<String>,
    proxy: Option<FileProxy>,
    preflight: Option<FilePreflight>,
    gossip: Option<FileGossip>,
    #[serde(default)]
    check: Vec<Spanned<FileCheck>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lease {
    #[serde(deserialize_with = "duration")]
    renew_every: Duration,
    #[serde(deserialize_with = "duration")]
    lease: Duration,
    #[serde(deserialize_with = "duration")]
    vouch: Duration,
    #[serde(deserialize_with = "duration")]
    watchdog: Duration,
    #[serde(deserialize_with = "duration")]
    quiet: Duration,
    #[serde(deserialize_with = "duration")]
    margin: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileNetwork {
    name: String,
    gossip_listen: SocketAddr,
    gossip_advertise: Option<SocketAddr>,
    sentinel_listen: SocketAddr,
    sentinel_advertise: Option<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileController {
    id: u64,
    #[serde(deserialize_with = "key")]
    key: PublicKey,
    gossip: BTreeMap<String, SocketAddr>,
    lease: BTreeMap<String, SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWatchdog {
    path: PathBuf,
    #[serde(default = "device")]
    kind: Kind,
    #[serde(default, deserialize_with = "some_duration")]
    timeout: Option<Duration>,
    #[serde(default)]
    allow_e2: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileProxy {
    listen: SocketAddr,
    allow: Vec<String>,
    ports: Option<Vec<u16>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGossip {
    most_bytes_per_second: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDomains {
    directory: Option<PathBuf>,
    virsh: Option<PathBuf>,
    uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePreflight {
    nova_conf: Option<Vec<PathBuf>>,
    libvirt_guests: Option<Vec<PathBuf>>,
    libvirt_guests_wanted: Option<PathBuf>,
    autostart: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

fn device() -> Kind {
    Kind::Device
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text).map_err(|error| {
        serde::de::Error::custom(format!("{error}; write a time with its unit, such as \"20s\""))
    })
}

fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

fn key<'de, D: Deserializer<'de>>(from: D) -> Result<PublicKey, D::Error> {
    let text = String::deserialize(from)?;
    PublicKey::parse(&text).map_err(serde::de::Error::custom)
}

/// Bytes of records without a word about it.
const RECORD: u64 = 64 << 20;

/// A line, and what is wrong there.
pub(super) type Wrong = (usize, String);

pub(super) fn parse(text: &str) -> Result<Config, Wrong> {
    let file: File = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        (
            text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1),
            remedy(error.message()),
        )
    })?;
    if !is_host_name(&file.name) {
        return wrong(text, "name", "name must be a host name: letters, digits, `-` and `.`");
    }
    let networks = networks(text, file.network)?;
    let controllers = controllers(text, file.controller, &networks)?;
    let times = times(text, file.profile, file.lease)?;
    let domains = domains(text, file.domains)?;
    Ok(Config {
        cluster: file.cluster,
        name: file.name,
        node: NodeId(file.id),
        times,
        boot_id_file: file.boot_id_file.clone().unwrap_or_else(|| PathBuf::from(KERNEL_BOOT_ID)),
        run_dir: file.run_dir,
        state_dir: file.state_dir,
        gossip_key_file: file.gossip_key_file,
        key_file: file.key_file,
        keys_file: file.keys_file,
        networks,
        controllers,
        watchdog: file
            .watchdog
            .map(|watchdog| self::watchdog(text, watchdog, times))
            .transpose()?,
        checks: checks::checks(text, file.check, &domains)?,
        domains,
        proxy: file.proxy.map(|proxy| self::proxy(text, proxy)).transpose()?,
        preflight: preflight(file.preflight, file.boot_id_file.is_none()),
        sentinel: file.sentinel,
        ceiling: file.gossip.map(|gossip| ceiling(text, &gossip)).transpose()?,
        record: match file.record.as_deref().map(::record::size) {
            None => RECORD,
            Some(Ok(most)) => most,
            Some(Err(why)) => return wrong(text, "record", format!("record {why}")),
        },
    })
}

fn ceiling(text: &str, file: &FileGossip) -> Result<Ceiling, Wrong> {
    const KEY: &str = "most_bytes_per_second";
    Ceiling::new(file.most_bytes_per_second).or_else(|error| {
        wrong(text, KEY, format!("{KEY}: {error}; enlarge it, or remove [gossip]"))
    })
}

/// A lab's node looks nowhere, unless it is told where.
fn preflight(file: Option<FilePreflight>, real: bool) -> Option<Preflight> {
    let usual = Preflight::default();
    let Some(file) = file else { return real.then_some(usual) };
    Some(Preflight {
        nova_conf: file.nova_conf.unwrap_or(usual.nova_conf),
        libvirt_guests: file.libvirt_guests.unwrap_or(usual.libvirt_guests),
        libvirt_guests_wanted: file.libvirt_guests_wanted.unwrap_or(usual.libvirt_guests_wanted),
        autostart: file.autostart.unwrap_or(usual.autostart),
    })
}

/// What serde says, with a remedy where it has none.
fn remedy(message: &str) -> String {
    let message = message.replace('\n', " ");
    if message.contains("unknown field") {
        format!("{message}; remove it or correct its name")
    } else if message.contains("missing field") {
        format!("{message}; add it (`--help` shows a whole file)")
    } else {
        message
    }
}

/// An error at the line where the key or section stands, or at line 1 where it is missing.
fn wrong<T>(text: &str, key: &str, what: impl Into<String>) -> Result<T, Wrong> {
    Err((line_of(text, key), what.into()))
}

fn line_of(text: &str, key: &str) -> usize {
    let found = text.lines().position(|line| line.trim_start().starts_with(key));
    found.map_or(1, |index| index + 1)
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn networks(text: &str, file: Vec<FileNetwork>) -> Result<Vec<Network>, Wrong> {
    if file.is_empty() || file.len() > MOST_NETWORKS {
        let what =
            format!("there must be 1 to {MOST_NETWORKS} [[network]] sections, not {}", file.len());
        return wrong(text, "[[network]]", what);
    }
    let mut names = BTreeSet::new();
    for network in &file {
        if !names.insert(network.name.clone()) {
            let what =
                format!("network {} is named twice; give each a name of its own", network.name);
            return wrong(text, "[[network]]", what);
        }
        if !is_host_name(&network.name) {
            let what = format!("network name {:?} must be letters, digits and `-`", network.name);
            return wrong(text, "[[network]]", what);
        }
    }
    let checked = file.into_iter().map(|network| Network {
        gossip_advertise: network.gossip_advertise.unwrap_or(network.gossip_listen),
        sentinel_advertise: network.sentinel_advertise.unwrap_or(network.sentinel_listen),
        gossip_listen: network.gossip_listen,
        sentinel_listen: network.sentinel_listen,
        name: network.name,
    });
    let checked: Vec<Network> = checked.collect();
    let told = |network: &Network| [network.gossip_advertise, network.sentinel_advertise];
    match checked
        .iter()
        .flat_map(told)
        .find(|address| address.ip().is_unspecified() || address.port() == 0)
    {
        Some(address) => {
            let what = format!(
                "others cannot send to {address}: add gossip_advertise and sentinel_advertise"
            );
            wrong(text, "[[network]]", what)
        }
        None => Ok(checked),
    }
}

fn controllers(
    text: &str,
    file: Vec<FileController>,
    networks: &[Network],
) -> Result<Vec<Controller>, Wrong> {
    if file.is_empty() {
        return wrong(
            text,
            "[[controller]]",
            "there must be a [[controller]] section per controller",
        );
    }
    let mut ids = BTreeSet::new();
    let mut checked = Vec::new();
    for controller in file {
        let id = controller.id;
        if id == 0 || !ids.insert(id) {
            let what =
                format!("controller id {id} is 0 or named twice; give each its own id from 1");
            return wrong(text, "[[controller]]", what);
        }
        let by_network = |kind: &str, addresses: &BTreeMap<String, SocketAddr>| {
            if let Some(name) =
                addresses.keys().find(|name| networks.iter().all(|n| n.name != **name))
            {
                let what = format!(
                    "controller {id} has a {kind} address on {name}, which is no [[network]]"
                );
                return wrong(text, "[[controller]]", what);
            }
            networks
                .iter()
                .map(|network| match addresses.get(&network.name) {
                    Some(address) => Ok(*address),
                    None => {
                        let what = format!(
                            "controller {id} lacks a {kind} address on network {}",
                            network.name
                        );
                        wrong(text, "[[controller]]", what)
                    }
                })
                .collect()
        };
        checked.push(Controller {
            id: ControllerId(id),
            key: controller.key,
            gossip: by_network("gossip", &controller.gossip)?,
            lease: by_network("lease", &controller.lease)?,
        });
    }
    Ok(checked)
}

fn times(text: &str, profile: Option<Profile>, lease: Option<Lease>) -> Result<LeaseTimes, Wrong> {
    let times = match (profile, lease) {
        (Some(_), Some(_)) => return wrong(text, "[lease]", "give a profile or [lease], not both"),
        (profile, None) => profile.unwrap_or_default().times(),
        (None, Some(lease)) => LeaseTimes {
            renew_every: lease.renew_every,
            lease: lease.lease,
            vouch: lease.vouch,
            watchdog: lease.watchdog,
            quiet: lease.quiet,
            margin: lease.margin,
        },
    };
    match times.check() {
        Ok(()) => Ok(times),
        Err(error) => {
            wrong(text, "[lease]", format!("{error}; enlarge the left sides, or use a profile"))
        }
    }
}

fn watchdog(text: &str, file: FileWatchdog, times: LeaseTimes) -> Result<Watchdog, Wrong> {
    let timeout = file.timeout.unwrap_or(times.watchdog);
    if timeout != times.watchdog {
        let what = format!(
            "watchdog timeout {} differs from W = {} of the lease times: leave it out, or change [lease]",
            humantime::format_duration(timeout),
            humantime::format_duration(times.watchdog)
        );
        return wrong(text, "[watchdog]", what);
    }
    if file.kind == Kind::Device && (timeout.subsec_nanos() != 0 || timeout.is_zero()) {
        return wrong(text, "[watchdog]", "a device takes whole seconds: set W in [lease] so");
    }
    Ok(Watchdog { path: file.path, kind: file.kind, timeout, allow_e2: file.allow_e2 })
}

/// Where BMCs answer: IPMI, and Redfish.
const BMC_PORTS: [u16; 2] = [623, 443];

fn proxy(text: &str, file: FileProxy) -> Result<Proxy, Wrong> {
    let mut allow = Vec::new();
    for network in &file.allow {
        match network.parse::<Subnet>() {
            Ok(subnet) => allow.push(subnet),
            Err(error) => return wrong(text, "allow", format!("allow {network:?} {error}")),
        }
    }
    if allow.is_empty() || file.listen.port() == 0 {
        let what = "name the networks of the BMCs, such as allow = [\"10.9.0.0/24\"], and a port in listen";
        return wrong(text, "[proxy]", what);
    }
    let ports = file.ports.unwrap_or_else(|| BMC_PORTS.to_vec());
    if ports.is_empty() || ports.contains(&0) {
        return wrong(text, "ports", "ports are those of the BMCs: leave them out for 623 and 443");
    }
    Ok(Proxy { listen: file.listen, allow, ports })
}

fn domains(text: &str, file: Option<FileDomains>) -> Result<Domains, Wrong> {
    let usual = Virsh::default();
    match file.map(|file| (file.directory, file.virsh, file.uri)) {
        None => Ok(Domains::Virsh(usual)),
        Some((Some(directory), None, None)) => Ok(Domains::Directory(directory)),
        Some((None, Some(program), uri)) => {
            Ok(Domains::Virsh(Virsh { program, uri: uri.unwrap_or(usual.uri) }))
        }
        Some((Some(_), _, _) | (None, None, _)) => wrong(
            text,
            "[domains]",
            "give either directory = \"...\" or virsh = \"/usr/bin/virsh\", and uri only beside virsh",
        ),
    }
}

//! `[node.bmc]`: what can switch a node off. One table, or a list: those of one level take its power away only together,
//! and a level is tried when the one before has failed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fencing::bmc::agent::{AgentTarget, StorageHook};
use fencing::bmc::redfish::{LogIn, RedfishTarget, Trust};
use fencing::bmc::storage::StorageFence as _;
use fencing::bmc::{BmcTarget, CipherSuite, Device, Identity, Level, Privilege, Secret};

use super::inventory::{Seen, address_once};
use super::problem::Page;
use super::proxy;
use super::secret;
use super::table::{At, Table, host_name, path, some};

/// UDP port of IPMI over LAN.
const IPMI: u16 = 623;
/// TCP port of HTTPS.
const HTTPS: u16 = 443;
/// Most devices of a node.
const MOST: usize = 8;
/// Most levels of a node.
const MOST_LEVELS: u8 = 4;

const TYPE: &str = "type = \"redfish\", or leave it out for IPMI";
const TRUST: &str = "add fingerprint = \"...\": as `openssl s_client -connect ADDRESS:443 </dev/null | openssl x509 -noout -sha256 \
                     -fingerprint` prints it, compared with what the BMC itself shows; or ca_file = \"...\"";
const VERIFIED: &str = "add power_verified = true, once you have seen that `off` takes the power of this node at once and that `status` \
                        then tells the truth about it; an agent that only shuts down or cuts a network proves nothing";

const STORAGE: &str = "add every_vm_lives_there = true, if every VM that may ever run on this node has all of its disks on this storage, \
                       and no other way to it than from these addresses; if not, remove this device";

#[derive(Clone, Copy)]
enum Kind {
    Ipmi,
    Redfish,
    Agent,
    Storage,
}

/// Reads the devices of a node, by level; none where it has none, `None` where something is wrong.
pub(super) fn levels(
    mut tables: Vec<Table<'_>>,
    folder: &Path,
    seen: &mut Seen,
    page: &mut Page<'_>,
) -> Option<Vec<Level>> {
    if let Some(table) = tables.get(MOST) {
        let message = format!("a node has more than {MOST} devices");
        page.error(
            &table.span(),
            message,
            "",
            "name those that its power comes from, and no others",
        );
        return None;
    }
    let read = |mut table: Table<'_>| {
        let span = table.span();
        let example = "level = 2, or leave it out for the first";
        let named = table.value("level").is_some();
        let level = named
            .then(|| table.number("level", example, 1..=u64::from(MOST_LEVELS), page))
            .flatten();
        let read = device(&mut table, folder, seen, page);
        table.finish(page);
        Some((level, read?, span))
    };
    let mut ends: BTreeMap<u64, Range<usize>> = BTreeMap::new();
    // All of them are read, so that all that is wrong is said.
    let devices: Vec<_> = tables.drain(..).map(read).collect();
    let mut levels: BTreeMap<u64, Vec<Device>> = BTreeMap::new();
    for (level, device, span) in devices.into_iter().collect::<Option<Vec<_>>>()? {
        let number = level.map_or(1, |level| level.value);
        levels.entry(number).or_default().push(device);
        ends.entry(number).or_insert(span);
    }
    for (wanted, (number, span)) in (1..).zip(&ends) {
        if wanted != *number {
            let message = format!("there is a level {number} and no level {wanted}");
            page.error(
                span,
                message,
                "",
                "number the levels from 1 on; they are tried in that order",
            );
            return None;
        }
    }
    for (number, devices) in &levels {
        let storages = devices.iter().filter(|one| matches!(one, Device::Storage(_))).count();
        if storages > 0 && devices.len() > 1 {
            let message = format!("level {number} has a storage and another device");
            let span = ends.get(number).cloned().unwrap_or_default();
            page.error(
                &span,
                message,
                "",
                "give the storage a level of its own: they prove different things",
            );
            return None;
        }
    }
    levels.into_values().map(Level::new).collect()
}

fn device(
    table: &mut Table<'_>,
    folder: &Path,
    seen: &mut Seen,
    page: &mut Page<'_>,
) -> Option<Device> {
    let kind = table.read_if("type", TYPE, page, |text| match text {
        "ipmi" => Ok(Kind::Ipmi),
        "redfish" => Ok(Kind::Redfish),
        "fence-agent" => Ok(Kind::Agent),
        "storage" => Ok(Kind::Storage),
        _ => Err("there are ipmi, redfish, fence-agent and storage"),
    });
    let via = proxy::via(table, seen, page);
    let device = match kind.map_or(Kind::Ipmi, |kind| kind.value) {
        Kind::Ipmi => ipmi(table, folder, seen, page).map(Device::Ipmi),
        Kind::Redfish => redfish(table, folder, seen, page).map(Device::Redfish),
        Kind::Agent => agent(table, folder, seen, page).map(Device::Agent),
        Kind::Storage => storage(table, folder, seen, page).map(Device::Storage),
    }?;
    match via? {
        None => Some(device),
        Some(via) => proxy::behind(device, via, page),
    }
}

fn address(table: &mut Table<'_>, port: u16, page: &mut Page<'_>) -> Option<At<SocketAddr>> {
    table.read("address", "address = \"10.9.0.11\"", page, |text| {
        let with_port = text.parse::<SocketAddr>();
        let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port));
        with_port.or(alone).map_err(|_| "must be an IP address; names are not looked up")
    })
}

fn password_file(table: &mut Table<'_>, folder: &Path, page: &mut Page<'_>) -> Option<At<PathBuf>> {
    table.read("password_file", "password_file = \"/etc/holdfast/bmc/node-1\"", page, |text| {
        path(folder, text)
    })
}

fn ipmi(
    table: &mut Table<'_>,
    folder: &Path,
    seen: &mut Seen,
    page: &mut Page<'_>,
) -> Option<BmcTarget> {
    let address = address(table, IPMI, page);
    if let Some(address) = &address {
        address_once(seen, address, page);
    }
    let user = table.read("user", "user = \"holdfast\"", page, |text| {
        if (1..=16).contains(&text.len()) {
            Ok(text.to_owned())
        } else {
            Err("IPMI allows 1 to 16 bytes")
        }
    });
    let file = password_file(table, folder, page);
    let suite = table.read_if(
        "suite",
        "suite = \"17\", or leave it out for the same; \"3\" only for a BMC that knows no better",
        page,
        |text| match text {
            "17" => Ok(vec![CipherSuite::S17]),
            "3" => Ok(vec![CipherSuite::S3]),
            _ => Err("there are 17 and 3; the others are not safe"),
        },
    );
    let privilege =
        table.read_if("privilege", "privilege = \"operator\"", page, |text| match text {
            "operator" => Ok(Privilege::Operator),
            "admin" => Ok(Privilege::Admin),
            _ => Err("there are operator and admin"),
        });
    let password = file.as_ref().and_then(|file| {
        secret::read(file, page, |text| {
            let password = text.trim_end_matches(['\r', '\n']);
            if (1..=20).contains(&password.len()) {
                return Ok(Secret::new(password.to_owned()));
            }
            let why = format!("a password of {} bytes: IPMI allows 1 to 20", password.len());
            Err((why, "set one of 20 random letters on the BMC and in this file".to_owned()))
        })
    });
    Some(BmcTarget {
        addr: address?.value,
        user: user?.value,
        password: password?,
        // Suite 3 rests on SHA-1, and a BMC that is asked for both may be talked down to it: only by name.
        suites: suite.map_or_else(|| vec![CipherSuite::S17], |suite| suite.value),
        privilege: privilege.map_or_else(Privilege::default, |privilege| privilege.value),
    })
}

fn redfish(
    table: &mut Table<'_>,
    folder: &Path,
    seen: &mut Seen,
    page: &mut Page<'_>,
) -> Option<RedfishTarget> {
    let address = address(table, HTTPS, page);
    let example = "system = \"/redfish/v1/Systems/1\", or leave it out where there is only one";
    let system = table.read_if("system", example, page, |text| {
        RedfishTarget::system_path(text).ok_or("must be a path that begins with /redfish/")
    });
    if let Some(address) = &address {
        system_once(seen, address, system.as_ref(), page);
    }
    let user = table.read("user", "user = \"holdfast\"", page, some);
    let file = password_file(table, folder, page);
    let name = table.read_if("name", "name = \"bmc-1.example.org\"", page, host_name);
    let log_in = table.read_if("login", "login = \"basic\"", page, |text| match text {
        "basic" => Ok(LogIn::Basic),
        "session" => Ok(LogIn::Session),
        _ => Err("there are basic and session"),
    });
    let uuid = table.read_if("uuid", "uuid = \"UUID\": as the system shows it", page, |text| {
        let uuid = text.parse::<Identity>().ok();
        uuid.and_then(|uuid| Identity::from_bytes(&uuid.0)).ok_or("must be a UUID of one machine")
    });
    let serial = table.read_if("serial", "serial = \"7XK2\": as the system shows it", page, some);
    let trust = trust(table, folder, page);
    let password = file.as_ref().and_then(|file| line(file, page));
    Some(RedfishTarget {
        addr: address?.value,
        name: name.map(|name| name.value),
        user: user?.value,
        password: password?,
        log_in: log_in.map_or_else(LogIn::default, |log_in| log_in.value),
        trust: trust?,
        system: system.map(|system| system.value),
        uuid: uuid.map(|uuid| uuid.value),
        serial: serial.map(|serial| serial.value.trim().to_owned()),
    })
}

/// Whose certificate is believed: one of the two must be said.
fn trust(table: &mut Table<'_>, folder: &Path, page: &mut Page<'_>) -> Option<Trust> {
    let pinned = table.read_if(
        "fingerprint",
        "fingerprint = \"64 hexadecimal digits\"",
        page,
        Trust::pinned,
    );
    let file = table.read_if("ca_file", "ca_file = \"/etc/holdfast/bmc-ca.pem\"", page, |text| {
        path(folder, text)
    });
    let wrong_pin = pinned.is_none() && table.value("fingerprint").is_some();
    match (pinned, file) {
        (Some(pinned), None) => Some(pinned.value),
        (Some(pinned), Some(file)) => {
            let message = "give fingerprint or ca_file, not both";
            page.twice(&file.span, &pinned.span, message, "remove one of them");
            None
        }
        (None, Some(file)) => authorities(&file, page),
        (None, None) => {
            if !wrong_pin {
                page.error(&table.span(), "nothing says whose certificate this BMC has", "", TRUST);
            }
            None
        }
    }
}

fn authorities(file: &At<PathBuf>, page: &mut Page<'_>) -> Option<Trust> {
    let shown = file.value.display();
    let read = std::fs::read(&file.value).map_err(|error| format!("cannot read {shown}: {error}"));
    let trust =
        read.and_then(|pem| Trust::authorities(&pem).map_err(|error| format!("{shown}: {error}")));
    trust
        .map_err(|why| {
            let remedy = "give the PEM certificate of the authority that signed the BMC's";
            page.error(&file.span, why, "", remedy);
        })
        .ok()
}

/// A password of one line, of any length that a sane BMC takes.
fn line(file: &At<PathBuf>, page: &mut Page<'_>) -> Option<Secret> {
    secret::read(file, page, |text| {
        let password = text.trim_end_matches(['\r', '\n']);
        if (1..=256).contains(&password.len()) && !password.chars().any(char::is_control) {
            return Ok(Secret::new(password.to_owned()));
        }
        let why = "a password is one line of 1 to 256 bytes".to_owned();
        Err((why, "write the password and nothing else into this file".to_owned()))
    })
}

/// One service may have many systems, each of them once.
fn system_once(
    seen: &mut Seen,
    address: &At<SocketAddr>,
    system: Option<&At<String>>,
    page: &mut Page<'_>,
) {
    let Some(system) = system else {
        if seen.services.contains(&address.value) {
            let message = format!("{} has several systems, and none is named here", address.value);
            page.error(&address.span, message, "", "add system = \"/redfish/v1/Systems/...\"");
        }
        return address_once(seen, address, page);
    };
    if seen.services.insert(address.value) {
        address_once(seen, address, page);
    }
    let place = format!("{} {}", address.value, system.value.trim_end_matches('/'));
    device_once(seen, place, &system.span, page);
}

fn device_once(seen: &mut Seen, device: String, span: &Range<usize>, page: &mut Page<'_>) {
    match seen.devices.get(&device) {
        Some(first) => {
            let message = "the same device is given twice: one node's off would be another's";
            page.twice(span, first, message, "give each node what its own power comes from");
        }
        None => {
            seen.devices.insert(device, span.clone());
        }
    }
}

fn agent(
    table: &mut Table<'_>,
    folder: &Path,
    seen: &mut Seen,
    page: &mut Page<'_>,
) -> Option<AgentTarget> {
    let example = "program = \"/usr/sbin/fence_apc_snmp\"";
    let program = table.read("program", example, page, some);
    let has_secret = table.value("password_file").is_some();
    let file = has_secret.then(|| password_file(table, folder, page)).flatten();
    let example = "password_parameter = \"password\", or leave it out for the same";
    let name = table.read_if("password_parameter", example, page, some);
    let secret = file.as_ref().and_then(|file| line(file, page));
    let verified = table.flag("power_verified", false, page);
    let parameters = table.texts("parameters", "[node.bmc.parameters]", page);
    let span = table.span();
    if !verified {
        page.error(
            &span,
            "an agent whose word about power is not verified proves nothing",
            "",
            VERIFIED,
        );
    }
    if has_secret && secret.is_none() {
        return None;
    }
    let name = name.map_or_else(|| "password".to_owned(), |name| name.value);
    let parameters: BTreeMap<_, _> = parameters?;
    let program = program?;
    match AgentTarget::new(program.value.into(), parameters, secret.map(|secret| (name, secret))) {
        Ok(agent) => {
            device_once(seen, agent.identity().to_string(), &span, page);
            verified.then_some(agent)
        }
        Err(why) => {
            let remedy = "correct it; `PROGRAM -o metadata` lists what an agent can be given";
            page.error(&program.span, why.to_string(), "", remedy);
            None
        }
    }
}

/// E6: off unless the operator says that it proves something of all VMs.
fn storage(
    table: &mut Table<'_>,
    folder: &Path,
    seen: &mut Seen,
    page: &mut Page<'_>,
) -> Option<StorageHook> {
    let program = table.read("program", "program = \"/usr/local/sbin/keep-out\"", page, some);
    let addresses = table.read(
        "addresses",
        "addresses = \"10.1.0.11, 10.2.0.11\": all from which this node speaks to the storage",
        page,
        |text| {
            let read = text.split(',').map(|one| one.trim().parse::<IpAddr>());
            let read = read.collect::<Result<BTreeSet<_>, _>>();
            read.map_err(|_| "must be IP addresses with commas between them")
        },
    );
    let has_secret = table.value("password_file").is_some();
    let file = has_secret.then(|| password_file(table, folder, page)).flatten();
    let secret = file.as_ref().and_then(|file| line(file, page));
    let all = table.flag("every_vm_lives_there", false, page);
    let parameters = table.texts("parameters", "[node.bmc.parameters]", page);
    let span = table.span();
    if !all {
        let message =
            "a storage that does not have the disks of all VMs proves nothing of the others";
        page.error(&span, message, "", STORAGE);
    }
    if has_secret && secret.is_none() {
        return None;
    }
    let (program, secret) = (program?, secret.map(|secret| ("password".to_owned(), secret)));
    match StorageHook::new(program.value.into(), parameters?, secret, addresses?.value) {
        Ok(hook) => {
            device_once(seen, hook.identity().to_string(), &span, page);
            all.then_some(hook)
        }
        Err(why) => {
            page.error(&program.span, why.to_string(), "", "correct it");
            None
        }
    }
}

//! The inventory: all nodes, their addresses, keys and BMCs. Read at start and on SIGHUP.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::Path;

use fencing::bmc::{BmcTarget, CipherSuite, Privilege, Secret};
use fencing::sign::PublicKey;
use fencing::{ControllerId, NodeId};
use uuid::Uuid;

use super::problem::{Page, Problems, Text};
use super::table::{At, Table, host_name, parse, path, some, uuid};
use super::{Config, Controller, secret};
use crate::registry::Enrolment;

/// UDP port of IPMI over LAN.
const IPMI: u16 = 623;

/// All nodes.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// As they are enrolled, by id.
    pub nodes: BTreeMap<NodeId, Enrolment>,
    /// Where their BMCs are and how to log in.
    pub bmcs: BTreeMap<NodeId, BmcTarget>,
}

impl Config {
    /// Reads the inventory again.
    ///
    /// # Errors
    /// [`Problems`]: what was read before stays in use.
    pub fn inventory_again(&self) -> Result<Inventory, Problems> {
        let mut problems = Problems::default();
        let networks: Vec<String> = self.networks.iter().map(|n| n.name.clone()).collect();
        let taken = taken(&self.controllers);
        match std::fs::read_to_string(&self.inventory_file) {
            Ok(text) => {
                let read = read(&self.inventory_file, &text, &networks, taken, &mut problems);
                problems.sort();
                read.filter(|_| problems.is_empty()).ok_or(problems)
            }
            Err(error) => {
                let text = Text::new(self.inventory_file.display().to_string(), "");
                let message = format!("cannot read the inventory: {error}");
                Page::new(&text, &mut problems).error(
                    &(0..0),
                    message,
                    "",
                    "check the path and its mode",
                );
                Err(problems)
            }
        }
    }
}

/// Addresses that no node may have.
pub(super) fn taken(
    controllers: &BTreeMap<ControllerId, Controller>,
) -> BTreeMap<SocketAddr, String> {
    let of = |(id, c): (&ControllerId, &Controller)| {
        let all = c.gossip.iter().chain(&c.lease).copied();
        all.map(|address| (address, id.to_string())).collect::<Vec<_>>()
    };
    controllers.iter().flat_map(of).collect()
}

/// What was found so far, and where: nothing of it may come twice.
#[derive(Default)]
struct Seen {
    names: BTreeMap<String, Range<usize>>,
    ids: BTreeMap<Uuid, Range<usize>>,
    keys: BTreeMap<String, Range<usize>>,
    hosts: BTreeMap<String, Range<usize>>,
    addresses: BTreeMap<SocketAddr, Range<usize>>,
    taken: BTreeMap<SocketAddr, String>,
}

/// Reads the text of an inventory; `taken` are the controllers' addresses.
pub(super) fn read(
    file: &Path,
    text: &str,
    networks: &[String],
    taken: BTreeMap<SocketAddr, String>,
    problems: &mut Problems,
) -> Option<Inventory> {
    let text = Text::new(file.display().to_string(), text);
    let mut page = Page::new(&text, problems);
    let table = parse(&text, &mut page)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut top = Table::top(&table);
    let nodes = top.tables("node", "[[node]]", &mut page);
    top.finish(&mut page);
    let mut seen = Seen { taken, ..Seen::default() };
    let mut inventory = Inventory::default();
    for mut table in nodes {
        let found = node(&mut table, networks, folder, &mut seen, &mut page);
        table.finish(&mut page);
        if let Some((id, enrolment, bmc)) = found {
            inventory.nodes.insert(id, enrolment);
            inventory.bmcs.extend(bmc.map(|bmc| (id, bmc)));
        }
    }
    Some(inventory)
}

fn node(
    table: &mut Table<'_>,
    networks: &[String],
    folder: &Path,
    seen: &mut Seen,
    page: &mut Page<'_>,
) -> Option<(NodeId, Enrolment, Option<BmcTarget>)> {
    let name = table.read("name", "name = \"node-1\"", page, host_name);
    let id = table.read("id", "id = \"UUID\": made once with uuidgen, never changed", page, uuid);
    let host = table.read(
        "host",
        "host = \"NAME\": as `openstack compute service list` shows it",
        page,
        some,
    );
    let domain = table.read("domain", "domain = \"rack-1\": what fails together", page, host_name);
    let key = table.read(
        "key",
        "key = \"HEX64\": as `hactl keys new` printed it on the node",
        page,
        PublicKey::parse,
    );
    let sentinel = table.addresses("sentinel", networks, page);
    let gossip = table.addresses("gossip", networks, page);
    let bmc_wanted = table.table("bmc", "[node.bmc]", page);
    let has_bmc = bmc_wanted.is_some();
    let bmc = bmc_wanted.and_then(|mut table| {
        let read = bmc(&mut table, folder, seen, page);
        table.finish(page);
        read
    });
    once(&mut seen.names, name.as_ref(), "name", page);
    once(&mut seen.ids, id.as_ref(), "id", page);
    once(&mut seen.hosts, host.as_ref(), "host", page);
    let shown = key.as_ref().map(|key| At { value: key.value.to_string(), span: key.span.clone() });
    once(&mut seen.keys, shown.as_ref(), "key", page);
    for address in sentinel.iter().chain(&gossip).flatten() {
        address_once(seen, address, page);
    }
    let plain = |list: Vec<At<SocketAddr>>| list.into_iter().map(|at| at.value).collect();
    let enrolment = Enrolment {
        name: name?.value,
        host: host?.value,
        domain: domain?.value,
        key: key?.value,
        sentinel: plain(sentinel?),
        gossip: plain(gossip?),
        bmc: has_bmc,
    };
    Some((NodeId(id?.value), enrolment, bmc))
}

fn bmc(
    table: &mut Table<'_>,
    folder: &Path,
    seen: &mut Seen,
    page: &mut Page<'_>,
) -> Option<BmcTarget> {
    let address = table.read("address", "address = \"10.9.0.11\"", page, |text| {
        let with_port = text.parse::<SocketAddr>();
        let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, IPMI));
        with_port.or(alone).map_err(|_| "must be an IP address; names are not looked up")
    });
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
    let file =
        table.read("password_file", "password_file = \"/etc/holdfast/bmc/node-1\"", page, |text| {
            path(folder, text)
        });
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

fn once<T: Ord + Clone + std::fmt::Display>(
    seen: &mut BTreeMap<T, Range<usize>>,
    found: Option<&At<T>>,
    what: &str,
    page: &mut Page<'_>,
) {
    let Some(found) = found else { return };
    match seen.get(&found.value) {
        Some(first) => {
            let message = format!("two nodes have the {what} {}", found.value);
            page.twice(&found.span, first, message, format!("give each node its own {what}"));
        }
        None => {
            seen.insert(found.value.clone(), found.span.clone());
        }
    }
}

fn address_once(seen: &mut Seen, found: &At<SocketAddr>, page: &mut Page<'_>) {
    if let Some(owner) = seen.taken.get(&found.value) {
        let message = format!("{} is an address of {owner}", found.value);
        page.error(&found.span, message, "", "give each program an address and port of its own");
        return;
    }
    match seen.addresses.get(&found.value) {
        Some(first) => {
            let message = format!("the address {} is given twice", found.value);
            page.twice(
                &found.span,
                first,
                message,
                "give each program an address and port of its own",
            );
        }
        None => {
            seen.addresses.insert(found.value, found.span.clone());
        }
    }
}

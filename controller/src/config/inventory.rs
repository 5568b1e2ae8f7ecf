//! The inventory: all nodes, their addresses, keys and BMCs. Read at start and on SIGHUP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;

use fencing::bmc::Level;
use fencing::sign::PublicKey;
use fencing::{ControllerId, NodeId};
use uuid::Uuid;

use super::problem::{Page, Problems, Text};
use super::proxy::{self, Offer};
use super::table::{At, Table, host_name, parse, some, uuid};
use super::{Config, Controller, device};
use crate::registry::Enrolment;

/// All nodes.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// As they are enrolled, by id.
    pub nodes: BTreeMap<NodeId, Enrolment>,
    /// What can switch them off: the levels of each, the first one first.
    pub bmcs: BTreeMap<NodeId, Vec<Level>>,
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
pub(super) struct Seen {
    names: BTreeMap<String, Range<usize>>,
    ids: BTreeMap<Uuid, Range<usize>>,
    keys: BTreeMap<String, Range<usize>>,
    hosts: BTreeMap<String, Range<usize>>,
    addresses: BTreeMap<SocketAddr, Range<usize>>,
    taken: BTreeMap<SocketAddr, String>,
    /// Redfish services whose systems are named one by one.
    pub(super) services: BTreeSet<SocketAddr>,
    /// Systems of such services, and agents with their parameters.
    pub(super) devices: BTreeMap<String, Range<usize>>,
    /// What may stand in `via`, by name.
    pub(super) proxies: BTreeMap<String, Offer>,
    /// The node that is being read.
    pub(super) reading: String,
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
    seen.proxies = nodes.iter().filter_map(proxy::offer).collect();
    let mut inventory = Inventory::default();
    for mut table in nodes {
        let found = node(&mut table, networks, folder, &mut seen, &mut page);
        table.finish(&mut page);
        if let Some((id, enrolment, bmc)) = found {
            inventory.nodes.insert(id, enrolment);
            if !bmc.is_empty() {
                inventory.bmcs.insert(id, bmc);
            }
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
) -> Option<(NodeId, Enrolment, Vec<Level>)> {
    let name = table.read("name", "name = \"node-1\"", page, host_name);
    let id = table.read("id", "id = \"UUID\": made once with uuidgen, never changed", page, uuid);
    let host = table.read(
        "host",
        "host = \"NAME\": as `openstack compute service list` shows it",
        page,
        some,
    );
    let domain = table.read("domain", "domain = \"rack-1\": what fails together", page, host_name);
    let cell = table.read_if("cell", "cell = \"cell1\": Nova's cell of it", page, host_name);
    let key = table.read(
        "key",
        "key = \"HEX64\": as `hactl keys new` printed it on the node",
        page,
        PublicKey::parse,
    );
    let sentinel = table.addresses("sentinel", networks, page);
    let gossip = table.addresses("gossip", networks, page);
    proxy::address(table, seen, page);
    seen.reading = name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
    let devices = table.one_or_more("bmc", "[node.bmc]", page);
    let bmc = device::levels(devices, folder, seen, page);
    once(&mut seen.names, name.as_ref(), "name", page);
    once(&mut seen.ids, id.as_ref(), "id", page);
    once(&mut seen.hosts, host.as_ref(), "host", page);
    let shown = key.as_ref().map(|key| At { value: key.value.to_string(), span: key.span.clone() });
    once(&mut seen.keys, shown.as_ref(), "key", page);
    for address in sentinel.iter().chain(&gossip).flatten() {
        address_once(seen, address, page);
    }
    // Where a device is wrong the inventory is refused anyway.
    let bmc = bmc.unwrap_or_default();
    let plain = |list: Vec<At<SocketAddr>>| list.into_iter().map(|at| at.value).collect();
    let enrolment = Enrolment {
        name: name?.value,
        host: host?.value,
        domain: domain?.value,
        cell: cell.map(|cell| cell.value).unwrap_or_default(),
        key: key?.value,
        sentinel: plain(sentinel?),
        gossip: plain(gossip?),
        bmc: bmc.iter().map(Level::kind).collect(),
        via: bmc.iter().map(Level::proxies).collect(),
    };
    Some((NodeId(id?.value), enrolment, bmc))
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

/// No address comes twice, nor is it a controller's.
pub(super) fn address_once(seen: &mut Seen, found: &At<SocketAddr>, page: &mut Page<'_>) {
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

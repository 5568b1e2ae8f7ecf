//! `proxy` of a node, and `via` of its BMC: nodes that carry questions to BMCs which controllers do not reach.

use std::net::SocketAddr;
use std::ops::Range;

use fencing::NodeId;
use fencing::bmc::Device;
use fencing::bmc::proxy::{Proxied, Proxy};
use uuid::Uuid;

use super::inventory::{Seen, address_once};
use super::problem::Page;
use super::table::{At, Table};

/// Most proxies of a BMC: each needs its share of the time of a question.
const MOST: usize = 4;

const EXAMPLE: &str = "via = [\"node-3\", \"node-4\"]: nodes that reach this BMC";

/// What a node offers: who it is, and where it carries, if it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    node: NodeId,
    address: Option<SocketAddr>,
}

/// The proxies of a BMC, and where they are named.
pub(super) struct Via {
    proxies: Vec<Proxy>,
    span: Range<usize>,
}

/// What a node offers, by its name, before it is read: it may stand below those that name it. What is wrong with it is
/// said when it is read.
pub(super) fn offer(table: &Table<'_>) -> Option<(String, Offer)> {
    let id = table.peek("id").and_then(|text| Uuid::try_parse(text).ok())?;
    let address = table.peek("proxy").and_then(|text| text.parse().ok());
    Some((table.peek("name")?.to_owned(), Offer { node: NodeId(id), address }))
}

/// `proxy = "ADDRESS:PORT"` of a node.
pub(super) fn address(table: &mut Table<'_>, seen: &mut Seen, page: &mut Page<'_>) {
    let example = "proxy = \"10.0.0.13:8704\": as `listen` of [proxy] in its node.toml";
    let read = |text: &str| {
        let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        address.ok_or("must be an IP address and a port")
    };
    if let Some(found) = table.read_if("proxy", example, page, read) {
        address_once(seen, &found, page);
    }
}

/// `via` of a BMC: `Some(None)` where there is none, `None` where it is wrong.
pub(super) fn via(table: &mut Table<'_>, seen: &Seen, page: &mut Page<'_>) -> Option<Option<Via>> {
    let Some(span) = table.value("via").map(toml::Spanned::span) else { return Some(None) };
    let names: Vec<At<String>> = table.list_at("via", EXAMPLE, page);
    if names.is_empty() || names.len() > MOST {
        let message = format!("`via` names 1 to {MOST} nodes");
        page.error(&span, message, "", format!("write {EXAMPLE}"));
        return None;
    }
    let mut proxies: Vec<Proxy> = Vec::new();
    for At { value: name, span } in names {
        let (message, remedy) = match seen.proxies.get(&name) {
            _ if name == seen.reading => (
                format!("{name} is to be switched off by way of itself"),
                "name nodes that live when this one does not".to_owned(),
            ),
            _ if proxies.iter().any(|known| known.name == name) => {
                (format!("{name} is named twice"), "name it once".to_owned())
            }
            None => (format!("there is no node {name}"), "name nodes of this inventory".to_owned()),
            Some(Offer { address: None, .. }) => (
                format!("{name} carries nothing"),
                format!(
                    "add proxy = \"ADDRESS:PORT\" to {name} here, and [proxy] to its node.toml"
                ),
            ),
            Some(Offer { address: Some(address), node }) => {
                proxies.push(Proxy { node: *node, name, address: *address });
                continue;
            }
        };
        page.error(&span, message, "", remedy);
        return None;
    }
    Some(Some(Via { proxies, span }))
}

/// A device behind its proxies, where there can be any.
pub(super) fn behind(device: Device, via: Via, page: &mut Page<'_>) -> Option<Device> {
    let proxied = Proxied::new(device, via.proxies);
    if proxied.is_none() {
        let message =
            "a program cannot be carried by a node: it runs here, and opens its own connections";
        let remedy = "remove `via` and give the controllers a way to this device; or use type = \"ipmi\" or \"redfish\"";
        page.error(&via.span, message, "", remedy);
    }
    proxied.map(Device::Proxied)
}

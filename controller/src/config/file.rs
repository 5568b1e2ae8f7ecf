//! `controller.toml` as it is written, and what it must satisfy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use action_matrix::{Loaded, Matrix};
use fencing::ControllerId;
use fencing::sign::{KeyPair, PublicKey};
use gossip::seal::Keyring;
use serde::Deserialize as _;
use toml::de::ValueDeserializer;

use super::problem::{Page, Problems, Text};
use super::table::{At, Table, address, host_name, parse, path, uuid};
use super::{
    Api, Config, Controller, Inventory, MOST_NETWORKS, Network, actual, ceiling, inventory, kdump,
    policy, record, recovery, secret, waits,
};
use crate::core::Recovery;
use crate::nova::client::{self, NovaConfig};
use crate::policy::Policy;

/// A network as its section says.
struct Section {
    network: Network,
    gossip: SocketAddr,
    lease: SocketAddr,
    span: Range<usize>,
}

/// Reads everything; what is wrong goes to `problems`.
pub(super) fn read(file: &Path, text: &str, problems: &mut Problems) -> Option<Config> {
    let text = Text::new(file.display().to_string(), text);
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut page = Page::new(&text, problems);
    let page = &mut page;
    let table = parse(&text, page)?;
    let mut top = Table::top(&table);
    let cluster = top.read(
        "cluster",
        "cluster = \"UUID\": made once with uuidgen, the same everywhere",
        page,
        uuid,
    );
    let id = top.number("id", "id = 1", 1..=5, page);
    let state_dir = top.path("state_dir", "state_dir = \"/var/lib/holdfast\"", folder, page);
    let lab = top.flag("lab", false, page);
    let confirm_by_census = top.flag("confirm_by_census", true, page);
    let watchdog_test = top.flag("require_watchdog_test", true, page);
    let times = waits::times(&mut top, page);
    let mut waits = waits::waits(&mut top, times.as_ref(), lab, page);
    let kdump = kdump::read(&mut top, &mut waits, page);
    let (key, key_at) = own_key(&mut top, folder, page);
    let peer_key = top
        .path("peer_key_file", "peer_key_file = \"/etc/holdfast/peer.key\"", folder, page)
        .and_then(|file| secret::read(&file, page, secret::peer_key));
    let gossip_keys = gossip_keys(&mut top, folder, page);
    let sections = networks(&mut top, page);
    let names: Vec<String> = sections.iter().map(|s| s.network.name.clone()).collect();
    let (controllers, controllers_at) = controllers(&mut top, &names, page);
    let peer_listen = top.read_if(
        "peer_listen",
        "peer_listen = \"0.0.0.0:7949\"",
        page,
        str::parse::<SocketAddr>,
    );
    let api = api(&mut top, folder, page);
    let nova = nova(&mut top, folder, page);
    let record = record::most(&mut top, page);
    let ceiling = ceiling::read(&mut top, page);
    let (pace, reserved) = recovery::recovery(&mut top, page);
    let actual = actual::read(&mut top, lab, page);
    let policy_file =
        top.read_if("policy", "policy = \"/etc/holdfast/policy.toml\"", page, |text| {
            path(folder, text)
        });
    let policy = match &policy_file {
        Some(file) => policy::of_file(file, page)?,
        None => Policy::default(),
    };
    let inventory_file =
        top.path("inventory", "inventory = \"/etc/holdfast/inventory.toml\"", folder, page);
    let matrix_file =
        top.read_if("matrix", "matrix = \"/etc/holdfast/matrix.toml\"", page, |text| {
            path(folder, text)
        });
    top.finish(page);

    let me = id.as_ref().map(|id| ControllerId(id.value));
    if let Some(id) = &id
        && !controllers.is_empty()
    {
        check_me(id, &controllers, &sections, (key.as_ref(), &key_at), page);
    }
    // With the networks in doubt neither matrix nor inventory could be judged.
    let matrix = (!names.is_empty())
        .then(|| matrix(matrix_file.as_ref(), &names, &sections, page))
        .flatten();
    let inventory = inventory_file
        .as_ref()
        .filter(|_| !names.is_empty())
        .and_then(|file| inventory_of(file, &names, &controllers, page));
    if id.is_some()
        && me.is_some_and(|me| !controllers.contains_key(&me))
        && !controllers.is_empty()
    {
        let message = "this controller is not among the [[controller]] sections";
        let span = id.map_or(controllers_at, |id| id.span);
        page.error(
            &span,
            message,
            "",
            "add its own section too: all controllers have the same list",
        );
        return None;
    }
    let me = me?;
    let peer = controllers.get(&me)?.peer;
    let loaded = matrix?;
    Some(Config {
        cluster: cluster?.value,
        id: me,
        state_dir: state_dir?.value,
        times: times?,
        key: key?,
        peer_key: peer_key?,
        gossip_keys: gossip_keys?,
        inventory_file: inventory_file?.value,
        inventory: inventory?,
        matrix_file: matrix_file.map(|file| file.value),
        matrix_warnings: loaded.warnings.iter().map(|warning| warning.render(false)).collect(),
        matrix: loaded.matrix,
        networks: sections.into_iter().map(|section| section.network).collect(),
        controllers,
        peer_listen: peer_listen.map_or(peer, |at| at.value),
        api: api?,
        nova,
        policy_file: policy_file.map(|file| file.value),
        recovery: Recovery { pace, policy, reserved, actual },
        waits,
        kdump,
        record,
        ceiling,
        lab,
        confirm_by_census,
        watchdog_test,
    })
}

fn own_key(
    top: &mut Table<'_>,
    folder: &Path,
    page: &mut Page<'_>,
) -> (Option<KeyPair>, Range<usize>) {
    let Some(file) = top.path("key_file", "key_file = \"/etc/holdfast/key\"", folder, page) else {
        return (None, 0..0);
    };
    let key = secret::read(&file, page, |text| {
        let remedy = || format!("make one with `hactl keys new --out {}`", file.value.display());
        KeyPair::parse(text).map_err(|error| (error.to_string(), remedy()))
    });
    (key, file.span)
}

fn gossip_keys(top: &mut Table<'_>, folder: &Path, page: &mut Page<'_>) -> Option<Arc<Keyring>> {
    let file = top.path(
        "gossip_key_file",
        "gossip_key_file = \"/etc/holdfast/gossip.key\"",
        folder,
        page,
    )?;
    let keys = secret::read(&file, page, |text| {
        let remedy =
            "make it once with `hactl keys cluster --out FILE`, the same file on all machines";
        Keyring::parse(text).map_err(|error| (error.to_string(), remedy.to_owned()))
    });
    keys.map(Arc::new)
}

fn networks(top: &mut Table<'_>, page: &mut Page<'_>) -> Vec<Section> {
    let tables = top.tables("network", "[[network]]", page);
    let count = tables.len();
    if count == 0 || count > MOST_NETWORKS {
        let span = tables.last().map_or(0..0, Table::span);
        let message =
            format!("there are {count} [[network]] sections, and must be 1 to {MOST_NETWORKS}");
        page.error(
            &span,
            message,
            "",
            "write one [[network]] for each network of the nodes, in the order of the matrix",
        );
    }
    let mut sections: Vec<Section> = Vec::new();
    let mut whole = true;
    for mut table in tables {
        let span = table.span();
        let name = table.read("name", "name = \"management\"", page, host_name);
        let mut listen = |key, advertised, example: &str| {
            let listen = table.read(key, example, page, |text| {
                text.parse::<SocketAddr>().map_err(|_| "must be an IP address with a port")
            });
            let told = table.read_if(advertised, example, page, address);
            let listen = listen?;
            let told = told.map_or(listen.value, |told| told.value);
            if told.ip().is_unspecified() || told.port() == 0 {
                let message = format!("others cannot send to {told}");
                page.error(
                    &listen.span,
                    message,
                    "",
                    format!("add {advertised} = \"ADDRESS:PORT\""),
                );
                return None;
            }
            Some((listen.value, told))
        };
        let gossip =
            listen("gossip_listen", "gossip_advertise", "gossip_listen = \"10.0.0.1:7946\"");
        let lease = listen("lease_listen", "lease_advertise", "lease_listen = \"10.0.0.1:7948\"");
        table.finish(page);
        if let Some(name) = &name
            && let Some(first) = sections.iter().find(|s| s.network.name == name.value)
        {
            let message = format!("two networks are called {}", name.value);
            page.twice(&name.span, &first.span, message, "give each a name of its own");
            whole = false;
        }
        match (name, gossip, lease) {
            (Some(name), Some((gossip_listen, gossip)), Some((lease_listen, lease))) => {
                let network = Network { name: name.value, gossip_listen, lease_listen };
                sections.push(Section { network, gossip, lease, span });
            }
            _ => whole = false,
        }
    }
    if whole { sections } else { Vec::new() }
}

fn controllers(
    top: &mut Table<'_>,
    networks: &[String],
    page: &mut Page<'_>,
) -> (BTreeMap<ControllerId, Controller>, Range<usize>) {
    let tables = top.tables("controller", "[[controller]]", page);
    let last = tables.last().map_or(0..0, Table::span);
    let count = tables.len();
    if ![1, 3, 5].contains(&count) {
        let message = format!("there are {count} [[controller]] sections, and must be 1, 3 or 5");
        let remedy = "write one [[controller]] for each, this one included; a second or fourth is one more that can \
                      fail, and no more may fail than without it";
        page.error(&last, message, "", remedy);
    }
    let mut found = BTreeMap::new();
    let mut places: BTreeMap<u64, Range<usize>> = BTreeMap::new();
    let mut addresses: BTreeMap<SocketAddr, Range<usize>> = BTreeMap::new();
    let mut peers: BTreeMap<SocketAddr, Range<usize>> = BTreeMap::new();
    for mut table in tables {
        let id = table.number("id", "id = 1", 1..=5, page);
        let key = table.read(
            "key",
            "key = \"HEX64\": as `hactl keys new` printed it there",
            page,
            PublicKey::parse,
        );
        let url = table.read("url", "url = \"http://10.0.0.1:8700\"", page, url);
        let peer = table.read("peer", "peer = \"10.0.0.1:7949\"", page, address);
        // With the networks in doubt the addresses could not be judged.
        let (gossip, lease) = if networks.is_empty() {
            let _ = (table.value("gossip"), table.value("lease"));
            (None, None)
        } else {
            (table.addresses("gossip", networks, page), table.addresses("lease", networks, page))
        };
        table.finish(page);
        if let Some(id) = &id {
            if let Some(first) = places.get(&id.value) {
                let message = format!("two controllers have the id {}", id.value);
                page.twice(
                    &id.span,
                    first,
                    message,
                    "give each its own id; one that was used is never used again for another disk",
                );
            }
            places.entry(id.value).or_insert(id.span.clone());
        }
        // The connection between controllers is TCP and may share the number of a UDP port.
        if let Some(peer) = &peer {
            if let Some(first) = peers.get(&peer.value) {
                let message = format!("the address {} is given twice", peer.value);
                page.twice(&peer.span, first, message, "give each controller its own address");
            }
            peers.entry(peer.value).or_insert(peer.span.clone());
        }
        for at in gossip.iter().chain(&lease).flatten() {
            if let Some(first) = addresses.get(&at.value) {
                let message = format!("the address {} is given twice", at.value);
                page.twice(
                    &at.span,
                    first,
                    message,
                    "give each controller and port its own address",
                );
            }
            addresses.entry(at.value).or_insert(at.span.clone());
        }
        let plain = |list: Vec<At<SocketAddr>>| list.into_iter().map(|at| at.value).collect();
        if let (Some(id), Some(key), Some(url), Some(peer), Some(gossip), Some(lease)) =
            (id, key, url, peer, gossip, lease)
        {
            let controller = Controller {
                key: key.value,
                url: url.value,
                peer: peer.value,
                gossip: plain(gossip),
                lease: plain(lease),
            };
            found.insert(ControllerId(id.value), controller);
        }
    }
    (found, last)
}

fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if host.is_empty() || text.contains(['@', ' ', '"']) {
        return Err("must be http://HOST:PORT or https://HOST:PORT and hold no secret".to_owned());
    }
    Ok(text.to_owned())
}

/// What this controller says of itself, and what all say of it, must agree: a typing error here would be a controller
/// that nobody hears.
fn check_me(
    id: &At<u64>,
    controllers: &BTreeMap<ControllerId, Controller>,
    sections: &[Section],
    (key, key_at): (Option<&KeyPair>, &Range<usize>),
    page: &mut Page<'_>,
) {
    let Some(me) = controllers.get(&ControllerId(id.value)) else { return };
    if let Some(key) = key
        && key.public() != me.key
    {
        let message = format!("the key of this file is not the one of [[controller]] {}", id.value);
        let remedy = format!(
            "the file's public key is {}: write it there, or name the right file or id",
            key.public()
        );
        page.error(key_at, message, "", remedy);
    }
    for (section, (gossip, lease)) in sections.iter().zip(me.gossip.iter().zip(&me.lease)) {
        for (what, mine, told) in
            [("gossip", section.gossip, *gossip), ("lease", section.lease, *lease)]
        {
            if mine != told {
                let name = &section.network.name;
                let message = format!(
                    "on network {name} this controller's {what} address is {mine} here and {told} in [[controller]] {}",
                    id.value
                );
                let remedy =
                    format!("write the same in both, or add {what}_advertise = \"{told}\" here");
                page.error(&section.span, message, "", remedy);
            }
        }
    }
}

fn api(top: &mut Table<'_>, folder: &Path, page: &mut Page<'_>) -> Option<Api> {
    let Some(mut table) = top.table("api", "[api]", page) else {
        if top.value("api").is_none() {
            let remedy = "add [api] with listen = \"127.0.0.1:8700\" and token_file = \"/etc/holdfast/token\"";
            page.error(&(0..0), "`[api]` is missing in the file", "", remedy);
        }
        return None;
    };
    let listen =
        table.read("listen", "listen = \"127.0.0.1:8700\"", page, str::parse::<SocketAddr>);
    let file = table.path("token_file", "token_file = \"/etc/holdfast/token\"", folder, page);
    table.finish(page);
    let token = file.and_then(|file| secret::read(&file, page, secret::token));
    Some(Api { listen: listen?.value, token: token? })
}

fn nova(top: &mut Table<'_>, folder: &Path, page: &mut Page<'_>) -> Option<client::Settings> {
    let value = top.value("nova")?;
    let mut config = match NovaConfig::deserialize(ValueDeserializer::from(value.clone())) {
        Ok(config) => config,
        Err(error) => {
            let span = error.span().unwrap_or_else(|| value.span());
            let message = format!("[nova]: {}", error.message().replace('\n', " "));
            page.error(
                &span,
                message,
                "",
                "remove it or correct its name; `--help` shows a whole [nova]",
            );
            return None;
        }
    };
    let files = [
        &mut config.clouds_file,
        &mut config.ca_file,
        &mut config.password_file,
        &mut config.credential_secret_file,
    ];
    for file in files.into_iter().flatten() {
        *file = folder.join(&*file);
    }
    for file in [&config.password_file, &config.credential_secret_file].into_iter().flatten() {
        let file = At { value: file.clone(), span: value.span() };
        secret::read(&file, page, |_| Ok(()))?;
    }
    match config.settings() {
        Ok(settings) => Some(settings),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let message = format!("{error}{}", cause.unwrap_or_default());
            page.error(&value.span(), message, "", "correct [nova]; `--help` shows a whole one");
            None
        }
    }
}

fn matrix(
    file: Option<&At<PathBuf>>,
    networks: &[String],
    sections: &[Section],
    page: &mut Page<'_>,
) -> Option<Loaded> {
    let (name, text) = match file {
        None => ("the shipped matrix".to_owned(), action_matrix::DEFAULT.to_owned()),
        Some(file) => match std::fs::read_to_string(&file.value) {
            Ok(text) => (file.value.display().to_string(), text),
            Err(error) => {
                let message = format!("cannot read {}: {error}", file.value.display());
                page.error(
                    &file.span,
                    message,
                    "",
                    "check the path, or leave `matrix` out for the shipped one",
                );
                return None;
            }
        },
    };
    match Matrix::parse(&name, &text) {
        Ok(loaded) if loaded.matrix.networks() == networks => Some(loaded),
        Ok(loaded) => {
            let here = sections.first().map_or(0..0, |section| section.span.clone());
            let span = file.map_or(here, |file| file.span.clone());
            let remedy = "name them alike and in the same order here and in the matrix; without `matrix` they are \
                          management, storage, tenant";
            page.error(&span, other_networks(&loaded.matrix, networks), "", remedy);
            None
        }
        Err(problems) => {
            page.problems().refuse_matrix(problems);
            None
        }
    }
}

/// A matrix for other networks than the configuration's.
pub(super) fn other_networks(matrix: &Matrix, networks: &[String]) -> String {
    format!(
        "the matrix speaks of the networks {}, and the configuration of {}",
        matrix.networks().join(", "),
        networks.join(", ")
    )
}

fn inventory_of(
    file: &At<PathBuf>,
    networks: &[String],
    controllers: &BTreeMap<ControllerId, Controller>,
    page: &mut Page<'_>,
) -> Option<Inventory> {
    let text = match std::fs::read_to_string(&file.value) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read {}: {error}", file.value.display());
            page.error(
                &file.span,
                message,
                "",
                "check the path; an empty file is an inventory without nodes",
            );
            return None;
        }
    };
    let taken = inventory::taken(controllers);
    inventory::read(&file.value, &text, networks, taken, page.problems())
}

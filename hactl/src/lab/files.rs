//! The files of a lab: keys and configurations, as an operator would write them.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddrV4;

use fencing::sign::KeyPair;

use super::child::write_private;
use super::defects::{BMC_CHECK, Defect};
use super::plan::{Controller, GOSSIP, Host, LEASE, NETWORKS, Node, Plan};
use super::real_nova::RealNova;

/// User of every BMC.
pub(super) const BMC_USER: &str = "holdfast";

/// The controllers' waits that a lab shortens, as written into `[waits]` and told to the user.
pub(super) const WAITS: [(&str, &str); 4] =
    [("grace", "3s"), ("new_leader", "5s"), ("unknown", "20s"), ("effect", "10s")];

/// Secrets that the stand-ins need too.
#[derive(Debug)]
pub(super) struct Secrets {
    /// Every BMC's password.
    pub(super) bmc: String,
    /// Nova's.
    pub(super) nova: String,
}

/// How the controllers reach Nova, and what its hosts are called.
#[derive(Debug)]
pub(super) struct NovaAccess {
    table: String,
    /// Whether a VM counts as moved only when its destination's agent sees it: a real Nova's fake driver runs nothing that
    /// an agent could see.
    census: bool,
    /// In place of `node` in the nodes' names.
    host: &'static str,
}

impl NovaAccess {
    /// The lab's own stand-in.
    pub(super) fn standin(plan: &Plan, auth_url: &str, secrets: &Secrets) -> Self {
        let file = plan.dir.join("nova.password");
        debug_assert!(!secrets.nova.is_empty(), "written before");
        let table = format!(
            "\n[nova]\nauth_url = \"{auth_url}\"\nuser = \"admin\"\npassword_file = \"{}\"\n\
             project = \"admin\"\nregion = \"RegionOne\"\n\n",
            file.display()
        );
        Self { table, census: true, host: "node" }
    }

    /// None at all: nothing is evacuated.
    pub(super) fn none() -> Self {
        Self { table: "\n".to_owned(), census: false, host: "node" }
    }

    /// A real Nova.
    pub(super) fn real(real: &RealNova) -> Self {
        let RealNova { auth_url, credential_id, credential_secret_file, region } = real;
        let table = format!(
            "\n[nova]\nauth_url = \"{auth_url}\"\ncredential_id = \"{credential_id}\"\n\
             credential_secret_file = \"{}\"\nregion = \"{region}\"\n\n",
            credential_secret_file.display()
        );
        Self { table, census: false, host: "compute" }
    }
}

/// Makes all directories and files.
pub(super) fn write(plan: &Plan, nova: impl FnOnce(&Secrets) -> NovaAccess) -> io::Result<Secrets> {
    let secrets = Secrets { bmc: hex(8)?, nova: hex(8)? };
    let nova = nova(&secrets);
    let private = |name: &str, text: &str| write_private(&plan.dir.join(name), text);
    private("gossip.key", &format!("1 {}\n", hex(32)?))?;
    private("peer.key", &format!("{}\n", hex(32)?))?;
    private("token", &format!("{}\n", hex(32)?))?;
    private("bmc.password", &format!("{}\n", secrets.bmc))?;
    private("bmc.wrong", "not this one\n")?;
    private("nova.password", &format!("{}\n", secrets.nova))?;
    std::fs::write(plan.shared_disk(), b"")?;
    let mut controller_keys = Vec::new();
    for controller in &plan.controllers {
        std::fs::create_dir_all(controller.dir.join("state"))?;
        controller_keys.push(new_key(&controller.dir.join("key"))?);
    }
    let mut node_keys = Vec::new();
    for node in &plan.nodes {
        std::fs::create_dir_all(node.dir.join("state"))?;
        node_keys.push(new_key(&node.dir.join("key"))?);
    }
    let keys = plan.nodes.iter().zip(&node_keys);
    let keys: String = keys.map(|(node, key)| format!("{} {key}\n", node.id)).collect();
    std::fs::write(plan.dir.join("nodes.keys"), keys)?;
    std::fs::write(plan.dir.join("inventory.toml"), inventory(plan, &node_keys, nova.host))?;
    for controller in &plan.controllers {
        let text = controller_config(plan, controller, &controller_keys, &nova);
        std::fs::write(controller.dir.join("controller.toml"), text)?;
    }
    for node in &plan.nodes {
        std::fs::write(node.dir.join("node.toml"), node_config(plan, node, &controller_keys))?;
    }
    Ok(secrets)
}

fn new_key(path: &std::path::Path) -> io::Result<String> {
    let text = hex(32)?;
    write_private(path, &format!("{text}\n"))?;
    KeyPair::parse(&text).map(|key| key.public().to_string()).map_err(io::Error::other)
}

fn hex(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(random.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// A table `{ management = "...", ... }` of where others reach a host.
fn by_network(plan: &Plan, host: Host, port: u16) -> String {
    let each = |(network, name)| {
        let address: SocketAddrV4 = plan.block.advertised(network, host, port);
        format!("{name} = \"{address}\"")
    };
    let all: Vec<String> = NETWORKS.iter().enumerate().map(each).collect();
    format!("{{ {} }}", all.join(", "))
}

/// The sections of the networks, with this word for the second port.
fn networks(plan: &Plan, host: Host, second: &str) -> String {
    let mut text = String::new();
    for (network, name) in NETWORKS.iter().enumerate() {
        let block = &plan.block;
        let _ = write!(
            text,
            "\n[[network]]\nname = \"{name}\"\n\
             gossip_listen = \"{}\"\ngossip_advertise = \"{}\"\n\
             {second}_listen = \"{}\"\n{second}_advertise = \"{}\"\n",
            block.listen(network, host, GOSSIP),
            block.advertised(network, host, GOSSIP),
            block.listen(network, host, LEASE),
            block.advertised(network, host, LEASE),
        );
    }
    text
}

fn inventory(plan: &Plan, keys: &[String], host: &str) -> String {
    let mut text = String::new();
    for (node, key) in plan.nodes.iter().zip(keys) {
        let _ = write!(
            text,
            "[[node]]\nname = \"{0}\"\nid = \"{1}\"\nhost = \"{5}\"\ndomain = \"{2}\"\nkey = \"{key}\"\n\
             sentinel = {3}\ngossip = {4}\n",
            node.name,
            node.id,
            node.domain,
            by_network(plan, node.host, LEASE),
            by_network(plan, node.host, GOSSIP),
            node.name.replacen("node", host, 1),
        );
        if plan.bare {
            text.push('\n');
            continue;
        }
        let password = match node.defect {
            Some(Defect::NothingProves) => continue,
            Some(Defect::WrongPassword) => "bmc.wrong",
            Some(Defect::SilentBmc | Defect::WeakWatchdog | Defect::Maintenance) | None => {
                "bmc.password"
            }
        };
        let _ = write!(
            text,
            "[node.bmc]\naddress = \"{}\"\nuser = \"{BMC_USER}\"\npassword_file = \"{}\"\nsuite = \"17\"\n\n",
            node.bmc,
            plan.dir.join(password).display(),
        );
    }
    text
}

fn controller_config(plan: &Plan, me: &Controller, keys: &[String], nova: &NovaAccess) -> String {
    let (dir, own) = (plan.dir.display(), me.dir.display());
    let mut text = format!(
        "cluster = \"{}\"\nid = {}\nstate_dir = \"{own}/state\"\nprofile = \"{}\"\nlab = true\n\
         key_file = \"{own}/key\"\npeer_key_file = \"{dir}/peer.key\"\ngossip_key_file = \"{dir}/gossip.key\"\n\
         inventory = \"{dir}/inventory.toml\"\nconfirm_by_census = {}\nrequire_watchdog_test = false\n",
        plan.cluster, me.id, plan.profile, nova.census,
    );
    text += &networks(plan, me.host, "lease");
    for (controller, key) in plan.controllers.iter().zip(keys) {
        let _ = write!(
            text,
            "\n[[controller]]\nid = {}\nkey = \"{key}\"\nurl = \"http://{}\"\npeer = \"{}\"\n\
             gossip = {}\nlease = {}\n",
            controller.id,
            controller.api,
            controller.peer,
            by_network(plan, controller.host, GOSSIP),
            by_network(plan, controller.host, LEASE),
        );
    }
    let _ = write!(
        text,
        "\n[api]\nlisten = \"{}\"\ntoken_file = \"{dir}/token\"\n{}[waits]\n",
        me.api, nova.table,
    );
    for (wait, time) in WAITS {
        let _ = writeln!(text, "{wait} = \"{time}\"");
    }
    if plan.nodes.iter().any(|node| node.defect.is_some()) {
        let _ = writeln!(text, "bmc_check = \"{BMC_CHECK}\"");
    }
    text
}

fn node_config(plan: &Plan, node: &Node, keys: &[String]) -> String {
    let dir = plan.dir.display();
    let own = node.dir.display();
    let mut text = format!(
        "cluster = \"{}\"\nname = \"{}\"\nid = \"{}\"\nprofile = \"{}\"\n\
         boot_id_file = \"{}\"\nrun_dir = \"{}\"\nstate_dir = \"{own}/state\"\n\
         gossip_key_file = \"{dir}/gossip.key\"\nkey_file = \"{own}/key\"\nkeys_file = \"{dir}/nodes.keys\"\n",
        plan.cluster,
        node.name,
        node.id,
        plan.profile,
        node.boot_file().display(),
        node.run_dir().display(),
    );
    text += &networks(plan, node.host, "sentinel");
    for (controller, key) in plan.controllers.iter().zip(keys) {
        let _ = write!(
            text,
            "\n[[controller]]\nid = {}\nkey = \"{key}\"\ngossip = {}\nlease = {}\n",
            controller.id,
            by_network(plan, controller.host, GOSSIP),
            by_network(plan, controller.host, LEASE),
        );
    }
    let _ = write!(
        text,
        "\n[watchdog]\npath = \"{}\"\nkind = \"stand-in\"\nallow_e2 = {}\n\n[domains]\ndirectory = \"{}\"\n",
        node.watchdog().display(),
        node.defect.is_none_or(Defect::allows_e2),
        node.domains().display(),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_configuration_is_one_that_the_node_takes() {
        let plan = Plan::new(std::path::Path::new("/lab"), 3, false).expect("a plan");
        let public = |seed| KeyPair::from_seed([seed; 32]).public().to_string();
        let text = node_config(&plan, &plan.nodes[1], &[public(1), public(2), public(3)]);
        let config = node_agent::config::Config::parse(&text, std::path::Path::new("node.toml"));
        let config = config.expect("a configuration");
        assert_eq!((config.networks.len(), config.controllers.len()), (3, 3));
        assert!(!config.is_real_machine());
        assert!(config.watchdog.is_some_and(|watchdog| watchdog.allow_e2));
    }
}

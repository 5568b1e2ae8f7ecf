//! The BMC of a lab's node, as an operator would use it.

use std::path::Path;
use std::process::Command;

/// Switches a node `on` or `off` by its BMC, with `ipmitool`.
pub(crate) fn power(lab: &Path, node: &str, to: &str) {
    let text = std::fs::read_to_string(lab.join("inventory.toml")).unwrap();
    let inventory: toml::Table = text.parse().unwrap();
    let nodes = inventory["node"].as_array().unwrap();
    let node = nodes.iter().find(|known| known["name"].as_str() == Some(node)).unwrap();
    let address: std::net::SocketAddr = node["bmc"]["address"].as_str().unwrap().parse().unwrap();
    let output = Command::new("ipmitool")
        .args(["-I", "lanplus", "-C", "17", "-L", "OPERATOR", "-U"])
        .arg(node["bmc"]["user"].as_str().unwrap())
        .arg("-f")
        .arg(node["bmc"]["password_file"].as_str().unwrap())
        .args(["-H", &address.ip().to_string(), "-p", &address.port().to_string()])
        .args(["chassis", "power", to])
        .output()
        .expect("ipmitool is there: cargo xtask setup");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

//! `ha-beacon`: in the crash kernel, tells the controllers once a second that the boot before it has crashed (E4). It
//! runs nowhere else: a beacon from a node that lives would let its VMs run twice.

use std::convert::Infallible;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use fencing::BootId;
use fencing::lease::Message;
use fencing::sign::{self, Signer};
use uuid::Uuid;

use crate::config::{Config, ConfigError};

/// The memory of the kernel that crashed: there is one in a crash kernel alone.
pub const VMCORE: &str = "/proc/vmcore";
/// Where the crash kernel was told which boot it would follow: `holdfast.boot=UUID`.
pub const COMMAND_LINE: &str = "/proc/cmdline";
const PARAMETER: &str = "holdfast.boot=";
const EVERY: Duration = Duration::from_secs(1);

/// Why there is no beacon. The node is proven off by something else, or by nothing.
#[derive(Debug, thiserror::Error)]
pub enum BeaconError {
    /// This kernel is not a crash kernel.
    #[error("{} is not there: this is no crash kernel, and nothing is sent", .0.display())]
    NotACrashKernel(PathBuf),
    /// The boot that is said to have crashed is the one that runs.
    #[error("boot {0} is running: it has not crashed, and nothing is sent")]
    ThatBootRuns(BootId),
    /// Nobody says which boot has crashed.
    #[error(
        "which boot has crashed? start the crash kernel with {PARAMETER}UUID, \
         /proc/sys/kernel/random/boot_id of the kernel that loads it"
    )]
    WhichBoot,
    /// The key or the boot id could not be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No socket could be had.
    #[error("no socket")]
    Socket(#[from] std::io::Error),
}

/// Sends until the machine is reset. `told` is a kernel's command line.
///
/// # Errors
/// [`BeaconError`]; nothing was sent.
pub fn run(config: &Config, told: &str, vmcore: &Path) -> Result<Infallible, BeaconError> {
    let (datagram, socket) = prepare(config, told, vmcore)?;
    loop {
        for address in config.controllers.iter().flat_map(|controller| &controller.lease) {
            // A network may not be up yet: the next second is as good.
            let _ = socket.send_to(&datagram, address);
        }
        sleep(EVERY);
    }
}

fn prepare(
    config: &Config,
    told: &str,
    vmcore: &Path,
) -> Result<(Vec<u8>, UdpSocket), BeaconError> {
    if !vmcore.exists() {
        return Err(BeaconError::NotACrashKernel(vmcore.to_owned()));
    }
    let crashed = crashed(told).ok_or(BeaconError::WhichBoot)?;
    if config.boot()? == crashed {
        return Err(BeaconError::ThatBootRuns(crashed));
    }
    let (key, signer) = (config.key_pair()?, Signer::Node(config.node));
    let message = Message::Crashed { node: config.node, boot: crashed };
    let datagram = sign::seal(config.cluster, signer, &key, &message).unwrap_or_default();
    let any = if config.networks.iter().any(|n| n.sentinel_listen.is_ipv6()) {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    Ok((datagram, UdpSocket::bind(any)?))
}

fn crashed(told: &str) -> Option<BootId> {
    let value = told.split_whitespace().find_map(|word| word.strip_prefix(PARAMETER))?;
    Uuid::try_parse(value).ok().map(BootId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_that_crashed_stands_in_the_command_line() {
        let boot = Uuid::from_u128(7);
        let line = format!("root=/dev/ram0 holdfast.boot={boot} irqpoll");
        assert_eq!(crashed(&line), Some(BootId(boot)));
        assert_eq!(crashed("irqpoll holdfast.boot=7"), None);
        assert_eq!(crashed(""), None);
    }
}

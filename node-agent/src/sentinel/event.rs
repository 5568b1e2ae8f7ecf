//! What a sentinel is told, and what it wants done.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use fencing::event::FenceEvent;
use fencing::lease::{Adopted, Message};
use fencing::sign::Signer;
use fencing::watchdog::Class;
use fencing::{BootId, Epoch};
use serde::{Deserialize, Serialize};

/// Everything that can happen to a sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A datagram of the lease protocol that opened with its signer's key.
    Message {
        /// Whose key it was.
        signer: Signer,
        /// Place of the network in the configuration.
        network: u8,
        /// Sender's address: where an answer goes.
        from: SocketAddr,
        /// What it says.
        message: Message,
    },
    /// The device is open, which fed it, and runs with this timeout.
    WatchdogOpened {
        /// Timeout as read back.
        timeout: Duration,
        /// What kind of device it is.
        class: Class,
        /// Whether its class may carry E2.
        counts_for_e2: bool,
    },
    /// The device could not be opened.
    WatchdogFailed(String),
    /// The agent heard a fence event; nothing of it is verified yet.
    FenceEvent(FenceEvent),
    /// The prefix up to n is in memory-backed storage and may be reported.
    Stored {
        /// Its length.
        n: u64,
    },
    /// The time of `poll_timeout` has come.
    Timeout,
}

/// Everything that a sentinel wants done. The shell carries effects out in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// One datagram, signed once, to each of these (network, address).
    Send {
        /// Where to.
        to: Vec<(u8, SocketAddr)>,
        /// What it says.
        message: Message,
    },
    /// Write to memory-backed storage, whole or not at all, then tell [`Event::Stored`]. Twice is harmless.
    Store(Saved),
    /// Write to the disk before the reset that follows, so that no later boot takes an order of this epoch again.
    StoreEpoch(Epoch),
    /// Open the device and tell [`Event::WatchdogOpened`] or [`Event::WatchdogFailed`].
    OpenWatchdog,
    /// Feed the device, read the clock again, and call [`super::Sentinel::after_feed`].
    Feed,
    /// Close the device with magic: the node is disarmed.
    MagicClose,
    /// Guests may start on this boot.
    GateOpen {
        /// The boot.
        boot: BootId,
    },
    /// No guest may start.
    GateClosed,
    /// Tell a human.
    Warn(Warning),
    /// Reset the machine at once, without syncing anything.
    Reset(ResetReason),
}

/// What a restarted sentinel of the same boot must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The boot that it belongs to; another boot's is worth nothing.
    pub boot: BootId,
    /// n.
    pub n: u64,
    /// The state at n.
    pub adopted: Adopted,
    /// Whether the gate of this boot was opened.
    pub gate: bool,
    /// Whether an earlier n of this boot was lost: no vouching and no asking until a reboot.
    pub lost: bool,
}

/// Something that a human should look at. The operator's manual has a paragraph for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Half of the lease time is over: the controllers do not ack, and peers are asked.
    LeaseOld {
        /// Since the send time of the renewal that a majority acked.
        age: Duration,
        /// L.
        lease: Duration,
    },
    /// Nobody stands for the node: the device is no longer fed.
    NotStanding {
        /// Since the last feed.
        unfed: Duration,
    },
    /// 3/5 of the watchdog's time is over without a feed.
    ResetNear {
        /// Since the last feed.
        unfed: Duration,
        /// W.
        timeout: Duration,
    },
    /// There is no device that can be opened, so the node cannot be armed.
    NoWatchdog(String),
    /// The device is open, but its class may not carry E2: it is closed again and the node is not armed.
    ClassDoesNotCount,
    /// The entry that armed this boot names a shorter W than the device has: disarm it, mend the profiles, arm it.
    ArmedWithOtherTimeout {
        /// W of the entry.
        entry: Duration,
        /// W of the device.
        device: Duration,
    },
    /// A drill: the device is fed no more, so that it shows that it fires.
    Drill {
        /// W.
        timeout: Duration,
    },
    /// n was lost within this boot: this node neither vouches nor asks until it is rebooted.
    StateLost,
}

/// Why a node resets itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// The committed log names this boot in an open intent.
    OwnIntent,
    /// A doubly signed fence event for this boot.
    FenceEvent {
        /// Its epoch.
        epoch: Epoch,
    },
    /// The clock read after a feed said that nobody stood for the node any more.
    LateFeed,
    /// Nobody stands for the node, the device's time is over, and the device has not fired (a resume, a broken device).
    WatchdogSilent,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Message { signer, network, message, .. } => match signer {
                Signer::Node(node) => write!(f, "from node {node} on {network}: {message}"),
                Signer::Controller(id) => write!(f, "from {id} on {network}: {message}"),
            },
            Event::WatchdogOpened { timeout, class, counts_for_e2 } => {
                write!(
                    f,
                    "watchdog opened timeout={timeout:?} class={class} counts_for_e2={counts_for_e2}"
                )
            }
            Event::WatchdogFailed(why) => write!(f, "watchdog failed: {why}"),
            Event::FenceEvent(event) => write!(f, "fence event epoch={}", event.order.epoch),
            Event::Stored { n } => write!(f, "stored n={n}"),
            Event::Timeout => f.write_str("timeout"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Send { to, message } => write!(f, "send {message} to {} addresses", to.len()),
            Effect::Store(saved) => write!(f, "store n={}", saved.n),
            Effect::StoreEpoch(epoch) => write!(f, "store epoch={epoch}"),
            Effect::OpenWatchdog => f.write_str("open watchdog"),
            Effect::Feed => f.write_str("feed"),
            Effect::MagicClose => f.write_str("magic close"),
            Effect::GateOpen { boot } => write!(f, "gate open boot={boot}"),
            Effect::GateClosed => f.write_str("gate closed"),
            Effect::Warn(warning) => warning.fmt(f),
            Effect::Reset(reason) => write!(f, "reset: {reason}"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::LeaseOld { age, lease } => write!(
                f,
                "no majority of the controllers has acked for {:.1} s of {:.0} s: asking the peers",
                age.as_secs_f64(),
                lease.as_secs_f64()
            ),
            Warning::NotStanding { unfed } => write!(
                f,
                "neither controllers nor peers stand for this node, last fed {:.1} s ago: stops feeding",
                unfed.as_secs_f64()
            ),
            Warning::ResetNear { unfed, timeout } => write!(
                f,
                "not fed for {:.1} s of {:.0} s: the watchdog resets this node soon",
                unfed.as_secs_f64(),
                timeout.as_secs_f64()
            ),
            Warning::NoWatchdog(why) => write!(f, "no watchdog, this node cannot be armed: {why}"),
            Warning::ClassDoesNotCount => f.write_str(
                "the watchdog's class may not carry E2 (allow_e2 in [watchdog] allows it by name): not armed",
            ),
            Warning::ArmedWithOtherTimeout { entry, device } => write!(
                f,
                "armed with a watchdog time of {:.0} s, but the device has {:.0} s: disarm, mend the profiles, arm",
                entry.as_secs_f64(),
                device.as_secs_f64()
            ),
            Warning::Drill { timeout } => write!(
                f,
                "a drill: this node feeds its watchdog no more, which resets it within {:.0} s",
                timeout.as_secs_f64()
            ),
            Warning::StateLost => f.write_str(
                "the adopted log of this boot was lost: neither vouches nor asks until a reboot",
            ),
        }
    }
}

impl fmt::Display for ResetReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResetReason::OwnIntent => f.write_str("the log holds an intent for this boot"),
            ResetReason::FenceEvent { epoch } => write!(f, "fence event of epoch {epoch}"),
            ResetReason::LateFeed => {
                f.write_str("nobody stood for this node any more after a feed")
            }
            ResetReason::WatchdogSilent => {
                f.write_str("nobody stands for this node and the watchdog has not fired in time")
            }
        }
    }
}

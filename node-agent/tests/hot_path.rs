//! The way to a feed asks for no memory: a kernel that is short of it would make the sentinel wait.
#![allow(unsafe_code)] // An allocator that counts what the system's is asked for; there is no safe way to be one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use fencing::lease::{Change, LogPart, Message, Profile};
use fencing::sign::{KeyPair, Signer};
use fencing::{BootId, ControllerId, NodeId};
use node_agent::sentinel::{Effect, Event, Pinned, Sentinel, Setup, Start};
use uuid::Uuid;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract; the counter is a plain
// number of this thread and asks for no memory itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`; `alloc` above got the block from the system.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn asked(body: impl FnOnce()) -> usize {
    let before = ASKED.with(Cell::get);
    body();
    ASKED.with(Cell::get) - before
}

const NODE: NodeId = NodeId(Uuid::from_u128(1));
const BOOT: BootId = BootId(Uuid::from_u128(2));

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 9, 0, last], 1))
}

/// An armed sentinel with a lease, its device open since 1.3 s, and what it wants done at 2.3 s: a feed alone.
fn about_to_feed() -> Sentinel {
    let times = Profile::Fast.times();
    let pinned = |id: u8| Pinned {
        key: KeyPair::from_seed([id; 32]).public(),
        addresses: vec![address(id)],
    };
    let mut sentinel = Sentinel::new(Setup {
        cluster: Uuid::from_u128(3),
        node: NODE,
        boot: BOOT,
        booted_at: Duration::ZERO,
        times,
        controllers: (1..=3).map(|id| (ControllerId(u64::from(id)), pinned(id))).collect(),
        has_watchdog: true,
        hazards: fencing::lease::Hazards::default(),
        start: Start::Fresh,
        highest_epoch: None,
        seed: 4,
    });
    let at = |tenths: u64| Duration::from_millis(tenths * 100);
    let mut effects = Vec::new();
    sentinel.handle(at(0), Event::Timeout, &mut effects);
    sentinel.handle(at(10), Event::Timeout, &mut effects);
    let seq = effects.iter().rev().find_map(|effect| match effect {
        Effect::Send { message: Message::Renew { seq, .. }, .. } => Some(*seq),
        Effect::Send { .. }
        | Effect::Store(_)
        | Effect::StoreEpoch(_)
        | Effect::OpenWatchdog
        | Effect::Feed
        | Effect::MagicClose
        | Effect::GateOpen { .. }
        | Effect::GateClosed
        | Effect::Warn(_)
        | Effect::Reset(_) => None,
    });
    let seq = seq.expect("a renewal at 1 s");
    let set: BTreeMap<ControllerId, Vec<SocketAddr>> =
        (1..=3).map(|id| (ControllerId(u64::from(id)), vec![address(id)])).collect();
    let armed = Change::Armed { node: NODE, boot: BOOT, times, addresses: vec![address(9)] };
    let peer = NodeId(Uuid::from_u128(5));
    let other = Change::Armed { node: peer, boot: BOOT, times, addresses: vec![address(10)] };
    for id in 1..=3 {
        let changes = [Change::Controllers { set: set.clone() }, armed.clone(), other.clone()];
        let log = if id == 1 {
            LogPart::Entries { after: 0, upto: 3, changes: (1..).zip(changes).collect() }
        } else {
            LogPart::Nothing
        };
        let message = Message::Ack { node: NODE, boot: BOOT, seq, committed: 3, log };
        let (signer, from) = (Signer::Controller(ControllerId(id)), address(1));
        sentinel.handle(at(13), Event::Message { signer, network: 0, from, message }, &mut effects);
    }
    assert!(effects.contains(&Effect::OpenWatchdog), "{effects:?}");
    sentinel.handle(
        at(13),
        Event::WatchdogOpened {
            timeout: times.watchdog,
            class: fencing::watchdog::Class::Hardware,
            counts_for_e2: true,
        },
        &mut effects,
    );
    sentinel.handle(at(20), Event::Timeout, &mut effects);
    sentinel
}

#[test]
fn a_feed_under_a_lease_asks_for_no_memory() {
    let mut sentinel = about_to_feed();
    let now = Duration::from_millis(2300);
    assert!(sentinel.status(now).armed && sentinel.status(now).standing);
    let mut effects = Vec::with_capacity(16);
    let asked = asked(|| {
        assert!(sentinel.poll_timeout().is_some_and(|(at, why)| at == now && why == "feed"));
        sentinel.handle(now, Event::Timeout, &mut effects);
        sentinel.after_feed(now, &mut effects);
    });
    assert_eq!(effects, [Effect::Feed]);
    assert_eq!(asked, 0, "asked for memory {asked} times");
}

#[test]
fn the_counter_counts() {
    assert!(asked(|| drop(std::hint::black_box(vec![1_u8; 100]))) > 0);
}

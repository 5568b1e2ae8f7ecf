//! Between the Nova stand-in and the nodes' hypervisors: carries Nova's orders to them and tells it what they did.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sim::standin::nova::{Done, Flavor, Order, Request};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::machine::{Machine, News, What};
use super::nova::NovaStandin;

/// A guest that changes hosts alive is stopped there before it starts here, for at most this long.
const HAND_OVER: Duration = Duration::from_secs(2);

/// The nodes by name.
pub(super) type Machines = BTreeMap<String, Machine>;

/// Carries Nova's orders until the stand-in ends. `stopped` says which VMs were stopped, for hand-overs.
pub(super) async fn dispatch(
    machines: Machines,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut stopped: mpsc::UnboundedReceiver<Uuid>,
) {
    let mut ahead = None;
    loop {
        let order = match ahead.take() {
            Some(order) => order,
            None => match orders.recv().await {
                Some(order) => order,
                None => return,
            },
        };
        match order {
            Order::Stop { host, server } => tell(&machines, &host, "stop", server),
            Order::Start { host, server } => {
                // A live migration's two orders come together: the guest changes over, it is never in both places.
                ahead = orders.try_recv().ok();
                if let Some(Order::Stop { host: source, server: same }) = &ahead
                    && *same == server
                {
                    while stopped.try_recv().is_ok() {}
                    tell(&machines, source, "stop", server);
                    ahead = None;
                    let gone =
                        async { while stopped.recv().await.is_some_and(|vm| vm != server) {} };
                    let _ = tokio::time::timeout(HAND_OVER, gone).await;
                }
                tell(&machines, &host, "start", server);
            }
        }
    }
}

fn tell(machines: &Machines, host: &str, verb: &str, server: Uuid) {
    if let Some(machine) = machines.get(host) {
        machine.order(&format!("{verb} {server}"));
    }
}

/// Tells Nova what happened on a node.
pub(super) fn tell_nova(nova: &NovaStandin, news: &News) {
    let node = &news.node;
    nova.with(|cloud, now| match &news.what {
        What::Boots => {}
        What::Lost(_) => cloud.machine_lost(now, node),
        What::Ready => cloud.compute_started(now, node),
        What::Running(vm) => cloud.guest_started(now, node, *vm),
        What::Stopped(vm) => cloud.guest_stopped(node, *vm),
        What::Refused(vm) => cloud.guest_failed(now, node, *vm),
    });
}

/// Boots VMs by turns on the nodes. Answers their ids and names.
pub(super) fn boot_vms(nova: &NovaStandin, nodes: &[String], count: u16) -> BTreeMap<Uuid, String> {
    let mut booted = BTreeMap::new();
    for (number, node) in (1..=count).zip(nodes.iter().cycle()) {
        let name = format!("vm-{number}");
        let request =
            Request::Boot { name: name.clone(), flavor: Flavor::Tiny, host: Some(node.clone()) };
        let served = nova.with(|cloud, now| cloud.serve(now, &request));
        if let Some(Ok(Done::Booted(id))) = served.result {
            booted.insert(id, name);
        }
    }
    booted
}

/// Where VMs run, as far as it is known: node by VM, and since when.
#[derive(Debug, Default)]
pub(super) struct Homes(pub(super) BTreeMap<Uuid, (String, Instant)>);

impl Homes {
    /// Takes news of a VM.
    pub(super) fn take(&mut self, news: &News) {
        match &news.what {
            What::Running(vm) => {
                self.0.insert(*vm, (news.node.clone(), news.at));
            }
            What::Stopped(vm) => {
                if self.0.get(vm).is_some_and(|(node, _)| *node == news.node) {
                    self.0.remove(vm);
                }
            }
            What::Lost(_) => self.0.retain(|_, (node, _)| *node != news.node),
            What::Boots | What::Ready | What::Refused(_) => {}
        }
    }
}

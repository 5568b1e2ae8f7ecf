//! BMCs and Nova: each question is a task of its own, with a deadline, and never leaves after its `not_after`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fencing::bmc::proxy::Ways;
use fencing::bmc::{self, Ask, Failure, Identity, Level};
use tokio::sync::{Semaphore, mpsc};

use super::Incoming;
use crate::effect::Ticket;
use crate::event::Event;
use crate::nova::client::Client;
use crate::nova::{Call, ReadFailure, Reply, Written};

/// Questions to BMCs under way at once.
const MOST_BMC: usize = 64;
/// Questions to Nova under way at once.
const MOST_NOVA: usize = 32;
/// Longest question to a BMC.
const BMC_DEADLINE: Duration = Duration::from_secs(20);

/// Asks, and hands the answers to the queue.
pub(super) struct Asks {
    origin: Instant,
    queue: mpsc::Sender<Incoming>,
    bmc: Arc<Semaphore>,
    nova: Arc<Semaphore>,
}

impl Asks {
    pub(super) fn new(origin: Instant, queue: mpsc::Sender<Incoming>) -> Self {
        let (bmc, nova) = (Arc::new(Semaphore::new(MOST_BMC)), Arc::new(Semaphore::new(MOST_NOVA)));
        Self { origin, queue, bmc, nova }
    }

    /// Asks a BMC, unless `not_after` has passed when its turn comes.
    pub(super) fn bmc(
        &self,
        ticket: Ticket,
        (level, ways): (Option<Level>, Ways),
        ask: Ask,
        expect: Option<Identity>,
        not_after: Duration,
    ) {
        let (origin, queue, places) = (self.origin, self.queue.clone(), Arc::clone(&self.bmc));
        tokio::spawn(async move {
            let reply = match level {
                None => unasked("the inventory names no BMC for this node"),
                Some(level) => {
                    let _place = places.acquire().await;
                    match left(origin, not_after) {
                        Some(left) => {
                            level.ask_by(ask, expect, left.min(BMC_DEADLINE), Some(&ways)).await
                        }
                        None => unasked("it was too late to ask; nothing was sent"),
                    }
                }
            };
            let _ = queue.send(Incoming::Event(Event::Bmc { ticket, reply })).await;
        });
    }

    /// Asks Nova, unless `not_after` has passed when its turn comes.
    pub(super) fn nova(
        &self,
        ticket: Ticket,
        client: Option<Client>,
        call: Call,
        not_after: Duration,
    ) {
        let (origin, queue, places) = (self.origin, self.queue.clone(), Arc::clone(&self.nova));
        tokio::spawn(async move {
            let reply = match client {
                None => unsent(&call, "there is no [nova] in the configuration"),
                Some(client) => {
                    let _place = places.acquire().await;
                    match left(origin, not_after) {
                        Some(left) => client.call(call, left).await,
                        None => unsent(&call, "too late"),
                    }
                }
            };
            let _ = queue.send(Incoming::Event(Event::Nova { ticket, reply })).await;
        });
    }
}

/// What is left until `not_after`, if anything.
fn left(origin: Instant, not_after: Duration) -> Option<Duration> {
    not_after.checked_sub(origin.elapsed()).filter(|left| !left.is_zero())
}

fn unasked(why: &'static str) -> bmc::Reply {
    bmc::Reply::Failed(Failure::Unusable(Cow::Borrowed(why)))
}

fn unsent(call: &Call, why: &str) -> Reply {
    if call.writes() {
        Reply::Written(Written::NotSent(why.to_owned()))
    } else {
        Reply::ReadFailed(ReadFailure::Unavailable(why.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fencing::bmc::proxy::Caller;
    use fencing::bmc::{BmcTarget, CipherSuite, Device, Privilege, Secret};

    #[tokio::test]
    async fn nothing_leaves_after_its_time() {
        let bmc = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (queue, mut answers) = mpsc::channel(4);
        let origin = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let asks = Asks::new(origin, queue);
        let target = BmcTarget {
            addr: bmc.local_addr().unwrap(),
            user: "u".into(),
            password: Secret::new("p".into()),
            suites: vec![CipherSuite::S17],
            privilege: Privilege::Operator,
        };
        let late = Duration::from_secs(9);
        let caller = Caller {
            cluster: uuid::Uuid::nil(),
            me: fencing::ControllerId(1),
            key: fencing::sign::KeyPair::from_seed([1; 32]),
        };
        let ways = Ways { caller: Arc::new(caller), usable: Vec::new() };
        asks.bmc(Ticket(1), (Some(Device::Ipmi(target).into()), ways), Ask::Off, None, late);
        let service = uuid::Uuid::nil();
        let call = Call::ForceDown { service, disable: None };
        asks.nova(Ticket(2), None, call.clone(), late);
        asks.nova(Ticket(3), None, Call::Services, late);
        let mut seen = Vec::new();
        for _ in 0..3 {
            match answers.recv().await.unwrap() {
                Incoming::Event(event) => seen.push(event),
                Incoming::Question(_) => panic!("nobody asks"),
            }
        }
        assert!(seen.contains(&Event::Bmc {
            ticket: Ticket(1),
            reply: unasked("it was too late to ask; nothing was sent")
        }));
        let why = "there is no [nova] in the configuration".to_owned();
        let unsent = Reply::Written(Written::NotSent(why.clone()));
        assert!(seen.contains(&Event::Nova { ticket: Ticket(2), reply: unsent }));
        let unread = Reply::ReadFailed(ReadFailure::Unavailable(why));
        assert!(seen.contains(&Event::Nova { ticket: Ticket(3), reply: unread }));
        let quiet = tokio::time::timeout(Duration::from_millis(50), bmc.recv(&mut [0; 64])).await;
        assert!(quiet.is_err(), "a datagram left");
    }
}

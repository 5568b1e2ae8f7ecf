//! Who is let through: a core without clock and sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use fencing::bmc::proxy::{CHALLENGE, LONGEST_CARRY, Refusal, SignedOrder, Transport};
use fencing::sign::PublicKey;
use fencing::{ControllerId, NodeId};
use uuid::Uuid;

use super::subnet::Subnet;

/// Conversations at once: a controller asks at most as many.
pub const MOST: usize = 64;
/// Orders in a burst, and the time after which one more is taken.
const BURST: u32 = 64;
const ONE_MORE: Duration = Duration::from_millis(50);

/// What a door is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The cluster.
    pub cluster: Uuid,
    /// This node.
    pub node: NodeId,
    /// Keys of the controllers.
    pub keys: Vec<(ControllerId, PublicKey)>,
    /// Networks of the BMCs.
    pub allow: Vec<Subnet>,
    /// Ports of the BMCs.
    pub ports: Vec<u16>,
}

/// What may be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Who asked.
    pub controller: ControllerId,
    /// To whom.
    pub to: SocketAddr,
    /// How.
    pub how: Transport,
    /// Nothing may be carried from then on.
    pub until: Duration,
}

/// The door. Times are CLOCK_BOOTTIME, which runs on while the machine is suspended: what was ordered before must not
/// leave after it.
#[derive(Debug)]
pub struct Door {
    setup: Setup,
    open: usize,
    /// Orders that may still come in this burst, and since when that is so.
    burst: u32,
    since: Duration,
    refused: BTreeMap<Refusal, u64>,
}

impl Door {
    /// A door that nobody has passed yet.
    pub fn new(now: Duration, setup: Setup) -> Self {
        Self { setup, open: 0, burst: BURST, since: now, refused: BTreeMap::new() }
    }

    /// Looks at an order. Every pass must be given back with [`Door::ended`].
    ///
    /// # Errors
    /// [`Refusal`]: nothing may be carried. It is counted.
    pub fn admit(
        &mut self,
        now: Duration,
        challenged: Duration,
        challenge: [u8; CHALLENGE],
        order: &[u8],
    ) -> Result<Pass, Refusal> {
        let pass = self.judge(now, challenged, challenge, order);
        match pass {
            Ok(_) => self.open += 1,
            Err(refusal) => self.count(refusal),
        }
        pass
    }

    fn judge(
        &mut self,
        now: Duration,
        challenged: Duration,
        challenge: [u8; CHALLENGE],
        order: &[u8],
    ) -> Result<Pass, Refusal> {
        let signed = SignedOrder::parse(order).ok_or(Refusal::Unsigned)?;
        if !signed.is_signed(&self.setup.keys) {
            return Err(Refusal::Unsigned);
        }
        let order = signed.order;
        if (order.cluster, order.proxy, order.challenge)
            != (self.setup.cluster, self.setup.node, challenge)
        {
            return Err(Refusal::NotForMe);
        }
        let left = Duration::from_millis(order.left_ms.into()).min(LONGEST_CARRY);
        let until = challenged + left;
        if now >= until {
            return Err(Refusal::Late);
        }
        let allowed = self.setup.allow.iter().any(|subnet| subnet.contains(order.to.ip()));
        if !allowed || !self.setup.ports.contains(&order.to.port()) {
            return Err(Refusal::Foreign);
        }
        if self.open >= MOST || !self.has_a_turn(now) {
            return Err(Refusal::Busy);
        }
        Ok(Pass { controller: order.controller, to: order.to, how: order.how, until })
    }

    fn has_a_turn(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.since);
        let more = u32::try_from(passed.as_millis() / ONE_MORE.as_millis()).unwrap_or(u32::MAX);
        if more > 0 {
            self.burst = self.burst.saturating_add(more).min(BURST);
            self.since = now;
        }
        let has = self.burst > 0;
        self.burst = self.burst.saturating_sub(1);
        has
    }

    /// A conversation is over.
    pub fn ended(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Counts a refusal that was not the door's own.
    pub fn count(&mut self, refusal: Refusal) {
        *self.refused.entry(refusal).or_default() += 1;
    }

    /// How many orders were refused, by reason.
    pub fn refused(&self) -> &BTreeMap<Refusal, u64> {
        &self.refused
    }
}

#[cfg(test)]
mod tests {
    use fencing::bmc::proxy::Order;
    use fencing::sign::KeyPair;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const MINE: [u8; CHALLENGE] = [5; CHALLENGE];

    fn key() -> KeyPair {
        KeyPair::from_seed([1; 32])
    }

    fn door() -> Door {
        Door::new(
            NOW,
            Setup {
                cluster: Uuid::from_u128(1),
                node: NodeId(Uuid::from_u128(2)),
                keys: vec![(ControllerId(1), key().public())],
                allow: vec!["10.9.0.0/24".parse().unwrap()],
                ports: vec![623, 443],
            },
        )
    }

    fn order() -> Order {
        Order {
            cluster: Uuid::from_u128(1),
            proxy: NodeId(Uuid::from_u128(2)),
            controller: ControllerId(1),
            challenge: MINE,
            to: ([10, 9, 0, 11], 623).into(),
            how: Transport::Udp,
            left_ms: 5_000,
        }
    }

    fn admit(door: &mut Door, now: Duration, order: Order) -> Result<Pass, Refusal> {
        door.admit(now, NOW, MINE, &order.sign(&key()).to_bytes())
    }

    #[test]
    fn an_order_of_a_controller_passes_until_its_time_is_over() {
        let pass = admit(&mut door(), NOW, order()).unwrap();
        assert_eq!((pass.to, pass.until), (order().to, NOW + Duration::from_secs(5)));
        let second = Duration::from_secs(1);
        assert!(admit(&mut door(), NOW + second * 4, order()).is_ok());
        assert_eq!(admit(&mut door(), NOW + second * 5, order()), Err(Refusal::Late));
        let long = admit(&mut door(), NOW, Order { left_ms: u32::MAX, ..order() }).unwrap();
        assert_eq!(long.until, NOW + LONGEST_CARRY);
    }

    #[test]
    fn an_order_is_good_for_one_connection_of_one_node_of_one_cluster() {
        let not_mine = [
            Order { challenge: [6; CHALLENGE], ..order() },
            Order { proxy: NodeId(Uuid::from_u128(3)), ..order() },
            Order { cluster: Uuid::from_u128(3), ..order() },
        ];
        for order in not_mine {
            assert_eq!(admit(&mut door(), NOW, order), Err(Refusal::NotForMe));
        }
    }

    #[test]
    fn only_controllers_that_the_node_knows_are_let_in() {
        let mut door = door();
        let other = order().sign(&KeyPair::from_seed([2; 32])).to_bytes();
        assert_eq!(door.admit(NOW, NOW, MINE, &other), Err(Refusal::Unsigned));
        let changed =
            SignedOrder { order: Order { left_ms: 9_000, ..order() }, ..order().sign(&key()) };
        assert_eq!(door.admit(NOW, NOW, MINE, &changed.to_bytes()), Err(Refusal::Unsigned));
        assert_eq!(
            admit(&mut door, NOW, Order { controller: ControllerId(2), ..order() }),
            Err(Refusal::Unsigned)
        );
        for bytes in [&b""[..], b"nonsense", &[0xff; 600]] {
            assert_eq!(door.admit(NOW, NOW, MINE, bytes), Err(Refusal::Unsigned));
        }
        assert_eq!(door.refused()[&Refusal::Unsigned], 6);
    }

    #[test]
    fn it_leads_to_the_bmc_network_and_nowhere_else() {
        let mut door = door();
        for to in ["10.9.1.11:623", "10.9.0.11:22", "127.0.0.1:623", "[::1]:443", "192.0.2.1:443"] {
            let foreign = Order { to: to.parse().unwrap(), ..order() };
            assert_eq!(admit(&mut door, NOW, foreign), Err(Refusal::Foreign), "{to}");
        }
    }

    #[test]
    fn so_many_at_once_and_so_many_in_a_time() {
        let mut door = door();
        for _ in 0..MOST {
            assert!(admit(&mut door, NOW, order()).is_ok());
        }
        assert_eq!(admit(&mut door, NOW, order()), Err(Refusal::Busy), "all places are taken");
        (0..MOST).for_each(|_| door.ended());
        assert_eq!(admit(&mut door, NOW, order()), Err(Refusal::Busy), "too fast");
        assert!(admit(&mut door, NOW + ONE_MORE, order()).is_ok());
        assert_eq!(admit(&mut door, NOW + ONE_MORE, order()), Err(Refusal::Busy));
    }
}

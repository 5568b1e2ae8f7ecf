//! BMCs, at the level of one question and its answer.

use std::time::Duration;

use fencing::bmc::{Ask, Failure, Identity, Power, Refusal, Reply};

/// How a BMC behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Obeys,
    /// It answers nothing.
    Silent,
    /// It says ok and the node stays on.
    Stuck,
    /// It reads off while the node is on, and switches nothing. Outside of the fault model: no read can tell.
    Lies,
    /// Everything takes this much longer.
    Slow(Duration),
    /// It is another node's.
    Foreign,
    /// It is this node's, on a new board: it obeys, and has another identity.
    Replaced,
    /// It refuses the power off.
    Refuses,
    /// It reads on whatever its node does, and switches nothing.
    SaysOn,
    /// It reads a word that is neither on nor off.
    Vague,
}

/// A question, as the BMC saw it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// True time.
    pub at: Duration,
    /// Who asked.
    pub controller: u8,
    /// What.
    pub ask: Ask,
    /// Whether an off was the command that switches off and on again.
    pub cycle: bool,
    /// What it answered.
    pub reply: Reply,
}

/// A BMC.
#[derive(Debug, Default)]
pub struct Bmc {
    /// Which level of its node's fencing it is; 0 is the first, as 1.
    pub level: u8,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// What it was asked.
    pub log: Vec<Exchange>,
}

/// From the question until a BMC acts, and from there to the answer.
pub const HALF_WAY: Duration = Duration::from_millis(200);
/// After this time without an answer a controller gives up.
pub const GIVES_UP: Duration = Duration::from_secs(5);

/// The identity of the BMC that a node had first.
fn identity(node: u16) -> Identity {
    let [high, low] = node.to_be_bytes();
    Identity([0xb, 0xc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low])
}

impl Bmc {
    /// How long it takes until it acts; `None` when it never does.
    pub fn delay(&self) -> Option<Duration> {
        match self.behaviour {
            Behaviour::Silent => None,
            Behaviour::Slow(by) => Some(HALF_WAY + by),
            Behaviour::Obeys
            | Behaviour::Stuck
            | Behaviour::Lies
            | Behaviour::Foreign
            | Behaviour::Replaced
            | Behaviour::Refuses
            | Behaviour::SaysOn
            | Behaviour::Vague => Some(HALF_WAY),
        }
    }

    /// Whether an off that arrives now switches the node off.
    pub fn switches(&self) -> bool {
        match self.behaviour {
            Behaviour::Obeys | Behaviour::Slow(_) | Behaviour::Vague | Behaviour::Replaced => true,
            Behaviour::Silent
            | Behaviour::Stuck
            | Behaviour::Lies
            | Behaviour::Foreign
            | Behaviour::SaysOn
            | Behaviour::Refuses => false,
        }
    }

    /// The identity of this node's own BMC.
    pub fn own(&self, node: u16) -> Identity {
        let replaced = self.behaviour == Behaviour::Replaced;
        let Identity(mut bytes) = identity(if replaced { node.wrapping_add(0x1000) } else { node });
        bytes[2] = self.level;
        Identity(bytes)
    }

    /// What it answers, for a node whose power is `on`.
    pub fn answer(&self, node: u16, ask: Ask, expect: Option<Identity>, on: bool) -> Reply {
        let read = match self.behaviour {
            Behaviour::Foreign => identity(node.wrapping_add(100)),
            Behaviour::Obeys
            | Behaviour::Silent
            | Behaviour::Stuck
            | Behaviour::Lies
            | Behaviour::Slow(_)
            | Behaviour::Replaced
            | Behaviour::Refuses
            | Behaviour::SaysOn
            | Behaviour::Vague => self.own(node),
        };
        if let Some(expected) = expect.filter(|expected| *expected != read) {
            return Reply::Failed(Failure::WrongIdentity { expected, read: Some(read) });
        }
        match ask {
            Ask::Off => {
                let refused =
                    (self.behaviour == Behaviour::Refuses).then_some(Refusal::Completion(0xd5));
                Reply::OffSent { identity: Some(read), refused }
            }
            Ask::Read => {
                let power = match self.behaviour {
                    Behaviour::Lies => Power::Off,
                    Behaviour::SaysOn => Power::On,
                    Behaviour::Vague => Power::Other("PoweringOff".to_owned()),
                    Behaviour::Obeys
                    | Behaviour::Silent
                    | Behaviour::Stuck
                    | Behaviour::Slow(_)
                    | Behaviour::Foreign
                    | Behaviour::Replaced
                    | Behaviour::Refuses => {
                        if on {
                            Power::On
                        } else {
                            Power::Off
                        }
                    }
                };
                Reply::Read { power, identity: Some(read) }
            }
        }
    }
}

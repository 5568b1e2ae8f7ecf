//! A bad network between a client and a BMC, in user space.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::address;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Percent of datagrams lost, in each direction.
    pub(crate) loss: u64,
    /// Each answer comes this much late.
    pub(crate) late: Duration,
    /// Each client first gets all answers that earlier clients got.
    pub(crate) replay: bool,
}

/// A relay to one BMC, gone when dropped.
pub(crate) struct Relay {
    pub(crate) addr: SocketAddr,
    // Dropping the set ends its tasks.
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Which datagrams are lost follows from the seed (and the order in which they come).
    pub(crate) async fn start(bmc: SocketAddr, faults: Faults, seed: u64) -> Self {
        let front = Arc::new(UdpSocket::bind(address()).await.expect("a free address"));
        let addr = front.local_addr().expect("it is bound");
        let mut tasks = JoinSet::new();
        tasks.spawn(run(front, bmc, faults, Arc::new(Mutex::new(seed))));
        Self { addr, _tasks: tasks }
    }
}

async fn run(front: Arc<UdpSocket>, bmc: SocketAddr, faults: Faults, dice: Arc<Mutex<u64>>) {
    let answers = Arc::new(Mutex::new(Vec::<Vec<u8>>::new()));
    let mut ways: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    let mut buffer = [0; 2048];
    loop {
        let Ok((length, client)) = front.recv_from(&mut buffer).await else { continue };
        let way = match ways.get(&client) {
            Some(way) => Arc::clone(way),
            None => {
                let way = Arc::new(UdpSocket::bind(address()).await.expect("a free address"));
                way.connect(bmc).await.expect("connected");
                ways.insert(client, Arc::clone(&way));
                let old = answers.lock().expect("no task panics").clone();
                for answer in old.iter().filter(|_| faults.replay) {
                    drop(front.send_to(answer, client).await);
                }
                let back = Back { way: Arc::clone(&way), front: Arc::clone(&front), client };
                tasks.spawn(back.run(faults, Arc::clone(&dice), Arc::clone(&answers)));
                way
            }
        };
        if !lost(&dice, faults.loss) {
            drop(way.send(&buffer[..length]).await);
        }
    }
}

/// The way back to one client.
struct Back {
    way: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
}

impl Back {
    async fn run(self, faults: Faults, dice: Arc<Mutex<u64>>, answers: Arc<Mutex<Vec<Vec<u8>>>>) {
        let mut buffer = [0; 2048];
        let mut late = JoinSet::new();
        loop {
            let Ok(length) = self.way.recv(&mut buffer).await else { continue };
            let answer = buffer[..length].to_vec();
            answers.lock().expect("no task panics").push(answer.clone());
            if lost(&dice, faults.loss) {
                continue;
            }
            let (front, client) = (Arc::clone(&self.front), self.client);
            late.spawn(async move {
                sleep(faults.late).await;
                drop(front.send_to(&answer, client).await);
            });
        }
    }
}

/// Throws the dice (splitmix64, Steele et al. 2014).
fn lost(dice: &Mutex<u64>, percent: u64) -> bool {
    let mut state = dice.lock().expect("dice");
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % 100 < percent
}

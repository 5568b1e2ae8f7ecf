//! How a record begins: everything that a core is made with, but for the private key.

use std::time::Duration;

use action_matrix::Matrix;
use fencing::ControllerId;
use fencing::lease::LeaseTimes;
use fencing::sign::KeyPair;
use gossip::ceiling::Ceiling;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::RecordError;
use crate::core::{Peer, Recovery, Settings, Waits};
use crate::raft::Restored;

/// What a replay signs with, whoever the controller was. Its signatures verify nowhere.
const NO_KEY: [u8; 32] = [0; 32];

/// What a core began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The process's clock then.
    pub now: Duration,
    /// The wall clock then, in ms.
    pub wall_ms: u64,
    /// What its disk gave back.
    pub restored: Restored,
    cluster: Uuid,
    me: ControllerId,
    controllers: Vec<(ControllerId, Peer)>,
    networks: Vec<String>,
    boot: Uuid,
    starts: u64,
    times: LeaseTimes,
    matrix: String,
    waits: Waits,
    confirm_by_census: bool,
    nova: bool,
    snapshot_every: u64,
    recovery: Recovery,
    watchdog_test: bool,
    ceiling: Option<Ceiling>,
    seed: u64,
}

impl Head {
    /// Of a core that is about to be made.
    pub fn new(now: Duration, wall_ms: u64, settings: &Settings, restored: &Restored) -> Self {
        // Named one by one: what is added to the settings has to be thought of here.
        let Settings {
            cluster,
            me,
            controllers,
            key: _,
            networks,
            boot,
            starts,
            times,
            matrix,
            waits,
            confirm_by_census,
            nova,
            snapshot_every,
            recovery,
            watchdog_test,
            ceiling,
            seed,
        } = settings;
        Self {
            now,
            wall_ms,
            restored: restored.clone(),
            cluster: *cluster,
            me: *me,
            controllers: controllers.iter().map(|(id, peer)| (*id, peer.clone())).collect(),
            networks: networks.clone(),
            boot: *boot,
            starts: *starts,
            times: *times,
            matrix: matrix.source().to_owned(),
            waits: *waits,
            confirm_by_census: *confirm_by_census,
            nova: *nova,
            snapshot_every: *snapshot_every,
            recovery: recovery.clone(),
            watchdog_test: *watchdog_test,
            ceiling: *ceiling,
            seed: *seed,
        }
    }

    /// The controller whose core it was.
    pub fn controller(&self) -> ControllerId {
        self.me
    }

    /// How often it had been started, this time included.
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// The settings, with a key that is nobody's.
    ///
    /// # Errors
    /// [`RecordError::Head`]: no controller can have begun like this.
    pub fn settings(&self) -> Result<Settings, RecordError> {
        let wrong = |why: &str| RecordError::Head(why.to_owned());
        let ids: Vec<u64> = self.controllers.iter().map(|(id, _)| id.0).collect();
        let mut different = ids.clone();
        different.sort_unstable();
        different.dedup();
        let fits = matches!(ids.len(), 1 | 3 | 5)
            && different.len() == ids.len()
            && ids.iter().all(|id| (1..=5).contains(id))
            && ids.contains(&self.me.0);
        if !fits {
            return Err(wrong("its controllers are not 1, 3 or 5 with itself among them"));
        }
        let matrix = Matrix::parse("the record", &self.matrix);
        let matrix = matrix.map_err(|_| wrong("its matrix does not load"))?.matrix;
        Ok(Settings {
            cluster: self.cluster,
            me: self.me,
            controllers: self.controllers.iter().cloned().collect(),
            key: KeyPair::from_seed(NO_KEY),
            networks: self.networks.clone(),
            boot: self.boot,
            starts: self.starts,
            times: self.times,
            matrix,
            waits: self.waits,
            confirm_by_census: self.confirm_by_census,
            nova: self.nova,
            snapshot_every: self.snapshot_every,
            recovery: self.recovery.clone(),
            watchdog_test: self.watchdog_test,
            ceiling: self.ceiling,
            seed: self.seed,
        })
    }
}

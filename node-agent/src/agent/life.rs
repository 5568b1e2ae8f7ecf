//! A life of the agent's core, and its record: a record can be replayed from the beginning of a core alone, so a long one
//! is followed by another core in the same process, which joins its groups as after a restart.

use std::io;
use std::time::Duration;

use fencing::BootId;

use super::core::{Agent, Effect, Event, Network, Setup};
use super::recorder::Recorder;
use super::shell::AgentError;
use crate::config::Config;
use crate::record::Head;

/// No core lives shorter: what it has seen of the members is worth more than a record. A lab has no such patience.
const LIVES: Duration = Duration::from_secs(10 * 60);
/// How long the end of a record may take to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// A core and its record.
pub(super) struct Life {
    pub(super) agent: Agent,
    recorder: Recorder,
    boot: BootId,
    began: Duration,
    /// Whether no other core can be made in this process.
    last: bool,
}

impl Life {
    /// The first of this process.
    pub(super) fn begin(
        config: &Config,
        boot: BootId,
        now: Duration,
        (starts, seed): (u64, u64),
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut recorder = Recorder::start(config.records_dir(), config.record);
        let setup = setup(config, boot, starts, seed);
        let agent = begin(&mut recorder, config, now, setup, effects);
        Self { agent, recorder, boot, began: now, last: false }
    }

    /// Hands an event in, and records it.
    pub(super) fn handle(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        self.recorder.event(now, &event);
        let before = effects.len();
        self.agent.handle(now, event, effects);
        self.recorder.did(now, effects.get(before..).unwrap_or_default());
    }

    /// Another core takes the place of one whose record is long, when nothing is lost by it.
    pub(super) fn begin_anew_if_long(
        &mut self,
        config: &Config,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let patient = config.is_real_machine() && now.saturating_sub(self.began) < LIVES;
        if self.last || patient || !self.recorder.is_long() || !self.agent.is_idle() {
            return;
        }
        let drawn = count_start(config).map_err(|error| error.to_string());
        let drawn = drawn.and_then(|starts| {
            getrandom::u64().map(|seed| (starts, seed)).map_err(|error| error.to_string())
        });
        match drawn {
            Ok((starts, seed)) => {
                let setup = setup(config, self.boot, starts, seed);
                self.agent = begin(&mut self.recorder, config, now, setup, effects);
                self.began = now;
                tracing::info!(starts, "joins anew, so that a new record can begin");
            }
            Err(error) => {
                // The core that runs is as good as before.
                tracing::warn!(error, "no new record can begin");
                self.last = true;
            }
        }
    }

    /// Ends the record on purpose.
    pub(super) fn end(&mut self, why: &'static str) {
        self.recorder.end(why, PATIENCE);
    }
}

fn begin(
    recorder: &mut Recorder,
    config: &Config,
    now: Duration,
    setup: Setup,
    effects: &mut Vec<Effect>,
) -> Agent {
    let names: Vec<String> = config.networks.iter().map(|network| network.name.clone()).collect();
    let head = Head::new(now, &config.name, &names, &setup);
    let before = effects.len();
    let agent = Agent::new(now, setup, effects);
    recorder.begin(head, effects.get(before..).unwrap_or_default());
    agent
}

fn setup(config: &Config, boot: BootId, starts: u64, seed: u64) -> Setup {
    let network = |(place, network): (usize, &crate::config::Network)| Network {
        gossip: network.gossip_advertise,
        ping: network.sentinel_advertise,
        controllers: config
            .controllers
            .iter()
            .filter_map(|c| c.gossip.get(place).copied())
            .collect(),
    };
    Setup {
        cluster: config.cluster,
        node: config.node,
        boot,
        starts,
        networks: config.networks.iter().enumerate().map(network).collect(),
        keys: config.controllers.iter().map(|c| (c.id, c.key)).collect(),
        reports: true,
        ceiling: config.ceiling,
        checks: config.checks.iter().map(|check| check.plan.clone()).collect(),
        seed,
    }
}

/// Counts the starts of this program on disk, so that its new identity beats the one that gossip remembers.
pub(super) fn count_start(config: &Config) -> Result<u64, AgentError> {
    let path = config.state_dir.join("agent.starts");
    let failed = |source| AgentError::Starts { path: path.clone(), source };
    std::fs::create_dir_all(&config.state_dir).map_err(failed)?;
    let before: u64 = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|error| failed(io::Error::other(error)))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    let starts = before.saturating_add(1);
    crate::files::replace(&path, starts.to_string().as_bytes(), true).map_err(failed)?;
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::SocketAddr;
    use std::path::Path;

    use record::Title;
    use uuid::Uuid;

    use super::*;
    use crate::program::EXAMPLE;
    use crate::record::replay;

    #[test]
    fn a_long_record_is_followed_by_another_and_each_of_them_replays() {
        let dir = std::env::temp_dir().join(format!("holdfast-lives-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let mut config = Config::parse(EXAMPLE, Path::new("node.toml")).expect("an example");
        // A lab's boot id: it has no patience.
        (config.state_dir, config.boot_id_file) = (dir.clone(), dir.join("boot_id"));
        config.record = 64 << 10;
        let starts = count_start(&config).expect("a directory");
        let (boot, mut effects) = (BootId(Uuid::from_u128(7)), Vec::new());
        let mut life = Life::begin(&config, boot, Duration::ZERO, (starts, 1), &mut effects);
        let from = SocketAddr::from(([127, 0, 0, 1], 9));
        for step in 1..3000 {
            let now = Duration::from_millis(10 * step);
            life.handle(now, Event::Gossip { network: 0, from, bytes: vec![9; 99] }, &mut effects);
            life.handle(now, Event::Timeout, &mut effects);
            effects.clear();
            life.begin_anew_if_long(&config, now, &mut effects);
            if step % 50 == 0 {
                // The thread that writes must not fall behind a loop that waits for nothing.
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        life.end("the test is over");
        let entries = std::fs::read_dir(config.records_dir()).expect("records");
        let files: Vec<_> = entries.map(|entry| entry.expect("a record").path()).collect();
        assert!((2..=5).contains(&files.len()), "{files:?}");
        let (mut bytes, mut newest, mut short) = (0, 0, Vec::new());
        for path in files {
            let file = File::open(&path).expect("a record");
            bytes += file.metadata().expect("a length").len();
            let (title, reader) = Title::read(file).expect("a title");
            let replayed = replay(title, reader, |_| {}).expect("a record");
            assert_eq!(replayed.difference, None, "{}: {replayed}", path.display());
            assert!(replayed.head.starts() > 1, "{replayed}");
            newest = newest.max(replayed.head.starts());
            short.extend((replayed.events <= 10).then(|| replayed.head.starts()));
        }
        // The newest ends with the test, be it just begun.
        assert!(short.iter().all(|starts| *starts == newest), "{short:?} of {newest}");
        assert!(bytes <= 65 << 10, "{bytes}");
        std::fs::remove_dir_all(&dir).expect("it is there");
    }
}

//! When servers are ACTIVE elsewhere, as Nova's database has it: a list by its API would keep nova-api busy for a good part
//! of each second, and what is measured would be that.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::stage::SOURCE;
use crate::world::World;

const LONGEST: Duration = Duration::from_secs(900);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Seconds from the loss of the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) first: f64,
    pub(crate) last: f64,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "all moved, the first after {:.1} s, the last after {:.1} s",
            self.first, self.last
        )
    }
}

/// Who has moved so far.
pub(crate) struct Watch<'a> {
    servers: &'a [Uuid],
    socket: String,
    died: Instant,
    pub(crate) moved: Vec<(Uuid, f64)>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(world: &World, servers: &'a [Uuid], died: Instant) -> Self {
        let directory = Path::new(&world.env["HOLDFAST_NOVA_DIR"]);
        let socket = directory.join("run/mariadb.sock").display().to_string();
        Self { servers, socket, died, moved: Vec::new() }
    }

    /// Looks once, and waits a little. The times, when all have moved.
    pub(crate) async fn look(&mut self) -> Option<Times> {
        for id in self.active_elsewhere() {
            if self.servers.contains(&id) && self.moved.iter().all(|(known, _)| *known != id) {
                self.moved.push((id, self.died.elapsed().as_secs_f64()));
            }
        }
        if self.moved.len() == self.servers.len() {
            return Some(Times {
                first: self.moved[0].1,
                last: self.moved[self.moved.len() - 1].1,
            });
        }
        let (moved, all) = (self.moved.len(), self.servers.len());
        assert!(self.died.elapsed() < LONGEST, "{moved} of {all} moved");
        tokio::time::sleep(LOOK_EVERY).await;
        None
    }

    /// What Nova's API shows as ACTIVE: active, and no task.
    fn active_elsewhere(&self) -> Vec<Uuid> {
        let query = format!(
            "select uuid from instances where deleted = 0 and vm_state = 'active' and task_state is null and host != '{SOURCE}'"
        );
        let output = Command::new("mariadb")
            .args([
                "--no-defaults",
                "-S",
                &self.socket,
                "-u",
                "root",
                "-N",
                "-e",
                &query,
                "nova_cell1",
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(|line| line.trim().parse().unwrap()).collect()
    }
}

/// Looks until every server is ACTIVE elsewhere; then Nova's API must say the same.
pub(crate) async fn watch(world: &World, servers: &[Uuid], died: Instant) -> Times {
    let mut watch = Watch::new(world, servers, died);
    let times = loop {
        if let Some(times) = watch.look().await {
            break times;
        }
    };
    agreed(world, servers).await;
    times
}

/// Nova's API shows all of them ACTIVE elsewhere.
pub(crate) async fn agreed(world: &World, servers: &[Uuid]) {
    let rows = world.raw.rows().await;
    let there = rows.iter().filter(|row| row.status == "ACTIVE" && row.host != SOURCE);
    assert_eq!(there.filter(|row| servers.contains(&row.id)).count(), servers.len());
}

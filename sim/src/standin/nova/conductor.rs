//! The conductor and the scheduler: which record, which destination.

use std::time::Duration;

use controller::nova::call::{MigrationKind, MigrationStatus};
use uuid::Uuid;

use super::{Cloud, Message, Power, Rebuild, Step};

const NO_VALID_HOST: &str = "No valid host was found. ";

impl Cloud {
    /// Takes the first `accepted` record of the server, whichever request wrote it, excludes the source alone, and
    /// never tries a second destination.
    pub(super) fn conduct_evacuation(
        &mut self,
        now: Duration,
        server: Uuid,
        destination: Option<String>,
        power: Power,
        request_id: String,
    ) {
        let first = self.migrations.values().find(|migration| {
            migration.server == server
                && migration.kind == MigrationKind::Evacuation
                && migration.status == MigrationStatus::Accepted
        });
        let first = first.map(|migration| (migration.id, migration.source.clone()));
        let source = match &first {
            Some((_, source)) => Some(source.clone()),
            None => self.servers.get(&server).and_then(|server| server.host.clone()),
        };
        let chosen = match &destination {
            Some(name) => self.fits(now, name, server).then(|| name.clone()),
            None => self.schedule(now, server, source.as_deref()),
        };
        let Some(host) = chosen else {
            if let Some((id, _)) = first {
                self.set_status(id, MigrationStatus::Error);
            }
            if let Some(server) = self.servers.get_mut(&server) {
                server.fail(NO_VALID_HOST);
                server.act_failed(&request_id);
            }
            return;
        };
        let Some((migration, _)) = first else { return };
        let rebuild = Rebuild { server, migration, power, request_id };
        self.send(now, &host, Message::Rebuild(rebuild));
    }

    pub(super) fn conduct_boot(&mut self, now: Duration, id: Uuid) {
        let Some(server) = self.servers.get(&id) else { return };
        let chosen = match server.wanted.clone() {
            Some(name) => self.fits(now, &name, id).then_some(name),
            None => self.schedule(now, id, None),
        };
        match chosen {
            Some(host) => self.send(now, &host, Message::Build { server: id }),
            None => {
                if let Some(server) = self.servers.get_mut(&id) {
                    server.fail(NO_VALID_HOST);
                }
            }
        }
    }

    /// The least loaded host that is up, enabled and has room; of equals the first by name.
    pub(super) fn schedule(
        &self,
        now: Duration,
        server: Uuid,
        source: Option<&str>,
    ) -> Option<String> {
        self.computes
            .keys()
            .filter(|host| Some(host.as_str()) != source && self.fits(now, host, server))
            .min_by_key(|host| self.load(host, !self.settings.herding))
            .cloned()
    }

    fn fits(&self, now: Duration, host: &str, server: Uuid) -> bool {
        let Some(compute) = self.computes.get(host) else { return false };
        let wanted = self.servers.get(&server).map_or(0, |server| server.flavor.vcpus());
        let room = self.settings.vcpus_per_host.saturating_sub(self.load(host, true));
        let meets = self.kept_apart(server).any(|other| {
            self.servers.get(&other).is_some_and(|other| other.host.as_deref() == Some(host))
        });
        let own = self.servers.get(&server).and_then(|server| server.host.as_ref());
        let own = own.and_then(|host| self.computes.get(host));
        let in_cell = own.is_none_or(|own| own.cell == compute.cell);
        compute.enabled && self.is_up(now, compute) && wanted <= room && !meets && in_cell
    }

    /// Members of this server's groups whose policy is `anti-affinity`, without itself.
    pub(super) fn kept_apart(&self, server: Uuid) -> impl Iterator<Item = Uuid> {
        let of = self.groups.iter().filter(move |group| {
            group.policy == "anti-affinity" && group.members.contains(&server)
        });
        let members = of.flat_map(|group| group.members.iter().copied());
        members.filter(move |other| *other != server)
    }

    /// vCPUs on a host; `claims` counts servers on their way to it too.
    pub(super) fn load(&self, host: &str, claims: bool) -> u32 {
        let here =
            |id: &Uuid| self.servers.get(id).is_some_and(|s| s.host.as_deref() == Some(host));
        let settled: u32 = self
            .servers
            .values()
            .filter(|server| here(&server.id))
            .map(|server| server.flavor.vcpus())
            .sum();
        if !claims {
            return settled;
        }
        let coming = self.due.values().filter_map(|step| {
            if let Step::Message { host: to, message: Message::Rebuild(rebuild) } = step {
                (to == host).then_some(rebuild.server)
            } else {
                None
            }
        });
        let spawning = self.spawning.keys().filter(|(to, _)| to == host).map(|(_, id)| *id);
        let claimed: u32 = coming
            .chain(spawning)
            .filter(|id| !here(id))
            .filter_map(|id| self.servers.get(&id))
            .map(|server| server.flavor.vcpus())
            .sum();
        settled + claimed
    }

    pub(super) fn set_status(&mut self, migration: u64, status: MigrationStatus) {
        if let Some(migration) = self.migrations.get_mut(&migration) {
            migration.status = status;
        }
    }
}

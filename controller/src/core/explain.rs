//! `hactl policy explain SERVER`: which rule of the policy decides what for a server, as it is in Nova now.

use std::fmt::Write as _;

use api::{Done, Failure};
use uuid::Uuid;

use super::leading::Asked;
use super::orders::refused;
use crate::core::Controller;
use crate::effect::{Effect, Ticket};
use crate::nova::{Call, Reply, ServerRecord};

impl Controller {
    /// Reads the server, and answers when it has come. Nothing is committed.
    pub(super) fn explain(&mut self, ticket: Ticket, server: &str, out: &mut Vec<Effect>) {
        let id = Uuid::try_parse(server);
        let why = match (id, self.settings.nova) {
            (_, false) => "no Nova is configured".to_owned(),
            (Err(_), _) => {
                format!("{server:?} is no server's id: `openstack server show NAME -c id` shows it")
            }
            (Ok(server), true) => {
                // The aggregates, for rules about them.
                self.cloud_is_known();
                self.ask_nova(Asked::Explain(ticket), Call::Server { server });
                return;
            }
        };
        out.push(Effect::Answer { ticket, result: Err(refused(why)) });
    }

    /// Nova answered about the server.
    pub(super) fn explained(&mut self, ticket: Ticket, reply: Reply, out: &mut Vec<Effect>) {
        let result = match reply {
            Reply::Server(Some(server)) => Ok(Done { index: 0, said: self.explanation(&server) }),
            Reply::Server(None) => {
                Err(refused("Nova knows no such server, or hides it from us".to_owned()))
            }
            Reply::ReadFailed(failure) => Err(refused(format!("Nova did not say: {failure}"))),
            Reply::Service(_)
            | Reply::Services(_)
            | Reply::Servers(_)
            | Reply::Migrations(_)
            | Reply::Actions(_)
            | Reply::Hypervisors(_)
            | Reply::Aggregates(_)
            | Reply::Groups(_)
            | Reply::Images(_)
            | Reply::Written(_) => {
                Err(Failure::Unknown { look: "another answer than asked for".to_owned() })
            }
        };
        out.push(Effect::Answer { ticket, result });
    }

    fn explanation(&self, server: &ServerRecord) -> String {
        let host = server.host.clone().unwrap_or_default();
        let decision = self.decision(&host, server);
        let labels = &server.labels;
        let mut said =
            format!("{} on {}\n", server.name, if host.is_empty() { "no host" } else { &host });
        for because in &decision.because {
            let _ =
                writeln!(said, "  {:<9} {:<9} by {}", because.setting, because.value, because.rule);
        }
        if decision.treatment.wait_s > 0 {
            let _ =
                writeln!(said, "  the next order waits {} s after it", decision.treatment.wait_s);
        }
        if !decision.overridden.is_empty() {
            let _ =
                writeln!(said, "  overridden by finer rules: {}", decision.overridden.join(", "));
        }
        let _ = write!(
            said,
            "looked at: project {}, zone {}, flavor {}, image {}, {} metadata, {} tags",
            labels.project,
            labels.zone,
            labels.flavor,
            if labels.image.is_empty() { "none (volume)" } else { &labels.image },
            labels.metadata.len(),
            labels.tags.len()
        );
        if let Some(why) = self.images_unread() {
            let _ = write!(said, "\nlabels of images are not read: {why}");
        }
        said
    }
}

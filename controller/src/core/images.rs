//! Which images carry InstanceHA's label. Nova does not show it with a server, so Glance is asked.
//!
//! Glance is not Nova: its silence stops no fence, and a recovery waits for it only a while. What a policy that selects by
//! labels cannot know it leaves, and says so; see [`ImageLabel::Unread`].

use std::collections::BTreeSet;
use std::time::Duration;

use api::{Doubt, Weight};

use super::leading::Asked;
use crate::core::Controller;
use crate::effect::Effect;
use crate::nova::{Call, Labels, ReadFailure, Reply};
use crate::policy::{EVACUABLE, ImageLabel, LabelUse};

/// They are read along with the room of the hosts, each second time: what a plan needs is then mostly there.
const READ_EVERY: Duration = Duration::from_secs(45);
/// A plan may rest on what was read so long ago; InstanceHA keeps its own list as long. Within it Glance may be away.
const FRESH: Duration = Duration::from_secs(300);
/// Glance has to answer within this time.
const ANSWERS: Duration = Duration::from_secs(10);
/// Pause after it did not.
const AGAIN: Duration = Duration::from_secs(5);
/// Pause after it refused: a person has to mend that, and a token is fetched anew each time.
const REFUSED_AGAIN: Duration = Duration::from_secs(60);
/// A plan of a policy that selects waits so long for a Glance that does not answer: as long as a proxy takes to find
/// another one.
const PATIENCE: Duration = Duration::from_secs(30);

/// What this leader has read of Glance.
#[derive(Debug, Default)]
pub(super) struct Images {
    labelled: BTreeSet<String>,
    read_at: Option<Duration>,
    out: bool,
    not_before: Option<Duration>,
    trouble: Option<Trouble>,
    /// Whether the trouble was told.
    told: bool,
}

/// Why there is no answer.
#[derive(Debug)]
struct Trouble {
    since: Duration,
    why: String,
    /// It does not pass by itself.
    refused: bool,
}

impl Images {
    fn age(&self, now: Duration) -> Option<Duration> {
        self.read_at.map(|at| now.saturating_sub(at))
    }

    fn is_fresh(&self, now: Duration) -> bool {
        self.age(now).is_some_and(|age| age < FRESH)
    }

    /// Whether nobody waits for an answer any more.
    fn is_given_up(&self, now: Duration) -> bool {
        let trouble = self.trouble.as_ref();
        trouble.is_some_and(|t| t.refused || now.saturating_sub(t.since) >= PATIENCE)
    }
}

impl Controller {
    fn how_images_count(&self) -> LabelUse {
        if self.settings.nova { self.settings.recovery.policy.instanceha } else { LabelUse::Off }
    }

    /// Reads them again where that is due.
    pub(super) fn refresh_images(&mut self) {
        let (now, how) = (self.now, self.how_images_count());
        let Some(leading) = &mut self.leading else { return };
        let images = &mut leading.images;
        let young = images.age(now).is_some_and(|age| age < READ_EVERY);
        let paused = images.not_before.is_some_and(|at| at > now);
        if how == LabelUse::Off || young || paused || images.out {
            return;
        }
        images.out = true;
        let call = Call::Images { label: EVACUABLE.to_owned() };
        self.ask_nova_within(Asked::Images, call, ANSWERS);
    }

    /// Whether a plan need not wait for them: they are known, or not wanted, or Glance had its time. Where the label only
    /// orders VMs nobody waits for a second answer.
    pub(super) fn images_are_known(&mut self) -> bool {
        let (now, how) = (self.now, self.how_images_count());
        let is_fresh = |images: &Images| images.is_fresh(now);
        if how == LabelUse::Off || self.leading.as_ref().is_some_and(|l| is_fresh(&l.images)) {
            return true;
        }
        self.refresh_images();
        let Some(leading) = &self.leading else { return false };
        let images = &leading.images;
        images.is_given_up(now) || how == LabelUse::Order && images.trouble.is_some()
    }

    /// Glance answered, or did not.
    pub(super) fn images_answered(&mut self, reply: Reply, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(leading) = &mut self.leading else { return };
        let images = &mut leading.images;
        images.out = false;
        let failure = match reply {
            Reply::Images(labelled) => {
                (images.labelled, images.read_at) = (labelled, Some(now));
                (images.trouble, images.not_before) = (None, None);
                if std::mem::take(&mut images.told) {
                    out.push(Effect::journal("nova", "labels of images are read again"));
                }
                return;
            }
            Reply::ReadFailed(failure) => failure,
            Reply::Service(_)
            | Reply::Services(_)
            | Reply::Servers(_)
            | Reply::Server(_)
            | Reply::Migrations(_)
            | Reply::Actions(_)
            | Reply::Hypervisors(_)
            | Reply::Aggregates(_)
            | Reply::Groups(_)
            | Reply::Written(_) => return,
        };
        let refused = !matches!(failure, ReadFailure::Unavailable(_));
        images.not_before = Some(now + if refused { REFUSED_AGAIN } else { AGAIN });
        let since = images.trouble.as_ref().map_or(now, |trouble| trouble.since);
        let why = format!("Glance: {}", failure.why());
        images.trouble = Some(Trouble { since, why, refused });
        self.tell_of_images(out);
    }

    /// Tells once that nobody waits for them any more.
    pub(super) fn tell_of_images(&mut self, out: &mut Vec<Effect>) {
        let (now, how) = (self.now, self.how_images_count());
        let Some(leading) = &mut self.leading else { return };
        let images = &mut leading.images;
        let Some(trouble) = &images.trouble else { return };
        let kept = images.is_fresh(now) && !trouble.refused;
        if images.told || kept || !images.is_given_up(now) {
            return;
        }
        let text = format!("labels of images are not read: {}; {}", trouble.why, what_lacks(how));
        images.told = true;
        out.push(match how {
            LabelUse::Select => Effect::page("nova", text),
            LabelUse::Order | LabelUse::Off => Effect::journal("nova", text),
        });
    }

    /// What is known of the label of a server's image.
    pub(super) fn image_label(&self, labels: &Labels) -> ImageLabel {
        if labels.image.is_empty() || self.how_images_count() == LabelUse::Off {
            return ImageLabel::Lacks;
        }
        let images = self.leading.as_ref().map(|leading| &leading.images);
        match images.filter(|images| images.is_fresh(self.now)) {
            Some(images) if images.labelled.contains(&labels.image) => ImageLabel::Has,
            Some(_) => ImageLabel::Lacks,
            None => ImageLabel::Unread,
        }
    }

    /// Why the labels of images are not known, where they count.
    pub(super) fn images_unread(&self) -> Option<String> {
        let images = &self.leading.as_ref()?.images;
        if self.how_images_count() == LabelUse::Off || images.is_fresh(self.now) {
            return None;
        }
        let trouble = images.trouble.as_ref().map(|trouble| trouble.why.clone());
        Some(trouble.unwrap_or_else(|| "Glance has not answered yet".to_owned()))
    }

    /// The same as a doubt, once it was told.
    pub(super) fn doubt_of_images(&self) -> Option<Doubt> {
        let how = self.how_images_count();
        let images = &self.leading.as_ref()?.images;
        let trouble = images.trouble.as_ref().filter(|_| images.told && how != LabelUse::Off)?;
        let weight = if how == LabelUse::Select { Weight::AtRisk } else { Weight::Note };
        let what = format!("labels of images are not read: {}; {}", trouble.why, what_lacks(how));
        let remedy = "mend Glance, its endpoint in the catalog, or the credential's right to list images \
                      (glance-policy.py); or evacuable = \"off\" in the policy";
        Some(Doubt { weight, what, remedy: remedy.to_owned() })
    }
}

fn what_lacks(how: LabelUse) -> &'static str {
    match how {
        LabelUse::Select => "VMs that have the label by their image alone are left behind",
        LabelUse::Order | LabelUse::Off => {
            "VMs that have the label by their image alone do not go first"
        }
    }
}

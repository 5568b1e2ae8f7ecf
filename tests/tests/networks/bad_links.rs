//! Three links that are bad in three ways at once, each of a node and on a network of its own: one loses most of what its
//! node should get, one is slow and out of order, one is off and on. None of the first two is down; the third is, each
//! time, and up again; and nobody else is anything.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};

use super::cables::{Cables, NETWORKS, Way};
use super::cluster::Cluster;
use super::journal::{Place, Said, What, said_since};
use super::slow::Slow;

const LOSSY: Link = Link { node: "node-3", host: "n3", network: "tenant" };
const SLOW: Link = Link { node: "node-5", host: "n5", network: "management" };
const FLAPPING: Link = Link { node: "node-1", host: "n1", network: "storage" };

/// Of a hundred datagrams that the lossy link should bring, so many are lost.
const LOST: u8 = 80;
/// What the slow link takes for a datagram, each way.
const TAKES: Range<Duration> = Duration::from_millis(100)..Duration::from_millis(500);
/// The flapping link is off for so long, and on for so long.
const SPELL: Duration = Duration::from_secs(20);
/// So often.
const SPELLS: u32 = 3;
/// The others are mended with the end of this spell: after a minute.
const OTHERS_UNTIL: u32 = 2;
/// A link that is mended is well after this time.
const BACK: Duration = Duration::from_secs(2);
/// It is looked on for so long after the last one was mended.
const AFTER: Duration = Duration::from_secs(3);
/// Between two looks at what is shown.
const LOOK: Duration = Duration::from_millis(250);

/// A node's link to a network.
#[derive(Clone, Copy)]
struct Link {
    node: &'static str,
    host: &'static str,
    network: &'static str,
}

impl Link {
    fn place(self) -> Place {
        (self.node.to_owned(), self.network.to_owned())
    }
}

/// From when until when a link was bad.
type Spells = BTreeMap<Place, Vec<Range<SystemTime>>>;

/// Plays them, and tells what was judged in the words of the golden file.
pub(crate) fn play(cables: &Cables, cluster: &Cluster) -> Result<String> {
    eprintln!("three links are bad at once");
    let began = SystemTime::now();
    let mut shown = BTreeSet::new();
    let mut spells = Spells::new();
    let mut mend = |link: Link, since: SystemTime| {
        spells.entry(link.place()).or_default().push(since..SystemTime::now());
    };
    cables.lose(LOSSY.host, LOSSY.network, Way::In, LOST)?;
    let mut slow = Some(Slow::lay(SLOW.host, SLOW.network, TAKES)?);
    let mut until = Instant::now();
    for spell in 1..=SPELLS {
        let pulled = SystemTime::now();
        cables.pull(FLAPPING.host, FLAPPING.network)?;
        until += SPELL;
        look_on(cluster, until, &mut shown);
        cables.plug(FLAPPING.host, FLAPPING.network)?;
        mend(FLAPPING, pulled);
        if let Some(slow) = slow.take_if(|_| spell == OTHERS_UNTIL) {
            cables.lose_nothing()?;
            mend(LOSSY, began);
            let carried = slow.mend()?;
            mend(SLOW, began);
            eprintln!("    the slow link: {carried:?}");
            ensure!(carried.overtaken > 0, "the slow link kept its order");
        }
        until += if spell < SPELLS { SPELL } else { AFTER };
        look_on(cluster, until, &mut shown);
    }
    let said = said_since(began, cluster.journals())?;
    let courses = courses(&said);
    courses.iter().for_each(|(place, course)| course.print(place, began, spells.get(place)));
    let leaders = said.iter().map(|said| said.by).collect::<BTreeSet<_>>().len();
    Ok(Tale { courses, shown, spells, leaders }.told())
}

/// Notes what `hactl nodes` shows until then, of whatever is not simply up.
fn look_on(cluster: &Cluster, until: Instant, shown: &mut BTreeSet<(Place, &'static str)>) {
    while Instant::now() < until {
        // A leader that gives its role up answers nothing for a moment; the journal tells what was missed.
        for (place, network) in cluster.nodes().unwrap_or_default() {
            let words = [
                ("down", network["reach"] == "down"),
                ("degraded", !network["degraded"].is_null()),
                ("flaps", !network["flapping"].is_null()),
            ];
            let is = words.into_iter().filter(|(_, is)| *is);
            shown.extend(is.map(|(word, _)| (place.clone(), word)));
        }
        std::thread::sleep(LOOK);
    }
}

/// What was said of a node on a network. Each leader judges by itself, so times are with who said it.
#[derive(Default)]
struct Course {
    degraded: Vec<(SystemTime, usize)>,
    down: Vec<(SystemTime, usize)>,
    unknown: Vec<(SystemTime, usize)>,
    /// Well again, or up again.
    back: Vec<(SystemTime, usize)>,
    flaps: bool,
    /// Its row asked for a fence while it was down here.
    fence: bool,
    is: BTreeMap<usize, char>,
}

fn courses(said: &[Said]) -> BTreeMap<Place, Course> {
    let mut courses = BTreeMap::<Place, Course>::new();
    for Said { at, by, node, what } in said {
        let place = |network: &str| (node.clone(), network.to_owned());
        let said = (*at, *by);
        match what {
            What::Degraded(on) => courses.entry(place(on)).or_default().degraded.push(said),
            What::Well(on) => courses.entry(place(on)).or_default().back.push(said),
            What::Flaps(on) => courses.entry(place(on)).or_default().flaps = true,
            What::Reach(letters) => {
                for (letter, on) in letters.chars().zip(NETWORKS) {
                    courses.entry(place(on)).or_default().turn(said, letter);
                }
            }
            What::Fence => {
                for (_, course) in courses.iter_mut().filter(|((of, _), _)| of == node) {
                    course.fence |= course.is.get(by) == Some(&'-');
                }
            }
        }
    }
    courses
}

impl Course {
    fn turn(&mut self, said: (SystemTime, usize), letter: char) {
        let was = self.is.insert(said.1, letter);
        match (was, letter) {
            (was, now) if was == Some(now) => {}
            (_, '-') => self.down.push(said),
            (_, '?') => self.unknown.push(said),
            (Some(_), _) => self.back.push(said),
            // It was up before the first word of it.
            (None, _) => {}
        }
    }

    /// What was judged, but for the times.
    fn words(&self, spells: &[Range<SystemTime>], leaders: usize) -> Vec<String> {
        let once = |said: &[(SystemTime, usize)], word: &str| match most_by_one(said) {
            0 => None,
            1 => Some(format!("{word} once")),
            times => Some(format!("{word} {times} times")),
        };
        let (judged, wrongly) = self.downs(spells);
        let downs = format!("down once in each of {judged} spells");
        // A new leader does not know how often it was down before.
        let flaps = self.flaps || (leaders > 1 && spells.len() > 1);
        let words = [
            once(&self.degraded, "degraded"),
            (judged > 0).then_some(downs),
            once(&wrongly, "down again, or while it was not off,"),
            flaps.then(|| "flaps".to_owned()),
            self.fence.then(|| "its row asks for a fence".to_owned()),
        ];
        words.into_iter().flatten().collect()
    }

    /// In how many spells it was judged down; and when else, by the same leader once more or outside of them.
    fn downs(&self, spells: &[Range<SystemTime>]) -> (usize, Vec<(SystemTime, usize)>) {
        let (mut known, mut judged, mut wrongly) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for (at, by) in &self.down {
            match spells.iter().position(|spell| spell.contains(at)) {
                Some(spell) if known.insert((spell, *by)) => drop(judged.insert(spell)),
                Some(_) | None => wrongly.push((*at, *by)),
            }
        }
        (judged.len(), wrongly)
    }

    /// How long after each spell it was well or up again, if it was.
    fn backs(&self, spells: &[Range<SystemTime>]) -> Vec<Option<Duration>> {
        let after = |spell: &Range<SystemTime>| {
            self.back.iter().find_map(|(at, _)| at.duration_since(spell.end).ok())
        };
        spells.iter().map(after).collect()
    }

    fn print(
        &self,
        (node, network): &Place,
        began: SystemTime,
        spells: Option<&Vec<Range<SystemTime>>>,
    ) {
        let seconds = |said: &[(SystemTime, usize)]| {
            let since = said.iter().map(|(at, _)| at.duration_since(began).unwrap_or_default());
            since.map(|since| format!("{:.1}", since.as_secs_f64())).collect::<Vec<_>>().join(", ")
        };
        let backs = self.backs(spells.map_or(&[], Vec::as_slice)).into_iter().map(|back| {
            back.map_or("never".to_owned(), |back| format!("{:.2} s", back.as_secs_f64()))
        });
        if !self.degraded.is_empty() || !self.down.is_empty() || !self.unknown.is_empty() {
            eprintln!(
                "    {node} on {network}: degraded [{}], down [{}], unknown [{}]; well [{}] after it was mended",
                seconds(&self.degraded),
                seconds(&self.down),
                seconds(&self.unknown),
                backs.collect::<Vec<_>>().join(", ")
            );
        }
    }
}

/// How often one and the same leader said it, at most.
fn most_by_one(said: &[(SystemTime, usize)]) -> usize {
    let of = |one: usize| said.iter().filter(|(_, by)| *by == one).count();
    said.iter().map(|(_, by)| of(*by)).max().unwrap_or(0)
}

/// All that the golden file tells of.
struct Tale {
    courses: BTreeMap<Place, Course>,
    shown: BTreeSet<(Place, &'static str)>,
    spells: Spells,
    leaders: usize,
}

impl Tale {
    fn told(&self) -> String {
        format!(
            "four fifths of what node-3 should get on tenant are lost, for 60 s\n    {}\n\
             what node-5 sends and gets on management takes 0.1 to 0.5 s and overtakes, for the same 60 s\n    {}\n\
             node-1 is off storage for 20 s and on it for 20 s, three times, from the same moment on\n    {}\n\
             what is judged of anything else meanwhile\n    {}\n",
            self.of(LOSSY),
            self.of(SLOW),
            self.of(FLAPPING),
            self.of_others()
        )
    }

    fn of(&self, link: Link) -> String {
        let place = link.place();
        let spells = self.spells.get(&place).map_or(&[][..], Vec::as_slice);
        let Some(course) = self.courses.get(&place) else { return "nothing".to_owned() };
        let mut words = course.words(spells, self.leaders);
        let judged = [
            ("degraded", !course.degraded.is_empty()),
            ("down", !course.down.is_empty()),
            ("flaps", course.flaps),
        ];
        for (word, _) in judged.into_iter().filter(|(_, is)| *is) {
            if !self.shown.contains(&(place.clone(), word)) {
                words.push(format!("not shown as {word}"));
            }
        }
        let backs = course.backs(spells);
        let in_time = |back: &Option<Duration>| back.is_some_and(|back| back <= BACK);
        words.push(match backs.iter().all(in_time) {
            true => format!("well within {} s after it was mended", BACK.as_secs()),
            false => format!("after it was mended well again after {backs:?}"),
        });
        words.join("; ")
    }

    /// Of who has a good link: that it is down. A machine that stands still for a moment loses pings too, and is then
    /// degraded with reason.
    fn of_others(&self) -> String {
        let ours = [LOSSY, SLOW, FLAPPING].map(Link::place);
        let others = self.courses.iter().filter(|(place, _)| !ours.contains(place));
        let judged = others.filter(|(_, course)| !course.down.is_empty());
        let words: Vec<String> = judged
            .map(|((node, network), course)| {
                format!("{node} on {network}: {}", course.words(&[], self.leaders).join(", "))
            })
            .collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join("; ") }
    }
}

//! One suspect on one network, and the judgement of its observers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use action_matrix::Reach;
use gossip::witness::Report;
use uuid::Uuid;

pub use gossip::witness::T_OBS;

/// A report counts while the ask that it quotes is at most this old.
const ASK_FRESH: Duration = Duration::from_millis(1500);
/// Asks remembered: renewed twice a second, so that three are fresh.
const ASKS: usize = 8;
/// Witnesses that must agree where there are as many.
const WITNESSES: usize = 3;
/// Controllers that must agree.
const CONTROLLERS: usize = 2;

/// A suspect.
#[derive(Clone, Debug)]
pub struct Case {
    /// When the case was opened.
    pub opened: Duration,
    /// Witnesses drawn for it. None is ever replaced because of its vote.
    pub witnesses: Vec<Uuid>,
    /// Whether the cluster has one controller: then its own word has to do.
    pub alone: bool,
    asks: VecDeque<(u64, Duration)>,
    reports: BTreeMap<Uuid, (Duration, Report)>,
    is_silent: bool,
    is_down: bool,
    silent_since: Option<Duration>,
    up_since: Option<Duration>,
}

/// What one observer says, for the verdict's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observer {
    /// Controller or node.
    pub id: Uuid,
    /// Whether it is a controller.
    pub controller: bool,
    /// Whether it has a voice.
    pub sound: bool,
    /// Whether any of its pings was answered since the case was opened.
    pub answered: bool,
    /// How long its pings have not been answered.
    pub unanswered: Duration,
}

impl Observer {
    fn cannot_reach(&self) -> bool {
        self.unanswered >= T_OBS
    }

    /// Silence that is short yet is no answer.
    fn reaches(&self) -> bool {
        self.answered && !self.cannot_reach()
    }
}

impl Case {
    /// Opens a case.
    pub fn new(now: Duration, witnesses: Vec<Uuid>) -> Self {
        Self {
            opened: now,
            witnesses,
            alone: false,
            asks: VecDeque::new(),
            reports: BTreeMap::new(),
            is_silent: false,
            is_down: false,
            silent_since: None,
            up_since: None,
        }
    }

    /// The ask was sent under this number.
    pub fn asked(&mut self, now: Duration, ask: u64) {
        self.asks.push_back((ask, now));
        if self.asks.len() > ASKS {
            self.asks.pop_front();
        }
    }

    /// When the last ask was sent.
    pub fn last_asked(&self) -> Option<(u64, Duration)> {
        self.asks.back().copied()
    }

    /// Takes a report. One that quotes no ask of this case is dropped.
    pub fn reported(&mut self, now: Duration, report: Report) {
        if self.asks.iter().any(|(ask, _)| *ask == report.ask) {
            self.reports.insert(report.observer, (now, report));
        }
    }

    /// The observers whose reports are fresh. `controller` tells for an id whether it is one and, if so, whether its last
    /// sweep was sound; a witness is judged by its own control group.
    pub fn observers(
        &self,
        now: Duration,
        controller: impl Fn(Uuid) -> Option<bool>,
    ) -> Vec<Observer> {
        let fresh = |ask: u64| {
            self.asks
                .iter()
                .any(|(known, sent)| *known == ask && now.saturating_sub(*sent) <= ASK_FRESH)
        };
        self.reports
            .values()
            .filter(|(_, report)| fresh(report.ask))
            .filter_map(|(at, report)| {
                let silent = Duration::from_millis(u64::from(report.unanswered_ms));
                // A report ages: an observer that could not reach the suspect then cannot reach it since longer now.
                let aged = if silent >= T_OBS { silent + now.saturating_sub(*at) } else { silent };
                let (id, unanswered) = (report.observer, aged);
                let answered = report.answers > 0;
                let seen =
                    |controller, sound| Observer { id, controller, sound, answered, unanswered };
                match controller(id) {
                    Some(sound) => Some(seen(true, sound)),
                    None if self.witnesses.contains(&id) => Some(seen(false, report.is_sound())),
                    None => None,
                }
            })
            .collect()
    }

    /// The judgement: `Some(Up)` or `Some(Down)`, or `None` while the observers leave it open. `hold` is S, `controllers`
    /// is how many controllers are sound there, `lost` how many of the witnesses are suspects that no majority of the
    /// controllers reaches either: a witness that died with the suspect cannot be waited for.
    pub fn judge(
        &mut self,
        now: Duration,
        observers: &[Observer],
        hold: Duration,
        controllers: usize,
        lost: usize,
    ) -> Option<Reach> {
        let sound = |controller: bool| {
            observers.iter().filter(move |seen| seen.sound && seen.controller == controller)
        };
        let blind = |controller: bool| sound(controller).filter(|seen| seen.cannot_reach()).count();
        let answering = sound(false).count();
        let least = if self.alone { 1 } else { CONTROLLERS };
        let one = mutants::is_on(mutants::Mutant::M15);
        let needed = if one { 1 } else { least.max(controllers / 2 + 1) };
        let by_controllers = blind(true) >= needed;
        self.is_silent = by_controllers;
        let there = self.witnesses.len().saturating_sub(lost);
        let enough = if one { 1 } else { WITNESSES.min(there) };
        let agreeing = blind(false);
        let by_witnesses = there == 0
            || answering >= enough && agreeing >= enough && (one || agreeing > answering / 2);
        let down = by_controllers && by_witnesses;
        let reaching = sound(true).filter(|seen| seen.reaches()).count();
        let all_witnesses =
            answering >= enough && enough > 0 && sound(false).all(|seen| seen.reaches());
        let up = reaching > controllers / 2 || all_witnesses;
        self.silent_since = down.then(|| self.silent_since.unwrap_or(now));
        self.up_since = (up && !down).then(|| self.up_since.unwrap_or(now));
        self.is_down = self.silent_since.is_some_and(|since| now.saturating_sub(since) >= hold);
        if self.is_down {
            return Some(Reach::Down);
        }
        self.up_since.map(|_| Reach::Up)
    }

    /// Whether a majority of the sound controllers cannot reach the suspect now, whatever the witnesses say.
    pub fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Whether the observers agreed at the last judgement that it is down, and S has begun.
    pub fn holds(&self) -> bool {
        self.silent_since.is_some()
    }

    /// When S is over if nobody says otherwise until then; `None` while it has not begun, and after it.
    pub fn hold_ends(&self, hold: Duration) -> Option<Duration> {
        self.silent_since.filter(|_| !self.is_down).map(|since| since + hold)
    }

    /// Whether the last judgement was Down.
    pub fn is_down(&self) -> bool {
        self.is_down
    }

    /// How long the suspect has been answering without a break.
    pub fn up_for(&self, now: Duration) -> Option<Duration> {
        self.up_since.map(|since| now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_millis(1500);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn observer(n: u128, controller: bool, unanswered: u64) -> Observer {
        let (id, unanswered) = (Uuid::from_u128(n), ms(unanswered));
        Observer { id, controller, sound: true, answered: true, unanswered }
    }

    fn witnesses(n: u128) -> Vec<Uuid> {
        (0..n).map(|n| Uuid::from_u128(10 + n)).collect()
    }

    /// Three controllers and five witnesses; the first numbers of each cannot reach the suspect.
    fn seen(controllers_blind: u128, witnesses_blind: u128) -> Vec<Observer> {
        let silent = |blind: bool| if blind { 2000 } else { 0 };
        let controllers = (0..3).map(|n| observer(n, true, silent(n < controllers_blind)));
        let others = (0..5).map(|n| observer(10 + n, false, silent(n < witnesses_blind)));
        controllers.chain(others).collect()
    }

    fn judged_after(hold: u64, observers: &[Observer]) -> Option<Reach> {
        let mut case = Case::new(ms(0), witnesses(5));
        case.judge(ms(0), observers, HOLD, 3, 0);
        case.judge(ms(hold), observers, HOLD, 3, 0)
    }

    #[test]
    fn down_needs_both_majorities_for_the_whole_hold() {
        assert_eq!(judged_after(1500, &seen(2, 3)), Some(Reach::Down));
        assert_eq!(judged_after(1499, &seen(2, 3)), None);
        assert_ne!(judged_after(9999, &seen(1, 5)), Some(Reach::Down));
        assert_ne!(judged_after(9999, &seen(3, 2)), Some(Reach::Down));
    }

    #[test]
    fn up_needs_a_majority_of_the_controllers_or_all_witnesses() {
        assert_eq!(judged_after(0, &seen(1, 5)), Some(Reach::Up));
        assert_eq!(judged_after(0, &seen(3, 0)), Some(Reach::Up));
        assert_eq!(judged_after(0, &seen(2, 1)), None);
    }

    #[test]
    fn an_observer_that_is_not_sound_has_no_voice() {
        let mut observers = seen(2, 3);
        observers.iter_mut().filter(|seen| !seen.controller).for_each(|seen| seen.sound = false);
        assert_ne!(judged_after(9999, &observers), Some(Reach::Down));
    }

    #[test]
    fn a_break_begins_the_hold_again() {
        let mut case = Case::new(ms(0), witnesses(5));
        case.judge(ms(0), &seen(3, 5), HOLD, 3, 0);
        case.judge(ms(1000), &seen(3, 0), HOLD, 3, 0);
        case.judge(ms(1100), &seen(3, 5), HOLD, 3, 0);
        assert_ne!(case.judge(ms(2500), &seen(3, 5), HOLD, 3, 0), Some(Reach::Down));
        assert_eq!(case.judge(ms(2600), &seen(3, 5), HOLD, 3, 0), Some(Reach::Down));
    }

    #[test]
    fn who_has_not_answered_yet_is_neither_up_nor_down() {
        let mut case = Case::new(ms(0), witnesses(5));
        let mut asked = seen(0, 0);
        asked.iter_mut().for_each(|observer| observer.answered = false);
        assert_eq!(case.judge(ms(100), &asked, HOLD, 3, 0), None);
        asked[0].answered = true;
        assert_eq!(case.judge(ms(200), &asked, HOLD, 3, 0), None);
        asked[1].answered = true;
        assert_eq!(case.judge(ms(300), &asked, HOLD, 3, 0), Some(Reach::Up));
    }

    #[test]
    fn in_a_small_cluster_all_witnesses_there_are_must_agree() {
        let mut case = Case::new(ms(0), witnesses(2));
        let mut observers = seen(3, 1);
        observers.retain(|seen| seen.controller || seen.id.as_u128() < 12);
        case.judge(ms(0), &observers, HOLD, 3, 0);
        assert_ne!(case.judge(ms(5000), &observers, HOLD, 3, 0), Some(Reach::Down));
    }

    #[test]
    fn witnesses_that_died_with_the_suspect_are_not_waited_for() {
        let mut case = Case::new(ms(0), witnesses(3));
        let mut observers = seen(3, 5);
        observers.retain(|seen| seen.controller || seen.id.as_u128() < 12);
        case.judge(ms(0), &observers, HOLD, 3, 0);
        assert_eq!(case.judge(ms(2000), &observers, HOLD, 3, 0), None);
        assert!(case.is_silent());
        case.judge(ms(3000), &observers, HOLD, 3, 1);
        assert_eq!(case.judge(ms(4500), &observers, HOLD, 3, 1), Some(Reach::Down));
    }

    #[test]
    fn a_report_that_quotes_an_old_ask_does_not_count() {
        let mut case = Case::new(ms(0), witnesses(1));
        case.asked(ms(0), 7);
        let report = Report {
            ask: 7,
            asked_by: Uuid::nil(),
            observer: Uuid::from_u128(10),
            suspect: Uuid::nil(),
            boot: Uuid::nil(),
            boot_seen: None,
            unanswered_ms: 1600,
            answers: 0,
            control_asked: 3,
            control_silent: 0,
        };
        case.reported(ms(100), report);
        assert_eq!(case.observers(ms(1500), |_| None).len(), 1);
        assert_eq!(case.observers(ms(1501), |_| None).len(), 0);
        case.reported(ms(100), Report { ask: 8, observer: Uuid::from_u128(11), ..report });
        assert_eq!(case.observers(ms(1000), |_| None).len(), 1);
    }
}

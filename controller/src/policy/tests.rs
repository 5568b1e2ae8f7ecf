use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const HOST: &str = "compute-1";

fn decide_with(policy: &Policy, labels: &Labels, aggregates: &[AggregateRecord]) -> Decision {
    decide_of(policy, labels, aggregates, ImageLabel::Lacks)
}

fn decide_of(
    policy: &Policy,
    labels: &Labels,
    aggregates: &[AggregateRecord],
    image: ImageLabel,
) -> Decision {
    policy.decide(&Subject { server: Uuid::from_u128(1), labels, host: HOST, aggregates, image })
}

fn decide(policy: &Policy, labels: &Labels) -> Decision {
    decide_with(policy, labels, &[])
}

fn subject(labels: &Labels) -> Subject<'_> {
    let (server, image) = (Uuid::nil(), ImageLabel::Lacks);
    Subject { server, labels, host: HOST, aggregates: &[], image }
}

fn labels() -> Labels {
    Labels {
        project: "p1".into(),
        zone: "az1".into(),
        flavor: "m1".into(),
        image: "i1".into(),
        metadata: BTreeMap::from([("tier".into(), "db".into())]),
        tags: BTreeSet::from(["gold".into()]),
        ..Labels::default()
    }
}

fn rule(name: &str, wish: Wish, change: impl FnOnce(&mut Match)) -> Rule {
    let mut condition = Match::default();
    change(&mut condition);
    let setting = Setting { wish: Some(wish), ..Setting::default() };
    Rule { name: name.into(), condition, setting }
}

#[test]
fn without_a_policy_everything_is_evacuated() {
    let decision = decide(&Policy::default(), &labels());
    assert_eq!(decision.treatment, Treatment::default());
}

#[test]
fn a_finer_rule_overrides_a_coarser_one_wherever_it_stands() {
    let finer = rule("db", Wish::Evacuate, |m| {
        m.metadata.insert("tier".into(), "db".into());
    });
    let coarser = rule("all of the project", Wish::Leave, |m| m.project = vec!["p1".into()]);
    for rules in [vec![finer.clone(), coarser.clone()], vec![coarser, finer]] {
        let decision = decide(&Policy { rules, ..Policy::default() }, &labels());
        assert_eq!(decision.treatment.wish, Wish::Evacuate);
        assert_eq!(decision.treatment.rule, "db");
        assert_eq!(decision.overridden, ["all of the project"]);
    }
}

#[test]
fn each_setting_is_overridden_by_itself() {
    let mut zone = rule("zone", Wish::Leave, |m| m.zone = vec!["az1".into()]);
    zone.setting.order = Some(10);
    let mut tag = rule("tag", Wish::Stop, |m| m.tag = vec!["gold".into(), "silver".into()]);
    tag.setting.wish = None;
    tag.setting.priority = Some(900);
    let waits = BTreeMap::from([(10, 60)]);
    let policy = Policy { rules: vec![zone, tag], waits, ..Policy::default() };
    let treatment = decide(&policy, &labels()).treatment;
    assert_eq!((treatment.wish, treatment.rule.as_str()), (Wish::Leave, "zone"));
    assert_eq!((treatment.priority, treatment.order, treatment.wait_s), (900, 10, 60));
}

#[test]
fn all_that_a_rule_looks_at_must_hold() {
    let both = rule("both", Wish::Leave, |m| {
        m.project = vec!["p1".into()];
        m.flavor = vec!["another".into()];
    });
    let policy = Policy { rules: vec![both], ..Policy::default() };
    assert_eq!(decide(&policy, &labels()).treatment.rule, DEFAULT);
}

#[test]
fn an_aggregate_is_that_of_the_host() {
    let of = rule("ssd", Wish::Leave, |m| m.aggregate = vec!["ssd".into()]);
    let policy = Policy { rules: vec![of], ..Policy::default() };
    let aggregate = |host: &str| AggregateRecord {
        name: "ssd".into(),
        zone: None,
        hosts: BTreeSet::from([host.to_owned()]),
        metadata: BTreeMap::new(),
    };
    let wish = |host| decide_with(&policy, &labels(), &[aggregate(host)]).treatment.wish;
    assert_eq!((wish(HOST), wish("compute-10")), (Wish::Leave, Wish::Evacuate));
}

#[test]
fn masakaris_label_orders_or_selects_as_it_did_there() {
    let with = |value: Option<&str>, masakari| {
        let mut labels = labels();
        labels.metadata.extend(value.map(|value| ("HA_Enabled".to_owned(), value.to_owned())));
        decide(&Policy { masakari, ..Policy::default() }, &labels).treatment
    };
    for value in ["1", "t", "TRUE", "on", "y", "Yes"] {
        assert_eq!(with(Some(value), LabelUse::Select).wish, Wish::Evacuate, "{value}");
        assert_eq!(with(Some(value), LabelUse::Order).priority, LABELLED_PRIORITY);
    }
    for value in [Some("no"), Some("2"), Some(""), None] {
        assert_eq!(with(value, LabelUse::Select).wish, Wish::Leave, "{value:?}");
        assert_eq!(with(value, LabelUse::Order), Treatment::default());
    }
    assert_eq!(with(Some("yes"), LabelUse::Off), Treatment::default());
}

#[test]
fn instancehas_label_is_read_from_flavor_server_and_aggregate() {
    let policy = Policy { instanceha: LabelUse::Select, ..Policy::default() };
    let yes = || BTreeMap::from([("trait:evacuable".to_owned(), "True".to_owned())]);
    assert_eq!(decide(&policy, &labels()).treatment.wish, Wish::Leave);
    let tagged = Labels { extra_specs: yes(), ..labels() };
    assert_eq!(decide(&policy, &tagged).treatment.wish, Wish::Evacuate);
    // The key that is the word itself decides alone.
    let mut denied = tagged.clone();
    denied.extra_specs.insert("evacuable".into(), "false".into());
    assert_eq!(decide(&policy, &denied).treatment.wish, Wish::Leave);
    let elsewhere = AggregateRecord {
        name: "ha".into(),
        zone: None,
        hosts: BTreeSet::from(["compute-9".to_owned()]),
        metadata: yes(),
    };
    assert_eq!(decide_with(&policy, &tagged, &[elsewhere]).treatment.wish, Wish::Leave);
}

#[test]
fn instancehas_label_on_the_image_counts_as_the_servers_own() {
    let of = |instanceha, image| {
        decide_of(&Policy { instanceha, ..Policy::default() }, &labels(), &[], image).treatment
    };
    let has = of(LabelUse::Select, ImageLabel::Has);
    assert_eq!((has.wish, has.rule.as_str()), (Wish::Evacuate, "label evacuable of its image"));
    assert_eq!(of(LabelUse::Order, ImageLabel::Has).priority, LABELLED_PRIORITY);
    assert_eq!(of(LabelUse::Select, ImageLabel::Lacks).wish, Wish::Leave);
    assert_eq!(of(LabelUse::Off, ImageLabel::Has), Treatment::default());
}

#[test]
fn an_image_of_which_nothing_is_known_moves_nobody_and_says_so() {
    let policy = Policy { instanceha: LabelUse::Select, ..Policy::default() };
    let of = |labels: &Labels, aggregates: &[AggregateRecord]| {
        decide_of(&policy, labels, aggregates, ImageLabel::Unread).treatment
    };
    let unread = of(&labels(), &[]);
    assert_eq!(unread.wish, Wish::Leave);
    assert!(unread.rule.contains("its image's labels were not read"), "{}", unread.rule);
    // Where the image could not have changed it, nothing is said of it.
    let own = Labels { tags: BTreeSet::from(["evacuable".into()]), ..labels() };
    assert_eq!(
        (of(&own, &[]).wish, of(&own, &[]).rule.as_str()),
        (Wish::Evacuate, "label evacuable")
    );
    let elsewhere = AggregateRecord {
        name: "ha".into(),
        zone: None,
        hosts: BTreeSet::from(["compute-9".to_owned()]),
        metadata: BTreeMap::from([("evacuable".to_owned(), "true".to_owned())]),
    };
    assert_eq!(of(&labels(), &[elsewhere]).rule, "no label evacuable");
    // Who is only ordered by it keeps its place.
    let order = Policy { instanceha: LabelUse::Order, ..Policy::default() };
    let kept = decide_of(&order, &labels(), &[], ImageLabel::Unread).treatment;
    assert_eq!(kept, Treatment::default());
}

#[test]
fn a_priority_of_instanceha_is_taken_within_its_bounds() {
    let mut labels = labels();
    labels.metadata.insert("instanceha:restart_priority".into(), "5000".into());
    assert_eq!(decide(&Policy::default(), &labels).treatment.priority, 1000);
}

#[test]
fn a_rule_on_metadata_overrides_a_label() {
    let rule = rule("always", Wish::Evacuate, |m| {
        m.metadata.insert("tier".into(), "*".into());
    });
    let policy = Policy { rules: vec![rule], masakari: LabelUse::Select, ..Policy::default() };
    assert_eq!(decide(&policy, &labels()).treatment.rule, "always");
}

fn any_match() -> impl Strategy<Value = Match> {
    let some = |word: &'static str| {
        let other = format!("not {word}");
        proptest::sample::select(vec![vec![], vec![word.to_owned()], vec![other]])
    };
    let of = (some("az1"), some("p1"), some("m1"), some("i1"), some("gold"), any::<bool>());
    of.prop_map(|(zone, project, flavor, image, tag, on_metadata)| {
        let metadata = on_metadata.then(|| ("tier".to_owned(), "db".to_owned()));
        let (aggregate, metadata) = (Vec::new(), metadata.into_iter().collect());
        Match { zone, aggregate, project, flavor, image, tag, metadata }
    })
}

fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
    let wish = proptest::option::of(proptest::sample::select(vec![
        Wish::Evacuate,
        Wish::Stop,
        Wish::Leave,
    ]));
    let setting = (wish, proptest::option::of(1..=1000u16), proptest::option::of(0..=1000u16))
        .prop_map(|(wish, priority, order)| Setting { wish, priority, order });
    let rules = proptest::collection::vec((any_match(), setting), 0..8);
    rules.prop_map(|rules| {
        let named = rules.into_iter().enumerate().map(|(n, (condition, setting))| Rule {
            name: format!("rule {n}"),
            condition,
            setting,
        });
        named.collect()
    })
}

proptest! {
    /// The rule that is named holds, says what was decided, and no finer one that holds says otherwise.
    #[test]
    fn the_rule_that_decides_is_the_finest_that_says_anything(rules in any_rules()) {
        let policy = Policy { rules, ..Policy::default() };
        let labels = labels();
        let subject = subject(&labels);
        let treatment = policy.decide(&subject).treatment;
        let says = policy.rules.iter().enumerate().filter(|(_, rule)| {
            rule.condition.holds(&subject) && rule.setting.wish.is_some()
        });
        match says.max_by_key(|(place, rule)| Rank::of(rule, *place)) {
            Some((_, finest)) => {
                prop_assert_eq!(&treatment.rule, &finest.name);
                prop_assert_eq!(Some(treatment.wish), finest.setting.wish);
            }
            None => prop_assert_eq!(&treatment.rule, DEFAULT),
        }
    }

    /// A rule that does not hold changes nothing, wherever it stands.
    #[test]
    fn a_rule_that_does_not_hold_changes_nothing(rules in any_rules()) {
        let labels = labels();
        let subject = subject(&labels);
        let all = Policy { rules, ..Policy::default() };
        let mut held = all.clone();
        held.rules.retain(|rule| rule.condition.holds(&subject));
        prop_assert_eq!(all.decide(&subject), held.decide(&subject));
    }
}

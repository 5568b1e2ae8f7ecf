//! The labels that clouds of Masakari and of InstanceHA have on their servers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Finest, LABELLED_PRIORITY, Rank, Setting, Subject, Wish};

/// Masakari's metadata of a server.
const HA_ENABLED: &str = "HA_Enabled";
/// InstanceHA's word on flavors, images, aggregates and servers.
pub const EVACUABLE: &str = "evacuable";
/// InstanceHA's priority of a server.
const RESTART_PRIORITY: &str = "instanceha:restart_priority";

/// What a label is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabelUse {
    /// Nothing.
    Off,
    /// Who has it goes first.
    #[default]
    Order,
    /// Who has it not is left.
    Select,
}

/// What is known of the labels of a server's image, which Nova does not show with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageLabel {
    /// The image has it.
    Has,
    /// The image has it not, or the server has no image: it boots from a volume.
    #[default]
    Lacks,
    /// Glance did not say. It counts as none: who was never meant to be moved may lose data by it.
    Unread,
}

/// What a label says of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    pub(super) rank: Rank,
    pub(super) name: String,
    pub(super) setting: Setting,
}

/// `HA_Enabled` is true for `1, t, true, on, y, yes` in any case, and false for anything else.
pub(super) fn masakari(how: LabelUse, subject: &Subject<'_>) -> Option<Labelled> {
    let value = subject.labels.metadata.get(HA_ENABLED);
    let has = value.is_some_and(|value| {
        let value = value.trim().to_ascii_lowercase();
        ["1", "t", "true", "on", "y", "yes"].contains(&value.as_str())
    });
    let name = match value {
        Some(value) => format!("label {HA_ENABLED}={value}"),
        None => format!("no label {HA_ENABLED}"),
    };
    said(how, has, name)
}

/// `evacuable`: the flavor's extra specs, the server's own metadata or tags or its image must have it and, where an
/// aggregate of the cloud has it, the host's aggregates. The key that equals the word decides; without it, any key that
/// contains it.
pub(super) fn instanceha(how: LabelUse, subject: &Subject<'_>) -> Option<Labelled> {
    if how == LabelUse::Off {
        return None;
    }
    let labels = subject.labels;
    let own = labels.tags.iter().any(|tag| tag.contains(EVACUABLE));
    let own = own || marked(&labels.extra_specs) || marked(&labels.metadata);
    let image = subject.image == ImageLabel::Has;
    let chosen = subject.aggregates.iter().any(|aggregate| marked(&aggregate.metadata));
    let host = !chosen || subject.own_aggregates().any(|own| marked(&own.metadata));
    let has = (own || image) && host;
    let name = match has {
        true if own => format!("label {EVACUABLE}"),
        true => format!("label {EVACUABLE} of its image"),
        // The image alone could have said otherwise.
        false if !own && host && subject.image == ImageLabel::Unread => {
            format!("no label {EVACUABLE}; its image's labels were not read")
        }
        false => format!("no label {EVACUABLE}"),
    };
    let mut said = said(how, has, name);
    let priority = labels.metadata.get(RESTART_PRIORITY).and_then(|text| text.trim().parse().ok());
    if let Some(priority) = priority {
        let priority: u16 = priority;
        let said = said.get_or_insert_with(|| Labelled {
            rank: Rank::of_label(Finest::Label),
            name: format!("label {RESTART_PRIORITY}"),
            setting: Setting::default(),
        });
        said.setting.priority = Some(priority.clamp(1, 1000));
    }
    said
}

fn said(how: LabelUse, has: bool, name: String) -> Option<Labelled> {
    let priority = has.then_some(LABELLED_PRIORITY);
    let setting = match how {
        LabelUse::Off => return None,
        LabelUse::Order if !has => return None,
        LabelUse::Order => Setting { priority, ..Setting::default() },
        LabelUse::Select => {
            let wish = if has { Wish::Evacuate } else { Wish::Leave };
            Setting { wish: Some(wish), priority, ..Setting::default() }
        }
    };
    Some(Labelled { rank: Rank::of_label(Finest::Label), name, setting })
}

fn marked(map: &BTreeMap<String, String>) -> bool {
    let is_true = |value: &String| value.eq_ignore_ascii_case("true");
    match map.get(EVACUABLE) {
        Some(value) => is_true(value),
        None => map.iter().any(|(key, value)| key.contains(EVACUABLE) && is_true(value)),
    }
}

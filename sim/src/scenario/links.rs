//! Commands about links and networks.

use controller::effect::Network;

use super::deeds::{Read, network, place, usage};
use super::parse::duration;
use crate::fault::Deed;
use crate::place::Place;
use crate::wire::Way;
use crate::world::Plan;

/// A machine's link, and the direction that is meant.
type Link = (Place, Network, Option<Way>);

/// Reads a command about links.
pub(super) fn deeds(plan: &Plan, first: &str, words: &[&str]) -> Read<Vec<Deed>> {
    match first {
        "cut" => {
            let links = links(plan, words, "cut NODE NETWORK[, NETWORK] [in|out]")?;
            Ok(links.into_iter().map(|(place, on, way)| Deed::Cut(place, on, way)).collect())
        }
        "heal" => {
            let links = links(plan, words, "heal NODE NETWORK[, NETWORK]")?;
            Ok(links.into_iter().map(|(place, on, _)| Deed::Heal(place, on)).collect())
        }
        "lossy" if words.first() == Some(&"everywhere") => match words {
            [_, percent] => Ok(vec![Deed::Background(permille(percent)?)]),
            _ => Err(usage("lossy everywhere PERCENT")),
        },
        "lossy" => on_link(plan, words, "lossy NODE NETWORK[, NETWORK] PERCENT", |at, on, by| {
            Ok(Deed::Lossy(at, on, permille(by)?))
        }),
        "delay" => delay(plan, words),
        "twice" => on_link(plan, words, "twice NODE NETWORK[, NETWORK] PERCENT", |at, on, by| {
            Ok(Deed::Twice(at, on, permille(by)?))
        }),
        "jitter" => on_link(plan, words, "jitter NODE NETWORK[, NETWORK] 40ms", |at, on, by| {
            Ok(Deed::Jitter(at, on, duration(by)?))
        }),
        "flap" => on_link(plan, words, "flap NODE NETWORK[, NETWORK] 2s", |at, on, by| {
            Ok(Deed::Flap(at, on, duration(by)?))
        }),
        "deaf" => on_link(plan, words, "deaf NODE NETWORK[, NETWORK] OTHER", |at, on, from| {
            Ok(Deed::Deaf(at, place(plan, from)?, on))
        }),
        "island" => match words {
            ["none"] => Ok(vec![Deed::Island(Vec::new())]),
            [] => Err(usage("island NODE[, NODE], or island none")),
            names => {
                let names = names.iter().flat_map(|word| word.split(','));
                let names = names.filter(|name| !name.is_empty());
                let places = names.map(|name| place(plan, name)).collect::<Read<_>>()?;
                Ok(vec![Deed::Island(places)])
            }
        },
        "network" => match words {
            [name, "off"] => Ok(vec![Deed::Dark(network(plan, name)?, true)]),
            [name, "on"] => Ok(vec![Deed::Dark(network(plan, name)?, false)]),
            _ => Err(usage("network NETWORK off|on")),
        },
        "apart" | "together" => apart(plan, words, first == "apart"),
        _ => split(plan, words, first == "split"),
    }
}

fn delay(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    let text = "delay NODE NETWORK[, NETWORK] in|out 400ms";
    let Some((by, link)) = words.split_last() else { return Err(usage(text)) };
    let by = duration(by)?;
    let delayed = |(place, on, way): Link| Some(Deed::Delay(place, on, way?, by));
    let links = links(plan, link, text)?;
    links.into_iter().map(|link| delayed(link).ok_or_else(|| usage(text))).collect()
}

fn links(plan: &Plan, words: &[&str], text: &str) -> Read<Vec<Link>> {
    let Some((name, rest)) = words.split_first() else { return Err(usage(text)) };
    let (rest, way) = match rest.split_last() {
        Some((&"in", rest)) => (rest, Some(Way::In)),
        Some((&"out", rest)) => (rest, Some(Way::Out)),
        _ => (rest, None),
    };
    if rest.is_empty() {
        return Err(usage(text));
    }
    let place = place(plan, name)?;
    let names = rest.iter().flat_map(|word| word.split(',')).filter(|name| !name.is_empty());
    names.map(|name| Ok((place, network(plan, name)?, way))).collect()
}

/// `MACHINE NETWORK[, NETWORK] WHAT`.
fn on_link(
    plan: &Plan,
    words: &[&str],
    text: &str,
    deed: impl Fn(Place, Network, &str) -> Read<Deed>,
) -> Read<Vec<Deed>> {
    let Some((what, rest)) = words.split_last() else { return Err(usage(text)) };
    let links = links(plan, rest, text)?;
    links.into_iter().map(|(place, on, _)| deed(place, on, what)).collect()
}

fn permille(percent: &str) -> Read<u32> {
    let number = percent.trim_end_matches('%').parse::<u32>();
    number
        .map(|percent| percent.min(100) * 10)
        .map_err(|_| format!("`{percent}` is no percentage; write 30%"))
}

fn split(plan: &Plan, words: &[&str], apart: bool) -> Read<Vec<Deed>> {
    let [one, other] = words else { return Err(usage("split|join controller-N controller-M")) };
    match (place(plan, one)?, place(plan, other)?) {
        (Place::Controller(one), Place::Controller(other)) => {
            Ok(vec![Deed::Split(one, other, apart)])
        }
        (Place::Node(_), _) | (_, Place::Node(_)) => {
            Err(usage("split|join controller-N controller-M"))
        }
    }
}

fn apart(plan: &Plan, words: &[&str], apart: bool) -> Read<Vec<Deed>> {
    let usage = || usage("apart|together NODE[,NODE] NODE[,NODE] NETWORK[,NETWORK]");
    let [some, others, networks] = words else { return Err(usage()) };
    let places =
        |list: &str| list.split(',').map(|name| place(plan, name)).collect::<Read<Vec<_>>>();
    let (some, others) = (places(some)?, places(others)?);
    let networks = networks.split(',').map(|name| network(plan, name)).collect::<Read<Vec<_>>>()?;
    let mut deeds = Vec::new();
    for one in &some {
        for other in others.iter().filter(|other| *other != one) {
            let deed = |network: &Network| Deed::Apart(*one, *other, *network, apart);
            deeds.extend(networks.iter().map(deed));
        }
    }
    Ok(deeds)
}

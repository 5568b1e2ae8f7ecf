use std::collections::BTreeSet;

use super::fake::{Act, Fake};
use super::*;

const TAGGED: Uuid = uuid!("0f5d7c0a-5f4e-4a60-9c43-2a5f1d2f7c11");
const MARKED: Uuid = uuid!("3c2b7b0e-8a0e-4b62-8b0c-5b4f3d1e9a22");
const HIDDEN: Uuid = uuid!("9be3b4a7-5d2a-4d5e-8a3d-7d3c6a1b0f33");
const OTHER: Uuid = uuid!("a7d90f6c-1c3b-4b6e-9d55-0c8e2f4a1b44");

fn labelled() -> Call {
    Call::Images { label: "evacuable".into() }
}

fn image(id: Uuid, tags: &[&str], properties: Value) -> Value {
    let mut row = json!({"id": id, "name": "x", "tags": tags, "size": 1024, "os_hidden": false,
        "visibility": "private", "min_ram": 0, "checksum": null});
    row.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    row
}

/// Glance answers without Nova's version header.
fn page(images: Vec<Value>, next: Option<&str>) -> Act {
    let mut body = json!({"images": images, "first": "/v2/images", "schema": "/v2/schemas/images"});
    if let Some(next) = next {
        body["next"] = json!(next);
    }
    Act::Bare(200, "", body.to_string())
}

fn none() -> Act {
    page(vec![], None)
}

async fn failure(acts: Vec<Act>) -> ReadFailure {
    let reply = Fake::with(acts).await.client.call(labelled(), SECOND).await;
    let Reply::ReadFailed(failure) = reply else { panic!("{reply:?}") };
    failure
}

#[tokio::test]
async fn images_are_found_by_tag_and_by_property_hidden_ones_too() {
    let fake = Fake::with(vec![
        page(vec![image(TAGGED, &["evacuable"], json!({}))], None),
        page(vec![image(MARKED, &[], json!({"evacuable": "true"}))], None),
        none(),
        none(),
        none(),
        page(vec![image(HIDDEN, &[], json!({"evacuable": "True"}))], None),
    ])
    .await;
    let reply = fake.client.call(labelled(), SECOND).await;
    let ids = [TAGGED, MARKED, HIDDEN].map(|id| id.to_string());
    assert_eq!(reply, Reply::Images(BTreeSet::from(ids)));
    let lines: Vec<String> =
        fake.seen().iter().map(|head| head.lines().next().unwrap().to_owned()).collect();
    let asked = |filter: &str, hidden: bool| {
        format!(
            "GET /image/v2/images?{filter}&os_hidden={hidden}&visibility=all&limit=1000 HTTP/1.1"
        )
    };
    let filters = ["tag=evacuable", "evacuable=true", "evacuable=True"];
    let wanted: Vec<String> = [false, true]
        .into_iter()
        .flat_map(|hidden| filters.map(|filter| asked(filter, hidden)))
        .collect();
    assert_eq!(lines, wanted);
}

#[tokio::test]
async fn a_filter_that_somebody_ignores_labels_nothing() {
    let all = page(
        vec![
            image(OTHER, &["not-evacuable-yet", "web"], json!({"evacuable": "false"})),
            image(TAGGED, &["evacuable"], json!({})),
        ],
        None,
    );
    let fake = Fake::with(vec![all; 6]).await;
    let reply = fake.client.call(labelled(), SECOND).await;
    assert_eq!(reply, Reply::Images(BTreeSet::from([TAGGED.to_string()])));
}

#[tokio::test]
async fn pages_of_images_are_followed_by_their_marker_alone() {
    // The link's address is another machine's.
    let next = format!("http://198.51.100.1/v2/images?limit=1&marker={TAGGED}&tag=evacuable");
    let fake = Fake::with(vec![
        page(vec![image(TAGGED, &["evacuable"], json!({}))], Some(&next)),
        page(vec![image(OTHER, &["evacuable"], json!({}))], None),
        none(),
        none(),
        none(),
        none(),
        none(),
    ])
    .await;
    let reply = fake.client.call(labelled(), SECOND).await;
    let both = BTreeSet::from([TAGGED.to_string(), OTHER.to_string()]);
    assert_eq!(reply, Reply::Images(both));
    let line = fake.seen()[1].lines().next().unwrap().to_owned();
    let wanted =
        format!("tag=evacuable&os_hidden=false&visibility=all&limit=1000&marker={TAGGED} HTTP/1.1");
    assert!(line.ends_with(&wanted), "{line}");
}

#[tokio::test]
async fn half_a_list_of_images_is_no_list() {
    let next = format!("/v2/images?marker={TAGGED}");
    let first = || page(vec![image(TAGGED, &["evacuable"], json!({}))], Some(&next));
    let lost = failure(vec![first(), Act::Reset]).await;
    assert!(matches!(lost, ReadFailure::Unavailable(_)), "{lost:?}");
    let round = failure(vec![first(), first()]).await;
    assert!(matches!(&round, ReadFailure::NotNova(why) if why.contains("itself")), "{round:?}");
    // A list that never ends is not read for ever.
    let ids = (1..=20_u128).map(Uuid::from_u128);
    let endless = ids.map(|id| page(vec![], Some(&format!("/v2/images?marker={id}")))).collect();
    let failed = failure(endless).await;
    assert!(matches!(&failed, ReadFailure::NotNova(why) if why.contains("pages")), "{failed:?}");
}

#[tokio::test]
async fn what_glance_says_instead_of_a_list_is_told_apart() {
    let html = |status| Act::Bare(status, "", "<html><title>no</title></html>".to_owned());
    let refused = failure(vec![html(403)]).await;
    assert!(matches!(refused, ReadFailure::NoRight(_)), "{refused:?}");
    for status in [500, 503, 504, 429] {
        let away = failure(vec![html(status)]).await;
        assert!(matches!(away, ReadFailure::Unavailable(_)), "{status}: {away:?}");
    }
    for act in [html(300), html(404), html(200), Act::Bare(200, "", "{}".to_owned())] {
        let strange = failure(vec![act]).await;
        assert!(matches!(strange, ReadFailure::NotNova(_)), "{strange:?}");
    }
    let silent = failure(vec![Act::Hang]).await;
    assert!(matches!(silent, ReadFailure::Unavailable(_)), "{silent:?}");
}

#[tokio::test]
async fn a_401_of_glance_gets_one_new_token() {
    let refused = || Act::Bare(401, FROM_KEYSTONE, unauthorized());
    let mut acts = vec![refused()];
    acts.extend((0..6).map(|_| none()));
    let fake = Fake::with(acts).await;
    let reply = fake.client.call(labelled(), SECOND).await;
    assert_eq!(reply, Reply::Images(BTreeSet::new()));
    assert_eq!(fake.tokens_given(), 2);
    let twice = failure(vec![refused(), refused(), refused()]).await;
    assert!(matches!(twice, ReadFailure::NoRight(_)), "{twice:?}");
}

#[tokio::test]
async fn a_catalog_without_glance_stops_nothing_else() {
    let fake = Fake::with(vec![Act::Nova(200, json!({"services": []}))]).await;
    fake.has_no_glance();
    let reply = fake.client.call(labelled(), SECOND).await;
    let Reply::ReadFailed(ReadFailure::NotNova(why)) = reply else { panic!("{reply:?}") };
    assert!(why.contains("no image endpoint") && why.contains("RegionOne"), "{why}");
    let reply = fake.client.call(Call::Services, SECOND).await;
    assert_eq!(reply, Reply::Services(vec![]));
}

use super::fake::{Act, Fake};
use super::*;

async fn end_of(call: Call, act: Act) -> Written {
    let fake = Fake::with(vec![act]).await;
    let end = written(&fake.client, call).await;
    assert_eq!(fake.seen().len(), 1, "a write was repeated");
    end
}

async fn written(client: &Client, call: Call) -> Written {
    let reply = client.call(call, SECOND).await;
    let Reply::Written(written) = reply else { panic!("{reply:?}") };
    written
}

fn is_unknown(end: &Written) -> bool {
    matches!(end, Written::Unknown(_))
}

#[tokio::test]
async fn an_accepted_evacuation_gives_the_request_id() {
    let end = end_of(evacuate(), Act::Nova(200, Value::Null)).await;
    assert_eq!(end, Written::Done { request_id: "req-1".into(), service: None });
}

#[tokio::test]
async fn a_put_must_answer_the_record_of_the_same_service() {
    let call = Call::ForceDown { service: SERVICE, disable: Some("holdfast op=1".into()) };
    let end = end_of(call.clone(), Act::Nova(200, json!({"service": service("compute-1")}))).await;
    let Written::Done { service: Some(record), .. } = end else { panic!("{end:?}") };
    assert!(record.forced_down && !record.up && !record.enabled);
    let other = Call::ClearForcedDown { service: SERVER };
    let end = end_of(other, Act::Nova(200, json!({"service": service("compute-1")}))).await;
    assert!(is_unknown(&end), "{end:?}");
    assert!(is_unknown(&end_of(call, Act::Nova(200, json!({}))).await));
}

#[tokio::test]
async fn a_500_after_a_post_is_unknown() {
    let fault = json!({"computeFault": {"code": 500, "message": "Unexpected API Error."}});
    assert!(is_unknown(&end_of(evacuate(), Act::Nova(500, fault)).await));
    let page = "<html>bad gateway</html>".to_string();
    assert!(is_unknown(&end_of(evacuate(), Act::Bare(502, "", page)).await));
}

#[tokio::test]
async fn a_reset_or_a_cut_answer_is_unknown() {
    assert!(is_unknown(&end_of(evacuate(), Act::Reset).await));
    assert!(is_unknown(&end_of(evacuate(), Act::Cut).await));
}

#[tokio::test]
async fn a_hung_server_ends_at_the_deadline_as_unknown() {
    let began = Instant::now();
    assert!(is_unknown(&end_of(evacuate(), Act::Hang).await));
    let took = began.elapsed();
    assert!(took > Duration::from_millis(900) && took < 3 * SECOND, "{took:?}");
}

#[tokio::test]
async fn a_redirect_or_a_page_is_nobodys_word() {
    let away = Act::Bare(307, "Location: http://127.0.0.1:9/\r\n", String::new());
    assert!(is_unknown(&end_of(evacuate(), away).await));
    let page = Act::Bare(200, "", "<html>welcome</html>".into());
    assert!(is_unknown(&end_of(evacuate(), page).await));
    // A proxy's 404 must not be taken for "the server is gone".
    let page = Act::Bare(404, "", "<html>not found</html>".into());
    assert!(is_unknown(&end_of(evacuate(), page).await));
}

#[tokio::test]
async fn a_missing_or_foreign_version_echo_is_unknown() {
    let body = json!({"itemNotFound": {"code": 404, "message": "Instance x could not be found."}});
    let bare = Act::Bare(404, "", body.to_string());
    assert!(is_unknown(&end_of(evacuate(), bare).await));
    let foreign = Act::Bare(200, "OpenStack-API-Version: compute 2.1\r\n", String::new());
    assert!(is_unknown(&end_of(evacuate(), foreign).await));
}

#[tokio::test]
async fn a_refused_connection_is_not_sent() {
    let fake = Fake::with(vec![]).await;
    // The token and its endpoint are known, then the endpoint goes away.
    fake.client.start().await.unwrap();
    let token = fake.client.ready(tokio::time::Instant::now() + SECOND).await.unwrap().0;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut url = token.endpoint.clone();
    url.set_port(Some(closed.port())).unwrap();
    let transport = &fake.client.shared.transport;
    let request = transport.request(reqwest::Method::POST, url);
    let failure = transport.send(request, tokio::time::Instant::now() + SECOND).await.err();
    assert!(matches!(failure, Some(super::super::transport::Failure::NotSent(_))), "{failure:?}");
}

#[tokio::test]
async fn without_keystone_a_write_is_not_sent() {
    let fake = Fake::with(vec![]).await;
    fake.tokens_say(503);
    let end = written(&fake.client, evacuate()).await;
    assert!(matches!(end, Written::NotSent(_)), "{end:?}");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_refusal_of_nova_has_its_meaning() {
    let fault = json!({"badRequest": {"code": 400,
        "message": "Compute service of compute-1 is still in use."}});
    let end = end_of(evacuate(), Act::Nova(400, fault)).await;
    let Written::Refused(Refused { status: 400, meaning, message }) = end else {
        panic!("{end:?}")
    };
    assert_eq!(meaning, Refusal::SourceStillUp);
    assert!(message.contains("compute-1"));
}

#[tokio::test]
async fn keystone_away_behind_nova_had_no_effect() {
    let body = json!({"error": {"code": 503, "title": "x",
        "message": "The Keystone service is temporarily unavailable."}});
    let end = end_of(evacuate(), Act::Bare(503, "", body.to_string())).await;
    let Written::Refused(refused) = end else { panic!("{end:?}") };
    assert_eq!(refused.meaning, Refusal::TooMany);
}

#[tokio::test]
async fn a_401_to_a_write_fetches_a_token_but_repeats_nothing() {
    let fake = Fake::with(vec![
        Act::Bare(401, FROM_KEYSTONE, unauthorized()),
        Act::Nova(200, Value::Null),
        Act::Bare(401, FROM_KEYSTONE, unauthorized()),
        Act::Bare(401, FROM_KEYSTONE, unauthorized()),
    ])
    .await;
    let meaning = |end| match end {
        Written::Refused(Refused { meaning, .. }) => Some(meaning),
        Written::Done { .. } | Written::NotSent(_) | Written::Unknown(_) => None,
    };
    assert_eq!(meaning(written(&fake.client, evacuate()).await), Some(Refusal::TokenExpired));
    assert_eq!((fake.tokens_given(), fake.seen().len()), (2, 1));
    // The new token works: the next 401 is a first one again, and the one after that is about rights.
    assert!(matches!(written(&fake.client, evacuate()).await, Written::Done { .. }));
    assert_eq!(meaning(written(&fake.client, evacuate()).await), Some(Refusal::TokenExpired));
    assert_eq!(meaning(written(&fake.client, evacuate()).await), Some(Refusal::NoRight));
    assert_eq!(fake.seen().len(), 4);
    assert!(fake.seen()[1].contains("token-2"), "{}", fake.seen()[1]);
}

use super::fake::Fake;
use super::*;

#[tokio::test]
async fn start_tells_what_it_found() {
    let fake = Fake::with(vec![]).await;
    let started = fake.client.start().await.unwrap();
    assert_eq!(started.max_microversion.to_string(), "2.104");
    assert_eq!(started.token_lifetime, Duration::from_secs(3600));
    assert!(started.endpoint.ends_with("/v2.1"), "{}", started.endpoint);
}

#[tokio::test]
async fn an_old_nova_is_refused() {
    let fake = Fake::with(vec![]).await;
    fake.newest("2.60");
    let error = fake.client.start().await.unwrap_err();
    assert!(matches!(error, SetupError::TooOld { .. }), "{error}");
    assert!(error.to_string().contains("2.69"), "{error}");
}

#[tokio::test]
async fn a_refused_credential_is_not_tried_again_at_once() {
    let fake = Fake::with(vec![]).await;
    fake.tokens_say(401);
    let error = fake.client.start().await.unwrap_err();
    assert!(matches!(error, SetupError::Credential { .. }), "{error}");
    assert!(!error.is_transient() && !error.to_string().contains("hunter2"), "{error}");
    fake.tokens_say(201);
    assert!(matches!(fake.client.start().await, Err(SetupError::Credential { .. })));
    assert_eq!(fake.tokens_given(), 0);
}

#[tokio::test]
async fn an_unreachable_keystone_is_worth_waiting_for() {
    let fake = Fake::with(vec![]).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut settings = fake.settings.clone();
    settings.auth_url = format!("http://{closed}/v3");
    let error = Client::new(settings).unwrap().start().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("auth_url"), "{error}");
}

#[tokio::test]
async fn a_region_typo_and_a_missing_ca_are_named() {
    let fake = Fake::with(vec![]).await;
    let mut settings = fake.settings.clone();
    settings.region = Some("RegionTwo".into());
    let error = Client::new(settings).unwrap().start().await.unwrap_err();
    assert!(error.to_string().contains("internal in RegionOne"), "{error}");
    let mut settings = fake.settings.clone();
    settings.ca_file = Some("/nowhere/ca.pem".into());
    let error = Client::new(settings).err().unwrap();
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    // A server that does not speak TLS at all.
    let mut settings = fake.settings.clone();
    settings.auth_url = settings.auth_url.replace("http://", "https://");
    let error = Client::new(settings).unwrap().start().await.unwrap_err();
    assert!(matches!(error, SetupError::KeystoneUnreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_token_is_kept_while_young_and_replaced_when_old() {
    let fake = Fake::with(vec![]).await;
    fake.client.start().await.unwrap();
    fake.client.start().await.unwrap();
    assert_eq!(fake.tokens_given(), 1);
    // 31 s of life, less the 30 s that are not used: old after 1 s, long before 80 %.
    let fake = Fake::with(vec![]).await;
    fake.token_lifetime(31);
    fake.client.start().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    fake.client.start().await.unwrap();
    assert_eq!(fake.tokens_given(), 2);
}

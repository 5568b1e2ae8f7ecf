use super::fake::{Act, Fake};
use super::*;

const OTHER: Uuid = uuid!("f7083187-b930-42ff-a022-73dd82c142fd");

fn on(host: &str) -> Call {
    Call::ServersOn { host: host.into() }
}

async fn failure(call: Call, act: Act) -> ReadFailure {
    let fake = Fake::with(vec![act]).await;
    let reply = fake.client.call(call, SECOND).await;
    let Reply::ReadFailed(failure) = reply else { panic!("{reply:?}") };
    failure
}

#[tokio::test]
async fn a_401_gets_one_new_token_and_the_read_goes_on() {
    let list = json!({"services": [service("compute-1")]});
    let refused = Act::Bare(401, FROM_KEYSTONE, unauthorized());
    let fake = Fake::with(vec![refused.clone(), Act::Nova(200, list)]).await;
    let call = Call::Service { host: "compute-1".into() };
    let reply = fake.client.call(call.clone(), SECOND).await;
    assert!(matches!(reply, Reply::Service(Some(_))), "{reply:?}");
    assert_eq!(fake.tokens_given(), 2);
    // Two in a row are about rights, and no third is tried.
    let fake = Fake::with(vec![refused.clone(), refused.clone(), refused]).await;
    let reply = fake.client.call(call, SECOND).await;
    assert!(matches!(reply, Reply::ReadFailed(ReadFailure::NoRight(_))), "{reply:?}");
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn pages_are_followed_by_their_marker_alone() {
    // The link's address is another machine's: it must not be followed.
    let href = format!("http://198.51.100.1/elsewhere?host=x&limit=1&marker={SERVER}");
    let first = json!({"servers": [server(SERVER, "compute-1")],
        "servers_links": [{"rel": "next", "href": href}]});
    let second = json!({"servers": [server(OTHER, "compute-1")]});
    let fake = Fake::with(vec![Act::Nova(200, first), Act::Nova(200, second)]).await;
    let reply = fake.client.call(on("compute-1"), SECOND).await;
    let Reply::Servers(rows) = reply else { panic!("{reply:?}") };
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [SERVER, OTHER]);
    let line = fake.seen()[1].lines().next().unwrap().to_string();
    assert_eq!(
        line,
        format!(
            "GET /v2.1/servers/detail?all_tenants=1&host=compute-1&limit=1000&marker={SERVER} HTTP/1.1"
        )
    );
}

#[tokio::test]
async fn half_a_list_is_no_list() {
    let href = format!("http://nova/v2.1/servers/detail?marker={SERVER}");
    let first = json!({"servers": [server(SERVER, "compute-1")],
        "servers_links": [{"rel": "next", "href": href}]});
    let again = Act::Nova(200, first);
    let fake = Fake::with(vec![again.clone(), Act::Reset]).await;
    let reply = fake.client.call(on("compute-1"), SECOND).await;
    assert!(matches!(reply, Reply::ReadFailed(ReadFailure::Unavailable(_))), "{reply:?}");
    let fake = Fake::with(vec![again.clone(), again]).await;
    let reply = fake.client.call(on("compute-1"), SECOND).await;
    assert!(matches!(reply, Reply::ReadFailed(ReadFailure::NotNova(_))), "{reply:?}");
}

#[tokio::test]
async fn a_filter_that_nova_ignored_is_applied_by_us() {
    let list = json!({"servers": [server(SERVER, "compute-1"), server(OTHER, "compute-10")]});
    let fake = Fake::with(vec![Act::Nova(200, list)]).await;
    let reply = fake.client.call(on("compute-1"), SECOND).await;
    let Reply::Servers(rows) = reply else { panic!("{reply:?}") };
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].host.as_deref(), Some("compute-1"));
}

#[tokio::test]
async fn an_absent_host_attribute_is_a_missing_right_and_null_is_not() {
    let mut row = server(SERVER, "compute-1");
    row.as_object_mut().unwrap().remove("OS-EXT-SRV-ATTR:host");
    let lacking = Act::Nova(200, json!({"servers": [row]}));
    let failed = failure(on("compute-1"), lacking).await;
    assert!(matches!(failed, ReadFailure::NoRight(_)), "{failed:?}");
    let mut row = server(SERVER, "compute-1");
    row["OS-EXT-SRV-ATTR:host"] = Value::Null;
    let fake = Fake::with(vec![Act::Nova(200, json!({"servers": [row]}))]).await;
    assert_eq!(fake.client.call(on("compute-1"), SECOND).await, Reply::Servers(vec![]));
}

#[tokio::test]
async fn migration_records_keep_only_what_was_asked_for() {
    let row = |id: u64, source: Value, status: &str| {
        json!({"id": id, "uuid": SERVICE, "source_compute": source, "dest_compute": null,
            "instance_uuid": SERVER, "status": status, "migration_type": "evacuation"})
    };
    let list = json!({"migrations": [row(9, json!("compute-1"), "pre-migrating"),
        row(8, json!("compute-2"), "done"), row(7, json!("compute-1"), "brewing")]});
    let kind = MigrationKind::Evacuation;
    let call = Call::MigrationsFrom { host: "compute-1".into(), kind };
    let fake = Fake::with(vec![Act::Nova(200, list)]).await;
    let reply = fake.client.call(call.clone(), SECOND).await;
    let Reply::Migrations(rows) = reply else { panic!("{reply:?}") };
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [9, 7]);
    assert_eq!(rows[0].status, MigrationStatus::PreMigrating);
    assert_eq!(rows[1].status, MigrationStatus::Other("brewing".into()));
    let blind = Act::Nova(200, json!({"migrations": [row(9, Value::Null, "done")]}));
    assert!(matches!(failure(call, blind).await, ReadFailure::NoRight(_)));
}

#[tokio::test]
async fn a_down_cell_says_nothing_about_the_host() {
    let stub = json!({"binary": "nova-compute", "host": "compute-1", "status": "UNKNOWN"});
    let list = Act::Nova(200, json!({"services": [stub, service("compute-2")]}));
    let call = Call::Service { host: "compute-1".into() };
    assert!(matches!(failure(call, list.clone()).await, ReadFailure::Unavailable(_)));
    let fake = Fake::with(vec![list]).await;
    let reply = fake.client.call(Call::Services, SECOND).await;
    let Reply::Services(rows) = reply else { panic!("{reply:?}") };
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn only_novas_own_404_means_that_a_server_is_gone() {
    let body = json!({"itemNotFound": {"code": 404, "message": "Instance x could not be found."}});
    let fake = Fake::with(vec![Act::Nova(404, body.clone())]).await;
    let call = Call::Server { server: SERVER };
    assert_eq!(fake.client.call(call.clone(), SECOND).await, Reply::Server(None));
    let bare = Act::Bare(404, "", body.to_string());
    assert!(matches!(failure(call.clone(), bare).await, ReadFailure::NotNova(_)));
    let page = Act::Nova(404, json!("<html>"));
    assert!(matches!(failure(call, page).await, ReadFailure::NotNova(_)));
    // No actions to be seen is not the same as no actions.
    let actions = Call::Actions { server: SERVER };
    assert!(matches!(failure(actions, Act::Nova(404, body)).await, ReadFailure::NotNova(_)));
}

#[tokio::test]
async fn a_406_makes_the_client_ask_for_the_versions_again() {
    let fault = json!({"computeFault": {"code": 406, "message": "Version 2.84 is not supported."}});
    let list = json!({"instanceActions": [{"action": "evacuate", "request_id": "req-2",
        "message": null, "start_time": "2026-11-21T22:05:58.000000"}]});
    let fake = Fake::with(vec![Act::Nova(406, fault), Act::Nova(200, list)]).await;
    fake.client.start().await.unwrap();
    fake.newest("2.79");
    let reply = fake.client.call(Call::Actions { server: SERVER }, SECOND).await;
    assert!(matches!(&reply, Reply::Actions(rows) if rows.len() == 1), "{reply:?}");
    assert!(fake.seen()[1].contains("compute 2.79"), "{}", fake.seen()[1]);
}

#[tokio::test]
async fn garbage_and_silence_are_failures() {
    let call = Call::Services;
    for act in [
        Act::Bare(200, "", "{\"services\":[]}".into()),
        Act::Nova(200, json!({"service": []})),
        Act::Nova(
            200,
            json!({"services": [{"binary": "nova-compute", "host": "x",
            "status": "enabled", "state": "up"}]}),
        ),
        Act::Bare(302, "Location: /\r\n", String::new()),
    ] {
        let failed = failure(call.clone(), act).await;
        assert!(matches!(failed, ReadFailure::NotNova(_)), "{failed:?}");
    }
    for act in [Act::Hang, Act::Cut, Act::Reset, Act::Bare(503, "", "busy".into())] {
        let failed = failure(call.clone(), act).await;
        assert!(matches!(failed, ReadFailure::Unavailable(_)), "{failed:?}");
    }
    let denied = json!({"forbidden": {"code": 403,
        "message": "Policy doesn't allow os_compute_api:os-services:list to be performed."}});
    let failed = failure(call, Act::Nova(403, denied)).await;
    assert!(matches!(&failed, ReadFailure::NoRight(why) if why.contains("os-services:list")));
}

#[tokio::test]
async fn room_aggregates_groups_and_labels_are_read() {
    let hypervisors = json!({"hypervisors": [
        {"id": OTHER, "service": {"id": OTHER, "host": "compute-1"}, "vcpus": 8, "vcpus_used": 2,
            "memory_mb": 1000, "memory_mb_used": 600},
        {"id": OTHER, "service": {"id": OTHER, "host": "ironic-1"}, "memory_mb": null}]});
    let aggregates = json!({"aggregates": [{"id": 1, "name": "ssd", "availability_zone": "az1",
        "hosts": ["compute-1"], "metadata": {"evacuable": "true"}}]});
    let groups = json!({"server_groups": [{"id": OTHER, "name": "db", "policy": "anti-affinity",
        "rules": {}, "members": [SERVER]}]});
    let mut row = server(SERVER, "compute-1");
    row["metadata"] = json!({"HA_Enabled": "yes"});
    row["tags"] = json!(["gold"]);
    row["flavor"] = json!({"original_name": "m1", "vcpus": 2, "ram": 512, "extra_specs": {}});
    row["image"] = json!("");
    let fake = Fake::with(vec![
        Act::Nova(200, hypervisors),
        Act::Nova(200, aggregates),
        Act::Nova(200, groups),
        Act::Nova(200, json!({"server": row})),
    ])
    .await;
    let Reply::Hypervisors(rows) = fake.client.call(Call::Hypervisors, SECOND).await else {
        panic!("no hypervisors")
    };
    assert_eq!(rows.len(), 1, "one without figures says nothing about its room");
    assert_eq!((rows[0].host.as_str(), rows[0].memory_used_mib), ("compute-1", 600));
    let Reply::Aggregates(rows) = fake.client.call(Call::Aggregates, SECOND).await else {
        panic!("no aggregates")
    };
    assert_eq!((rows[0].zone.as_deref(), rows[0].hosts.len()), (Some("az1"), 1));
    let Reply::Groups(rows) = fake.client.call(Call::Groups, SECOND).await else {
        panic!("no groups")
    };
    assert!(rows[0].keeps_apart() && rows[0].members.contains(&SERVER));
    let reply = fake.client.call(Call::Server { server: SERVER }, SECOND).await;
    let Reply::Server(Some(server)) = reply else { panic!("{reply:?}") };
    let labels = server.labels;
    assert_eq!((labels.flavor.as_str(), labels.memory_mib, labels.image.as_str()), ("m1", 512, ""));
    assert!(labels.tags.contains("gold") && labels.metadata["HA_Enabled"] == "yes");
}

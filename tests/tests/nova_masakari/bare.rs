//! The floor: what Nova takes for as many evacuations when nobody detects, proves or follows anything. Destinations are
//! named in turn and few orders are on their way at once, which is what this Nova does best.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use controller::nova::client::Client;
use controller::nova::{Call, Reply, Written};
use uuid::Uuid;

use crate::HOSTS;
use crate::stage::SOURCE;
use crate::watch::{Times, Watch, agreed};
use crate::world::World;

/// On their way to one host.
const AT_ONCE: usize = 2;
const CALL: Duration = Duration::from_secs(60);

/// Forces the host down and orders all of them away.
pub(crate) async fn evacuate(
    world: &World,
    nova: &Arc<Client>,
    service: Uuid,
    servers: &[Uuid],
    died: Instant,
) -> Times {
    let disable = Some("bare client".to_owned());
    let reply = nova.call(Call::ForceDown { service, disable }, CALL).await;
    assert!(matches!(reply, Reply::Written(Written::Done { .. })), "{reply:?}");
    let hosts: Vec<String> = (1..=HOSTS).map(|number| format!("compute-{number}")).collect();
    let hosts: Vec<String> = hosts.into_iter().filter(|host| host != SOURCE).collect();
    let mut ordered: BTreeMap<Uuid, &str> = BTreeMap::new();
    let mut orders = Vec::new();
    let mut watch = Watch::new(world, servers, died);
    let times = loop {
        let moved = |id: &Uuid| watch.moved.iter().any(|(known, _)| known == id);
        loop {
            let on_its_way =
                |host: &str| ordered.iter().filter(|(id, to)| **to == host && !moved(id)).count();
            let Some(server) = servers.iter().find(|id| !ordered.contains_key(id)) else { break };
            let Some(host) = hosts.iter().min_by_key(|host| on_its_way(host)) else { break };
            if on_its_way(host) >= AT_ONCE {
                break;
            }
            ordered.insert(*server, host);
            let (nova, server, destination) = (Arc::clone(nova), *server, Some(host.clone()));
            orders.push(tokio::spawn(async move {
                nova.call(Call::Evacuate { server, destination }, CALL).await
            }));
        }
        if let Some(times) = watch.look().await {
            break times;
        }
    };
    for order in orders {
        let reply = order.await.unwrap();
        assert!(matches!(reply, Reply::Written(Written::Done { .. })), "{reply:?}");
    }
    agreed(world, servers).await;
    times
}

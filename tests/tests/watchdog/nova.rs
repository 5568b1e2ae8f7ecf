//! A Nova that knows the nodes: the stand-in of the lab, on a thread of its own.

use hactl::lab::nova::{NovaSettings, NovaStandin};
use sim::standin::nova::{Request, ServiceUpdate};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::cluster::name;

/// The user that controllers log in as.
pub(crate) const USER: &str = "admin";
/// Its password.
pub(crate) const PASSWORD: &str = "stand-in";

/// Nova, until it is dropped.
pub(crate) struct Nova {
    standin: NovaStandin,
    // Its thread ends with it.
    _end: oneshot::Sender<()>,
}

impl Nova {
    /// With a nova-compute on each of so many nodes, enabled, and no VM.
    pub(crate) fn start(nodes: u8) -> Self {
        let (end, ended) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let settings = NovaSettings {
                    computes: (1..=nodes).map(name).collect(),
                    user: USER.to_owned(),
                    password: PASSWORD.to_owned(),
                    ..NovaSettings::default()
                };
                // Nothing is ever ordered of its computes: there is no VM.
                let (standin, _orders) = NovaStandin::serve(listener, settings).expect("it serves");
                tell.send(standin).expect("somebody waits");
                // An error means that nobody holds it any more.
                let _ = ended.await;
            });
        });
        Self { standin: told.recv().expect("it serves"), _end: end }
    }

    /// Where Keystone is.
    pub(crate) fn auth_url(&self) -> String {
        self.standin.auth_url()
    }

    /// Disables a node, as its operator does before a drill.
    pub(crate) fn disable(&self, number: u8) {
        let node = name(number);
        self.standin.with(|cloud, now| {
            let services = cloud.services(now);
            let of = services.iter().find(|service| service.host == node).expect("its service");
            let update = ServiceUpdate {
                enabled: Some(false),
                disabled_reason: Some("a drill".to_owned()),
                forced_down: None,
            };
            let served = cloud.serve(now, &Request::Update(of.id, update));
            assert!(matches!(served.result, Some(Ok(_))), "Nova refuses");
        });
    }
}

use std::time::Duration;

/// How big and how quick the stand-in is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Silence after which Nova calls a service down; its own default is 60 s.
    pub service_down_time: Duration,
    /// How long the API waits for a nova-compute that does not answer; Nova's default is 60 s. A disable of a dead
    /// host that still counts as up takes this long.
    pub rpc_response_timeout: Duration,
    /// How long things take.
    pub latency: Latency,
    /// Whether a burst of evacuations lands on one host, as it does when the scheduler weighs hosts by what they last
    /// wrote; otherwise the least loaded host is taken.
    pub herding: bool,
    /// What fits on one compute.
    pub vcpus_per_host: u32,
    /// Rows of a page; Nova's `max_limit`.
    pub page: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            service_down_time: Duration::from_secs(60),
            rpc_response_timeout: Duration::from_secs(60),
            latency: Latency::default(),
            herding: false,
            vcpus_per_host: 1000,
            page: 1000,
        }
    }
}

/// How long the stages take; defaults as seen on an idle real Nova.
#[derive(Clone, Debug)]
pub struct Latency {
    /// An API call.
    pub api: Duration,
    /// From the 200 to the scheduler's choice.
    pub schedule: Duration,
    /// From there until the destination takes the message.
    pub cast: Duration,
    /// From the claim until the guest is ordered.
    pub spawn: Duration,
    /// From the guest's start until the database says so: the window in which a guest runs and Nova does not know.
    pub finish: Duration,
    /// One stage of a live migration.
    pub live: Duration,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency {
            api: Duration::from_millis(130),
            schedule: Duration::from_millis(200),
            cast: Duration::from_millis(50),
            spawn: Duration::from_millis(400),
            finish: Duration::from_millis(100),
            live: Duration::from_millis(1500),
        }
    }
}

/// Size of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// One vCPU: hundreds fit.
    Tiny,
    /// 600 of a host's 1000 vCPUs: one fits, a second does not.
    Big,
}

impl Flavor {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Flavor::Tiny => "tiny",
            Flavor::Big => "big",
        }
    }

    pub(super) fn vcpus(self) -> u32 {
        match self {
            Flavor::Tiny => 1,
            Flavor::Big => 600,
        }
    }
}

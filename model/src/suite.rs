//! Everything that is checked: the models within all their bounds, and every break within the bounds that show it.

use crate::check::{Limits, Outcome, search};
use crate::evacuate::{self, Evacuate};
use crate::fleet::{self, Fleet};
use crate::lease::{self, Lease};
use crate::registry::{self, Registry};

/// What a job must come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Must {
    /// Every state is seen, nothing is broken, everything that has to be reached is.
    Hold,
    /// A violation is found.
    Break,
}

/// One search.
pub struct Job {
    /// The model's name.
    pub model: &'static str,
    /// What it must come to.
    pub must: Must,
    /// The broken rule as the program's user names it; of a whole model, its bounds.
    pub mutant: String,
    /// Its number in the list of mutants of the simulator, if it has one.
    pub number: &'static str,
    /// What it breaks, as half a sentence.
    pub breaks: &'static str,
    run: Box<dyn Fn(Limits) -> Outcome + Send + Sync>,
}

impl Job {
    /// Searches.
    pub fn run(&self, limits: Limits) -> Outcome {
        (self.run)(limits)
    }

    /// Whether it came to what it must.
    pub fn is_good(&self, outcome: &Outcome) -> bool {
        match self.must {
            Must::Hold => outcome.is_good(),
            Must::Break => !outcome.broken.is_empty(),
        }
    }

    fn whole(
        model: &'static str,
        bounds: &str,
        run: impl Fn(Limits) -> Outcome + Send + Sync + 'static,
    ) -> Job {
        let (mutant, number, breaks) = (bounds.to_owned(), "", "");
        Job { model, must: Must::Hold, mutant, number, breaks, run: Box::new(run) }
    }
}

/// All models within all their bounds.
pub fn whole() -> Vec<Job> {
    let mut jobs = leases(lease::Scope::ALL);
    jobs.push(Job::whole("fleet", "", |l| search(Fleet { mutant: None }, l)));
    for &scope in evacuate::Scope::ALL {
        jobs.push(Job::whole("evacuate", scope.name, move |l| {
            search(Evacuate { scope, mutant: None }, l)
        }));
    }
    for &scope in registry::Scope::ALL {
        jobs.push(Job::whole("registry", scope.name, move |l| {
            search(Registry { scope, mutant: None }, l)
        }));
    }
    jobs
}

/// The lease model within bounds that take minutes each.
pub fn wide() -> Vec<Job> {
    leases(lease::Scope::WIDE)
}

fn leases(scopes: &'static [lease::Scope]) -> Vec<Job> {
    let job = |scope: lease::Scope| {
        Job::whole("lease", scope.name, move |l| search(Lease { scope, mutant: None }, l))
    };
    scopes.iter().copied().map(job).collect()
}

/// Models within bounds that take a few seconds.
pub fn quick() -> Vec<Job> {
    let mut jobs = leases(lease::Scope::QUICK);
    jobs.push(Job::whole("fleet", "", |l| search(Fleet { mutant: None }, l)));
    let scope = evacuate::Scope::SMALL;
    jobs.push(Job::whole("evacuate", scope.name, move |l| {
        search(Evacuate { scope, mutant: None }, l)
    }));
    let scope = registry::Scope::SMALL;
    jobs.push(Job::whole("registry", scope.name, move |l| {
        search(Registry { scope, mutant: None }, l)
    }));
    jobs
}

/// Every break, each of which must be seen.
pub fn mutants() -> Vec<Job> {
    let mut jobs = Vec::new();
    let mut add = |model, mutant: String, number, breaks, run| {
        jobs.push(Job { model, must: Must::Break, mutant, number, breaks, run });
    };
    for &m in lease::Mutant::ALL {
        let run = move |l| search(Lease { scope: m.scope(), mutant: Some(m) }, l);
        add("lease", format!("{m:?}"), m.number(), m.breaks(), Box::new(run) as Box<_>);
    }
    for &m in fleet::Mutant::ALL {
        let run = move |l| search(Fleet { mutant: Some(m) }, l);
        add("fleet", format!("{m:?}"), m.number(), m.breaks(), Box::new(run) as Box<_>);
    }
    for &m in evacuate::Mutant::ALL {
        let scope = evacuate::Scope::SMALL;
        let run = move |l| search(Evacuate { scope, mutant: Some(m) }, l);
        add("evacuate", format!("{m:?}"), m.number(), m.breaks(), Box::new(run) as Box<_>);
    }
    for &m in registry::Mutant::ALL {
        let run = move |l| search(Registry { scope: m.scope(), mutant: Some(m) }, l);
        add("registry", format!("{m:?}"), m.number(), m.breaks(), Box::new(run) as Box<_>);
    }
    jobs
}

/// Where the code was found to differ from the rules: each is a violation until the code is mended.
pub fn holes() -> Vec<Job> {
    let scope = lease::Scope::HOLE;
    vec![Job {
        model: "lease",
        must: Must::Break,
        mutant: "KilledWhileDisarmed".to_owned(),
        number: "",
        breaks: "a sentinel that was killed and then finds itself disarmed leaves the watchdog ticking",
        run: Box::new(move |l| search(Lease { scope, mutant: None }, l)),
    }]
}

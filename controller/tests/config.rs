//! Configurations and the words that their authors read: each `config/bad/*.toml` is refused with exactly the text of its
//! `.expected`. `BLESS=1` rewrites those; read them as their user would.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use controller::config::{Config, ConfigError};
use controller::shell::program::{EXAMPLE, EXAMPLE_INVENTORY};
use fencing::bmc::{Device, LevelKind};

struct Folder(PathBuf);

impl Folder {
    /// A folder with all files that a configuration may name, secrets with mode 600.
    fn new(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("holdfast-config-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("bmc")).unwrap();
        let folder = Self(dir);
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/files");
        for entry in std::fs::read_dir(files).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.0.join(entry.file_name())).unwrap();
        }
        let hex: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        folder.write("key", &"01".repeat(32), 0o600);
        folder.write("open.key", &"01".repeat(32), 0o640);
        folder.write("peer.key", &hex, 0o600);
        folder.write("gossip.key", &format!("1 {hex}\n"), 0o600);
        folder.write("token", "correct-horse-battery\n", 0o600);
        folder.write("bmc.password", "hunter2\n", 0o600);
        folder.write("bmc/node-1", "hunter2\n", 0o600);
        folder.write("nova.password", "hunter2\n", 0o600);
        folder.write("long.password", "a password of far too many letters\n", 0o600);
        folder.write("empty", "\n", 0o600);
        folder
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let file = self.0.join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn bad() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 12);
    files
}

#[test]
fn every_bad_configuration_is_refused_in_the_agreed_words() {
    let folder = Folder::new("bad");
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for path in bad() {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let error = match Config::load(&folder.write(name, &text, 0o644)) {
            Ok(_) => panic!("{name} was loaded"),
            Err(error) => error,
        };
        let shown = error.to_string().replace(&format!("{}/", folder.0.display()), "");
        assert!(!shown.contains("hunter2") && !shown.contains("far too many"), "a secret: {shown}");
        if let ConfigError::Wrong(problems) = &error {
            for problem in problems.iter() {
                assert!(!problem.remedy().is_empty(), "no remedy: {}", problem.message());
                let place = format!("{}:{}:{}", problem.file(), problem.line(), problem.column());
                let rendered = problem.render(false);
                // A file that cannot be read has no text to show.
                assert!(rendered.contains(&place), "not at {place}: {rendered}");
            }
        }
        let expected = path.with_extension("expected");
        if bless {
            std::fs::write(&expected, &shown).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != shown {
            wrong.push(format!("{}:\n{shown}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "not as agreed (BLESS=1 accepts):\n{}", wrong.join("\n"));
}

#[test]
fn the_examples_of_the_help_load() {
    let folder = Folder::new("example");
    let here = |text: &str| text.replace("/etc/holdfast/", "");
    folder.write("inventory.toml", &here(EXAMPLE_INVENTORY), 0o644);
    let file = folder.write("example.toml", &here(EXAMPLE), 0o644);
    let config = Config::load(&file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.networks.len(), config.controllers.len()), (3, 3));
    assert_eq!((config.inventory.nodes.len(), config.inventory.bmcs.len()), (2, 1));
    let level = &config.inventory.bmcs.values().next().unwrap()[0];
    let [Device::Ipmi(bmc)] = level.devices().collect::<Vec<_>>()[..] else { panic!("{level:?}") };
    assert_eq!((bmc.addr.port(), bmc.suites.len()), (623, 1));
    assert!(config.nova.is_some() && config.confirm_by_census && !config.lab);
    assert!(config.summary().contains("wL 141.3 s"), "{}", config.summary());
    let waits = EXAMPLE.lines().filter_map(|line| line.strip_prefix("# "));
    let waits: String = waits
        .skip_while(|line| !line.starts_with("[waits]"))
        .take_while(|line| !line.starts_with("[kdump]"))
        .map(|line| format!("{line}\n"))
        .collect();
    let text = format!("{}\n{waits}", here(EXAMPLE));
    let written = Config::load(&folder.write("waits.toml", &text, 0o644)).unwrap();
    assert_eq!(written.waits, config.waits, "the example says what the defaults are");
    assert!(!format!("{config:?}").contains("hunter2"), "a secret prints");
}

#[test]
fn only_a_lab_may_wait_less() {
    let folder = Folder::new("lab");
    let good = std::fs::read_to_string(folder.0.join("controller.toml")).unwrap();
    assert!(Config::load(&folder.0.join("controller.toml")).is_ok());
    let waits = "\n[waits]\nunknown = \"5s\"\neffect = \"4s\"\ngrace = \"0s\"\n";
    let strict = folder.write("strict.toml", &format!("{good}{waits}"), 0o644);
    assert!(Config::load(&strict).is_err());
    let lab = folder.write("lab.toml", &format!("lab = true\n{good}{waits}"), 0o644);
    let config = Config::load(&lab).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.waits.unknown, Duration::from_secs(5));
    assert!(config.notes().iter().any(|note| note.contains("lab = true")));
    let waits = "\n[waits]\nunknown = \"3s\"\neffect = \"4s\"\n";
    let text = format!("lab = true\n{good}{waits}");
    let error = Config::load(&folder.write("wrong.toml", &text, 0o644)).unwrap_err();
    assert!(error.to_string().contains("while it may still leave"), "{error}");
}

#[test]
fn an_inventory_read_again_is_taken_whole_or_not_at_all() {
    let folder = Folder::new("again");
    let config = Config::load(&folder.0.join("controller.toml")).unwrap();
    let good = std::fs::read_to_string(&config.inventory_file).unwrap();
    std::fs::write(&config.inventory_file, good.replace("rack-1", "rack-9")).unwrap();
    let inventory = config.inventory_again().unwrap();
    assert_eq!(inventory.nodes.values().next().unwrap().domain, "rack-9");
    std::fs::write(&config.inventory_file, good.replace("10.0.0.11:7947", "10.0.0.1:7948"))
        .unwrap();
    let problems = config.inventory_again().unwrap_err();
    assert!(problems.to_string().contains("is an address of controller-1"), "{problems}");
    std::fs::remove_file(&config.inventory_file).unwrap();
    assert!(config.inventory_again().is_err());
}

#[test]
fn every_kind_of_device_is_read_from_an_inventory() {
    let folder = Folder::new("devices");
    let config = Config::load(&folder.0.join("controller.toml")).unwrap();
    let good = std::fs::read_to_string(&config.inventory_file).unwrap();
    let (node, _) = good.split_once("[node.bmc]").unwrap();
    let pin = "a8be25571906aa32a2ff0e1c761142bfe51f0a18ffbaf61aa6e8ded93eb700ba";
    let devices = format!(
        r#"
[[node.bmc]]
type = "redfish"
address = "10.9.0.11"
name = "bmc-1.example.org"
user = "holdfast"
password_file = "bmc.password"
fingerprint = "{pin}"
login = "session"
system = "/redfish/v1/Systems/1"
serial = "7XK2"

[[node.bmc]]
type = "fence-agent"
program = "/usr/sbin/fence_apc_snmp"
power_verified = true
password_file = "bmc.password"
parameters = {{ ip = "10.9.0.15", plug = "3" }}

[[node.bmc]]
type = "ipmi"
address = "10.9.0.11:9623"
user = "holdfast"
password_file = "bmc.password"
"#
    );
    std::fs::write(&config.inventory_file, format!("{node}{devices}")).unwrap();
    let inventory = config.inventory_again().unwrap_or_else(|problems| panic!("{problems}"));
    let level = &inventory.bmcs.values().next().unwrap()[0];
    let [Device::Redfish(redfish), Device::Agent(agent), Device::Ipmi(ipmi)] =
        level.devices().collect::<Vec<_>>()[..]
    else {
        panic!("{level:?}")
    };
    assert_eq!((redfish.addr.port(), redfish.serial.as_deref()), (443, Some("7XK2")));
    assert_eq!(redfish.system.as_deref(), Some("/redfish/v1/Systems/1"));
    assert!(agent.program().ends_with("fence_apc_snmp"));
    assert_eq!(ipmi.addr.port(), 9623);
    assert!(!format!("{level:?}").contains("hunter2"), "a secret prints");
}

#[test]
fn levels_are_numbered_from_one_on_and_each_has_its_devices() {
    let folder = Folder::new("levels");
    let config = Config::load(&folder.0.join("controller.toml")).unwrap();
    let good = std::fs::read_to_string(&config.inventory_file).unwrap();
    let (node, _) = good.split_once("[node.bmc]").unwrap();
    let outlet = |plug: u8, level: u8| {
        format!(
            "\n[[node.bmc]]\ntype = \"fence-agent\"\nprogram = \"/usr/sbin/fence_apc_snmp\"\nlevel = {level}\n\
             power_verified = true\npassword_file = \"bmc.password\"\n\
             parameters = {{ ip = \"10.9.0.15\", plug = \"{plug}\" }}\n"
        )
    };
    let bmc = "\n[[node.bmc]]\naddress = \"10.9.0.11\"\nuser = \"holdfast\"\npassword_file = \"bmc.password\"\n";
    let write = |devices: &str| {
        std::fs::write(&config.inventory_file, format!("{node}{devices}")).unwrap();
        config.inventory_again()
    };
    let inventory = write(&format!("{bmc}{}{}", outlet(1, 2), outlet(2, 2)))
        .unwrap_or_else(|problems| panic!("{problems}"));
    let devices: Vec<_> = inventory
        .bmcs
        .values()
        .next()
        .unwrap()
        .iter()
        .map(|level| level.devices().count())
        .collect();
    assert_eq!(devices, [1, 2]);
    assert_eq!(
        inventory.nodes.values().find(|node| !node.bmc.is_empty()).unwrap().bmc,
        [LevelKind::Power(1), LevelKind::Power(2)]
    );
    let problems = write(&format!("{bmc}{}", outlet(1, 3))).unwrap_err();
    assert!(problems.to_string().contains("there is a level 3 and no level 2"), "{problems}");
    let problems = write(&format!("{bmc}{}", outlet(1, 9))).unwrap_err();
    assert!(problems.to_string().contains("`level` must be a number from 1 to 4"), "{problems}");
}

#[test]
fn a_storage_counts_only_where_every_vm_lives_on_it_and_alone_in_its_level() {
    let folder = Folder::new("storage");
    let config = Config::load(&folder.0.join("controller.toml")).unwrap();
    let good = std::fs::read_to_string(&config.inventory_file).unwrap();
    let (node, _) = good.split_once("[node.bmc]").unwrap();
    let storage = |level: u8, rest: &str| {
        format!(
            "\n[[node.bmc]]\ntype = \"storage\"\nlevel = {level}\nprogram = \"/usr/local/sbin/keep-out\"\n\
             addresses = \"10.1.0.11, 10.2.0.11\"\n{rest}\n"
        )
    };
    let bmc = "\n[[node.bmc]]\naddress = \"10.9.0.11\"\nuser = \"holdfast\"\npassword_file = \"bmc.password\"\n";
    let write = |devices: &str| {
        std::fs::write(&config.inventory_file, format!("{node}{devices}")).unwrap();
        config.inventory_again()
    };
    let all = "every_vm_lives_there = true";
    let inventory =
        write(&format!("{bmc}{}", storage(2, all))).unwrap_or_else(|problems| panic!("{problems}"));
    let kinds: Vec<_> =
        inventory.bmcs.values().next().unwrap().iter().map(|level| level.kind()).collect();
    assert_eq!(kinds, [LevelKind::Power(1), LevelKind::Storage(2)]);
    let problems = write(&format!("{bmc}{}", storage(2, ""))).unwrap_err();
    assert!(problems.to_string().contains("proves nothing of the others"), "{problems}");
    let problems = write(&format!("{bmc}{}", storage(1, all))).unwrap_err();
    assert!(problems.to_string().contains("a storage and another device"), "{problems}");
}

#[test]
fn a_bmc_may_lie_behind_nodes_that_offer_to_carry_and_behind_no_others() {
    let folder = Folder::new("via");
    let config = Config::load(&folder.0.join("controller.toml")).unwrap();
    let node = |number: u8, rest: &str| {
        format!(
            "[[node]]\nname = \"node-{number}\"\nid = \"{}\"\nhost = \"node-{number}\"\ndomain = \"rack-{number}\"\n\
             key = \"{}\"\nsentinel = [\"10.5.0.{number}:7947\"]\n\
             gossip = [\"10.5.0.{number}:7946\"]\n{rest}\n",
            uuid::Uuid::from_u128(number.into()),
            fencing::sign::KeyPair::from_seed([number; 32]).public(),
        )
    };
    let bmc = |via: &str| {
        format!(
            "[node.bmc]\naddress = \"10.9.0.11\"\nuser = \"holdfast\"\npassword_file = \"bmc.password\"\nvia = {via}"
        )
    };
    let write = |first: &str| {
        let offers = |number: u8| node(number, &format!("proxy = \"10.5.0.{number}:8704\""));
        let text = format!("{}{}{}{}", node(1, first), offers(2), offers(3), node(4, ""));
        std::fs::write(&config.inventory_file, text).unwrap();
        config.inventory_again()
    };
    let inventory = write(&bmc("[\"node-3\", \"node-2\"]")).unwrap_or_else(|why| panic!("{why}"));
    let level = &inventory.bmcs.values().next().unwrap()[0];
    let [Device::Proxied(proxied)] = level.devices().collect::<Vec<_>>()[..] else {
        panic!("{level:?}")
    };
    let tried: Vec<_> =
        proxied.proxies().iter().map(|p| (p.name.as_str(), p.address.to_string())).collect();
    assert_eq!(tried, [("node-3", "10.5.0.3:8704".into()), ("node-2", "10.5.0.2:8704".into())]);
    let via = &inventory.nodes.values().find(|node| node.name == "node-1").unwrap().via;
    assert_eq!((via.len(), via[0].len()), (1, 2));

    let refused = [
        ("[\"node-1\", \"node-2\"]", "node-1 is to be switched off by way of itself"),
        ("[\"node-4\"]", "node-4 carries nothing"),
        ("[\"node-9\"]", "there is no node node-9"),
        ("[\"node-2\", \"node-2\"]", "node-2 is named twice"),
        ("[]", "`via` names 1 to 4 nodes"),
    ];
    for (via, why) in refused {
        let problems = write(&bmc(via)).unwrap_err().to_string();
        assert!(problems.contains(why), "{via}: {problems}");
    }
    let agent = "[node.bmc]\ntype = \"fence-agent\"\nprogram = \"/usr/sbin/fence_apc_snmp\"\npower_verified = true\n\
                 password_file = \"bmc.password\"\nparameters = { ip = \"10.9.0.15\", plug = \"3\" }\nvia = \"node-2\"";
    let problems = write(agent).unwrap_err().to_string();
    assert!(problems.contains("a program cannot be carried by a node"), "{problems}");
}

#[test]
fn what_is_done_about_vms_that_are_missing_is_read_and_bounded() {
    use controller::core::{Actual, Missing};
    let folder = Folder::new("actual");
    let text = std::fs::read_to_string(folder.0.join("controller.toml")).unwrap();
    let load = |actual: &str| {
        let text = format!("{}\n[actual]\n{actual}\n", text.replace("lab = true", "lab = false"));
        Config::load(&folder.write("actual.toml", &text, 0o644))
    };
    let usual = load("").unwrap_or_else(|error| panic!("{error}")).recovery.actual;
    assert_eq!(usual, Actual::default());
    let given = load("missing = \"reboot\"\nholds = \"2m\"\ngive_up = 2").unwrap().recovery.actual;
    assert_eq!((given.missing, given.holds.as_secs(), given.give_up), (Missing::Reboot, 120, 2));
    for (wrong, said) in [
        ("missing = \"destroy\"", "report and reboot"),
        ("holds = \"1s\"", "`holds` must be from 30s to 1h"),
        ("give_up = 11", "give_up"),
        ("keeps = \"1h\"", "keeps"),
    ] {
        let error = load(wrong).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

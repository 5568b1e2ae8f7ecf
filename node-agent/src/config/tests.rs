use super::*;
use crate::program::EXAMPLE;

fn error(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    let text = EXAMPLE.replacen(from, to, 1);
    Config::parse(&text, Path::new("node.toml")).expect_err("refused").to_string()
}

#[test]
fn the_example_of_the_help_loads() {
    let config = Config::parse(EXAMPLE, Path::new("node.toml")).expect("it loads");
    assert_eq!(config.networks.len(), 2);
    assert_eq!(config.controllers[0].lease[1], "10.1.0.1:7948".parse().expect("an address"));
    assert_eq!(config.networks[0].gossip_advertise, config.networks[0].gossip_listen);
    assert_eq!(config.watchdog.expect("named").timeout, Duration::from_secs(20));
    assert!(config.sentinel);
}

#[test]
fn an_error_names_file_line_and_remedy() {
    let cases = [
        ("profile =", "profil =", "node.toml:4: unknown field `profil`"),
        (
            "\"balanced\"",
            "\"brisk\"",
            "node.toml:4: unknown variant `brisk`, expected one of `balanced`",
        ),
        (
            "id = 1",
            "id = 0",
            "node.toml:23: controller id 0 is 0 or named twice; give each its own id",
        ),
        ("\"10.0.0.11:7946\"", "\"10.0.0.11\"", "node.toml:15: invalid socket address"),
        (
            "10.0.0.11:7946",
            "0.0.0.0:7946",
            "node.toml:13: others cannot send to 0.0.0.0:7946: add gossip_adv",
        ),
        (
            "name = \"storage\"",
            "name = \"management\"",
            "node.toml:13: network management is named twice",
        ),
        (
            ", storage = \"10.1.0.1:7946\"",
            "",
            "controller 1 lacks a gossip address on network storage",
        ),
        (
            "storage = \"10.1.0.1:7946\"",
            "store = \"10.1.0.1:7946\"",
            "gossip address on store, which is no",
        ),
        ("8a88", "zz88", "a key must be 64 hexadecimal digits"),
        (
            "path = \"/dev/watchdog0\"",
            "path = \"x\"\ntimeout = \"5s\"",
            "differs from W = 20s of the lease",
        ),
        (
            "path = \"/dev/watchdog0\"",
            "path = \"x\"\ntimeout = \"5\"",
            "write a time with its unit",
        ),
        ("virsh = \"/usr/bin/virsh\"", "", "give either directory"),
        ("virsh =", "uri = \"x\"\ndirectory =", "and uri only beside virsh"),
        (
            "# record = \"64MiB\"",
            "record = \"64MB\"",
            "node.toml:8: record must be a number with KiB",
        ),
        ("name = \"node-1\"", "name = \"node 1\"", "node.toml:2: name must be a host name"),
    ];
    for (from, to, want) in cases {
        let error = error(from, to);
        assert!(error.contains(want), "{error}");
        assert!(error.starts_with("node.toml:"), "{error}");
    }
}

#[test]
fn a_ceiling_that_probes_do_not_fit_under_is_refused_with_the_sum() {
    let load = |line: &str| {
        let text = format!("{EXAMPLE}\n[gossip]\n{line}\n");
        Config::parse(&text, Path::new("node.toml"))
    };
    let ceiling = load("most_bytes_per_second = 20000").expect("it loads").ceiling;
    assert_eq!(ceiling.map(gossip::ceiling::Ceiling::bytes_per_second), Some(20_000));
    let error = load("most_bytes_per_second = 2000").expect_err("refused").to_string();
    assert!(error.contains("2000 bytes a second are too few"), "{error}");
    assert!(error.contains("= 3600, together 5456; enlarge it, or remove [gossip]"), "{error}");
}

#[test]
fn lease_times_whose_sums_do_not_hold_are_refused_with_the_sum() {
    let lease = "[lease]\nrenew_every = \"1s\"\nlease = \"9s\"\nvouch = \"12s\"\nwatchdog = \"8s\"\n\
                 quiet = \"10s\"\nmargin = \"5s\"\n[[network]]";
    let text = EXAMPLE.replacen("profile = \"balanced\"", "", 1).replacen("[[network]]", lease, 1);
    let error = Config::parse(&text, Path::new("node.toml")).expect_err("refused").to_string();
    assert!(error.contains("lease L = 9s must be >= 10 p = 10s"), "{error}");
    let both = EXAMPLE.replacen("[[network]]", lease, 1);
    let error = Config::parse(&both, Path::new("node.toml")).expect_err("refused").to_string();
    assert!(error.contains("a profile or [lease], not both"), "{error}");
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = std::env::temp_dir().join(format!("holdfast-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join("node.key");
    std::fs::write(&file, "11".repeat(32)).expect("written");
    let config = Config::parse(EXAMPLE, Path::new("node.toml")).expect("it loads");
    let config = Config { key_file: file.clone(), ..config };
    let mode =
        |bits| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(bits)).expect("set");
    mode(0o640);
    let error = config.key_pair().expect_err("the group can read it").to_string();
    assert!(error.contains("mode 640") && error.contains("chmod 600"), "{error}");
    mode(0o600);
    let key = config.key_pair().expect("its owner alone can read it");
    assert!(!format!("{key:?}").contains("11"));
}

#[test]
fn node_keys_are_lines_of_node_and_key() {
    let key = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    let node = Uuid::from_u128(5);
    let parse = |text: &str| NodeKeys::parse(text, Path::new("nodes.keys"));
    let keys = parse(&format!("# all\n\n{node} {key} # node-5\n")).expect("they load");
    assert_eq!(keys.key(NodeId(node)).expect("known").to_string(), key);
    assert!(keys.key(NodeId(Uuid::nil())).is_none());
    for (text, want) in [
        (format!("x {key}"), "nodes.keys:1: must begin with a node's UUID"),
        (format!("\n{node}"), "nodes.keys:2: the node's public key is missing"),
        (format!("{node} {key} {key}"), "nothing more"),
        (format!("{node} {key}\n{node} {key}"), "nodes.keys:2: this node has a key already"),
    ] {
        let error = parse(&text).expect_err("refused").to_string();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn a_node_carries_to_the_networks_that_it_names_and_is_no_open_relay() {
    let load = |proxy: &str| {
        Config::parse(&format!("{EXAMPLE}\n[proxy]\n{proxy}\n"), Path::new("node.toml"))
    };
    let config = load("listen = \"10.0.0.11:8704\"\nallow = [\"10.9.0.0/24\"]").expect("it loads");
    let proxy = config.proxy.expect("it carries");
    assert_eq!(proxy.ports, [623, 443]);
    assert!(proxy.allow[0].contains([10, 9, 0, 11].into()));
    for (proxy, why) in [
        ("listen = \"10.0.0.11:8704\"\nallow = [\"0.0.0.0/0\"]", "is too wide"),
        ("listen = \"10.0.0.11:8704\"\nallow = [\"10.9.0.1/24\"]", "write 10.9.0.0/24"),
        ("listen = \"10.0.0.11:8704\"\nallow = []", "name the networks of the BMCs"),
        ("listen = \"10.0.0.11:0\"\nallow = [\"10.9.0.0/24\"]", "a port in listen"),
        ("listen = \"10.0.0.11:8704\"\nallow = [\"10.9.0.0/24\"]\nports = []", "leave them out"),
    ] {
        let error = load(proxy).expect_err("refused").to_string();
        assert!(error.contains(why), "{error}");
    }
}

fn with_check(check: &str) -> Result<Config, ConfigError> {
    let text = format!("{EXAMPLE}\n[[check]]\n{check}\n");
    Config::parse(&text, Path::new("node.toml"))
}

#[test]
fn every_kind_of_check_loads() {
    for check in [
        "name = \"a\"\nkind = \"script\"\ncommand = [\"/usr/bin/true\"]",
        "name = \"a\"\nkind = \"http\"\nurl = \"http://localhost:8775/healthcheck\"\ncontains = \"OK\"",
        "name = \"a\"\nkind = \"tcp\"\naddress = \"10.1.0.1:3260\"",
        "name = \"a\"\nkind = \"ping\"\naddress = \"10.1.0.1:3260\"\nwarning = \"5ms\"\ncritical = \"50ms\"",
        "name = \"a\"\nkind = \"ttl\"\nevery = \"1m\"",
        "name = \"a\"\nkind = \"mount\"\npath = \"/var/lib/nova/instances\"",
        "name = \"a\"\nkind = \"kernel_log\"\npatterns = [\"Oops\"]\nstate = \"warning\"",
        "name = \"a\"\nkind = \"unit\"\nunit = \"nova-compute.service\"",
        "name = \"a\"\nkind = \"libvirt\"",
        "name = \"a\"\nkind = \"temperature\"\nwarning = \"80C\"",
        "name = \"a\"\nkind = \"fans\"",
    ] {
        let config = with_check(check).unwrap_or_else(|error| panic!("{check}: {error}"));
        assert_eq!(config.checks.len(), 1);
        assert!(config.checks[0].plan.within <= config.checks[0].plan.every);
    }
}

#[test]
fn libvirt_is_asked_as_nova_asks_it_and_a_lab_has_none() {
    let check = "[[check]]\nname = \"a\"\nkind = \"libvirt\"";
    let load = |domains: &str| {
        let text = EXAMPLE.replacen("virsh = \"/usr/bin/virsh\"", domains, 1);
        Config::parse(&format!("{text}\n{check}\n"), Path::new("node.toml"))
    };
    for (more, uri) in [("", "qemu:///system"), ("\nuri = \"lxc:///system\"", "lxc:///system")] {
        let config = load(&format!("virsh = \"/usr/bin/virsh\"{more}")).expect("it loads");
        let virsh = Virsh { program: "/usr/bin/virsh".into(), uri: uri.to_owned() };
        assert_eq!(config.checks[0].probe, crate::checks::Probe::Libvirt(virsh.clone()));
        assert_eq!(config.domains, Domains::Virsh(virsh));
    }
    let error = load("directory = \"/x\"").expect_err("refused").to_string();
    assert!(error.contains("no libvirt where [domains] names a directory"), "{error}");
}

#[test]
fn a_check_that_is_wrong_is_named_with_its_line_and_a_remedy() {
    let lines = EXAMPLE.lines().count();
    for (check, line, want) in [
        ("name = \"a\"\nkind = \"telnet\"", 4, "unknown variant `telnet`"),
        ("name = \"a\"\nkind = \"tcp\"\nadress = \"x\"", 5, "unknown field `adress`"),
        ("name = \"A\"\nkind = \"ttl\"", 3, "check \"A\": a name has up to 32 lower-case letters"),
        ("name = \"a\"\nkind = \"tcp\"", 2, "address is missing; add address ="),
        ("name = \"a\"\nkind = \"tcp\"\naddress = \"host:1\"", 5, "no address with a port"),
        ("name = \"a\"\nkind = \"mount\"\npath = \"/x\"\nurl = \"y\"", 6, "url is no key of kind"),
        ("name = \"a\"\nkind = \"ttl\"\nevery = \"5\"", 5, "write a time with its unit"),
        ("name = \"a\"\nkind = \"ttl\"\nevery = \"2h\"", 5, "every must be 1s to 1h"),
        ("name = \"a\"\nkind = \"ttl\"\nfall = 0", 5, "fall must be 1 to 100"),
        ("name = \"a\"\nkind = \"script\"\ncommand = [\"x\"]", 5, "the program's whole path"),
        ("name = \"a\"\nkind = \"http\"\nurl = \"https://x/\"", 5, "plain HTTP, and no name"),
        ("name = \"a\"\nkind = \"kernel_log\"\nstate = \"bad\"", 5, "\"warning\" or \"critical\""),
        (
            "name = \"a\"\nkind = \"fans\"\n[[check]]\nname = \"a\"\nkind = \"fans\"",
            6,
            "two checks",
        ),
    ] {
        let error = with_check(check).expect_err("refused").to_string();
        assert!(error.contains(want), "{error}");
        let section = lines + 1;
        let at = format!("node.toml:{}:", section + line - 1);
        assert!(error.starts_with(&at), "{error}: wanted {at}");
    }
}

//! The systemd units: what each must have, and what would break it. `systemd-analyze verify` reads them too where it is.

use std::path::PathBuf;
use std::process::Command;

fn unit(name: &str) -> (PathBuf, Vec<String>) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    let path = dir.join(name);
    let text = std::fs::read_to_string(&path).expect("a unit");
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    (path, lines.map(str::to_owned).collect())
}

fn must(name: &str, have: &[&str], lack: &[&str]) {
    let (_, lines) = unit(name);
    let missing: Vec<&&str> =
        have.iter().filter(|want| !lines.iter().any(|line| line == *want)).collect();
    assert!(missing.is_empty(), "{name} lacks {missing:?}");
    let wrong: Vec<&String> =
        lines.iter().filter(|line| lack.iter().any(|key| line.starts_with(key))).collect();
    assert!(wrong.is_empty(), "{name} must not have {wrong:?}");
}

/// Beside what is right for all.
const HARDENED: [&str; 11] = [
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
];
const FAMILIES: &str = "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX";

#[test]
fn the_agent_may_touch_no_device_and_has_no_rights() {
    let own = [
        "PrivateDevices=yes",
        "ProtectClock=yes",
        "SystemCallFilter=@system-service",
        "CapabilityBoundingSet=",
        FAMILIES,
        "RuntimeDirectoryPreserve=yes",
        "LimitCORE=0",
    ];
    must("holdfast-agent.service", &[&HARDENED[..], &own[..]].concat(), &[]);
}

#[test]
fn the_gate_holds_back_what_starts_guests_until_its_file_names_this_boot() {
    let held = "libvirt-guests.service nova-compute.service openstack-nova-compute.service";
    let (before, required) = (format!("Before={held}"), format!("RequiredBy={held}"));
    let opens = "ExecStart=/bin/sh -c 'until cmp -s /run/holdfast/gate /proc/sys/kernel/random/boot_id; do sleep 1; done'";
    let have = [
        before.as_str(),
        required.as_str(),
        opens,
        "Type=oneshot",
        "RemainAfterExit=yes",
        "After=holdfast-sentinel.service",
    ];
    // One that gave up would open; one that needs the sentinel would stop guests when that is upgraded.
    must("holdfast-gate.service", &have, &["Requires=", "BindsTo=", "RuntimeMaxSec"]);
    must("holdfast-gate.service", &["TimeoutStartSec=infinity"], &[]);
}

#[test]
fn the_sentinel_has_its_watchdog_its_priority_and_its_memory_and_is_never_started_again() {
    let own = [
        "DevicePolicy=closed",
        "DeviceAllow=/dev/watchdog0 rw",
        "LimitMEMLOCK=infinity",
        "OOMScoreAdjust=-1000",
        // A crash is a reset; only an upgrade starts it again, and n must survive that.
        "Restart=no",
        "RuntimeDirectoryPreserve=yes",
        "CPUSchedulingPolicy=rr",
        "Slice=-.slice",
        "SystemCallFilter=@system-service @reboot",
        "LimitCORE=0",
        FAMILIES,
    ];
    // PrivateDevices hides the watchdog, ProtectClock brings an allow-list of devices, ProtectKernelTunables makes
    // sysrq-trigger read-only, RestrictRealtime forbids SCHED_RR, WatchdogSec would start it again.
    let lack = [
        "PrivateDevices=",
        "ProtectClock=",
        "ProtectKernelTunables=",
        "RestrictRealtime=",
        "WatchdogSec=",
        "Conflicts=",
    ];
    must("holdfast-sentinel.service", &[&HARDENED[..], &own[..]].concat(), &lack);
    let (_, lines) = unit("holdfast-sentinel.service");
    let rights = lines.iter().find(|line| line.starts_with("CapabilityBoundingSet="));
    assert!(rights.is_some_and(|line| line.contains("CAP_SYS_BOOT")), "{rights:?}");
    let (_, agent) = unit("holdfast-agent.service");
    assert!(!agent.iter().any(|line| line.contains("CAP_SYS_BOOT") || line.contains("@reboot")));
}

#[test]
fn systemd_reads_all_units_where_there_is_one() {
    let units = ["holdfast-agent", "holdfast-gate", "holdfast-sentinel", "ha-controller"];
    let paths: Vec<PathBuf> = units.iter().map(|name| unit(&format!("{name}.service")).0).collect();
    let Ok(output) = Command::new("systemd-analyze").arg("verify").args(&paths).output() else {
        println!("no systemd-analyze here: the units are read by the other tests alone");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    // The programs, and other people's units, need not be installed where this is tested.
    let about_us = |line: &&str| {
        let missing = line.contains("is not executable") || line.contains("not found");
        line.contains("packaging/systemd") && !missing
    };
    let complaints: Vec<&str> = said.lines().filter(about_us).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

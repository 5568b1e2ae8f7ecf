//! A fence agent of ours, a shell script, that misbehaves on command: files in its directory are its
//! node and its faults.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use fencing::bmc::Secret;
use fencing::bmc::agent::AgentTarget;

/// The password that it wants.
pub(crate) const PASSWORD: &str = "hunter2 & \"sons\" $HOME";

/// Written as an agent would be that does not use the library: it reads lines, answers with words and
/// exit codes, and tells in `seen` what it was given.
const SCRIPT: &str = r#"#!/bin/sh
dir=$(dirname "$0")
echo "arguments: $# [$*]" >>"$dir/seen"
env | sort >"$dir/environment"
action= password= plug=
while IFS= read -r line; do
    case $line in
    action=*) action=${line#action=} ;;
    password=*) password=${line#password=} ;;
    plug=*) plug=${line#plug=} ;;
    esac
done
echo "$action" >>"$dir/actions"
if [ "$action" = metadata ]; then
    cat "$dir/metadata"
    exit 0
fi
if [ -e "$dir/usage" ]; then
    echo "usage: fence_x [-h] -a IP -p PASSWORD" >&2
    exit 2
fi
if [ -e "$dir/hangs" ]; then
    sleep 300 &
    echo $! >"$dir/child"
    wait
fi
if [ -e "$dir/floods" ]; then
    yes "a lot of words"
fi
if [ "$password" != "$(cat "$dir/password")" ]; then
    echo "Parse error: Ignoring unknown option 'password=$password'" >&2
    exit 1
fi
if [ -e "$dir/off_at" ] && [ "$(date +%s)" -ge "$(cat "$dir/off_at")" ]; then
    echo OFF >"$dir/power"
fi
power=$(cat "$dir/power")
case $action in
status)
    [ -e "$dir/lies" ] && power=OFF
    [ -e "$dir/vague" ] && power=POWERINGOFF
    echo "Status: $power"
    [ "$power" = OFF ] && exit 2
    exit 0
    ;;
off)
    if [ -e "$dir/already" ] && [ "$power" = OFF ]; then
        echo "Success: Already OFF"
        exit 0
    fi
    if [ -e "$dir/slow" ]; then
        # A second off does not put the first one back.
        [ -e "$dir/off_at" ] || echo $(($(date +%s) + $(cat "$dir/slow"))) >"$dir/off_at"
        echo "ERROR: Failed: Timed out waiting to power OFF" >&2
        exit 1
    fi
    [ -e "$dir/stuck" ] || [ -e "$dir/lies" ] || [ -e "$dir/vague" ] || echo OFF >"$dir/power"
    echo "Success: Powered OFF"
    exit 0
    ;;
esac
exit 1
"#;

const METADATA: &str = r#"<?xml version="1.0" ?>
<resource-agent name="fence_x" shortdesc="stand-in" >
<parameters>
	<parameter name="action" unique="0" required="1"></parameter>
	<parameter name="ip" unique="0" required="1"></parameter>
	<parameter name="plug" unique="0" required="1"></parameter>
	<parameter name="password" unique="0" required="0"></parameter>
</parameters>
<actions>
	<action name="on" automatic="0"/>
	<action name="off" />
	<action name="status" />
	<action name="metadata" />
</actions>
</resource-agent>
"#;

/// An agent with its node, which is on; removed when dropped.
pub(crate) struct Agent {
    dir: PathBuf,
}

impl Agent {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("holdfast-agent-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).expect("a new temporary directory");
        let agent = Self { dir };
        agent.put("power", "ON\n");
        agent.put("password", &format!("{PASSWORD}\n"));
        agent.put("metadata", METADATA);
        agent.put("fence_x", SCRIPT);
        fs::set_permissions(agent.program(), fs::Permissions::from_mode(0o755)).expect("mode");
        agent
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.path("fence_x")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.dir).join(name)
    }

    /// Writes a file: a fault, or what the agent knows.
    pub(crate) fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file in our directory");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Whether its node is on, in truth.
    pub(crate) fn is_on(&self) -> bool {
        self.read("power").trim() == "ON"
    }

    /// Offs that it was asked for.
    pub(crate) fn offs(&self) -> usize {
        self.read("actions").lines().filter(|action| *action == "off").count()
    }

    /// As the inventory would name it.
    pub(crate) fn target(&self, plug: &str, password: &str) -> AgentTarget {
        let parameters: BTreeMap<_, _> =
            [("ip".into(), "127.0.0.1".into()), ("plug".into(), plug.into())].into();
        let password = Some(("password".into(), Secret::new(password.into())));
        AgentTarget::new(self.program(), parameters, password).expect("a usable agent")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

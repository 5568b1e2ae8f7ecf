#!/usr/bin/env bash
# masakari.sh venv|up|down: Masakari's API and engine beside a lab that runs, with its defaults, to be compared with. It
# has a Python environment of its own, made by `venv`: nothing else needs it.
set -euo pipefail
umask 077
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=configs.sh
. "$HERE/configs.sh"
OWN_VENV=${HOLDFAST_MASAKARI_VENV:-$CACHE/masakari-venv}
OWN_BIN=$OWN_VENV/bin
VERSION=22.0.0

make_venv() {
    [ "$(cat "$OWN_VENV/made-from" 2>/dev/null)" = "$VERSION" ] && return
    mkdir -p "$(dirname "$OWN_VENV")"
    echo "    installs Masakari and what it needs into $OWN_VENV, once" >&2
    [ -x "$OWN_BIN/python" ] || "${HOLDFAST_NOVA_PYTHON:-python3}" -m venv "$OWN_VENV"
    nice -n "${HOLDFAST_NOVA_NICE:-5}" "$OWN_BIN/pip" install --quiet --no-cache-dir \
        --disable-pip-version-check -c "$HERE/constraints.txt" \
        "masakari==$VERSION" pymysql 'setuptools<81'
    echo "$VERSION" >"$OWN_VENV/made-from"
}

# Nothing of its recovery is changed: how long it waits, how many it moves at once.
masakari_config() {
    cat <<X
[DEFAULT]
transport_url = rabbit://lab:$PASSWORD@$IP:$PORT_RABBIT/
host = control
state_path = $STATE/control
use_stderr = false
masakari_api_listen = $IP
masakari_api_listen_port = $PORT_MASAKARI
masakari_api_workers = 1
api_paste_config = $ETC/masakari/api-paste.ini
os_privileged_user_tenant = service
os_privileged_user_name = service
os_privileged_user_password = $PASSWORD
os_privileged_user_auth_url = http://$IP:$PORT_KEYSTONE/v3
os_user_domain_name = Default
os_project_domain_name = Default
os_region_name = RegionOne
nova_catalog_admin_info = compute:compute:publicURL
auth_strategy = keystone
[database]
connection = $(database masakari)
[taskflow]
connection = $(database masakari)
[oslo_concurrency]
lock_path = $STATE/locks
$(token_check instance-ha)
X
}

bring_up() {
    [ -x "$OWN_BIN/masakari-engine" ] || fail "no Masakari in $OWN_VENV: masakari.sh venv"
    pid_of mariadb >/dev/null || fail "the lab does not run: up.sh"
    local config=(--config-file "$ETC/masakari/masakari.conf")
    PASSWORD=$(<"$DIR/password")
    mkdir -p "$ETC/masakari"
    masakari_config >"$ETC/masakari/masakari.conf"
    cp "$OWN_VENV/etc/masakari/api-paste.ini" "$ETC/masakari/"
    # From nothing each time: what it remembers of a host keeps it from a second recovery.
    mariadb --no-defaults -S "$RUN/mariadb.sock" -u root <<<'DROP DATABASE IF EXISTS masakari;
        CREATE DATABASE masakari CHARACTER SET utf8mb3;'
    "$OWN_BIN/masakari-manage" "${config[@]}" db sync >"$LOG/masakari-sync.out" 2>&1 9>&-
    launch masakari-engine "$OWN_BIN/masakari-engine" "${config[@]}" --log-file "$LOG/masakari-engine.log"
    launch masakari-api "$OWN_BIN/masakari-api" "${config[@]}" --log-file "$LOG/masakari-api.log"
    await masakari-api 120 port_open "$PORT_MASAKARI"
    say "Masakari answers"
    echo "http://$IP:$PORT_MASAKARI/v1"
}

case "${1:-}" in
venv) make_venv ;;
up)
    lock_lab
    bring_up
    ;;
down)
    lock_lab
    end masakari-api
    end masakari-engine
    ;;
*) echo "usage: masakari.sh venv|up|down" >&2; exit 2 ;;
esac

#!/usr/bin/env bash
# up.sh [COMPUTES]: a real Nova on loopback, 3 computes unless told otherwise.
# What runs is left alone; what is made is not made again. See README.md.
set -euo pipefail
umask 077
COMPUTES=${1:-3}
[[ $COMPUTES =~ ^[1-9][0-9]?$ ]] || { echo "usage: up.sh [COMPUTES]" >&2; exit 2; }
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=configs.sh
. "$HERE/configs.sh"

check_programs() {
    local missing=()
    [ -x "$RABBIT_SERVER" ] || missing+=(rabbitmq-server)
    command -v mariadbd >/dev/null || missing+=(mariadb-server)
    [ -x "$BIN/nova-compute" ] || missing+=("a Python environment with Nova in $VENV")
    [ ${#missing[@]} -eq 0 ] && return
    echo "nova lab: missing: $(IFS=,; echo "${missing[*]}"); cargo xtask setup installs it" >&2
    exit "$NEEDS_SETUP"
}

make_password() {
    [ -s "$DIR/password" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$DIR/password"
    PASSWORD=$(<"$DIR/password")
}

sql() { mariadb --no-defaults -S "$RUN/mariadb.sock" -u root -N; }
sql_answers() { sql <<<'select 1'; }

start_mariadb() {
    if ! [ -d "$DIR/mariadb/mysql" ]; then
        rm -rf "$DIR/mariadb"
        mariadb-install-db --no-defaults --datadir="$DIR/mariadb" --user="$(id -un)" \
            --auth-root-authentication-method=normal --skip-test-db >"$LOG/mariadb-install.out" 2>&1
    fi
    launch mariadb mariadbd --defaults-file="$ETC/mariadb.cnf"
}

# Its own epmd and its own node name: another RabbitMQ on this machine is not
# seen and not touched. The wrapper in /usr/sbin insists on user rabbitmq, the
# program behind it does not.
start_rabbit() {
    export ERL_EPMD_ADDRESS=$IP ERL_EPMD_PORT=$PORT_EPMD
    launch epmd epmd -address "$IP" -port "$PORT_EPMD"
    await epmd 20 port_open "$PORT_EPMD"
    launch rabbit env HOME="$STATE/rabbit" RABBITMQ_NODENAME=holdfast@localhost \
        RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE="$ETC/rabbitmq.conf" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$ETC/rabbit_plugins" \
        RABBITMQ_MNESIA_BASE="$STATE/rabbit" RABBITMQ_LOG_BASE="$LOG/rabbit" \
        RABBITMQ_PID_FILE="$STATE/rabbit.own.pid" RABBITMQ_DIST_PORT="$PORT_RABBIT_DIST" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +S 1:1' \
        "$RABBIT_SERVER"
}

make_databases() {
    [ -f "$DIR/databases-made" ] && return
    {
        for name in keystone placement glance nova_api nova_cell0 nova_cell1; do
            echo "CREATE DATABASE IF NOT EXISTS $name CHARACTER SET utf8mb3;"
        done
        echo "CREATE USER IF NOT EXISTS 'lab'@'%' IDENTIFIED BY '$PASSWORD';"
        echo "GRANT ALL ON *.* TO 'lab'@'%';"
    } | sql
    touch "$DIR/databases-made"
}

keystone_schema() {
    local manage=("$BIN/keystone-manage" --config-file "$ETC/keystone/keystone.conf")
    local owner=(--keystone-user "$(id -un)" --keystone-group "$(id -gn)")
    local url=http://$IP:$PORT_KEYSTONE/v3
    "${manage[@]}" db_sync
    "${manage[@]}" fernet_setup "${owner[@]}"
    "${manage[@]}" credential_setup "${owner[@]}"
    OS_BOOTSTRAP_PASSWORD=$PASSWORD "${manage[@]}" bootstrap --bootstrap-region-id RegionOne \
        --bootstrap-public-url "$url" --bootstrap-internal-url "$url" --bootstrap-admin-url "$url"
}

small_schemas() {
    "$BIN/placement-manage" --config-file "$ETC/placement/placement.conf" db sync
    "$BIN/glance-manage" --config-file "$ETC/glance/glance-api.conf" db_sync
}

# The lab's own throw-away database password is an argument here for a moment:
# map_cell0 has no other way to be told an address that Nova cannot derive.
nova_schema() {
    local manage=("$BIN/nova-manage" --config-file "$ETC/nova/nova.conf")
    "${manage[@]}" api_db sync
    "${manage[@]}" cell_v2 map_cell0 --database_connection "$(database nova_cell0)"
    "${manage[@]}" cell_v2 list_cells | grep -q ' cell1 ' || "${manage[@]}" cell_v2 create_cell --name cell1
    "${manage[@]}" db sync
}

make_schemas() {
    [ -f "$DIR/schemas-made" ] && return
    local first second
    (set -e; keystone_schema; small_schemas) >"$LOG/schemas-1.out" 2>&1 9>&- &
    first=$!
    (set -e; nova_schema) >"$LOG/schemas-2.out" 2>&1 9>&- &
    second=$!
    wait $first || fail "schemas of Keystone, Placement, Glance: see $LOG/schemas-1.out"
    wait $second || fail "schemas of Nova: see $LOG/schemas-2.out"
    touch "$DIR/schemas-made"
}

serve() { # NAME MODULE PORT THREADS [VARIABLE=VALUE]
    local name=$1 module=$2 port=$3 threads=$4
    shift 4
    launch "$name" env "$@" "$BIN/python" "$HERE/serve.py" "$module" "$IP" "$port" "$threads"
}

start_services() {
    serve keystone keystone.wsgi.api "$PORT_KEYSTONE" 8 OS_KEYSTONE_CONFIG_DIR="$ETC/keystone"
    serve neutron empty-neutron "$PORT_NEUTRON" 4
    serve placement placement.wsgi.api "$PORT_PLACEMENT" 8 OS_PLACEMENT_CONFIG_DIR="$ETC/placement"
    serve glance glance.wsgi.api "$PORT_GLANCE" 4 OS_GLANCE_CONFIG_DIR="$ETC/glance"
    await rabbit 90 port_open "$PORT_RABBIT"
    await keystone 120 http_ok "$PORT_KEYSTONE/v3"
    "$BIN/python" "$HERE/furnish.py" catalog "$DIR"
    say "Keystone has its catalog"
    local program
    for program in conductor scheduler; do
        launch $program "$BIN/nova-$program" --config-file "$ETC/nova/nova.conf" --log-file "$LOG/$program.log"
    done
    serve nova-api nova.wsgi.osapi_compute "$PORT_NOVA" 16 OS_NOVA_CONFIG_DIR="$ETC/nova"
    await placement 120 http_ok "$PORT_PLACEMENT/"
    await glance 120 http_ok "$PORT_GLANCE/healthcheck"
    await nova-api 120 http_ok "$PORT_NOVA/"
}

# Plain KEY=VALUE lines: a shell sources them, a program splits at the first '='.
write_env() {
    cat >"$DIR/env" <<X
HOLDFAST_NOVA_DIR=$DIR
HOLDFAST_NOVA_AUTH_URL=http://$IP:$PORT_KEYSTONE/v3
HOLDFAST_NOVA_COMPUTE_URL=http://$IP:$PORT_NOVA/v2.1
HOLDFAST_NOVA_PLACEMENT_URL=http://$IP:$PORT_PLACEMENT
HOLDFAST_NOVA_REGION=RegionOne
HOLDFAST_NOVA_BETWEEN_REGION=Between
HOLDFAST_NOVA_BETWEEN=$IP:$PORT_BETWEEN
HOLDFAST_NOVA_USERNAME=admin
HOLDFAST_NOVA_USER_DOMAIN=Default
HOLDFAST_NOVA_PROJECT=admin
HOLDFAST_NOVA_PROJECT_DOMAIN=Default
HOLDFAST_NOVA_PASSWORD_FILE=$DIR/password
HOLDFAST_NOVA_CREDENTIAL_ID_FILE=$DIR/holdfast-id
HOLDFAST_NOVA_CREDENTIAL_SECRET_FILE=$DIR/holdfast-secret
HOLDFAST_NOVA_COMPUTES=$COMPUTES
X
}

check_programs
lock_lab
mkdir -p "$ETC" "$LOG" "$RUN" "$STATE"
make_password
write_configs "$COMPUTES"
write_env
start_mariadb
start_rabbit
await mariadb 60 sql_answers
say "MariaDB answers"
make_databases
make_schemas
say "schemas are there"
start_services
say "APIs answer"
for ((n = 1; n <= COMPUTES; n++)); do launch_compute $n; done
"$BIN/python" "$HERE/furnish.py" cloud "$DIR"
say "$COMPUTES computes are up"
echo "$DIR/env"

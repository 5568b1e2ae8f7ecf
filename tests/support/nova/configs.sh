# shellcheck shell=bash
# Writes every configuration file of the lab. Sourced by up.sh after lib.sh.
# Only what differs from the defaults is set, and why.

# Section for a service that checks tokens. Without service_type an application
# credential with access rules gets 401 for everything.
token_check() { # SERVICE_TYPE
    account keystone_authtoken
    cat <<X
www_authenticate_uri = http://$IP:$PORT_KEYSTONE/v3
service_token_roles = service
service_token_roles_required = true
service_type = $1
# A revoked token is to be refused soon, not five minutes later.
token_cache_time = 5
X
}

# Section for a client that logs in as the lab's service user.
account() { # SECTION
    cat <<X
[$1]
auth_type = password
auth_url = http://$IP:$PORT_KEYSTONE/v3
region_name = RegionOne
project_name = service
project_domain_name = Default
username = service
user_domain_name = Default
password = $PASSWORD
X
}

database() { echo "mysql+pymysql://lab:$PASSWORD@$IP:$PORT_MARIADB/$1?charset=utf8"; }

mariadb_config() {
    cat <<X
[mariadbd]
datadir = $DIR/mariadb
socket = $RUN/mariadb.sock
pid-file = $STATE/mariadb.own.pid
bind-address = $IP
port = $PORT_MARIADB
user = $(id -un)
skip-name-resolve
skip-log-bin
max_connections = 500
performance_schema = OFF
innodb_buffer_pool_size = 192M
innodb_log_file_size = 64M
# The schemas are thousands of small writes. Nothing here need survive a power
# cut, and flushing each one costs minutes on a busy disk.
innodb_flush_log_at_trx_commit = 0
innodb_flush_method = nosync
innodb_doublewrite = 0
innodb_file_per_table = 0
X
}

rabbit_config() {
    cat <<X
listeners.tcp.1 = $IP:$PORT_RABBIT
default_user = lab
default_pass = $PASSWORD
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
loopback_users = none
log.console = true
log.console.level = warning
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 100MB
X
}

keystone_config() {
    cat <<X
[DEFAULT]
use_stderr = false
log_file = $LOG/keystone.log
[database]
connection = $(database keystone)
[cache]
enabled = true
backend = oslo_cache.dict
[token]
expiration = 28800
[identity]
# At bcrypt's own cost each login takes a good part of a second.
password_hash_rounds = 4
[fernet_tokens]
key_repository = $ETC/keystone/fernet
[credential]
key_repository = $ETC/keystone/credential
X
}

placement_config() {
    cat <<X
[DEFAULT]
use_stderr = false
log_file = $LOG/placement.log
[api]
auth_strategy = keystone
[placement_database]
connection = $(database placement)
$(token_check placement)
X
}

# Needed to create servers (Nova reads the image's properties), and asked for the
# labels of images; the fake driver never downloads one.
glance_config() {
    cat <<X
[DEFAULT]
use_stderr = false
log_file = $LOG/glance.log
enabled_backends = disk:file
enabled_import_methods = []
image_cache_dir =
worker_self_reference_url = http://$IP:$PORT_GLANCE
[database]
connection = $(database glance)
[glance_store]
default_backend = disk
[disk]
filesystem_store_datadir = $STATE/images
[os_glance_staging_store]
filesystem_store_datadir = $STATE/images/staging
[os_glance_tasks_store]
filesystem_store_datadir = $STATE/images/tasks
[paste_deploy]
flavor = keystone
config_file = $ETC/glance/glance-api-paste.ini
[oslo_concurrency]
lock_path = $STATE/locks
[oslo_policy]
policy_file = $ETC/glance/policy.yaml
$(token_check image)
X
}

nova_shared() {
    cat <<X
[DEFAULT]
transport_url = rabbit://lab:$PASSWORD@$IP:$PORT_RABBIT/
host = control
my_ip = $IP
state_path = $STATE/control
use_stderr = false
log_options = false
compute_driver = fake.FakeDriverWithoutFakeNodes
report_interval = ${HOLDFAST_NOVA_REPORT_INTERVAL:-2}
service_down_time = ${HOLDFAST_NOVA_DOWN_TIME:-10}
rpc_response_timeout = ${HOLDFAST_NOVA_RPC_TIMEOUT:-60}
max_concurrent_builds = 20
# Else the first round of each periodic task, host discovery among them, waits
# up to a minute.
periodic_fuzzy_delay = 0
[api]
auth_strategy = keystone
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 3
[compute]
heal_instance_info_cache_interval = -1
[oslo_concurrency]
lock_path = $STATE/locks
[oslo_policy]
policy_file = $ETC/nova/policy.yaml
[vnc]
enabled = false
[quota]
instances = -1
cores = -1
ram = -1
server_groups = -1
server_group_members = -1
$(token_check compute)
$(account service_user)
send_service_user_token = true
$(account placement)
$(account glance)
$(account neutron)
X
}

nova_databases() {
    cat <<X
[api_database]
connection = $(database nova_api)
[database]
connection = $(database nova_cell1)
X
}

# A compute's identity file lies in its state_path: it must outlive a restart
# and must not be shared.
compute_config() { # N
    cat <<X
[DEFAULT]
host = compute-$1
state_path = $STATE/compute-$1
log_file = $LOG/compute-$1.log
X
}

write_configs() { # COMPUTES
    local n
    mkdir -p "$ETC"/{keystone,placement,glance,nova} "$STATE"/{control,locks,images,rabbit}
    mariadb_config >"$ETC/mariadb.cnf"
    rabbit_config >"$ETC/rabbitmq.conf"
    echo '[].' >"$ETC/rabbit_plugins"
    keystone_config >"$ETC/keystone/keystone.conf"
    placement_config >"$ETC/placement/placement.conf"
    glance_config >"$ETC/glance/glance-api.conf"
    cp "$VENV/etc/glance/glance-api-paste.ini" "$ETC/glance/"
    cp "$VENV/etc/nova/api-paste.ini" "$VENV/etc/nova/rootwrap.conf" "$ETC/nova/"
    # What an operator does for Holdfast.
    local service
    for service in nova glance; do
        [ -s "$ETC/$service/policy.yaml" ] ||
            "$BIN/python" "$HERE/../../../packaging/openstack/$service-policy.py" >"$ETC/$service/policy.yaml"
    done
    { nova_shared && nova_databases; } >"$ETC/nova/nova.conf"
    # The computes may not know the databases: Nova refuses them a query that
    # they then try at start, and logs an error.
    nova_shared >"$ETC/nova/compute.conf"
    for ((n = 1; n <= $1; n++)); do
        mkdir -p "$STATE/compute-$n"
        compute_config "$n" >"$ETC/nova/compute-$n.conf"
    done
}

# shellcheck shell=bash disable=SC2034
# Shared by the scripts of this directory: where things lie, which ports, and
# processes that are known by pid and start time. Sourced, never run.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast
DIR=${HOLDFAST_NOVA_DIR:-$CACHE/nova-lab}
VENV=${HOLDFAST_NOVA_VENV:-$CACHE/nova-venv}
BIN=$VENV/bin
ETC=$DIR/etc LOG=$DIR/log RUN=$DIR/run STATE=$DIR/state
RABBIT_SERVER=/usr/lib/rabbitmq/bin/rabbitmq-server
NEEDS_SETUP=77 # exit code: something must be installed first (`cargo xtask setup`)

# Everything listens here and nowhere else. A second lab beside the first
# needs its own HOLDFAST_NOVA_DIR and its own HOLDFAST_NOVA_PORTS.
IP=127.0.0.1
FIRST_PORT=${HOLDFAST_NOVA_PORTS:-15700}
PORT_KEYSTONE=$((FIRST_PORT + 0))
PORT_NOVA=$((FIRST_PORT + 1))
PORT_PLACEMENT=$((FIRST_PORT + 2))
PORT_GLANCE=$((FIRST_PORT + 3))
PORT_NEUTRON=$((FIRST_PORT + 4))
PORT_MARIADB=$((FIRST_PORT + 5))
PORT_RABBIT=$((FIRST_PORT + 6))
PORT_RABBIT_DIST=$((FIRST_PORT + 7))
PORT_EPMD=$((FIRST_PORT + 8))
PORT_BETWEEN=$((FIRST_PORT + 9))
PORT_MASAKARI=$((FIRST_PORT + 10))

BEGAN=${EPOCHREALTIME/[.,]/}
say() {
    local ms=$(((${EPOCHREALTIME/[.,]/} - BEGAN) / 1000))
    printf '%4d.%03ds  %s\n' $((ms / 1000)) $((ms % 1000)) "$*" >&2
}
fail() {
    echo "nova lab: $*" >&2
    exit 1
}

# One script at a time works on a lab. Children must not inherit the lock.
lock_lab() {
    mkdir -p "$DIR"
    exec 9>"$DIR/lock"
    flock -w 600 9 || fail "another script has held $DIR/lock for ten minutes"
}

# Start time of a process in clock ticks, empty when it is dead. A zombie is
# dead: it keeps its pid until somebody reaps it, but it runs nothing.
start_time() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    # What follows the last ')' begins with field 3, the state; 22 is the start.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" = Z ] || echo "${20}"
}

# A pid file holds "PID START". Both must match, or the pid has since been
# given to a process that is none of ours.
pid_of() { # NAME -> prints the pid, fails when it does not run
    local pid start
    [ -f "$RUN/$1.pid" ] || return 1
    read -r pid start <"$RUN/$1.pid" || return 1
    [ -n "$start" ] && [ "$(start_time "$pid")" = "$start" ] || return 1
    echo "$pid"
}

# Starts a program in a session of its own, so that its children can be ended
# with it. Does nothing when it runs already.
launch() { # NAME COMMAND...
    local name=$1 pid
    shift
    pid_of "$name" >/dev/null && return 0
    setsid nice -n "${HOLDFAST_NOVA_NICE:-5}" "$@" >>"$LOG/$name.out" 2>&1 </dev/null 9>&- &
    pid=$!
    echo "$pid $(start_time $pid)" >"$RUN/$name.pid"
}

launch_compute() { # N
    launch "compute-$1" "$BIN/nova-compute" --config-file "$ETC/nova/compute.conf" \
        --config-file "$ETC/nova/compute-$1.conf"
}

# Ends what launch() started: politely, and after ten seconds for good.
end() { # NAME
    local pid tries
    if pid=$(pid_of "$1"); then
        kill -CONT -- "-$pid" 2>/dev/null || true
        kill -TERM -- "-$pid" 2>/dev/null || true
        for ((tries = 0; tries < 100; tries++)); do
            pid_of "$1" >/dev/null || break
            sleep 0.1
        done
        if pid_of "$1" >/dev/null; then kill -KILL -- "-$pid" 2>/dev/null || true; fi
    fi
    rm -f "$RUN/$1.pid"
}

# Waits for COMMAND to succeed, and gives up at once when program NAME has ended.
await() { # NAME SECONDS COMMAND...
    local name=$1 until=$((SECONDS + $2))
    shift 2
    while pid_of "$name" >/dev/null || fail "$name ended; see $LOG/$name.out and $LOG/$name.log"; do
        if "$@" >/dev/null 2>&1; then return; fi
        [ $SECONDS -lt $until ] || fail "$name does not answer; see $LOG"
        sleep 0.2
    done
}

port_open() { (exec 3<>"/dev/tcp/$IP/$1") 2>/dev/null; }
http_ok() { curl -sf -o /dev/null --max-time 5 "http://$IP:$1"; }

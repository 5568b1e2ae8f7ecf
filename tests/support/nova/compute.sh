#!/usr/bin/env bash
# compute.sh DEED N...: what may happen to the computes 1, 2, ... of the lab
#   kill    at once, as when its node loses power
#   term    politely, as when its operator stops it
#   stop    it hangs, holding all it holds     cont   it goes on
#   start   nova-compute starts again, and is waited for until it takes orders
#   status  prints "compute-N PID" or "compute-N -"
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
usage() { echo "usage: compute.sh kill|term|stop|cont|start|status N..." >&2; exit 2; }
[ $# -ge 2 ] || usage
deed=$1
shift

signal() { # SIGNAL N: fails when that compute does not run
    local pid
    pid=$(pid_of "compute-$2") || fail "compute-$2 does not run"
    kill "-$1" -- "-$pid"
}

# A killed program is gone when its pid is no longer alive; only then has the
# deed happened.
await_end() { # N
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        pid_of "compute-$1" >/dev/null || return 0
        sleep 0.1
    done
    fail "compute-$1 does not end"
}

# Its log says when the fresh start has told Placement what there is; a server
# booted earlier may find no valid host.
start() { # N
    local log=$LOG/compute-$1.log seen=0
    [ -f "$ETC/nova/compute-$1.conf" ] || fail "there is no compute-$1"
    pid_of "compute-$1" >/dev/null && return
    [ -f "$log" ] && seen=$(stat -c %s "$log")
    launch_compute "$1"
    await "compute-$1" 300 ready_since "$log" "$seen"
}
ready_since() { # LOG OFFSET
    tail -c "+$(($2 + 1))" "$1" | grep -q 'update_resources is initialized'
}

for n in "$@"; do
    case $deed in
    kill) signal KILL "$n" && await_end "$n" ;;
    term) signal TERM "$n" && await_end "$n" ;;
    stop) signal STOP "$n" ;;
    cont) signal CONT "$n" ;;
    start) start "$n" ;;
    status) echo "compute-$n $(pid_of "compute-$n" || echo -)" ;;
    *) usage ;;
    esac
done

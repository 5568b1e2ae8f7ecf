#!/usr/bin/env bash
# part.sh DEED NAME...: what may happen to a part of the control plane: nova-api, scheduler, conductor, rabbit, keystone
#   kill    at once; `up.sh` starts it again
#   stop    it hangs, holding all it holds     cont   it goes on
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
usage() { echo "usage: part.sh kill|stop|cont NAME..." >&2; exit 2; }
[ $# -ge 2 ] || usage
deed=$1
shift

for name in "$@"; do
    pid=$(pid_of "$name") || fail "$name does not run"
    case $deed in
    kill)
        kill -KILL -- "-$pid"
        for ((tries = 0; tries < 100; tries++)); do
            pid_of "$name" >/dev/null || break
            sleep 0.1
        done
        ;;
    stop) kill -STOP -- "-$pid" ;;
    cont) kill -CONT -- "-$pid" ;;
    *) usage ;;
    esac
done

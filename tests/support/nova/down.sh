#!/usr/bin/env bash
# down.sh [--wipe]: ends what up.sh started, and nothing else. --wipe also
# removes databases, queues, logs and secrets; the Python environment stays.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case "${1:-}" in
'') wipe= ;;
--wipe) wipe=1 ;;
*) echo "usage: down.sh [--wipe]" >&2; exit 2 ;;
esac
[ -d "$DIR" ] || exit 0
lock_lab

end_all() { # NAME...: at the same time, for each may take seconds
    local name
    for name in "$@"; do end "$name" & done
    wait
}

computes=()
for file in "$RUN"/compute-*.pid; do
    [ -f "$file" ] && computes+=("$(basename "$file" .pid)")
done
end_all "${computes[@]}" masakari-api masakari-engine
end_all nova-api scheduler conductor glance placement neutron keystone
end_all rabbit mariadb
end_all epmd
say "all ended"
if [ -n "$wipe" ]; then
    rm -rf "${DIR:?}"/{mariadb,etc,log,run,state,env,password} \
        "${DIR:?}"/{holdfast-id,holdfast-secret,env-between,databases-made,schemas-made}
fi

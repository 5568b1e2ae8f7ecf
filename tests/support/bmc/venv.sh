#!/usr/bin/env bash
# venv.sh: a Python environment with the Redfish emulator sushy-tools in the versions of
# constraints.txt. Nothing to do when it is there already.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast/bmc-venv
mark=$venv/made-from
want=$(sha256sum <"$here/constraints.txt")
[ "$(cat "$mark" 2>/dev/null)" = "$want" ] && exit 0
mkdir -p "$(dirname "$venv")"
echo "    installs sushy-tools into $venv, once" >&2
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
nice -n 5 "$venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check \
    -c "$here/constraints.txt" sushy-tools
echo "$want" >"$mark"

#!/usr/bin/env bash
# venv.sh: a Python environment with Keystone, Placement, Glance and Nova in the
# versions of constraints.txt. Nothing to do when it is there already.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
mark=$VENV/made-from
want=$(sha256sum <"$HERE/constraints.txt")
[ "$(cat "$mark" 2>/dev/null)" = "$want" ] && exit 0
mkdir -p "$(dirname "$VENV")"
echo "    installs Nova and what it needs into $VENV, once" >&2
[ -x "$BIN/python" ] || "${HOLDFAST_NOVA_PYTHON:-python3}" -m venv "$VENV"
# setuptools 81 dropped pkg_resources, which some of them import.
nice -n "${HOLDFAST_NOVA_NICE:-5}" "$BIN/pip" install --quiet --no-cache-dir \
    --disable-pip-version-check -c "$HERE/constraints.txt" \
    nova keystone openstack-placement glance pymysql waitress 'setuptools<81'
echo "$want" >"$mark"

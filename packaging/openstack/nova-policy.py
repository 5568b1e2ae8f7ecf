#!/usr/bin/env python3
"""Prints a policy file for Nova that gives the role `holdfast` what Holdfast's controllers need, and nothing more.

Run it with the Python of Nova itself, on a host of nova-api, after each upgrade of Nova:

    nova-policy.py > /etc/nova/policy.d/holdfast.yaml

Nova looks at other projects' servers only for a context that counts as admin. So the role must make one, and each rule
that asked for such a context asks for the role `admin` instead; the rules that Holdfast needs ask for either. Who is admin
today stays so, and nobody else gains or loses a right.
"""

import re
import sys

ROLE = "role:holdfast"
ADMIN = "role:admin"

# Without the prefix os_compute_api:
NEEDED = [
    "os-aggregates:index",
    "os-evacuate",
    "os-extended-server-attributes",
    "os-hypervisors:list",
    "os-hypervisors:list-detail",
    "os-instance-actions:events",
    "os-instance-actions:list",
    "os-instance-actions:show",
    "os-migrate-server:migrate_live",
    "os-migrations:index",
    "os-migrations:index:all_projects",
    "os-migrations:index:host",
    "os-server-groups:index",
    "os-server-groups:index:all_projects",
    "os-services:list",
    "os-services:update",
    "servers:allow_all_filters",
    "servers:detail",
    "servers:detail:get_all_tenants",
    "servers:reboot",
    "servers:show",
    "servers:show:flavor-extra-specs",
    "servers:show:host_status",
    "servers:stop",
]

# What stands for "this context counts as admin" in a rule.
COUNTS_AS_ADMIN = re.compile(r"rule:context_is_admin|rule:admin_api|is_admin:True")


def policy(rules):
    """Overrides by rule name, from pairs of name and default."""
    rules = dict(rules)
    needed = {f"os_compute_api:{name}" for name in NEEDED}
    missing = needed - rules.keys()
    if missing:
        sys.exit(f"this Nova knows no {', '.join(sorted(missing))}: not a version that Holdfast was tried with")
    overrides = {"context_is_admin": f"{ADMIN} or {ROLE}"}
    for name, default in rules.items():
        if name == "context_is_admin":
            continue
        rule = COUNTS_AS_ADMIN.sub(ADMIN, default)
        if name in needed:
            rule = f"({rule}) or {ROLE}"
        if rule != default:
            overrides[name] = rule
    return overrides


def main():
    from nova import policies

    print("# Made by nova-policy.py of Holdfast. Make it anew after each upgrade of Nova.")
    for name, rule in policy((rule.name, rule.check_str) for rule in policies.list_rules()).items():
        print(f'"{name}": "{rule}"')


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Prints a policy file for Glance that lets the role `holdfast` list all images, and nothing more.

Run it with the Python of Glance itself, on a host of glance-api, after each upgrade of Glance:

    glance-policy.py > /etc/glance/policy.d/holdfast.yaml

It is needed only where Holdfast's policy heeds the label `evacuable` on images (docs/policy.md). Glance lists other
projects' private images only for a context that counts as admin. So the role must make one, and each rule that asked for
such a context asks for the role `admin` instead; the two rules that Holdfast needs ask for either. Who is admin today
stays so, and nobody else gains or loses a right where Glance enforces its new defaults, as it does since 2023.1.
"""

import sys

ROLE = "role:holdfast"
ADMIN = "role:admin"
COUNTS_AS_ADMIN = "rule:context_is_admin"
NEEDED = ["get_image", "get_images"]


def policy(rules):
    """Overrides by rule name, from pairs of name and default."""
    rules = dict(rules)
    missing = set(NEEDED) - rules.keys()
    if missing or rules.get("context_is_admin") != ADMIN:
        sys.exit("this Glance has other rules than those that Holdfast was tried with: 2023.1 or later is needed")
    overrides = {"context_is_admin": f"{ADMIN} or {ROLE}"}
    for name, default in rules.items():
        if name == "context_is_admin":
            continue
        rule = default.replace(COUNTS_AS_ADMIN, ADMIN)
        if name in NEEDED:
            rule = f"({rule}) or {ROLE}"
        if rule != default:
            overrides[name] = rule
    return overrides


def main():
    from glance import policies

    print("# Made by glance-policy.py of Holdfast. Make it anew after each upgrade of Glance.")
    for name, rule in policy((rule.name, rule.check_str) for rule in policies.list_rules()).items():
        print(f'"{name}": "{rule}"')


if __name__ == "__main__":
    main()

"""Puts into a running lab what its APIs can make: furnish.py catalog|cloud DIR

catalog  the service user, services, endpoints, Holdfast's role, user and application credential
cloud    an image, two flavors; then waits until every compute is usable

DIR is the lab's directory; where everything is stands in its file `env`.
Only what is missing is made.
"""

import pathlib
import sys
import time
import urllib.parse

import requests

WAIT_SECONDS = 240


def read_env(directory):
    lines = (directory / "env").read_text().splitlines()
    env = dict(line.split("=", 1) for line in lines if line)
    return {key.removeprefix("HOLDFAST_NOVA_"): value for key, value in env.items()}


def log_in(env, user, project):
    """A session with a token, and the id of the user it belongs to."""
    password = pathlib.Path(env["PASSWORD_FILE"]).read_text()
    domain = {"name": "Default"}
    who = {"name": user, "domain": domain, "password": password}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": who}},
            "scope": {"project": {"name": project, "domain": domain}},
        }
    }
    answer = requests.post(env["AUTH_URL"] + "/auth/tokens", json=body, timeout=60)
    answer.raise_for_status()
    session = requests.Session()
    session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
    session.headers["OpenStack-API-Version"] = "compute 2.53"
    return session, answer.json()["token"]["user"]["id"]


def ensure(session, base, kind, wanted, **more):
    """Id of the thing of this kind with these fields; makes it if need be."""
    url = f"{base}/{kind}s"
    for thing in session.get(url).json()[kind + "s"]:
        if all(thing.get(key) == value for key, value in wanted.items()):
            return thing["id"]
    answer = session.post(url, json={kind: {**wanted, **more}})
    answer.raise_for_status()
    return answer.json()[kind]["id"]


def catalog(env, directory):
    keystone = env["AUTH_URL"]
    session, _ = log_in(env, "admin", "admin")
    password = (directory / "password").read_text()
    project = ensure(session, keystone, "project", {"name": "service"}, domain_id="default")
    user = ensure(
        session, keystone, "user", {"name": "service"}, domain_id="default", password=password
    )
    for name in ("admin", "service"):
        role = ensure(session, keystone, "role", {"name": name})
        session.put(f"{keystone}/projects/{project}/users/{user}/roles/{role}").raise_for_status()
    place = urllib.parse.urlsplit(keystone)
    for offset, kind, path in (
        (1, "compute", "/v2.1"),
        (2, "placement", ""),
        (3, "image", ""),
        (4, "network", ""),
    ):
        service = ensure(session, keystone, "service", {"type": kind}, name=kind)
        for interface in ("public", "internal", "admin"):
            ensure(
                session,
                keystone,
                "endpoint",
                {"service_id": service, "interface": interface, "region_id": "RegionOne"},
                url=f"http://{place.hostname}:{place.port + offset}{path}",
            )
    between(session, env)
    holdfast(session, env, directory)


def between(session, env):
    """A region whose Nova is whatever listens at the address BETWEEN: a test that
    wants to see, hold or lose what our controllers send. Nobody listens else. Its
    Glance is the lab's own."""
    keystone, region = env["AUTH_URL"], env["BETWEEN_REGION"]
    ensure(session, keystone, "region", {"id": region})
    place = urllib.parse.urlsplit(keystone)
    glance = f"http://{place.hostname}:{place.port + 3}"
    for kind, url in (("compute", f"http://{env['BETWEEN']}/v2.1"), ("image", glance)):
        service = ensure(session, keystone, "service", {"type": kind})
        for interface in ("public", "internal"):
            ensure(
                session,
                keystone,
                "endpoint",
                {"service_id": service, "interface": interface, "region_id": region},
                url=url,
            )


def holdfast(session, env, directory):
    """The user whose application credential the controllers have: one role, in one project,
    and all rights of that role come from the policies of Nova and Glance (packaging/openstack)."""
    keystone = env["AUTH_URL"]
    password = (directory / "password").read_text()
    project = ensure(session, keystone, "project", {"name": "service"}, domain_id="default")
    user = ensure(
        session, keystone, "user", {"name": "holdfast"}, domain_id="default", password=password
    )
    role = ensure(session, keystone, "role", {"name": "holdfast"})
    session.put(f"{keystone}/projects/{project}/users/{user}/roles/{role}").raise_for_status()
    # Nobody makes one for somebody else.
    session, user = log_in(env, "holdfast", "service")
    make_credential(session, keystone, user, directory)


def make_credential(session, keystone, user, directory):
    """Keystone tells the secret once, so it is kept in a file, and a lab that
    has lost the file gets a new credential."""
    secret = directory / "holdfast-secret"
    if secret.exists():
        return
    url = f"{keystone}/users/{user}/application_credentials"
    for old in session.get(url).json()["application_credentials"]:
        session.delete(f"{url}/{old['id']}").raise_for_status()
    answer = session.post(url, json={"application_credential": {"name": "holdfast"}})
    answer.raise_for_status()
    made = answer.json()["application_credential"]
    (directory / "holdfast-id").write_text(made["id"])
    secret.write_text(made["secret"])


def cloud(env, _directory):
    session, _ = log_in(env, "admin", "admin")
    nova = env["COMPUTE_URL"]
    place = urllib.parse.urlsplit(env["AUTH_URL"])
    glance = f"http://{place.hostname}:{place.port + 3}/v2"
    make_image(session, glance)
    flavors = {flavor["id"] for flavor in session.get(nova + "/flavors").json()["flavors"]}
    # One of "big" fills a compute: with it a test makes Nova find no room.
    for flavor in (
        {"id": "1", "name": "tiny", "vcpus": 1, "ram": 64, "disk": 1},
        {"id": "2", "name": "big", "vcpus": 500, "ram": 400_000, "disk": 1},
    ):
        if flavor["id"] not in flavors:
            session.post(nova + "/flavors", json={"flavor": flavor}).raise_for_status()
    await_computes(session, nova, int(env["COMPUTES"]))


def make_image(session, glance):
    if session.get(glance + "/images", params={"name": "tiny"}).json()["images"]:
        return
    image = {
        "name": "tiny",
        "visibility": "public",
        "disk_format": "raw",
        "container_format": "bare",
    }
    answer = session.post(glance + "/images", json=image)
    answer.raise_for_status()
    upload = session.put(
        f"{glance}/images/{answer.json()['id']}/file",
        data=bytes(1024),
        headers={"Content-Type": "application/octet-stream"},
    )
    upload.raise_for_status()


def await_computes(session, nova, count):
    """Each compute must report, and be mapped to its cell, which the scheduler
    does by itself every few seconds. A forced down one counts as there."""
    wanted = {f"compute-{number}" for number in range(1, count + 1)}
    until = time.monotonic() + WAIT_SECONDS
    while True:
        services = session.get(nova + "/os-services", params={"binary": "nova-compute"}).json()
        usable = {
            service["host"]
            for service in services["services"]
            if service["state"] == "up" or service["forced_down"]
        }
        hypervisors = session.get(nova + "/os-hypervisors").json().get("hypervisors", [])
        mapped = {hypervisor["hypervisor_hostname"] for hypervisor in hypervisors}
        missing = wanted - (usable & mapped)
        if not missing:
            return
        if time.monotonic() > until:
            sys.exit(f"not usable after {WAIT_SECONDS} s: {sorted(missing)}")
        time.sleep(0.5)


def main():
    step, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    {"catalog": catalog, "cloud": cloud}[step](read_env(directory), directory)


main()

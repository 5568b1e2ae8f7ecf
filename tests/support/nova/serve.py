"""Serves one WSGI application on loopback: serve.py MODULE HOST PORT THREADS

MODULE `empty-neutron` is a Neutron without a single port or network. Nova asks
it for the ports of every server that it deletes or evacuates, also of servers
that were created with `networks: none`.
"""

import importlib
import json
import sys

import waitress


def empty_neutron(environ, start_response):
    words = [w for w in environ.get("PATH_INFO", "").split("/") if w]
    if not words:
        answer = {"versions": [{"id": "v2.0", "status": "CURRENT", "links": []}]}
    elif words == ["v2.0"]:
        answer = {"resources": []}
    elif environ["REQUEST_METHOD"] == "GET":
        answer = {words[-1].removesuffix(".json").replace("-", "_"): []}
    else:
        answer = {}
    body = json.dumps(answer).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def main():
    module, host, port, threads = sys.argv[1:5]
    # Nova and Placement parse the command line of whoever imports them.
    del sys.argv[1:]
    if module == "empty-neutron":
        application = empty_neutron
    else:
        application = importlib.import_module(module).application
    waitress.serve(
        application,
        host=host,
        port=int(port),
        threads=int(threads),
        ident=None,
        connection_limit=500,
    )


main()

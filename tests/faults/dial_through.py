#!/usr/bin/env python3
"""Starts a worker that dials a proxy (proxy.py) in place of what its document names.

    dial_through.py SOCKET COMMAND ...
"""
import json
import os
import socket
import sys


def proxied(place, path):
    """The proxy's port for a place, as the proxy that listens at `path` says."""
    with socket.socket(socket.AF_UNIX) as proxy:
        proxy.connect(path)
        proxy.sendall(f"{place['host']} {place['port']}\n".encode())
        return {"host": "127.0.0.1", "port": int(proxy.makefile().readline())}


document = json.load(sys.stdin)
document["coordinator"] = proxied(document["coordinator"], sys.argv[1])
document["rendezvous"] = [proxied(place, sys.argv[1]) for place in document["rendezvous"]]
# It fits into a pipe.
reading, writing = os.pipe()
os.write(writing, json.dumps(document).encode())
os.close(writing)
os.dup2(reading, 0)
os.execv(sys.argv[2], sys.argv[2:])

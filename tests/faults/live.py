#!/usr/bin/env python3
"""Becomes a worker whose life is limited, as engines limit it: its document says for how many seconds, and a
little later it is ended by force.

    live.py SECONDS COMMAND ..."""
import json
import os
import signal
import sys

seconds = float(sys.argv[1])
document = json.load(sys.stdin)
document["life_ms"] = int(seconds * 1000)
told = os.memfd_create("document")
os.write(told, json.dumps(document).encode())
os.lseek(told, 0, os.SEEK_SET)
os.dup2(told, 0)
signal.setitimer(signal.ITIMER_REAL, seconds + 1)  # outlives what follows
os.execvp(sys.argv[2], sys.argv[2:])

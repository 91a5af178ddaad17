#!/usr/bin/env python3
"""All that is done to jobs while they run. Words on the command line choose tests whose names have one of
them, as `all.py Stores schedule_17`."""
import connections
import coordinators
import hosts
import lives
import schedules
import servers
import stores
import workers
from subject import main

# Those that wait longest come first.
main(stores, lives, schedules, workers, servers, hosts, coordinators, connections)

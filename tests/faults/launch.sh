#!/bin/sh
# Notes which process is which worker, and becomes it.
#
#     launch.sh FOLDER WORKER COMMAND ...
echo $$ >"$1/worker-$2.partial" && mv "$1/worker-$2.partial" "$1/worker-$2" || exit 1
shift 2
exec "$@"

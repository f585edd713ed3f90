#!/bin/sh
# One request, one object of JSON; the answer is one object a line:
#   ./rc_acpi.sh '{ "startTime":0 , "endTime":2147483647 ,"fromDomain":"gmail.com", "status":"ONHOLD" }'
# RCQUEUE_SERVER is the server's URL, RCQUEUE_TOKEN_FILE a file (0600) with a token in it. Exit status as rcqueue's.
if [ $# -ne 1 ]; then
    echo "usage: $0 '{ ... }' (one request, one object of JSON)" >&2
    exit 2
fi
if command -v rcqueue >/dev/null 2>&1; then
    exec rcqueue acpi -- "$1"
fi
here=$(dirname -- "$0")
for found in "$here/rcqueue" "$here/.venv/bin/rcqueue" "$here/../.venv/bin/rcqueue"; do
    if [ -f "$found" ] && [ -x "$found" ]; then
        exec "$found" acpi -- "$1"
    fi
done
echo "$0: rcqueue is neither on PATH nor in .venv/bin beside this script" >&2
exit 1

#!/usr/bin/env bash
# Installs what tests/system-packages.txt names and this machine lacks; where it may not, names them and fails.
set -eu
cd "$(dirname "$0")"
missing=()
while read -r package; do
    [ -n "$package" ] || continue
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done < system-packages.txt
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    # The tests start Postfix with configurations of their own; the system's stays without one.
    [[ " ${missing[*]} " != *" postfix "* ]] || echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
    options=(-y -qq --no-install-recommends -o DPkg::Lock::Timeout=600)
    apt-get install "${options[@]}" "${missing[@]}" >/dev/null 2>&1 || { apt-get update -qq && apt-get install "${options[@]}" "${missing[@]}" >/dev/null; }
    exit 0
fi
echo "these Debian packages are needed and may not be installed by $(id -un): ${missing[*]}" >&2
exit 1

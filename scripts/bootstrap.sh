#!/usr/bin/env bash
# Makes sure that what Martlet needs is there: bootstrap.sh KIND... (the kinds of packages.txt).
# On Debian and Ubuntu it installs missing packages, as root or by sudo; elsewhere it says what to install and stops.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kinds=${*:?usage: bootstrap.sh KIND...}

fail() { printf 'martlet: %s\n' "$1" >&2; exit 1; }

wanted=()
for kind in $kinds; do
    while read -r name; do wanted+=("$name"); done < <(awk -v kind="$kind" '$1 == kind { print $2 }' "$root/packages.txt")
done

check_swift() {
    command -v swift >/dev/null 2>&1 \
        || fail 'no Swift toolchain: install Swift 6.2 or newer (swift.org/install) and put it on the PATH'
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    awk -v v="$version" 'BEGIN { split(v, p, "."); exit !(p[1] > 6 || (p[1] == 6 && p[2] >= 2)) }' \
        || fail "Swift ${version:-of an unknown version} is too old: Martlet needs 6.2 or newer"
}

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Java of any package, and any newer one, will do.
is_satisfied() {
    case $1 in
    openjdk-17-jre-headless)
        is_installed "$1" && return 0
        local major
        major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
        [ "${major:-0}" -ge 17 ] ;;
    *) is_installed "$1" ;;
    esac
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install_missing() {
    local missing=()
    for name in "${wanted[@]}"; do is_satisfied "$name" || missing+=("$name"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null 2>&1 \
        || fail "these packages are missing and there is no sudo; as root run: apt-get install ${missing[*]}"
    printf 'martlet: installing %s\n' "${missing[*]}"
    local log
    log=$(mktemp)
    as_root apt-get update -qq >"$log" 2>&1 || true
    # Servers are run by Martlet with data of their own: the packages' own services are not wanted.
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "apt-get could not install: ${missing[*]}"
    fi
    rm -f "$log"
}

check_swift
if command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; then
    install_missing
else
    printf 'martlet: this is neither Debian nor Ubuntu. Install what these Debian packages contain, then run make again:\n' >&2
    printf '  %s\n' "${wanted[@]}" >&2
    [ "${MARTLET_PACKAGES_ARE_INSTALLED:-}" = 1 ] \
        || fail 'or, where they are installed, set MARTLET_PACKAGES_ARE_INSTALLED=1'
fi

#!/usr/bin/env bash
# Runs every suite: test.sh [FILTER]. Prints what was skipped and why, and ends with `N passed, N failed, N skipped`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

swift build --build-tests || exit 1

filter=${1:-}
arguments=(--skip-build)
[ -z "$filter" ] || arguments+=(--filter "$filter")
# Pipes are read line by line, so that a long run shows where it is.
swift test "${arguments[@]}" 2>&1 | tee "$log" | grep -v --line-buffered -E '^◇|^✔ Test case|started\.$'
status=${PIPESTATUS[0]}

count() { grep -c -E "$1" "$log" || true; }
passed=$(count '^✔ Test [^r]|^✔ Test r[^u]')
failed=$(count '^✘ Test [^r].* failed|^✘ Test r[^u].* failed')
skipped=$(count '^➜ Test .* skipped|^➜ Suite .* skipped')
if [ "$skipped" -gt 0 ]; then
    echo 'Skipped, with the reasons:'
    grep -E '^➜ (Test|Suite) .* skipped' "$log" | sort -u
fi
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
    echo "the test run ended with status $status before every test had finished" >&2
fi
if [ "$passed" -eq 0 ]; then
    echo 'no test ran' >&2
    status=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"

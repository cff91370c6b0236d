#!/usr/bin/env bash
# Runs every suite, or those whose target matches: test.sh [REGEX]. Each target is a process of its own, one after the other: they share two
# cores, and what one breaks is not the next one's. Prints what was skipped and why, and ends with `N passed, N failed, N skipped`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

started=$SECONDS
swift build --build-tests || exit 1
echo "built in $((SECONDS - started)) s"

wanted=${1:-.}
status=0
failures=()
for folder in Tests/*Tests; do
    target=$(basename "$folder")
    [[ $target =~ $wanted ]] || continue
    started=$SECONDS
    before=$(wc -l <"$log")
    # A suite that hangs is a failure, not a wait: ten minutes are several times what the longest of `make test` takes.
    timeout --kill-after=20 "${TEST_LIMIT:-600}" swift test --skip-build --filter "^$target\\." </dev/null >>"$log" 2>&1
    code=$?
    tail -n "+$((before + 1))" "$log" | grep -E '^[a-z].*: .*[0-9]|^✘|^↳|^➜|recorded an issue|Fatal error|error:' | grep -v -E '^↳ (Testing Library|Target Platform|///)' || true
    if ! tail -n "+$((before + 1))" "$log" | grep -q -E 'Test run with [1-9][0-9]* test'; then
        echo "✘ $target: no test finished"
        code=1
    fi
    echo "$([ "$code" = 0 ] && echo '✔' || echo '✘') $target ($((SECONDS - started)) s)"
    if [ "$code" != 0 ]; then
        failures+=("$target")
        status=1
    fi
done

passed=$(grep -c -E '^✔ Test .* passed after' "$log")
failed=$(grep -c -E '^✘ Test .* failed after' "$log")
skipped=$(grep -c -E '^➜ (Test|Suite) .* skipped' "$log")
# The closing line of each run says "Test run with …": it is no test.
runs_passed=$(grep -c -E '^✔ Test run with' "$log")
runs_failed=$(grep -c -E '^✘ Test run with' "$log")
passed=$((passed - runs_passed))
failed=$((failed - runs_failed))
if [ "$skipped" -gt 0 ]; then
    echo 'Skipped, with the reasons:'
    grep -E '^➜ (Test|Suite) .* skipped' "$log" | sort -u
fi
if [ "$status" != 0 ]; then
    # Once more, at the end: the end is what a CI's summary keeps.
    grep -E '^✘ Test .* recorded an issue|^✘ Test .* failed after|Fatal error|^.*: error:' "$log" | tail -n 20 | cut -c1-400
    echo "failed: ${failures[*]}"
    [ "$failed" -gt 0 ] || failed=${#failures[@]}
    cp "$log" .build/test.log && echo 'everything they printed: .build/test.log'
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"

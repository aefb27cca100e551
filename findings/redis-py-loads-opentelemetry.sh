#!/usr/bin/env bash
# redis-py 8.1.0: "import redis" loads OpenTelemetry wherever it is installed, also the metrics half of its SDK (1.45.2), though
# the program asks for no telemetry and no client exists yet. So a program without telemetry starts slower because somebody
# else's package has brought the SDK, and code that looks at sys.modules to find out whether the program uses OpenTelemetry is
# misled.
#
# Seen: with the API alone 13 modules of opentelemetry, none of the SDK; with the SDK 61, opentelemetry.sdk.metrics among them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
look='import sys, redis
found = [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]
print(len(found), "opentelemetry.sdk.metrics" in found)'
python3 -m venv "$work/venv"
install() { "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }

install redis==8.1.0 opentelemetry-api==1.45.2
api=$("$work/venv/bin/python" -c "$look")
install opentelemetry-sdk==1.45.2
sdk=$("$work/venv/bin/python" -c "$look")
echo "with the API alone: $api"
echo "with the SDK:       $sdk"
[ "${api%% *}" -gt 0 ] && [ "${api#* }" = False ] && [ "${sdk#* }" = True ]

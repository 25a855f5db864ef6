#!/usr/bin/env bash
# Lists the verbs: the `##` comments of the Makefile.
set -euo pipefail
awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $1, $2 }' "$(dirname "$0")/../Makefile"

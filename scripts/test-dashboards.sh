#!/usr/bin/env bash
# Boards, alerts, rules and runbooks: as they are generated, by their own rules,
# against the names that are exported, by promtool, and against a real
# Prometheus that watches a real amid and todo. About two minutes after a build.
# usage: scripts/test-dashboards.sh [--pictures DIR]
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

prometheus=$(scripts/prometheus.sh)
mongo=$(todo/scripts/mongo-program.sh)
promtool=$prometheus/promtool
queries=$(mktemp)
trap 'rm -f "$queries"' EXIT

check "boards, rules and tables are as they are generated" dashboards/generate.py --check
check "each check can fail" python3 dashboards/test_check.py
check "boards keep the rules of Grafana's dashboard-linter" dashboards/check.py lint
check "every name, label and value is exported" dashboards/check.py names
check "every metric is on a board, in a rule or in a document" dashboards/check.py mentioned
check "every alert has its runbook" dashboards/check.py runbooks
check "promtool reads the rules" "$promtool" check rules dashboards/alerts.yaml dashboards/rules.yaml
dashboards/check.py queries "$queries"
check "promtool reads every query of the boards" "$promtool" check rules "$queries"
check "every alert fires, and does not fire" "$promtool" test rules dashboards/alerts_test.yaml

say "building amid and todo"
cargo build --workspace --quiet
check "a real run fills every panel, and no alert fires" \
  dashboards/live.py "$CARGO_TARGET_DIR/debug" "$prometheus" "$mongo" "$@"

summary

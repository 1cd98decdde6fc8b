#!/usr/bin/env bash
# An operator's checklist: each step is a run (surface=runbook). A step that fails stops it; so does one that needs
# somebody else. Whether the monitoring service answers changes nothing.
#
#     LIVE_MONITORING_URL=... LIVE_MONITORING_KEY=... ./refund.sh ORDER_ID
set -euo pipefail

order=${1:?which order?}

# step TEXT --ask | step TEXT -- COMMAND...
step() {
  local text=$1
  shift
  python3 -m agent_live_monitoring run --agent "Refund runbook" --input-kind order --step "$text" \
    --meta "order_id=$order" "$@"
}

step "The parcel is back in the warehouse" --ask
step "The amount is what the customer paid" --ask
step "Pay out" -- "${PAY_OUT:-echo}" "pays out order $order"
step "The customer was told" --ask
echo "Order $order is refunded."

// A suggestion of an agent, and what the person at the desk does with it: each decision is one run.
import { createClient } from "/client.js";

/** What a decision says of the run. Rejecting is a human who does it otherwise, as it should be: no alarm. */
const OUTCOMES = {
  approve: { resolution: "resolved", said: "Approved" },
  edit: { resolution: "resolved", said: "Approved with another amount" },
  reject: { resolution: "escalated", handoff_expected: true, said: "Rejected" },
};

const { url } = await (await fetch("/config.json")).json();
const monitor = createClient({ url, token, onError: (problem) => console.info(problem.code, problem.message) });
const [form, amount, said] = ["decision", "amount", "said"].map((id) => document.getElementById(id));
const shown = new Date();
const suggested = amount.value;

/** A token is good for minutes; the client asks again once it is over. */
async function token() {
  const answer = await fetch("/token", { method: "POST" });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.text();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const decision = event.submitter.value;
  if (decision === "edit" && amount.readOnly) {
    amount.readOnly = false;
    amount.focus();
    said.textContent = "Change the amount, then choose Edit once more.";
    return;
  }
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  amount.readOnly = true;
  const { said: words, ...outcome } = OUTCOMES[decision];
  said.textContent = `${words}.`; // the tile's own work does not wait for the log
  monitor.logAgentRun({
    agent_name: "refund-agent",
    agent_version: "3",
    input_kind: "order",
    surface: "shopify_admin",
    started_at: shown,
    human_touched: true,
    ...outcome,
    metadata: { decision, order_id: "1042", changed: amount.value !== suggested },
  });
  const { delivered } = await monitor.flush(2000);
  said.textContent = delivered ? `${words}. Logged.` : `${words}. It is logged once the service is back.`;
});
document.documentElement.dataset.ready = "yes";

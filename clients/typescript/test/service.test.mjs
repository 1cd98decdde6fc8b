// The client against the real service: LIVE_MONITORING_URL, and LIVE_MONITORING_KEY of an org's source.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createClient } from "@agent-live-monitoring/client";
import { createClient as createBrowserClient } from "@agent-live-monitoring/client/browser";

const { LIVE_MONITORING_URL: url, LIVE_MONITORING_KEY: key } = process.env;
const skip = url && key ? false : "LIVE_MONITORING_URL and LIVE_MONITORING_KEY name no service";
const made = [];
let problems = [];

function client(options = {}) {
  problems = [];
  const one = createClient({ url, key, onError: (problem) => problems.push(problem), ...options });
  made.push(one);
  return one;
}

after(() => Promise.all(made.map((one) => one.close(0))));

const common = { agent_name: "Billing Bot", room_id: "ts-1" };

test("every signal and what the human did arrive", { skip }, async () => {
  const one = client();
  one.reportFailure({ signal: "low_confidence", confidence: 0.25, threshold: 0.5, ...common });
  one.reportFailure({ signal: "message_cap", message_count: 20, message_cap: 20, ...common });
  one.reportFailure({ signal: "unexpected_handoff", handoff: { completed: false }, ...common });
  one.reportFailure({ signal: "agent_error", error: new RangeError("too far"), ...common });
  one.reportFailure({ signal: "help_requested", ...common });
  one.reportRoomActivity({ room_id: "ts-1", kind: "human_message", actor_external_id: 42 });
  assert.deepEqual([await one.flush(), problems], [{ delivered: 6, failed: 0, dropped: 0 }, []]);
});

test("a run that is started, ended and reviewed arrives", { skip }, async () => {
  const one = client();
  const run_id = one.logAgentRunStart({ ...common, input_kind: "faq", surface: "chatbot", sla_target_seconds: 30 });
  await one.flush();
  one.logAgentRunEnd({ run_id, resolution: "resolved", tokens_input: 812, tokens_output: 96, cost_usd: "0.00412" });
  one.logAgentQc({ run_id, quality_score: 4, reviewer: "rina", rubric: { tone: 5 }, notes: "Kind and right." });
  assert.deepEqual([await one.flush(), problems], [{ delivered: 2, failed: 0, dropped: 0 }, []]);
});

test("a bad item fails alone and says which field", { skip }, async () => {
  const one = client();
  for (let n = 0; n < 300; n += 1) {
    one.reportFailure({ event_id: `many-${n}`, signal: "help_requested", ...common, ...(n === 7 ? { colour: "red" } : {}) });
  }
  assert.deepEqual(await one.flush(20_000), { delivered: 299, failed: 1, dropped: 0 });
  assert.deepEqual(problems.map(({ code, itemId, field }) => [code, itemId, field]), [["unknown_field", "many-7", "colour"]]);
});

test("the same again is delivered, and other content under its id is a conflict", { skip }, async () => {
  const one = client();
  const event = { event_id: "twice", signal: "help_requested", occurred_at: new Date(), ...common };
  one.reportFailure(event);
  one.reportFailure(event);
  one.reportFailure({ ...event, channel: "webchat" });
  assert.deepEqual(await one.flush(), { delivered: 2, failed: 1, dropped: 0 });
  assert.equal(problems[0].code, "id_conflict");
});

test("an unknown key fails what it sent", { skip }, async () => {
  const one = client({ key: "no.key" });
  one.reportFailure({ signal: "help_requested", ...common });
  assert.equal((await one.flush()).failed, 1);
  assert.deepEqual([problems[0].code, problems[0].status], ["unauthenticated", 401]);
});

test("the browser's build writes with a token that the back end made", { skip }, async () => {
  const made_ = await fetch(`${url}/api/client-tokens`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ ttl_seconds: 60 }),
  });
  const { token } = await made_.json();
  const one = createBrowserClient({ url, token: () => token });
  made.push(one);
  one.reportFailure({ event_id: "by-token", signal: "help_requested", ...common });
  assert.deepEqual(await one.flush(), { delivered: 1, failed: 0, dropped: 0 });
});

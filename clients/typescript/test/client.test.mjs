// The client against a server that misbehaves.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { afterEach, beforeEach, test } from "node:test";
import { inspect } from "node:util";
import { createClient } from "@agent-live-monitoring/client";
import { createClient as createBrowserClient } from "@agent-live-monitoring/client/browser";
import { Double, failure, until } from "./double.mjs";

const NOWHERE = "http://127.0.0.1:1";
let double;
let problems;
const made = [];

function client(options = {}) {
  const one = createClient({ url: double.url, key: "k", onError: (problem) => problems.push(problem), ...options });
  made.push(one);
  return one;
}

/** Flush until so many are delivered: each flush cuts short the pause that nobody asked for. */
async function delivered(one, count = 1) {
  await until(async () => {
    await one.flush(20);
    return one.stats().delivered + one.stats().failed >= count;
  });
  return one.stats();
}

const ids = () => double.items().map((item) => item.event_id);

beforeEach(async () => {
  double = await Double.start();
  problems = [];
});

afterEach(async () => {
  await Promise.all(made.splice(0).map((one) => one.close(0)));
  await double.stop();
});

// --- what is sent ----------------------------------------------------------------------------------------------

test("the two builds of the package are the same client", async () => {
  const { createClient: inCommonJs } = createRequire(import.meta.url)("@agent-live-monitoring/client");
  const one = inCommonJs({ url: double.url, key: "k" });
  made.push(one);
  one.reportFailure(failure());
  assert.deepEqual(await one.flush(), { delivered: 1, failed: 0, dropped: 0 });
});

test("ids and times are made where there are none, and kept where there are", async () => {
  const one = client();
  const run = one.logAgentRunStart({ agent_name: "Bot", input_kind: "faq" });
  const own = one.logAgentRunStart({ run_id: "9b2e8f70-5f5d-4a5c-9d0e-6f1d2c3b4a59", agent_name: "Bot", input_kind: "faq" });
  one.logAgentRunEnd({ run_id: run, resolution: "resolved" });
  one.reportFailure({ signal: "help_requested", agent_name: "Bot", room_id: 42, occurred_at: new Date(0) });
  one.reportRoomActivity({ room_id: "r", kind: "bot_message" });
  one.logAgentQc({ run_id: run, quality_score: 4 });
  one.logAgentQc({ run_id: run, quality_score: 5, reviewer: "rina" });
  assert.equal((await one.flush()).delivered, 7);
  const [start, , end] = double.items("/api/agent-runs");
  assert.match(run, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.equal(own, "9b2e8f70-5f5d-4a5c-9d0e-6f1d2c3b4a59");
  assert.deepEqual([start.run_id, end.run_id], [run, run]);
  assert.ok(Date.parse(start.started_at) <= Date.parse(end.ended_at));
  const [event] = double.items();
  assert.deepEqual([event.occurred_at, event.room_id, event.event_id.length], ["1970-01-01T00:00:00.000Z", "42", 36]);
  assert.ok(double.items("/api/room-activity")[0].activity_id);
  const [byNobody, byRina] = double.items("/api/agent-qc");
  assert.equal(byNobody.review_id.length, 36);
  assert.equal("review_id" in byRina, false);
});

test("many go out in few packed requests within the service's limits", async () => {
  const one = client();
  for (let n = 0; n < 2500; n += 1) one.reportFailure(failure(`e-${n}`, { room_label: "x".repeat(199) }));
  assert.equal((await one.flush(20_000)).delivered, 2500);
  assert.ok(double.requests.length <= 10);
  assert.ok(double.requests.every((one_) => one_.items.length <= 1000 && one_.body.length <= 2 * 1024 * 1024));
  assert.ok(double.requests.every((one_) => one_.headers["content-encoding"] === "gzip"));
});

test("reports are collected for as long as one asks, and a flush does not wait for it", async () => {
  const one = client({ flushIntervalMs: 60_000 });
  for (let n = 0; n < 3; n += 1) {
    one.reportFailure(failure(`e-${n}`));
    await new Promise((soon) => setImmediate(soon));
  }
  assert.equal(double.requests.length, 0);
  await one.flush();
  assert.deepEqual([double.requests.length, ids().length], [1, 3]);
  await one.flush();
  one.reportFailure(failure("later"));
  await new Promise((soon) => setTimeout(soon, 50));
  assert.equal(double.requests.length, 1);
});

test("X-Items-Sent counts what left this process, each item once", async () => {
  double.scripted = [{ status: 503, headers: { "Retry-After": "0" } }];
  const one = client();
  one.reportFailure(failure("e-1"));
  one.reportFailure(failure("e-2", { confidence: Number.NaN }));
  await delivered(one, 2);
  one.reportRoomActivity({ room_id: "r", kind: "bot_message" });
  await one.flush();
  assert.deepEqual(
    double.requests.map((request) => request.headers["x-items-sent"]),
    ["2", "2", "3"],
  );
  assert.equal(new Set(double.requests.map((request) => request.headers["x-client-id"])).size, 1);
});

test("within a room nothing overtakes", async () => {
  double.holding = true;
  const one = client();
  for (let n = 0; n < 20; n += 2) {
    one.reportFailure(failure(String(n)));
    one.reportRoomActivity({ activity_id: String(n + 1), room_id: "r-7", kind: "bot_message" });
  }
  double.letGo();
  await one.flush();
  const came = double.requests.flatMap((request) => request.items.map((item) => Number(item.event_id ?? item.activity_id)));
  assert.deepEqual(came, [...came].sort((a, b) => a - b));
  assert.equal(came.length, 20);
});

// --- flush and close -------------------------------------------------------------------------------------------

test("a flush of nothing returns at once, and two at once end both with each event once", async () => {
  const one = client();
  assert.deepEqual(await one.flush(60_000), { delivered: 0, failed: 0, dropped: 0 });
  for (let n = 0; n < 10; n += 1) one.reportFailure(failure(`e-${n}`));
  const [a, b] = await Promise.all([one.flush(Infinity), one.flush(60_000)]);
  assert.equal(a.delivered + b.delivered, 10);
  assert.equal(new Set(ids()).size, 10);
  assert.equal(ids().length, 10);
});

test("a flush ends in time though nobody answers, and a close drops and counts what waits", async () => {
  const one = client({ url: NOWHERE });
  for (let n = 0; n < 3; n += 1) one.reportFailure(failure(`e-${n}`));
  assert.deepEqual(await one.flush(50), { delivered: 0, failed: 0, dropped: 0 });
  assert.deepEqual(await one.close(50), { delivered: 0, failed: 0, dropped: 3 });
  one.reportFailure(failure("after"));
  assert.deepEqual(await one.close(50), { delivered: 0, failed: 0, dropped: 1 });
  assert.equal(one.stats().dropped, 4);
  assert.equal(problems.filter((problem) => problem.code === "closed").length, 4);
});

test("a close gives up the request that nobody answers", async () => {
  double.scripted = [{ never: true }];
  const one = client();
  one.reportFailure(failure());
  await until(() => double.requests.length === 1);
  assert.deepEqual(await one.close(20), { delivered: 0, failed: 0, dropped: 1 });
});

// --- bad input -------------------------------------------------------------------------------------------------

test("nothing that is reported throws", async () => {
  const one = client();
  const loop = {};
  loop.again = loop;
  const evil = new Proxy({}, { ownKeys: () => { throw new Error("evil"); } });
  const getter = { get signal() { throw new Error("evil"); } };
  for (const fields of [undefined, null, 7, "text", [], {}, loop, evil, getter, { error: loop }, { confidence: 1n }]) {
    for (const call of ["reportFailure", "reportRoomActivity", "logAgentRunEnd", "logAgentQc", "logAgentRun"]) {
      one[call](fields);
    }
    assert.equal(typeof one.logAgentRunStart(fields), "string");
  }
  const { reported, failed, waiting } = one.stats();
  assert.equal(reported, 66);
  assert.ok(failed >= 24 && failed + waiting === 66);
});

for (const [name, given, made_, marked] of [
  ["long", "x".repeat(2001), `${"x".repeat(1999)}…`, true],
  ["with a NUL", "a\0b", "a\ufffdb", true],
  ["with half an emoji", "a\ud83d", "a\ufffd", true],
  ["with whole emojis", "\u{1f600}".repeat(2000), "\u{1f600}".repeat(2000), false],
  ["an Error", new RangeError("too far"), "too far", false],
  ["a number", 404, "404", false],
]) {
  test(`a text that is ${name} is cut, cleaned and marked`, async () => {
    const one = client();
    one.reportFailure(failure("e-1", { error: { type: "T", message: given }, metadata: { tool: "search" } }));
    await one.flush();
    const [item] = double.items();
    assert.equal(item.error.message, made_);
    assert.deepEqual(item.metadata, marked ? { truncated: ["error.message"], tool: "search" } : { tool: "search" });
  });
}

test("an exception is its type and message", async () => {
  const one = client();
  one.reportFailure(failure("e-1", { error: new TypeError("no such tool") }));
  await one.flush();
  assert.deepEqual(double.items()[0].error, { type: "TypeError", message: "no such tool" });
});

for (const [name, metadata] of [
  ["endless", (() => { const one = {}; one.again = one; return one; })()],
  ["too large", { trace: "x".repeat(9000) }],
  ["too deep", { deep: Array.from({ length: 40 }).reduce((inner) => [inner], 1) }],
  ["no number", { score: Number.NaN }],
  ["a list", [1]],
  ["a text", "text"],
  ["a function", { call() {} }],
]) {
  test(`metadata that is ${name} is left out and loses no alarm`, async () => {
    const one = client();
    one.reportFailure(failure("e-1", { metadata }));
    assert.equal((await one.flush()).delivered, 1);
    assert.deepEqual(double.items()[0].metadata, { truncated: ["metadata"] });
  });
}

test("a full queue drops the oldest and counts them", async () => {
  double.holding = true;
  const one = client({ maxItems: 10 });
  one.reportFailure(failure("first"));
  await until(() => double.requests.length === 1);
  for (let n = 0; n < 15; n += 1) one.reportFailure(failure(`e-${n}`));
  assert.equal(one.stats().dropped, 5);
  double.letGo();
  assert.deepEqual(await one.flush(), { delivered: 11, failed: 0, dropped: 5 });
  assert.deepEqual(ids(), ["first", ...Array.from({ length: 10 }, (_, n) => `e-${n + 5}`)]);
  assert.equal(problems.filter((problem) => problem.code === "queue_full" && problem.lost).length, 5);
});

test("the queue is bounded in bytes, and one that is too large alone is dropped alone", async () => {
  const one = client({ url: NOWHERE, maxBytes: 2000 });
  for (let n = 0; n < 50; n += 1) one.reportFailure(failure(`e-${n}`, { room_label: "é".repeat(100) }));
  const { waiting, dropped } = one.stats();
  assert.ok(waiting >= 3 && waiting <= 6);
  one.reportFailure(failure("large", { agent_name: "n".repeat(3000) }));
  assert.deepEqual([one.stats().waiting, one.stats().dropped], [waiting, dropped + 1]);
});

// --- trouble ---------------------------------------------------------------------------------------------------

for (const [name, told] of [
  ["503", { status: 503, headers: { "Retry-After": "0" } }],
  ["429 with a date", { status: 429, headers: { "Retry-After": new Date().toUTCString() } }],
  ["500", { status: 500 }],
  ["a page", { status: 200, body: "<html>" }],
  ["no results", { status: 207, body: '{"results": []}' }],
  ["a redirect", { status: 302, headers: { Location: NOWHERE } }],
  ["silence", { never: true }],
  ["too much", { status: 207, body: `{"results": [{"index": 0, "status": "created"}]}${" ".repeat(5_000_000)}` }],
  ["a closed door", { hangUp: true }],
]) {
  test(`after ${name} the same is sent again`, async () => {
    double.scripted = [told];
    const one = client({ timeoutMs: 250 });
    one.reportFailure(failure());
    assert.equal((await delivered(one)).delivered, 1);
    assert.deepEqual(problems.map((problem) => problem.lost), [false]);
    assert.equal(new Set(double.requests.map((request) => request.body)).size, 1);
    assert.equal(double.requests.length, 2);
  });
}

test("Retry-After is waited for, whoever flushes", async () => {
  double.scripted = [{ status: 503, headers: { "Retry-After": "0.6" } }];
  const one = client();
  one.reportFailure(failure());
  const began = Date.now();
  await one.flush(100);
  await one.flush(20_000);
  assert.ok(Date.now() - began >= 600);
});

test("a redirect that stays fails and names its target without what is secret", async () => {
  double.whole = () => ({ status: 301, headers: { Location: "https://new.example/api?token=canary" } });
  const one = client();
  one.reportFailure(failure());
  assert.equal((await delivered(one)).failed, 1);
  assert.deepEqual(problems.map(({ code, lost, status }) => [code, lost, status]), [
    ["redirected", false, 301],
    ["redirected", true, 301],
  ]);
  assert.ok(problems.every(({ message }) => message.includes("https://new.example/api.") && !message.includes("canary")));
  assert.equal(double.requests.length, 3);
});

for (const status of [400, 413]) {
  test(`after ${status} halves are sent until the one to blame is alone`, async () => {
    double.whole = (items) => (items.some((item) => item.event_id === "e-7") ? { status } : undefined);
    const one = client();
    for (let n = 0; n < 20; n += 1) one.reportFailure(failure(`e-${n}`));
    assert.deepEqual(await one.flush(20_000), { delivered: 19, failed: 1, dropped: 0 });
    assert.deepEqual(problems.map((problem) => problem.itemId), ["e-7"]);
  });
}

test("an item that the service stumbles over holds up no others", async () => {
  let broken = true;
  double.whole = (items) => (broken && items.some((item) => item.event_id === "e-3") ? { status: 500 } : undefined);
  const one = client();
  for (let n = 0; n < 6; n += 1) one.reportFailure(failure(`e-${n}`));
  await delivered(one, 5);
  broken = false;
  await delivered(one, 6);
  assert.equal(double.requests.at(-1).headers["x-items-sent"], "6");
});

test("each item has its own result, and the field is the caller's", async () => {
  const error = { code: "unknown_field", message: "No.", field: "items[1].colour" };
  double.judge = (item) => (item.colour ? { status: "invalid", error } : { status: "duplicate" });
  const one = client();
  one.reportFailure(failure("good"));
  one.reportFailure(failure("odd", { colour: "red" }));
  assert.deepEqual(await one.flush(), { delivered: 1, failed: 1, dropped: 0 });
  const { code, itemId, field, kind, lost } = problems[0];
  assert.deepEqual([code, itemId, field, kind, lost], ["unknown_field", "odd", "colour", "failure_event", true]);
});

test("what onError does, throws or reports ends nothing", async () => {
  double.judge = () => ({ status: "invalid", error: { code: "c", message: "m" } });
  let told = 0;
  const one = client({
    onError: () => {
      told += 1;
      if (told < 3) one.reportFailure(failure(`again-${told}`));
      if (told === 1) throw new Error("theirs");
      return Promise.reject(new Error("theirs too"));
    },
  });
  one.reportFailure(failure("e-1"));
  await until(() => told === 3);
  assert.equal(one.stats().failed, 3);
});

// --- keys and tokens -------------------------------------------------------------------------------------------

for (const [name, options, message] of [
  ["no key", {}, /key is undefined/],
  ["a key that is no text", { key: 7 }, /key is number/],
  ["an empty key", { key: " \n" }, /key is empty/],
  ["a key with a space", { key: "two words" }, /place 4/],
  ["a key and a token", { key: "k", token: "t" }, /not both/],
  ["an address without a scheme", { key: "k", url: "monitor.example.com" }, /url must be/],
  ["an address with a user", { key: "k", url: "https://a@b.example" }, /url must be/],
  ["no room", { key: "k", maxItems: 0 }, /above 0/],
]) {
  test(`${name} is refused at once`, () => {
    assert.throws(() => createClient({ url: NOWHERE, ...options }), { name: "TypeError", message });
  });
}

test("the line break behind a key is no part of it, and nothing shows the key", async () => {
  const one = client({ key: "prefix.secret\n" });
  one.reportFailure(failure());
  await one.flush();
  assert.equal(double.requests[0].headers.authorization, "Bearer prefix.secret");
  assert.equal(JSON.stringify(one), '"[Client]"');
  assert.doesNotMatch(inspect(one, { depth: 20, showHidden: true }), /prefix\.secret/);
});

test("a token that is over is asked for anew, once", async () => {
  const tokens = ["token.old", "token.new"];
  double.scripted = [undefined, { status: 401, body: '{"error": {"code": "unauthenticated", "message": "Over."}}' }];
  const one = client({ key: undefined, token: async () => tokens.shift() });
  one.reportFailure(failure("e-1"));
  await one.flush();
  one.reportFailure(failure("e-2"));
  assert.equal((await one.flush()).delivered, 1);
  assert.deepEqual(
    double.requests.map((request) => request.headers.authorization),
    ["Bearer token.old", "Bearer token.old", "Bearer token.new"],
  );
});

test("a token that nobody gives is tried again, and one that is refused fails", async () => {
  let asked = 0;
  const one = client({
    key: undefined,
    token: () => {
      asked += 1;
      if (asked === 1) throw new Error("the back end is away");
      return "token.t";
    },
  });
  one.reportFailure(failure("e-1"));
  assert.equal((await delivered(one)).delivered, 1);
  assert.equal(problems[0].code, "token_unavailable");
  double.whole = () => ({ status: 401, body: '{"error": {"code": "unauthenticated", "message": "Over."}}' });
  one.reportFailure(failure("e-2"));
  assert.equal((await one.flush()).failed, 1);
});

test("the browser's build takes a token, never a key, and sends no header that no preflight allows", async () => {
  assert.throws(() => createBrowserClient({ url: NOWHERE, key: "k" }), /does not belong into a page/);
  const one = createBrowserClient({ url: double.url, token: "token.t" });
  made.push(one);
  for (let n = 0; n < 20; n += 1) one.reportFailure(failure(`e-${n}`));
  assert.equal((await one.flush()).delivered, 20);
  const [{ headers }] = double.requests;
  assert.deepEqual([headers["x-items-sent"], headers["content-encoding"]], [undefined, "gzip"]);
});

// --- who could come ----------------------------------------------------------------------------------------------

test("who could come is asked once in 15 s, and trouble is null", async () => {
  const one = client();
  const said = { on_duty: 2, reachable: 1, expected_wait_seconds: 94.5, n: 12, next_duty_at: null };
  double.scripted.push({ status: 200, body: JSON.stringify(said) }, { status: 503 }, { status: 200, body: "<html>" });
  const both = await Promise.all([one.availability("Billing Bot"), one.availability("Billing Bot")]);
  assert.deepEqual(both, [said, said]);
  assert.equal((await one.availability("Billing Bot")).on_duty, 2);
  assert.equal(await one.availability("Other", "org 2"), null);
  assert.equal(await one.availability("Third"), null);
  assert.equal(await one.availability("Third"), null);
  assert.equal(await client({ url: NOWHERE }).availability("Bot"), null);
  assert.deepEqual(
    double.requests.map((request) => [request.path, request.headers.authorization]),
    [
      ["/api/availability?agent=Billing+Bot", "Bearer k"],
      ["/api/availability?agent=Other&org_id=org+2", "Bearer k"],
      ["/api/availability?agent=Third", "Bearer k"],
    ],
  );
});

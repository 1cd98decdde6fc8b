// The life of a process: it ends when it wants to, and what was spooled outlives it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient } from "@agent-live-monitoring/client";
import { Double, failure, until } from "./double.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const NOWHERE = "http://127.0.0.1:1";
let double;
let folder;
const made = [];

beforeEach(async () => {
  double = await Double.start();
  folder = await mkdtemp(join(tmpdir(), "spool-"));
});

afterEach(async () => {
  await Promise.all(made.splice(0).map((one) => one.close(0)));
  await double.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Run a script in a process of its own; how it ended, and what it said. */
function bot(script, options = {}) {
  const prelude = `
    import { createClient } from "@agent-live-monitoring/client";
    const client = createClient(${JSON.stringify({ url: double.url, key: "k", ...options })});
    const failure = (name) => ({ event_id: name, signal: "help_requested", agent_name: "Bot", room_id: "r" });
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", prelude + script], { cwd: HERE });
  let said = "";
  child.stdout.on("data", (data) => (said += data));
  child.stderr.on("data", (data) => (said += data));
  const ended = new Promise((done) => child.on("close", (code, signal) => done({ code, signal, said: said.trim() })));
  return { child, ended, said: () => said };
}

function client(options = {}) {
  const one = createClient({ url: double.url, key: "k", spoolDir: folder, ...options });
  made.push(one);
  return one;
}

const ids = () => double.items().map((item) => item.event_id);
const files = () => readdir(folder);

test("what flush says was delivered is, though the process exits right after it", async () => {
  const script = `
    for (let n = 0; n < 300; n += 1) client.reportFailure(failure("e-" + n));
    console.log(JSON.stringify(await client.flush()));
    process.exit();
  `;
  const { code, said } = await bot(script).ended;
  assert.deepEqual([code, JSON.parse(said)], [0, { delivered: 300, failed: 0, dropped: 0 }]);
  assert.equal(new Set(ids()).size, 300);
});

test("what was reported before a natural end is sent", async () => {
  assert.equal((await bot('client.reportFailure(failure("last"));').ended).code, 0);
  assert.deepEqual(ids(), ["last"]);
});

test("a client that waits for its service keeps no process alive", async () => {
  const script = 'client.reportFailure(failure("e-1")); await new Promise((soon) => setTimeout(soon, 300));';
  const began = Date.now();
  assert.equal((await bot(script, { url: NOWHERE, flushIntervalMs: 600_000, spoolDir: folder }).ended).code, 0);
  assert.equal((await bot(script, { url: NOWHERE, spoolDir: folder }).ended).code, 0);
  assert.ok(Date.now() - began < 15_000);
});

test("a flush that waits keeps its process alive until it ends", async () => {
  double.holding = true;
  const { ended, child } = bot('client.reportFailure(failure("e-1")); console.log((await client.flush(20_000)).delivered);');
  await until(() => double.requests.length === 1);
  assert.equal(child.exitCode, null);
  double.letGo();
  assert.deepEqual(await ended, { code: 0, signal: null, said: "1" });
});

test("and so does one that waits for the next try", async () => {
  const script = 'client.reportFailure(failure("e-1")); console.log(JSON.stringify(await client.flush(700)));';
  const { code, said } = await bot(script, { url: NOWHERE }).ended;
  assert.deepEqual([code, said], [0, '{"delivered":0,"failed":0,"dropped":0}']);
});

test("there are no handlers of signals or of the process", async () => {
  const script = `
    client.reportFailure(failure("e-1"));
    await client.flush();
    console.log(process.eventNames().join());
    setInterval(() => {}, 1000);
  `;
  const { child, ended, said } = bot(script, { spoolDir: folder });
  await until(() => said().endsWith("\n"));
  child.kill("SIGTERM");
  const { signal, said: names } = await ended;
  assert.equal(signal, "SIGTERM");
  assert.doesNotMatch(names, /SIG|beforeExit|uncaught|unhandled/); // `exit` is Node's own
});

test("what a killed process spooled is sent by the next one", async () => {
  const { child, ended, said } = bot(
    'for (let n = 0; n < 50; n += 1) client.reportFailure(failure("e-" + n)); console.log("ready"); setInterval(() => {}, 1000);',
    { url: NOWHERE, spoolDir: folder },
  );
  await until(() => said().includes("ready"));
  child.kill("SIGKILL");
  await ended;
  assert.equal((await files()).length, 1);
  const next = client();
  assert.deepEqual(await next.flush(), { delivered: 50, failed: 0, dropped: 0 });
  assert.deepEqual(ids(), Array.from({ length: 50 }, (_, n) => `e-${n}`));
  await next.close();
  assert.deepEqual(await files(), []);
});

test("what waits at the close stays in the spool and is not dropped", async () => {
  const first = client({ url: NOWHERE });
  first.reportFailure(failure("e-1"));
  assert.deepEqual(await first.close(20), { delivered: 0, failed: 0, dropped: 0 });
  first.reportFailure(failure("after"));
  assert.deepEqual(await first.close(20), { delivered: 0, failed: 0, dropped: 1 });
  assert.equal((await files()).length, 1);
  assert.deepEqual(await client().flush(), { delivered: 1, failed: 0, dropped: 0 });
  assert.deepEqual(ids(), ["e-1"]);
});

test("the file of a process that lives is not taken, that of one which is silent is", async () => {
  const { child, ended, said } = bot('client.reportFailure(failure("theirs")); console.log("ready"); setInterval(() => {}, 1000);', {
    url: NOWHERE,
    spoolDir: folder,
  });
  await until(() => said().includes("ready"));
  const [name] = await files();
  assert.deepEqual(await client().flush(), { delivered: 0, failed: 0, dropped: 0 });
  child.kill("SIGSTOP");
  await utimes(join(folder, name), new Date(0), new Date(0));
  assert.equal((await client().flush()).delivered, 1);
  child.kill("SIGKILL");
  await ended;
});

test("a torn line and one that is not ours are skipped", async () => {
  const line = `failure_event ${JSON.stringify(failure("whole"))}\n`;
  await writeFile(join(folder, "other-1-0-0f7c6a51-6a0e.spool"), `${line}cake {}\n${line.slice(0, 40)}`);
  await utimes(join(folder, "other-1-0-0f7c6a51-6a0e.spool"), new Date(0), new Date(0));
  assert.deepEqual(await client().flush(), { delivered: 1, failed: 0, dropped: 0 });
  assert.deepEqual(ids(), ["whole"]);
});

test("a folder that cannot be used costs no report and is told once", async () => {
  const file = join(folder, "file");
  await writeFile(file, "");
  const problems = [];
  const one = client({ spoolDir: join(file, "inner"), onError: (problem) => problems.push(problem) });
  one.reportFailure(failure("e-1"));
  one.reportFailure(failure("e-2"));
  assert.equal((await one.flush()).delivered, 2);
  assert.deepEqual(problems.map((problem) => problem.code), ["spool_unavailable"]);
});

test("the spool holds no more than the queue, and nothing of it is left behind", async () => {
  const one = client({ url: NOWHERE, maxItems: 20, maxBytes: 4000 });
  for (let n = 0; n < 2000; n += 1) one.reportFailure(failure(`e-${n}`));
  const sizes = await Promise.all((await files()).map(async (name) => (await readFile(join(folder, name))).length));
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 20_000, String(sizes));
});

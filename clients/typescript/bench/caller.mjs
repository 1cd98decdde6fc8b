// What a report costs its caller: node bench/caller.mjs URL CALLS FIELDS; a line of JSON for each way, times in us.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@agent-live-monitoring/client";

const [url, calls, fields] = process.argv.slice(2);
const run = JSON.parse(fields ?? '{"agent_name": "Bot", "input_kind": "faq"}');

/** us of each call; bursts of ten, some 1,500 calls a second. */
async function timed(step, count) {
  const took = [];
  for (let n = 0; n < count; n += 1) {
    const begun = process.hrtime.bigint();
    step();
    took.push(Number(process.hrtime.bigint() - begun) / 1000);
    if (n % 10 === 9) await new Promise((soon) => setTimeout(soon, 5));
  }
  return took;
}

const folder = mkdtempSync(join(tmpdir(), "caller-"));
for (const [name, options] of [["memory", {}], ["spool", { spoolDir: folder }]]) {
  const client = createClient({ url: url ?? "http://127.0.0.1:1", key: "k", ...options });
  for (let n = 0; n < 500; n += 1) client.logAgentRunStart(run); // a bot that has run for a while
  await client.flush();
  const took = await timed(() => client.logAgentRunStart(run), Number(calls ?? 10_000));
  await client.close(30_000);
  const alone = await timed(() => JSON.stringify(run), 2000);
  console.log(JSON.stringify({ name, took, alone }));
}
rmSync(folder, { recursive: true });

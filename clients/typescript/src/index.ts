/**
 * Reports what AI agents do and where they fail a customer to AI Agent Live Monitoring, from Node.
 *
 *     const monitor = createClient({ url: "https://monitor.example.com", key: process.env.LIVE_MONITORING_KEY });
 *     monitor.reportFailure({ signal: "agent_error", agent_name: "Billing Bot", room_id: "r-7", error: { type: "Timeout" } });
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Client, type CommonOptions, type TokenOptions } from "./client";
import { FileSpool } from "./spool";
import type { Platform } from "./transport";
import { VERSION } from "./version";

export type { Availability } from "./availability";
export type { AgentQc, AgentRun, AgentRunEnd, AgentRunStart, FailureEvent, RoomActivity } from "./items";
export type { Client, CommonOptions, TokenOptions } from "./client";
export type { Problem } from "./problems";
export type { Flushed, Stats } from "./worker";

/** Options on Node: a key of a source with the scope ingest, or a token, and a folder for the spool. */
export type Options = (TokenOptions | (CommonOptions & { key: string })) & {
  /** A folder on a local disk in which reports outlive the process. */
  spoolDir?: string;
};

const pack = promisify(gzip);

const NODE: Platform = {
  gzip: async (content) => new Uint8Array(await pack(content)),
  soon: (step) => void setImmediate(step),
  headers: (sent, name) => ({
    ...{ "X-Items-Sent": String(sent), "X-Client-Id": name },
    "User-Agent": `agent-live-monitoring-typescript/${VERSION}`,
  }),
  options: () => ({}),
};

/** A client; one for each process. Throws TypeError for options that can never work. */
export function createClient(options: Options): Client {
  const { key, token } = options as { key?: string; token?: TokenOptions["token"] };
  if (key !== undefined && token !== undefined) throw new TypeError("give a key or a token, not both");
  const { spoolDir } = options;
  return new Client(options, (token ?? key) as string, token === undefined ? "key" : "token", NODE, (problems, maxBytes) =>
    spoolDir === undefined ? undefined : new FileSpool(spoolDir, maxBytes, problems),
  );
}

/**
 * Reports what AI agents do to AI Agent Live Monitoring, from a page in a browser: with a short-lived token that the
 * page's own back end makes (POST /api/client-tokens), never with a key.
 *
 *     const monitor = createClient({ url: "https://monitor.example.com", token: () => fetch("/token").then((a) => a.text()) });
 */
import { Client, type TokenOptions } from "./client";
import type { Platform } from "./transport";

export type { Availability } from "./availability";
export type { AgentQc, AgentRun, AgentRunEnd, AgentRunStart, FailureEvent, RoomActivity } from "./items";
export type { Client, TokenOptions } from "./client";
export type { Problem } from "./problems";
export type { Flushed, Stats } from "./worker";

const KEPT_ALIVE = 60_000; // bytes that browsers send to their end when the page is left

async function gzip(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (typeof CompressionStream === "undefined") return undefined;
  const packed = new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

const BROWSER: Platform = {
  gzip,
  soon: (step) => void setTimeout(step, 0),
  headers: () => ({}), // a preflight allows no others; a page is no process whose losses could be counted
  options: (bytes) => ({
    credentials: "omit",
    cache: "no-store",
    mode: "cors",
    referrerPolicy: "no-referrer",
    keepalive: bytes < KEPT_ALIVE,
  }),
};

/** A client; one for each page. Throws TypeError for options that can never work, and for a key. */
export function createClient(options: TokenOptions): Client {
  if ("key" in options) throw new TypeError("a key does not belong into a page: give a token");
  return new Client(options, options.token, "token", BROWSER);
}

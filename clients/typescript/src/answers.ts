/** What an answer means. Pure. */
import { retryAfter } from "./retry";

const AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);
const STATUSES = new Set(["created", "updated", "duplicate", "conflict", "invalid"]);

/** An answer, whatever it says. */
export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly location: string | null;
  readonly body: string;
}

/**
 * settled: each item has its result. again: nothing was stored, send the same. suspect: the same, but the items may be
 * to blame, or their number. split: one of the items is. refused: none of them will ever be taken. moved: a redirect,
 * which may be a proxy's for a moment; one that stays will take none of them.
 */
export type Fate = "settled" | "again" | "suspect" | "split" | "refused" | "moved";

/** What became of one item. */
export interface Result {
  readonly taken: boolean;
  readonly code: string;
  readonly message: string;
  readonly field?: string | undefined;
}

/** What to do next, and why. `asked`: milliseconds that the service asked us to wait. */
export interface Verdict {
  readonly fate: Fate;
  readonly results?: readonly Result[];
  readonly code: string;
  readonly message: string;
  readonly asked?: number | undefined;
  readonly status?: number | undefined;
}

/** On the answer to `count` items. Only what the service itself says settles anything: a proxy's page means "again". */
export function judge(answer: Answer, count: number, now: number): Verdict {
  const content = parsed(answer.body);
  const results = answer.status === 207 ? resultsOf(content, count) : undefined;
  if (results !== undefined) return { fate: "settled", results, code: "", message: "" };
  const { status } = answer;
  if (status >= 300 && status < 400) {
    return { fate: "moved", code: "redirected", message: elsewhere(answer), status };
  }
  const error = errorOf(content);
  const unsaid = AGAIN.has(status) ? "unavailable" : "not_the_contract";
  return {
    fate: fateOf(status, error !== undefined),
    code: error?.code ?? unsaid,
    message: error?.message ?? `Status ${status}.`,
    asked: retryAfter(answer.retryAfter, now),
    status,
  };
}

/** Where a redirect leads, without what may be secret in it. */
function elsewhere(answer: Answer): string {
  const target = (answer.location ?? "").split(/[?#]/)[0]?.slice(0, 200) || "nowhere";
  return `Status ${answer.status}: redirected to ${target}. Redirects are not followed: use that address.`;
}

function fateOf(status: number, known: boolean): Fate {
  if (status === 500) return "suspect";
  if (AGAIN.has(status) || !known || status < 400 || status >= 500) return "again";
  return status === 400 || status === 413 ? "split" : "refused";
}

/** A result for each item in the order they were sent; undefined if this is not the contract's answer. */
function resultsOf(content: unknown, count: number): Result[] | undefined {
  const listed = (content as { results?: unknown } | null | undefined)?.results;
  if (!Array.isArray(listed)) return undefined;
  const byPlace = new Map<unknown, unknown>(listed.map((one) => [(one as { index?: unknown } | null)?.index, one]));
  const results: Result[] = [];
  for (let place = 0; place < count; place += 1) {
    const result = resultOf(byPlace.get(place));
    if (result === undefined) return undefined;
    results.push(result);
  }
  return results;
}

function resultOf(one: unknown): Result | undefined {
  const status = (one as { status?: unknown } | null | undefined)?.status;
  if (typeof status !== "string" || !STATUSES.has(status)) return undefined;
  if (status !== "conflict" && status !== "invalid") return { taken: true, code: "", message: "" };
  return errorOf(one) ?? { taken: false, code: status, message: "" };
}

/** The contract's one error shape. */
function errorOf(content: unknown): Result | undefined {
  const error = (content as { error?: Record<string, unknown> } | null | undefined)?.error;
  if (typeof error !== "object" || error === null || typeof error["code"] !== "string") return undefined;
  const field = typeof error["field"] === "string" ? error["field"].replace(/^items\[\d+\]\.?/, "") : "";
  return { taken: false, code: error["code"], message: String(error["message"] ?? ""), field: field || undefined };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

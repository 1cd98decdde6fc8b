/** How long to wait before the same is sent again. Pure, but for the dice. Milliseconds. */
const FIRST = 500;
const LONGEST = 30_000;
const LONGEST_ASKED = 300_000;

/**
 * Before attempt number `attempt` (1 is the first repeat): full jitter under a doubling cap.
 *
 * What the service asked for comes first; the jitter on top keeps a thousand senders from returning at once.
 */
export function pause(attempt: number, asked: number | undefined): number {
  const cap = Math.min(FIRST * 2 ** Math.min(attempt - 1, 10), LONGEST);
  return (asked ?? 0) + Math.random() * cap;
}

/** What a Retry-After header asks for, a number of seconds or a date, within reason; undefined if nothing. */
export function retryAfter(value: string | null, now: number): number | undefined {
  const given = value?.trim();
  if (!given) return undefined;
  const asked = /^[+-]?[\d.]+(e\d+)?$/i.test(given) ? Number(given) * 1000 : Date.parse(given) - now;
  return Number.isNaN(asked) ? undefined : Math.min(Math.max(asked, 0), LONGEST_ASKED);
}

/** The one loop that sends: takes from the queue, repeats, halves, counts, and tells what went wrong. */
import { judge, type Result, type Verdict } from "./answers";
import { KINDS, type Item, type Kind } from "./items";
import type { Problem, Problems } from "./problems";
import type { Queue } from "./queue";
import { pause } from "./retry";
import { NoAnswer, type Platform, type Transport, unref } from "./transport";

const SUSPECT_TRIES = 3; // answers of 500, or none in time, until the items are held to be the reason
const LONGEST_TIMER = 2 ** 31 - 1; // ms; a longer one would end at once
const MOVED_TRIES = 3; // redirects in a row until they are held to stay

/** What became of reports since the last flush. */
export interface Flushed {
  readonly delivered: number;
  readonly failed: number;
  readonly dropped: number;
}

/** Counts since the client was made; `retries` of the `requests` said the same again. */
export interface Stats extends Flushed {
  readonly reported: number;
  readonly waiting: number;
  readonly requests: number;
  readonly retries: number;
}

type Count = "reported" | "delivered" | "failed" | "dropped" | "requests" | "retries";

/** The client was closed while the loop waited. */
class Closing extends Error {}

export class Worker {
  private readonly counts: Record<Count, number> = {
    ...{ reported: 0, delivered: 0, failed: 0, dropped: 0 },
    ...{ requests: 0, retries: 0 },
  };
  private flushed: Flushed = { delivered: 0, failed: 0, dropped: 0 };
  private inFlight: Item[] = [];
  private sent = 0; // items that left the queue, on the wire or lost: what X-Items-Sent says
  private running = false;
  private hurried = false;
  private closed = false;
  private failures = 0; // requests in a row that settled nothing
  private moved = 0; // redirects in a row
  private pulse = new Pulse();

  constructor(
    private readonly queue: Queue,
    private readonly transport: Transport,
    private readonly problems: Problems,
    private readonly platform: Platform,
    private readonly intervalMs: number,
  ) {}

  // --- called by the client ---------------------------------------------------------------------------------

  /** Queue an item; where there is no room the oldest are dropped. `again`: it was reported by another process. */
  put(item: Item, again = false): void {
    if (!again) this.counts.reported += 1;
    if (this.closed) {
      this.drop([item], "closed", "The client is closed.");
    } else {
      this.drop(this.queue.put(item), "queue_full", "There was no room: the oldest reports were dropped.");
    }
    this.start();
  }

  /** Count a report that cannot even be queued. */
  fail(problem: Problem): void {
    this.counts.reported += 1;
    this.counts.failed += 1;
    this.sent += 1;
    this.problems.note(problem);
    this.start();
  }

  /** Have the loop run, unless it does. */
  start(): void {
    if (this.running) {
      if (this.queue.full) this.pulse.beat();
      return;
    }
    this.running = true;
    this.platform.soon(() => void this.run());
  }

  /** Wait until nothing waits, or so long; without the pause of a retry that nobody asked for. */
  async flush(timeoutMs: number): Promise<Flushed> {
    if (this.waiting > 0) this.start();
    this.hurried = true;
    this.pulse.beat();
    await this.waitUntil(() => this.idle, timeoutMs, true);
    if (this.idle) this.hurried = false;
    const { delivered, failed, dropped } = this.counts;
    const since = {
      delivered: delivered - this.flushed.delivered,
      failed: failed - this.flushed.failed,
      dropped: dropped - this.flushed.dropped,
    };
    this.flushed = { delivered, failed, dropped };
    return since;
  }

  /** Flush, then end: what still waits in memory alone is dropped, what is kept on disk stays there. */
  async close(timeoutMs: number): Promise<Flushed> {
    const first = await this.flush(timeoutMs);
    if (!this.closed) {
      this.closed = true;
      const left = [...this.inFlight, ...this.queue.drain()].filter((item) => item.kept === undefined);
      this.inFlight = [];
      this.drop(left, "closed", "The client was closed before anybody took it.");
      this.transport.abort();
      this.pulse.beat();
    }
    this.problems.tell();
    const last = await this.flush(0);
    return {
      delivered: first.delivered + last.delivered,
      failed: first.failed + last.failed,
      dropped: first.dropped + last.dropped,
    };
  }

  stats(): Stats {
    return { ...this.counts, waiting: this.waiting };
  }

  private get waiting(): number {
    return this.queue.length + this.inFlight.length;
  }

  private get idle(): boolean {
    return this.closed || (this.waiting === 0 && !this.running);
  }

  private drop(items: readonly Item[], code: string, message: string): void {
    this.counts.dropped += items.length;
    for (const item of items) {
      this.count([item]);
      item.kept?.settle();
      this.problems.note(lost(item, { code, message }));
    }
  }

  /** Count what leaves the queue, each item once. */
  private count(items: readonly Item[]): void {
    for (const item of items) {
      if (!item.counted) this.sent += 1;
      item.counted = true;
    }
  }

  // --- the loop ---------------------------------------------------------------------------------------------

  private async run(): Promise<void> {
    try {
      while (!this.closed && (this.waiting > 0 || this.problems.waiting)) await this.round();
    } catch (error) {
      if (!(error instanceof Closing)) throw error; // unreachable: `round` lets nothing else out
    } finally {
      this.running = false;
      this.problems.tell();
      this.pulse.beat();
    }
  }

  /** One batch. Whatever goes wrong, the loop lives on, and what is in flight is sent again. */
  private async round(): Promise<void> {
    try {
      this.problems.tell();
      if (this.intervalMs > 0 && this.inFlight.length === 0) {
        await this.waitUntil(() => this.closed || this.hurried || this.queue.full, this.intervalMs);
      }
      if (this.closed) throw new Closing();
      if (this.inFlight.length === 0) this.inFlight = this.queue.take();
      if (this.queue.length === 0) this.hurried = false;
      const batch = [...this.inFlight];
      this.count(batch);
      for (const kind of KINDS) {
        await this.send(
          kind,
          batch.filter((item) => item.kind === kind),
        );
      }
    } catch (error) {
      if (error instanceof Closing) throw error;
      const message = error instanceof Error ? error.name : "unknown";
      this.problems.begin("client", { code: "client_fault", message: `A fault of this client: ${message}`, lost: false });
      this.failures += 1;
      await this.pause(undefined);
    }
  }

  /** Until each of them is settled or set aside. Throws Closing. */
  private async send(kind: Kind, items: readonly Item[], patience = SUSPECT_TRIES): Promise<void> {
    const body = `[${items.map((item) => item.body).join(",")}]`;
    for (let attempt = 1; items.length > 0; attempt += 1) {
      const verdict = await this.post(kind, body, items.length, attempt > 1);
      const suspect = verdict.fate === "suspect" && attempt >= patience;
      if (items.length > 1 && (suspect || verdict.fate === "split")) {
        const half = items.length >> 1;
        await this.send(kind, items.slice(0, half), 1);
        await this.send(kind, items.slice(half), 1);
        return;
      }
      const settled = verdict.fate === "settled" || verdict.fate === "split" || verdict.fate === "refused";
      if (settled || this.moved >= MOVED_TRIES) {
        this.settle(items, verdict);
        return;
      }
      await this.pause(verdict.asked);
      if (suspect) {
        this.setAside(items);
        return;
      }
    }
  }

  /** One request; trouble that may pass is told once, until it has passed. Throws Closing. */
  private async post(kind: Kind, body: string, count: number, again: boolean): Promise<Verdict> {
    this.counts.requests += 1;
    if (again) this.counts.retries += 1;
    let verdict: Verdict;
    try {
      verdict = judge(await this.transport.post(kind.path, body, this.sent), count, Date.now());
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      verdict = { fate: error.slow ? "suspect" : "again", code: error.code, message: error.message };
    }
    if (this.closed) throw new Closing();
    const { fate, code, message, status } = verdict;
    this.moved = fate === "moved" ? this.moved + 1 : 0;
    if (fate === "again" || fate === "suspect" || fate === "moved") {
      this.failures += 1;
      this.problems.begin("service", { code, message, status, lost: false });
    } else {
      this.failures = 0;
      this.problems.end("service");
    }
    return verdict;
  }

  /** Count what each became; where there is no result for each, the whole request was refused. */
  private settle(items: readonly Item[], verdict: Verdict): void {
    const whole: Result = { taken: false, code: verdict.code, message: verdict.message };
    items.forEach((item, place) => {
      const result = verdict.results?.[place] ?? whole;
      this.counts[result.taken ? "delivered" : "failed"] += 1;
      if (!result.taken) this.problems.note(lost(item, result, verdict.status));
      item.kept?.settle();
    });
    this.forget(items);
    this.problems.tell();
  }

  /** The service stumbles over these: back to the end of the queue, so that they hold up no others. */
  private setAside(items: readonly Item[]): void {
    for (const item of items) this.drop(this.queue.put(item), "queue_full", "There was no room.");
    this.forget(items);
  }

  private forget(items: readonly Item[]): void {
    const gone = new Set(items);
    this.inFlight = this.inFlight.filter((item) => !gone.has(item));
  }

  /** Wait before the next try. A flush cuts it short, unless the service asked for it. Throws Closing. */
  private async pause(asked: number | undefined): Promise<void> {
    this.hurried = false;
    this.problems.tell();
    await this.waitUntil(() => this.closed || (this.hurried && asked === undefined), pause(this.failures, asked));
    if (this.closed) throw new Closing();
  }

  /** Wait for a condition, at most so long; only `held` waits keep a process alive. */
  private async waitUntil(done: () => boolean, ms: number, held = false): Promise<void> {
    let over = !(ms > 0);
    const timer = setTimeout(() => {
      over = true;
      this.pulse.beat();
    }, Math.min(ms, LONGEST_TIMER));
    if (!held) unref(timer);
    while (!done() && !over) await this.pulse.next;
    clearTimeout(timer);
  }
}

/** Wakes all who wait for something to change. */
class Pulse {
  private resolve: () => void = () => undefined;
  next: Promise<void> = this.renewed();

  beat(): void {
    this.resolve();
    this.next = this.renewed();
  }

  private renewed(): Promise<void> {
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
  }
}

function lost(item: Item, why: { code: string; message: string; field?: string | undefined }, status?: number): Problem {
  const { code, message, field } = why;
  return { code, message, lost: true, status, kind: item.kind.name, itemId: item.id, field };
}

/** The public face, the same on Node and in a browser. */
import { Asking, type Availability } from "./availability";
import {
  AGENT_QC,
  AGENT_RUN,
  type AgentQc,
  type AgentRun,
  type AgentRunEnd,
  type AgentRunStart,
  FAILURE_EVENT,
  type FailureEvent,
  type Item,
  type Kind,
  makeRecord,
  ROOM_ACTIVITY,
  type RoomActivity,
  Unsayable,
} from "./items";
import { type Problem, Problems } from "./problems";
import { Queue } from "./queue";
import { checked, type Platform, type Secret, Transport } from "./transport";
import { type Flushed, type Stats, Worker } from "./worker";

/** What every client takes. */
export interface CommonOptions {
  /** Of the service, such as https://monitor.example.com. */
  url: string;
  /** Bounds of what waits in memory: 10,000 items, 8 MiB. */
  maxItems?: number;
  maxBytes?: number;
  /** How long reports are collected before they go out; 0, the default: at once. */
  flushIntervalMs?: number;
  /** For one request as a whole; 10,000. */
  timeoutMs?: number;
  /** Called for each item that is lost (`problem.lost`), and once for trouble that may pass. */
  onError?: (problem: Problem) => unknown;
}

/** A short-lived token, or a function that gives one: it is asked again when the service says that one is over. */
export interface TokenOptions extends CommonOptions {
  token: Secret;
}

/** Keeps items on disk until they are settled. */
export interface Spool {
  keep(kind: Kind, item: Item): Item;
  adopt(put: (item: Item) => void): void;
  close(): void;
}

const FLUSH_MS = 5000;
const CLOSE_MS = 2000;

/** Reports are queued and sent in the background; reporting never throws and never blocks. */
export class Client {
  private readonly worker: Worker;
  private readonly spool: Spool | undefined;
  private readonly asking: Asking;

  /** Throws TypeError for an address, a secret or a bound that can never work, and nothing for what may pass. */
  constructor(
    options: CommonOptions,
    secret: Secret,
    what: "key" | "token",
    platform: Platform,
    makeSpool?: (problems: Problems, maxBytes: number) => Spool | undefined,
  ) {
    const { maxItems = 10_000, maxBytes = 8 * 1024 * 1024, flushIntervalMs = 0, timeoutMs = 10_000 } = options;
    if (!(maxItems >= 1 && maxBytes >= 1 && timeoutMs > 0 && flushIntervalMs >= 0)) {
      throw new TypeError("maxItems, maxBytes and timeoutMs are above 0, flushIntervalMs is not below it");
    }
    const good = typeof secret === "function" && what === "token" ? secret : checked(secret, what);
    const transport = new Transport(address(options.url), good, timeoutMs, platform);
    this.asking = new Asking(transport);
    const problems = new Problems(options.onError);
    this.worker = new Worker(new Queue(maxItems, maxBytes), transport, problems, platform, flushIntervalMs);
    this.spool = makeSpool?.(problems, maxBytes);
    this.spool?.adopt((item) => this.worker.put(item, true)); // what an earlier process left behind waits already
  }

  /** A run begins; gives its `run_id`, made if absent, and so is `started_at`. */
  logAgentRunStart(run: AgentRunStart): string {
    return this.run(run, "started_at");
  }

  /** A run ends; `ended_at` is made if absent. */
  logAgentRunEnd(run: AgentRunEnd): void {
    this.run(run, "ended_at");
  }

  /** A whole run; gives its `run_id`, made if absent, and so is `ended_at`. */
  logAgentRun(run: AgentRun): string {
    return this.run(run, "ended_at");
  }

  /** A human's quality score of a run. Without a reviewer `review_id` is made if absent. */
  logAgentQc(review: AgentQc): void {
    this.report(AGENT_QC, () => (review.reviewer ? review : filled(review, { review_id: uuid() })));
  }

  /** An agent failed a customer; `event_id` and `occurred_at` are made if absent. */
  reportFailure(event: FailureEvent): void {
    this.report(FAILURE_EVENT, () => filled(event, { event_id: uuid(), occurred_at: new Date() }));
  }

  /** What a human, bot or customer did in a room; `activity_id` and `at` are made if absent. */
  reportRoomActivity(activity: RoomActivity): void {
    this.report(ROOM_ACTIVITY, () => filled(activity, { activity_id: uuid(), at: new Date() }));
  }

  /**
   * Who could come to this agent's rooms now: ask before the bot promises a human. The answer is at most 15 s old; it
   * waits at most 1.5 s for one and never rejects. Null: nobody knows, as for a page, whose token may not ask. `orgId`
   * with the key of a platform source.
   */
  availability(agent: string, orgId?: string): Promise<Availability | null> {
    return this.asking.ask(agent, orgId);
  }

  /** Wait at most so long (5 s) until each report is answered for; what became of them since the last flush. */
  flush(timeoutMs: number = FLUSH_MS): Promise<Flushed> {
    return this.worker.flush(timeoutMs);
  }

  /** Flush (2 s) and end; later reports are dropped. What waits in the spool stays there for the next process. */
  async close(timeoutMs: number = CLOSE_MS): Promise<Flushed> {
    const flushed = await this.worker.close(timeoutMs);
    this.spool?.close();
    return flushed;
  }

  /** Counts since this client was made. */
  stats(): Stats {
    return this.worker.stats();
  }

  /** Nothing of the key in a log. */
  toJSON(): string {
    return "[Client]";
  }

  private run(run: Fields, time: "started_at" | "ended_at"): string {
    let id = uuid();
    this.report(AGENT_RUN, () => {
      const made = filled(run, { run_id: id, [time]: new Date() });
      id = String(made["run_id"]);
      return made;
    });
    return id;
  }

  private report(kind: Kind, fields: () => Fields): void {
    let id: unknown;
    try {
      const given = fields();
      id = given[kind.idField];
      const item = makeRecord(kind, given);
      this.worker.put(this.spool ? this.spool.keep(kind, item) : item);
    } catch (error) {
      const message = error instanceof Unsayable ? error.message : "These fields cannot be read.";
      const itemId = typeof id === "string" ? id : undefined;
      this.worker.fail({ code: "unsayable", message, lost: true, kind: kind.name, itemId });
    }
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** The fields, with these where there are none; throws what the caller's own getters throw. */
function filled(given: Fields, made: Fields): Fields {
  const all: Record<string, unknown> = { ...given };
  for (const [name, value] of Object.entries(made)) all[name] ??= value;
  return all;
}

/** Random also on pages without TLS, where browsers have no randomUUID. */
function uuid(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 15) | 64;
  bytes[8] = ((bytes[8] as number) & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function address(url: unknown): string {
  try {
    const { protocol, username, href, search, hash } = new URL(String(url).trim());
    if (/^https?:$/.test(protocol) && username === "" && search === "" && hash === "") return href;
  } catch {
    // said below
  }
  throw new TypeError("url must be an http or https address without a user, such as https://host");
}

/** One request over fetch: one deadline for all of it, an answer of bounded size, no redirect followed. */
import type { Answer } from "./answers";

const ANSWER_LIMIT = 4 * 1024 * 1024; // bytes; the answer to 1,000 refused items is some 300 kB
const PACKED_FROM = 1024; // bytes

/** What differs between Node and a browser. */
export interface Platform {
  /** The content as gzip; undefined where there is no way to pack. */
  gzip(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Begin soon, after what runs now. */
  soon(step: () => void): void;
  /** What a request carries beside its content; `sent` is X-Items-Sent, `name` whose count that is. */
  headers(sent: number, name: string): Record<string, string>;
  /** fetch's options for a body of so many bytes. */
  options(bytes: number): RequestInit;
}

/** A key, a token, or a function that gives a token. */
export type Secret = string | (() => string | Promise<string>);

/** Nobody answered, or not in HTTP; `slow`: not in time. */
export class NoAnswer extends Error {
  constructor(
    readonly code: "unreachable" | "token_unavailable",
    message: string,
    readonly slow = false,
  ) {
    super(message);
  }
}

export class Transport {
  readonly #secret: Secret; // what is private by name alone is shown to whoever logs the client
  #token: string | undefined;
  private aborting: AbortController | undefined;
  private readonly prefix: string;
  // Whose count X-Items-Sent is.
  private readonly name = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");

  constructor(
    url: string,
    secret: Secret,
    private readonly timeoutMs: number,
    private readonly platform: Platform,
  ) {
    this.#secret = secret;
    this.prefix = url.replace(/\/+$/, "");
  }

  /** Send a JSON body. Throws NoAnswer. */
  async post(path: string, body: string, sent: number): Promise<Answer> {
    this.aborting = new AbortController();
    const { signal } = this.aborting;
    const timer = unref(setTimeout(() => this.aborting?.abort("timeout"), this.timeoutMs));
    try {
      return await this.exchange(path, body, sent, signal);
    } catch (error) {
      if (error instanceof NoAnswer) throw error;
      throw new NoAnswer("unreachable", `No answer (${reason(error)}).`, signal.reason === "timeout");
    } finally {
      clearTimeout(timer);
      this.aborting = undefined;
    }
  }

  /** Ask for something, within `withinMs`. Throws NoAnswer. */
  async get(path: string, withinMs: number): Promise<Answer> {
    const aborting = new AbortController();
    const timer = unref(setTimeout(() => aborting.abort("timeout"), withinMs));
    try {
      const headers = { Authorization: `Bearer ${await this.bearer(aborting.signal)}` };
      const asked = { ...this.platform.options(0), headers, redirect: "manual" as const, signal: aborting.signal };
      return await answered(await fetch(this.prefix + path, asked));
    } catch (error) {
      throw error instanceof NoAnswer ? error : new NoAnswer("unreachable", `No answer (${reason(error)}).`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Give up the request that is on its way. */
  abort(): void {
    this.aborting?.abort("closed");
  }

  private async exchange(path: string, body: string, sent: number, signal: AbortSignal): Promise<Answer> {
    const answer = await this.request(path, body, sent, signal);
    if (answer.status !== 401 || typeof this.#secret === "string") return answer;
    this.#token = undefined; // it is over: one that is new may be taken
    return this.request(path, body, sent, signal);
  }

  private async request(path: string, body: string, sent: number, signal: AbortSignal): Promise<Answer> {
    const content = new TextEncoder().encode(body);
    const packed = content.length >= PACKED_FROM ? await this.platform.gzip(content) : undefined;
    const headers: Record<string, string> = {
      Authorization: `Bearer ${await this.bearer(signal)}`,
      "Content-Type": "application/json",
      ...this.platform.headers(sent, this.name),
    };
    if (packed) headers["Content-Encoding"] = "gzip";
    const made = packed ?? content;
    const response = await fetch(this.prefix + path, {
      ...this.platform.options(made.length),
      method: "POST",
      headers,
      body: made,
      redirect: "manual",
      signal,
    });
    return answered(response);
  }

  /** The key, or a token that is still good as far as we know. Throws NoAnswer. */
  private async bearer(signal: AbortSignal): Promise<string> {
    if (typeof this.#secret === "string") return this.#secret;
    if (this.#token !== undefined) return this.#token;
    try {
      this.#token = checked(await orAborted(Promise.resolve(this.#secret()), signal), "token");
    } catch (error) {
      throw new NoAnswer("token_unavailable", `There is no token (${reason(error)}).`);
    }
    return this.#token;
  }
}

/** The key or token without the line break that a file leaves behind it. Throws TypeError, which shows nothing of it. */
export function checked(secret: unknown, what: string): string {
  if (typeof secret !== "string") throw new TypeError(`${what} is ${typeof secret}: is the variable set that holds it?`);
  const text = secret.trim();
  if (text === "") throw new TypeError(`${what} is empty: is the variable set that holds it?`);
  const odd = text.search(/[^!-~]/);
  if (odd >= 0) throw new TypeError(`${what} has characters that none has, the first at place ${odd + 1}`);
  return text;
}

/** A timer that does not keep a process of Node alive; in a browser there is nothing to do. */
export function unref<T>(timer: T): T {
  if (typeof timer === "object" && timer !== null && "unref" in timer) (timer as { unref(): void }).unref();
  return timer;
}

/** What an answer says. Throws RangeError for one that is too long. */
async function answered(response: Response): Promise<Answer> {
  const status = response.type === "opaqueredirect" ? 302 : response.status; // a browser shows nothing of it
  const named = (name: string): string | null => response.headers.get(name);
  return { status, retryAfter: named("retry-after"), location: named("location"), body: await read(response) };
}

/** The body as text. Throws RangeError for one that is too long. */
async function read(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > ANSWER_LIMIT) {
      void reader.cancel().catch(() => undefined);
      throw new RangeError("too long an answer");
    }
    text += decoder.decode(value, { stream: true });
  }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error(String(signal.reason))), { once: true });
    promise.then(resolve, reject);
  });
}

/** The kind of a fault, and nothing that may hold an address or a secret. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = (error as { cause?: { code?: unknown; name?: unknown } }).cause;
  return String(cause?.code ?? cause?.name ?? error.name);
}

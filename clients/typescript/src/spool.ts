/**
 * Keeps items on disk until they are settled, so that they outlive the process. Several processes may share the folder.
 *
 * A process appends to a file of its own; a file whose owner is gone is taken over, by renaming it, by whoever comes
 * first. Lines are written whole and without fsync: they outlive the process, whichever way it ends, and not the machine.
 * What was settled already when a process died may be sent again, and is a duplicate.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { renameSync, statSync, unlinkSync, utimesSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import type { Spool } from "./client";
import { type Item, type Kind, KINDS, readRecord } from "./items";
import type { Problems } from "./problems";
import { unref } from "./transport";

const SUFFIX = ".spool";
const SEGMENT_BYTES = 1024 * 1024;
const ALIVE_MS = 5000; // how often a process says that its files have an owner
const DEAD_MS = 30_000; // without such a word its files have none
const HOST = hostname().replaceAll(/[^\w.]/g, "_");
const OWN = `${HOST}-${process.pid}-${threadId}-`;

/** The files of this process, whichever copy of this module (ESM, CommonJS) wrote them. */
const own = ((globalThis as Record<symbol, unknown>)[Symbol.for("agent-live-monitoring.spool")] ??= new Set()) as Set<string>;

/** One file; it is gone, or empty, once nothing of it is left to settle. */
class Segment {
  unsettled = 0;
  size = 0;
  writing = true;

  constructor(
    readonly path: string,
    readonly fd: number,
  ) {
    own.add(path);
  }

  append(line: string): void {
    const content = Buffer.from(line);
    const written = writeSync(this.fd, content, 0, content.length, this.size);
    if (written < content.length) {
      ftruncateSync(this.fd, this.size);
      throw new Error("the disk is full");
    }
    this.size += written;
    this.unsettled += 1;
  }

  settle(): void {
    this.unsettled -= 1;
    if (this.unsettled > 0) return;
    if (this.writing) this.empty();
    else this.remove();
  }

  close(): void {
    if (this.unsettled === 0) this.remove();
    else closeSync(this.fd);
    own.delete(this.path);
  }

  private empty(): void {
    ftruncateSync(this.fd, 0);
    this.size = 0;
  }

  private remove(): void {
    closeSync(this.fd);
    own.delete(this.path);
    unlinkSync(this.path);
  }
}

/** A spool in a folder. It takes as much as the queue in memory: what is dropped there is let go here. */
export class FileSpool implements Spool {
  private readonly segments = new Set<Segment>();
  private writing: Segment | undefined;
  private timer: ReturnType<typeof setInterval> | undefined;
  private closed = false;

  constructor(
    private readonly folder: string,
    private readonly maxBytes: number,
    private readonly problems: Problems,
  ) {}

  /** Write an item down; where the disk takes nothing (full, read-only) it waits in memory alone. */
  keep(kind: Kind, item: Item): Item {
    if (this.closed) return item;
    try {
      const segment = this.open(item.bytes);
      segment.append(`${kind.name} ${item.body}\n`);
      this.problems.end("spool");
      return { ...item, kept: { settle: () => this.guarded(() => this.settle(segment)) } };
    } catch (error) {
      this.fails(error);
      return item;
    }
  }

  /** Give what processes that are gone left behind, now and whenever one more is found. */
  adopt(put: (item: Item) => void): void {
    const look = (): void => this.guarded(() => this.lookForOrphans(put));
    this.timer = unref(
      setInterval(() => {
        for (const segment of this.segments) this.guarded(() => utimesSync(segment.path, new Date(), new Date()));
        look();
      }, ALIVE_MS),
    );
    look();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    for (const segment of this.segments) this.guarded(() => segment.close());
    this.segments.clear();
    this.writing = undefined;
  }

  private open(bytes: number): Segment {
    if (this.writing !== undefined && this.writing.size + bytes <= Math.min(SEGMENT_BYTES, this.maxBytes)) {
      return this.writing;
    }
    if (this.writing !== undefined && this.writing.unsettled === 0) return this.writing;
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const path = join(this.folder, `${OWN}${crypto.randomUUID()}${SUFFIX}`);
    const made = new Segment(path, openSync(path, "wx+", 0o600));
    if (this.writing !== undefined) this.writing.writing = false;
    this.segments.add(made);
    this.writing = made;
    return made;
  }

  private settle(segment: Segment): void {
    segment.settle();
    if (segment.unsettled === 0 && !segment.writing) this.segments.delete(segment);
  }

  private lookForOrphans(put: (item: Item) => void): void {
    let names: string[];
    try {
      names = readdirSync(this.folder).filter((name) => name.endsWith(SUFFIX));
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return; // nothing was written yet
      throw error;
    }
    for (const name of names.sort()) {
      const path = join(this.folder, name);
      if (!own.has(path) && isOrphan(name, path)) this.takeOver(path, put);
    }
  }

  private takeOver(path: string, put: (item: Item) => void): void {
    const mine = join(this.folder, `${OWN}${crypto.randomUUID()}${SUFFIX}`);
    let segment: Segment;
    try {
      own.add(mine);
      renameSync(path, mine);
      segment = new Segment(mine, openSync(mine, "r+"));
    } catch {
      own.delete(mine);
      return; // another was faster, or we may not
    }
    segment.writing = false;
    const items = readFileSync(mine, "utf8").split("\n").flatMap(parsed);
    segment.unsettled = items.length;
    if (items.length === 0) {
      segment.close();
      return;
    }
    this.segments.add(segment);
    for (const item of items) put({ ...item, kept: { settle: () => this.guarded(() => this.settle(segment)) } });
  }

  private guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.fails(error); // what cannot be let go on disk is sent again by somebody, as a duplicate
    }
  }

  private fails(error: unknown): void {
    const why = (error as { code?: string }).code ?? "unknown";
    const message = `${this.folder} cannot be used (${why}); reports wait in memory.`;
    this.problems.begin("spool", { code: "spool_unavailable", message, lost: false });
  }
}

/** Whether a file's owner is gone: a process of this machine that does not run, or one that is silent. */
function isOrphan(name: string, path: string): boolean {
  const [, host, pid, thread] = /^(.+)-(\d+)-(\d+)-[\da-f]{8}-/.exec(name) ?? [];
  if (host === HOST && (!runs(Number(pid)) || (Number(pid) === process.pid && Number(thread) === threadId))) return true;
  return Date.now() - statSync(path).mtimeMs > DEAD_MS;
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}

/** The item of a line; none if it is torn or not ours. */
function parsed(line: string): Item[] {
  const space = line.indexOf(" ");
  const kind = KINDS.find((one) => one.name === line.slice(0, space));
  try {
    return kind === undefined ? [] : [readRecord(kind, line.slice(space + 1))];
  } catch {
    return [];
  }
}

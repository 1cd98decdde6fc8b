/** What waits to be sent: first in, first out, bounded in items and bytes. Where it is full the *oldest* go. */
import { KINDS, type Item } from "./items";

/** What the service takes in a request is 1,000 items and 2 MiB. */
const BATCH_ITEMS = 1000;
const BATCH_BYTES = 1024 * 1024;

export class Queue {
  private records: (Item | undefined)[] = [];
  private first = 0; // those before it were taken
  private bytes = 0;

  constructor(
    private readonly maxItems: number,
    private readonly maxBytes: number,
  ) {}

  get length(): number {
    return this.records.length - this.first;
  }

  /** Whether a whole batch waits. */
  get full(): boolean {
    return this.length >= BATCH_ITEMS || this.bytes >= BATCH_BYTES;
  }

  /** Add a record; gives those that had to go. A failure told ten minutes late wakes nobody: the newest may. */
  put(record: Item): Item[] {
    if (record.bytes > this.maxBytes) return [record];
    this.records.push(record);
    this.bytes += record.bytes;
    const gone: Item[] = [];
    while (this.length > this.maxItems || this.bytes > this.maxBytes) gone.push(this.pop());
    return gone;
  }

  /** The longest run that can go out as one request for each kind without a room's items overtaking each other. */
  take(): Item[] {
    const taken: Item[] = [];
    const rooms = new Map(KINDS.map((kind) => [kind, new Set<string>()]));
    let size = 2; // the brackets
    while (this.length > 0) {
      const record = this.records[this.first] as Item;
      size += record.bytes + 1;
      const full = taken.length === BATCH_ITEMS || size > BATCH_BYTES;
      if (taken.length > 0 && (full || overtakes(record, rooms))) break;
      if (record.room !== undefined) rooms.get(record.kind)?.add(record.room);
      taken.push(this.pop());
    }
    return taken;
  }

  /** Give up all that waits. */
  drain(): Item[] {
    const left: Item[] = [];
    while (this.length > 0) left.push(this.pop());
    return left;
  }

  private pop(): Item {
    const record = this.records[this.first] as Item;
    this.records[this.first] = undefined;
    this.first += 1;
    this.bytes -= record.bytes;
    if (this.first > 1024 && this.first * 2 > this.records.length) {
      this.records = this.records.slice(this.first);
      this.first = 0;
    }
    return record;
  }
}

/** Whether something of its room that came before would go out after it. */
function overtakes(record: Item, rooms: ReadonlyMap<Item["kind"], ReadonlySet<string>>): boolean {
  const { room } = record;
  if (room === undefined) return false;
  return KINDS.slice(KINDS.indexOf(record.kind) + 1).some((kind) => rooms.get(kind)?.has(room) ?? false);
}

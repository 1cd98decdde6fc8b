/** An alarm is worth more than its prose: texts are made fit for the service, what is not prose stays as it is. */

/** Characters that the service keeps. */
const TEXTS = new Map([
  ["room_label", 200],
  ["last_customer_text", 2000],
  ["error.type", 200],
  ["error.message", 2000],
  ["handoff.reason", 2000],
  ["handoff.source", 200],
  ["handoff.target", 200],
]);
const NAMES = new Set([
  ...["event_id", "activity_id", "org_id", "agent_name", "agent_version", "room_id", "run_id", "channel"],
  ...["actor_sso_id", "actor_external_id", "review_id", "reviewer"],
]);
const METADATA = 8 * 1024; // bytes of its JSON
const DEPTH = 24; // of what is nested in metadata; the service takes 32 of a whole request
const SUSPECT = /[\0\ud800-\udfff]/; // quick: whole emojis too
const ODD = /\0|\p{Surrogate}/gu; // what no database keeps as text, and half an emoji

type Fields = Record<string, unknown>;

/**
 * The fields without those that are null, texts cut and cleaned, whole numbers as text where a name belongs.
 *
 * What was changed for that is named in `metadata.truncated`, where the caller's own metadata leaves room. Throws for
 * what JSON cannot say.
 */
export function fit(fields: Readonly<Fields>): Fields {
  const changed: string[] = [];
  const item: Fields = {};
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value !== undefined && value !== null) item[name] = fitted(name, value, changed);
  }
  if (changed.length === 0) return item;
  const metadata = (item["metadata"] ?? {}) as Fields;
  const marked = { truncated: [...new Set(changed)], ...metadata };
  if (jsonSize(marked) <= METADATA) item["metadata"] = marked;
  return item;
}

function fitted(name: string, value: unknown, changed: string[]): unknown {
  if (NAMES.has(name) && (Number.isInteger(value) || typeof value === "bigint")) return String(value);
  if (name === "metadata") return fittedMetadata(value, changed);
  if (TEXTS.has(name)) return text(name, value, changed);
  const said = plain(value, DEPTH);
  if ((name !== "error" && name !== "handoff") || typeof said !== "object" || said === null) return said;
  const made: Fields = {};
  for (const [inner, one] of Object.entries(value as Fields)) {
    const path = `${name}.${inner}`;
    const isText = TEXTS.has(path) && one !== undefined && one !== null;
    made[inner] = isText ? text(path, one, changed) : (said as Fields)[inner];
  }
  if (value instanceof Error) {
    made["type"] ??= text("error.type", value.name, changed);
    made["message"] ??= text("error.message", value.message, changed);
  }
  return made;
}

function text(name: string, value: unknown, changed: string[]): string {
  const given = said(value);
  let made = readable(given);
  const longest = TEXTS.get(name) ?? Infinity;
  if (made.length > longest) {
    const letters = [...made];
    if (letters.length > longest) made = letters.slice(0, longest - 1).join("") + "…";
  }
  if (made !== given && !changed.includes(name)) changed.push(name);
  return made;
}

function said(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return value instanceof Error ? value.message : String(value);
  } catch {
    return typeof value; // theirs, and no reason to lose the alarm
  }
}

/** What is no object, cannot be said in JSON, or is too deep or too large is left out whole. */
function fittedMetadata(value: unknown, changed: string[]): Fields {
  try {
    const made = plain(value, DEPTH, () => changed.push("metadata"));
    if (typeof made === "object" && made !== null && !Array.isArray(made) && jsonSize(made) <= METADATA) {
      return made as Fields;
    }
  } catch {
    // theirs, and no reason to lose the alarm
  }
  changed.push("metadata");
  return {};
}

/** The value as plain JSON. `cleaned`: texts are cleaned, and it is called for one that was. Throws Error. */
function plain(value: unknown, depth: number, cleaned?: () => void): unknown {
  if (depth < 0) throw new Error("it is nested too deep");
  if (typeof value === "string") return clean(value, cleaned);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new Error(`${value} is no number of JSON`);
    return value;
  }
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((one) => plain(one ?? null, depth - 1, cleaned));
  if (typeof value !== "object") throw new Error(`a ${typeof value} is no JSON value`);
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") {
    return plain((value as { toJSON(): unknown }).toJSON(), depth - 1, cleaned);
  }
  const made: Fields = {};
  for (const [name, one] of Object.entries(value)) {
    if (one !== undefined) made[clean(name, cleaned)] = plain(one, depth - 1, cleaned);
  }
  return made;
}

function clean(given: string, cleaned?: () => void): string {
  if (cleaned === undefined) return given;
  const made = readable(given);
  if (made !== given) cleaned();
  return made;
}

function readable(given: string): string {
  return SUSPECT.test(given) ? given.replace(ODD, "\ufffd") : given;
}

function jsonSize(value: unknown): number {
  return sizeOf(JSON.stringify(value));
}

/** Bytes of a text in UTF-8. */
export function sizeOf(text: string): number {
  let bytes = text.length;
  for (let place = 0; place < text.length; place += 1) {
    const code = text.charCodeAt(place);
    if (code > 0x7f) bytes += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1; // two halves: four bytes
  }
  return bytes;
}

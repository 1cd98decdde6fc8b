/** What can be reported: one Kind for each path of the service, and an item made ready to send. */
import type { components } from "./openapi";
import { fit, sizeOf } from "./prose";

type Schemas = components["schemas"];
/** Times may be given as a Date as well; metadata is any JSON object. */
type Given<Sent, Times extends keyof Sent, Made extends keyof Sent> = Omit<Sent, Times | Made | "metadata"> & {
  [Time in Exclude<Times, Made>]?: Date | string | null;
} & { [Field in Made]?: (Field extends Times ? Date : never) | Sent[Field] | null } & {
  [Field in Extract<"metadata", keyof Sent>]?: Record<string, unknown> | null;
};

/** A failure event. The signal is the service's to judge: a new one needs no new client. */
export type FailureEvent = Omit<
  Given<Schemas["FailureEvent"], "occurred_at" | "customer_waiting_since", "event_id" | "occurred_at">,
  "signal"
> & { signal: Schemas["FailureEvent"]["signal"] | (string & {}) };
/** Something that happened in a room. */
export type RoomActivity = Given<Schemas["RoomActivity"], "at", "activity_id" | "at">;
type Run = Given<Schemas["AgentRun"], "started_at" | "ended_at", "run_id" | "started_at" | "ended_at">;
type Named = "agent_name" | "input_kind";
type Needed<Sent, Fields extends keyof Sent> = Sent & { [Field in Fields]-?: NonNullable<Sent[Field]> };
/** A run at its start. */
export type AgentRunStart = Needed<Run, Named>;
/** What completes a run; what equals its start may be said again. */
export type AgentRunEnd = Needed<Run, "run_id" | "resolution">;
/** A whole run in one piece. */
export type AgentRun = Needed<Run, Named | "started_at" | "resolution">;
/** A human's quality score of a run. */
export type AgentQc = Schemas["AgentReview"];

/** One kind of item: where it goes, and what names it to the caller. */
export interface Kind {
  readonly name: "failure_event" | "room_activity" | "agent_run" | "agent_qc";
  readonly path: string;
  readonly idField: string;
}

export const FAILURE_EVENT: Kind = { name: "failure_event", path: "/api/failure-events", idField: "event_id" };
export const ROOM_ACTIVITY: Kind = { name: "room_activity", path: "/api/room-activity", idField: "activity_id" };
export const AGENT_RUN: Kind = { name: "agent_run", path: "/api/agent-runs", idField: "run_id" };
export const AGENT_QC: Kind = { name: "agent_qc", path: "/api/agent-qc", idField: "run_id" };
/** In the order in which a batch goes out: alarms first. */
export const KINDS: readonly Kind[] = [FAILURE_EVENT, ROOM_ACTIVITY, AGENT_RUN, AGENT_QC];

/** An item as it goes over the wire. */
export interface Item {
  readonly kind: Kind;
  readonly id: string;
  /** Items of one room keep their order; of no room (runs, reviews) there is none to keep. */
  readonly room: string | undefined;
  readonly body: string;
  /** Of the body in UTF-8. */
  readonly bytes: number;
  /** Where it is kept on disk until it is settled. */
  readonly kept?: { settle(): void } | undefined;
  /** Whether X-Items-Sent has counted it. */
  counted?: boolean;
}

/** This item cannot be said in JSON; the message says why. */
export class Unsayable extends Error {}

/** Encode the fields at once, so that what the caller changes later changes nothing. Throws Unsayable. */
export function makeRecord(kind: Kind, fields: Readonly<Record<string, unknown>>): Item {
  try {
    const item = fit(fields);
    return recordOf(kind, item, JSON.stringify(item));
  } catch (error) {
    throw new Unsayable(`It cannot be said in JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A record as it was kept on disk. Throws SyntaxError. */
export function readRecord(kind: Kind, body: string): Item {
  return recordOf(kind, JSON.parse(body) as Record<string, unknown>, body);
}

function recordOf(kind: Kind, item: Readonly<Record<string, unknown>>, body: string): Item {
  const roomless = kind === AGENT_RUN || kind === AGENT_QC;
  const room = roomless ? undefined : String(item["room_id"]);
  return { kind, id: String(item[kind.idField]), room, body, bytes: sizeOf(body) };
}

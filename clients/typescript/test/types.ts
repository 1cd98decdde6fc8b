// What a caller may write, and what tsc refuses; read by `npm run build`, never run.
import { createClient, type FailureEvent, type Flushed } from "../src/index";
import { createClient as inBrowser } from "../src/browser";

const monitor = createClient({ url: "https://monitor.example.com", key: "k", onError: (problem) => problem.code });
const event: FailureEvent = { signal: "one_that_is_new", agent_name: "Bot", room_id: 7, metadata: { any: ["thing"] } };
monitor.reportFailure(event);
monitor.reportFailure({ ...event, occurred_at: new Date(), customer_waiting_since: "2026-05-04T10:00:00+07:00" });
monitor.reportRoomActivity({ room_id: "r", kind: "bot_message" });
const id: string = monitor.logAgentRunStart({ agent_name: "Bot", input_kind: "faq", started_at: new Date() });
monitor.logAgentRunEnd({ run_id: id, resolution: "resolved", cost_usd: "0.0041" });
monitor.logAgentQc({ run_id: id, quality_score: 4 });
const flushed: Promise<Flushed> = monitor.close(100);
void flushed;
inBrowser({ url: "https://monitor.example.com", token: async () => "t" });

// @ts-expect-error a room is needed
monitor.reportFailure({ signal: "help_requested", agent_name: "Bot" });
// @ts-expect-error there is no such kind
monitor.reportRoomActivity({ room_id: "r", kind: "sang" });
// @ts-expect-error a run that ends has a resolution
monitor.logAgentRunEnd({ run_id: id });
// @ts-expect-error a field that the service does not know
monitor.logAgentRun({ agent_name: "Bot", input_kind: "faq", started_at: new Date(), resolution: "failed", colour: "red" });
// @ts-expect-error a key or a token
createClient({ url: "https://monitor.example.com" });
// @ts-expect-error no key in a page
inBrowser({ url: "https://monitor.example.com", key: "k" });

/** Whether a human could come now: asked before a bot promises one. */
import type { Transport } from "./transport";

/** An answer of GET /api/availability. */
export interface Availability {
  as_of: string;
  org_id: string;
  agent_name: string;
  /** People on duty now, and those of them whose phone is proven. */
  on_duty: number;
  reachable: number;
  /** The median of this hour of the week over `n` conversations; null: no data. */
  expected_wait_seconds: number | null;
  n: number;
  /** When the next one comes, if nobody is on duty now. */
  next_duty_at: string | null;
}

const LONGEST_MS = 1_500; // that a customer waits for this
const KEPT_MS = 15_000;
const KEPT_TROUBLE_MS = 5_000; // until somebody is asked again who did not answer
const AGENTS_KEPT = 1_000;

/** The answers of the last 15 s; who asks while an answer is on its way gets that one. */
export class Asking {
  private readonly kept = new Map<string, { until: number; answer: Promise<Availability | null> }>();

  constructor(private readonly transport: Pick<Transport, "get">) {}

  /** Never rejects: null for no answer, whatever the reason. */
  ask(agent: string, orgId?: string): Promise<Availability | null> {
    const query = new URLSearchParams({ agent: String(agent), ...(orgId === undefined ? {} : { org_id: String(orgId) }) });
    const path = `/api/availability?${query.toString()}`;
    const known = this.kept.get(path);
    if (known !== undefined && known.until > Date.now()) return known.answer;
    if (this.kept.size >= AGENTS_KEPT) this.kept.clear();
    const entry = { until: Date.now() + KEPT_MS, answer: this.asked(path) };
    this.kept.set(path, entry);
    void entry.answer.then((found) => {
      entry.until = Date.now() + (found === null ? KEPT_TROUBLE_MS : KEPT_MS);
    });
    return entry.answer;
  }

  private async asked(path: string): Promise<Availability | null> {
    try {
      const { status, body } = await this.transport.get(path, LONGEST_MS);
      const said: unknown = status === 200 ? JSON.parse(body) : null;
      return isAnswer(said) ? said : null;
    } catch {
      return null;
    }
  }
}

function isAnswer(said: unknown): said is Availability {
  if (typeof said !== "object" || said === null) return false;
  const { on_duty, reachable, n } = said as Partial<Availability>;
  return [on_duty, reachable, n].every((one) => typeof one === "number");
}

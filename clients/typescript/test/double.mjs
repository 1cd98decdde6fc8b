// A real HTTP server that answers as the service would, and misbehaves as it is told.
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

const IDS = {
  "/api/failure-events": "event_id",
  "/api/room-activity": "activity_id",
  "/api/agent-runs": "run_id",
  "/api/agent-qc": "run_id",
};

/** `scripted` answers come first, then `whole(items)` if it gives one, then a result for each by `judge(item)`. */
export class Double {
  requests = [];
  scripted = [];
  whole = () => undefined;
  judge = () => ({ status: "created" });
  held = [];
  holding = false;

  static async start() {
    const double = new Double();
    double.server = createServer((request, response) => double.take(request, response));
    await new Promise((ready) => double.server.listen(0, "127.0.0.1", ready));
    double.url = `http://127.0.0.1:${double.server.address().port}`;
    return double;
  }

  async take(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const raw = Buffer.concat(parts);
    const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
    const items = JSON.parse(body.length ? body : "[]");
    this.requests.push({ path: request.url, headers: request.headers, body: body.toString(), items });
    const told = this.scripted.shift() ?? this.whole(items);
    if (this.holding) await new Promise((go) => this.held.push(go));
    if (told?.hangUp) return request.socket.destroy();
    if (told?.never) return undefined;
    if (told) {
      response.writeHead(told.status, told.headers ?? {});
      return response.end(told.body ?? '{"error": {"code": "told_to", "message": "Told to."}}');
    }
    const results = items.map((item, index) => ({ index, id: item[IDS[request.url]], ...this.judge(item) }));
    response.writeHead(207, { "Content-Type": "application/json" });
    return response.end(JSON.stringify({ results }));
  }

  /** All items that came on a path, repeats included. */
  items(path = "/api/failure-events") {
    return this.requests.filter((one) => one.path === path).flatMap((one) => one.items);
  }

  letGo() {
    this.holding = false;
    for (const go of this.held.splice(0)) go();
  }

  async stop() {
    this.letGo();
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}

/** Resolves once `condition()` is true. */
export async function until(condition) {
  const end = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("it never became true");
    await new Promise((soon) => setTimeout(soon, 5));
  }
}

/** The fields of a good failure event. */
export function failure(name = "e-1", fields = {}) {
  return { event_id: name, signal: "agent_error", agent_name: "Bot", room_id: "r-7", error: { type: "T" }, ...fields };
}

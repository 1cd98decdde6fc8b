// The tile's own back end: it serves the page, and makes it a short-lived token. The key never leaves this process.
//
//     LIVE_MONITORING_URL=https://monitor.example.com LIVE_MONITORING_KEY=... node host.mjs
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const { LIVE_MONITORING_URL, LIVE_MONITORING_KEY, PORT = "8123", ORG_ID } = process.env;
if (!LIVE_MONITORING_URL || !LIVE_MONITORING_KEY) {
  console.error("set LIVE_MONITORING_URL and LIVE_MONITORING_KEY");
  process.exit(2);
}
const url = new URL(LIVE_MONITORING_URL).href.replace(/\/$/, "");
const FILES = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/tile.css": ["tile.css", "text/css"],
  "/tile.js": ["tile.js", "text/javascript"],
  "/client.js": ["../../clients/typescript/dist/browser.js", "text/javascript"],
};
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  `connect-src 'self' ${new URL(url).origin}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors https://admin.shopify.com https://*.myshopify.com", // an embedded app lives in their frame
].join("; ");

/** A token for one page. In production check here who asks: Shopify's session token, signed with your app's secret. */
async function makeToken() {
  const made = await fetch(`${url}/api/client-tokens`, {
    method: "POST",
    headers: { Authorization: `Bearer ${LIVE_MONITORING_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({ ttl_seconds: 300, ...(ORG_ID ? { org_id: ORG_ID } : {}) }),
    signal: AbortSignal.timeout(5000),
  });
  if (made.status !== 201) throw new Error(`status ${made.status}`);
  return (await made.json()).token;
}

async function answer(request) {
  const file = request.method === "GET" ? FILES[request.url] : undefined;
  if (file) return [200, file[1], await readFile(new URL(file[0], import.meta.url))];
  if (request.method === "GET" && request.url === "/config.json") {
    return [200, "application/json", JSON.stringify({ url })];
  }
  // Only our own page may ask: another site's request is told by its browser to be one.
  if (request.method === "POST" && request.url === "/token" && request.headers["sec-fetch-site"] === "same-origin") {
    return [200, "text/plain", await makeToken()];
  }
  return [404, "text/plain", "There is nothing here."];
}

const server = createServer(async (request, response) => {
  let [status, type, body] = [502, "text/plain", "There is no token just now."];
  try {
    [status, type, body] = await answer(request);
  } catch (error) {
    console.error(`${request.method} ${request.url}: ${error.message}`);
  }
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
  });
  response.end(body);
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));

// Shows a card when the service cannot be reached, and does nothing else: no page of the product is ever kept.
const CARD = "{{ card|escapejs }}";
const ASSETS = [{% for one in assets %}"{{ one|escapejs }}"{% if not forloop.last %}, {% endif %}{% endfor %}];
const CACHE = "card-{{ version|escapejs }}";
const OF_MACHINES = /^\/(api|metrics|livez|readyz)(\/|$)/;
const LOOK = { ignoreVary: true };

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(begin()));
self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (origin !== location.origin || event.request.method !== "GET") return;
  if (event.request.mode === "navigate") {
    if (!OF_MACHINES.test(pathname)) event.respondWith(page(event, pathname));
  } else if (ASSETS.includes(pathname)) event.respondWith(asset(event.request));
});

async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll([CARD, ...ASSETS].map((path) => new Request(path, { credentials: "omit", cache: "reload" })));
  await self.skipWaiting();
}

async function begin() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
  await self.registration.navigationPreload?.enable();
  await self.clients.claim();
}

// A proxy's 502 to 504 is no page either; a wall board, which nobody reloads by hand, shows the card for any fault.
async function page(event, pathname) {
  const fault = pathname.startsWith("/wall/") ? 500 : 502;
  try {
    const answer = (await event.preloadResponse) ?? (await fetch(event.request));
    if (answer.status < fault) return answer;
  } catch {
    // no connection
  }
  return (await caches.match(CARD, LOOK)) ?? Response.error();
}

async function asset(request) {
  try {
    return await fetch(request);
  } catch {
    return (await caches.match(request, LOOK)) ?? Response.error();
  }
}

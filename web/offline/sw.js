// Keeps the page for use offline. Each file is kept by its content: a new build loads again only what changed,
// and a file that is not of this build is never kept. web/build.py writes FILES, name to SHA-256, before this.

const CACHE = `facial-expressions ${registration.scope}`;
const keyOf = (name) => `${registration.scope}${name}?${FILES[name]}`;

// A first visit loads the files itself. Later, a new build is loaded whole before it takes over.
addEventListener("install", (event) => { if (registration.active) event.waitUntil(keepAll(true)); });

addEventListener("activate", (event) => event.waitUntil(takeOver()));

addEventListener("message", (event) => {
  const answer = (isWhole) => event.ports[0].postMessage(isWhole);
  event.waitUntil(keepAll(false).then(() => answer(true), () => answer(false)));
});

addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method !== "GET" || !url.startsWith(registration.scope)) return;
  const name = url.slice(registration.scope.length).split(/[?#]/)[0] || "index.html";
  if (Object.hasOwn(FILES, name)) event.respondWith(answerWith(name, event));
});

async function takeOver() {
  const cache = await caches.open(CACHE);
  const wanted = new Set(Object.keys(FILES).map(keyOf));
  for (const { url } of await cache.keys()) if (!wanted.has(url)) await cache.delete(url);
  await clients.claim();
}

async function answerWith(name, event) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(keyOf(name));
  if (kept) return kept;
  const response = await fetch(registration.scope + name, { cache: "no-store" }); // nor waits for one that stands still
  event.waitUntil(keep(cache, name, response.clone()).catch(() => {})); // cut, or no room: not kept
  return response;
}

async function keepAll(isNew) {
  const cache = await caches.open(CACHE);
  for (const name of Object.keys(FILES)) {
    if (await cache.match(keyOf(name))) continue;
    const options = { cache: isNew ? "no-cache" : "default" };
    await keep(cache, name, await fetch(registration.scope + name, options));
  }
}

async function keep(cache, name, response) {
  const content = await response.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== FILES[name]) throw new Error(`${name} is of another build`);
  const headers = { "content-type": response.headers.get("content-type"), "content-length": content.byteLength };
  await cache.put(keyOf(name), new Response(content, { headers }));
}

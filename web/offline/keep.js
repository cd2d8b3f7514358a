// The page's side of sw.js: has it keep the page's files, and says when it has them all.

import { pause } from "../dom.js";

const CONTROL_MS = 5000; // after a forced reload no service worker takes over
const { serviceWorker } = navigator; // missing on http, unless the host is this machine
const registered = serviceWorker?.register("sw.js", { updateViaCache: "none" }).catch(() => null);

// Resolves when the files that are loaded next go through the service worker; soon after also where they never
// will, as in some private windows: the page works all the same.
export async function startKeeping() {
  if (!(await Promise.race([registered, pause(CONTROL_MS)])) || serviceWorker.controller) return;
  const taken = new Promise((resolve) => { serviceWorker.addEventListener("controllerchange", resolve, { once: true }); });
  await Promise.race([taken, pause(CONTROL_MS)]);
}

// What to say of working offline; nothing where the page is not kept whole.
export async function offlineWords() {
  if (!(await registered)) return "";
  const { active, waiting } = await serviceWorker.ready;
  if (waiting) return "A newer version is ready. To get it, close all tabs of this page and open it again.";
  const { port1, port2 } = new MessageChannel();
  const isWhole = await new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data);
    active.postMessage("keep", [port2]);
  });
  return isWhole ? "Works offline now." : "";
}

// The page's side of sw.js: has it keep the page's files, and says when it has them all.

const CONTROL_MS = 3000; // after a forced reload no service worker takes over

// Resolves to the registration when the files that follow go through the service worker; to nothing
// where there is none: the page works all the same.
export async function startKeeping() {
  const { serviceWorker } = navigator; // missing on http, unless the host is this machine
  try {
    const registration = await serviceWorker.register("sw.js", { updateViaCache: "none" });
    if (!serviceWorker.controller) {
      await new Promise((resolve) => {
        serviceWorker.addEventListener("controllerchange", resolve, { once: true });
        setTimeout(resolve, CONTROL_MS);
      });
    }
    return registration;
  } catch {
    return null; // forbidden, as in some private windows
  }
}

// What to say of working offline; nothing where the page is not kept whole.
export async function offlineWords(registration) {
  if (registration?.waiting) return "A newer version is ready. To get it, close all tabs of this page and open it again.";
  if (!registration?.active) return "";
  const { port1, port2 } = new MessageChannel();
  const isWhole = await new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data);
    registration.active.postMessage("keep", [port2]);
  });
  return isWhole ? "Works offline now." : "";
}

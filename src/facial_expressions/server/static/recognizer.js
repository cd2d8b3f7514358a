// The recognizer of a server. Whatever recognizes images for the page has these two functions.

const ANSWER_MS = 60_000; // longer than any deadline of the server

export const WORDS = {
  too_many_bytes: "The file is too large for this server.",
  too_many_pixels: "The image has too many pixels for this server.",
  unsupported_format: "This format is not supported. Save it as JPEG or PNG.",
  damaged_image: "The image is empty, damaged or truncated.",
  overloaded: "The server is busy. Try again in a moment.",
  not_ready: "The server is still starting. Try again in a moment.",
  deadline_passed: "The answer took too long. Try a smaller image.",
  too_slow: "The image did not arrive in time.",
  unreachable: "The server does not answer. Is it still running?",
};

export function remoteRecognizer() {
  return {
    // What answers: {name, labels, explains}. Throws when nothing does.
    async describe() {
      const { models } = await (await fetch("v1/models")).json();
      return models[0];
    },

    // The faces of an encoded image: {row}, or {error} in words. `explain` asks for heat maps.
    // Frames of one camera share a `session`: most are searched only where its faces were.
    async recognize(blob, { explain = false, session = "" } = {}) {
      for (let attempt = 0; ; attempt += 1) {
        let response;
        try {
          const headers = session ? { "X-Camera-Session": session } : {};
          const options = { method: "POST", body: blob, headers, signal: AbortSignal.timeout(ANSWER_MS) };
          response = await fetch(explain ? "v1/recognize?explain=true" : "v1/recognize", options);
          if (response.ok) return { row: await response.json() };
        } catch (error) {
          return { error: error.name === "TimeoutError" ? WORDS.deadline_passed : WORDS.unreachable };
        }
        const silent = { message: `The server failed and did not say why (${response.status}).` };
        const problem = await response.json().catch(() => silent);
        const again = Number(response.headers.get("retry-after"));
        if (response.status !== 503 || !again || attempt === 3) {
          return { error: WORDS[problem.code] ?? (problem.message || "Something went wrong.") };
        }
        await new Promise((resolve) => { setTimeout(resolve, again * 1000); });
      }
    },
  };
}

// Calls of the API: problems as failures, and the API key where the gateway asks for one.

const $ = (id) => document.getElementById(id);
const STORED = "api-key";

/** The key of this tab; forgotten when it is closed. */
let key = null;
try {
  key = sessionStorage.getItem(STORED);
} catch {
  // Without storage the key lasts as long as the page.
}

/** Resolves when somebody has given another key; one form for all calls that wait. */
let waiting = null;

export class Failure extends Error {
  constructor(status, problem) {
    const detail = problem?.detail ?? "The service cannot be reached. Is it running?";
    super(detail.charAt(0).toUpperCase() + detail.slice(1));
    this.status = status;
    this.code = problem?.code;
    this.upstream = problem?.upstream;
    this.traceId = problem?.trace_id;
  }
}

/** The JSON that an address of the API answers; asks for a key when it wants one, and then again. */
export async function api(path, options = {}) {
  for (;;) {
    const sent = key;
    let response;
    try {
      response = await fetch(path, { ...options, credentials: "omit", headers: { ...options.headers, ...(sent && { "x-api-key": sent }) } });
    } catch {
      throw new Failure(0);
    }
    const body = await response.json().catch(() => null);
    if (response.status === 401) {
      await anotherKey(sent);
      continue;
    }
    if (!response.ok) throw new Failure(response.status, body);
    return body;
  }
}

function anotherKey(refused) {
  // Another call has been given one while this one was under way.
  if (key !== refused) return Promise.resolve();
  waiting ??= new Promise((resolve) => {
    const form = $("key");
    $("key-say").textContent = refused ? "This key is not known. Another one?" : "This gateway wants an API key.";
    form.hidden = false;
    $("key-field").focus();
    form.addEventListener("submit", function taken(event) {
      event.preventDefault();
      const given = $("key-field").value.trim();
      // Other characters are in no key, and in no header.
      if (!/^[\x21-\x7e]{1,256}$/.test(given)) return;
      form.removeEventListener("submit", taken);
      key = given;
      try {
        sessionStorage.setItem(STORED, given);
      } catch {
        // As above.
      }
      $("key-field").value = "";
      form.hidden = true;
      waiting = null;
      resolve();
    });
  });
  return waiting;
}

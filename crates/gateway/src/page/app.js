// The page: ask or send, answer, trace, logs.

import { api } from "/page/api.js";
import { partCards, send, spokenParts } from "/page/chain.js";
import { age, colour, copyButton, duration, facts, grouped, h, notice, pairs } from "/page/dom.js";
import { drawWaterfall } from "/page/waterfall.js";

const $ = (id) => document.getElementById(id);
const TRACE_ID = /^[0-9a-f]{32}$/i;

// A trace is complete when nothing new came for a while; it is looked for this long in all.
const PATIENCE_MS = 15_000;
const FIRST_LOOK_MS = 350;
const NEXT_LOOK_MS = 900;
const QUIET_LOOKS = 2;

/** The ask or trace that is shown; a newer one makes the older one's requests stop. */
let current = 0;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- ask -------------------------------------------------------------------------------------------------------------

/** Shows what was asked or sent for: `cards` of a reply, what to say of it, and then its trace. */
async function show(button, asking, cards, words) {
  const turn = ++current;
  busy(button);
  $("answers").hidden = false;
  $("answers").replaceChildren(h("div", { class: "card", "aria-hidden": "true" }, ["title", "line", "short"].map((kind) => h("div", { class: `bone ${kind}` }))));
  $("announce").textContent = "Asking…";
  $("trace").hidden = $("logs").hidden = true;
  try {
    const reply = await asking();
    if (turn !== current) return;
    $("answers").replaceChildren(...cards(reply));
    $("announce").textContent = words(reply);
    follow(reply.trace_id, turn);
  } catch (failure) {
    if (turn !== current) return;
    const title = failure.status === 400 ? "Not understood" : failure.status === 404 ? "Not served" : "No answer";
    $("answers").replaceChildren(refusalCard(title, failure.message, failure.upstream));
    $("announce").textContent = failure.message;
    // What was refused has no steps to look at; a failure has.
    if (failure.traceId && (failure.status >= 500 || failure.status === 404)) follow(failure.traceId, turn);
  } finally {
    if (turn === current) busy(null);
  }
}

function ask(request) {
  const asking = () => api("/api/v1/ask", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request) });
  const cards = (reply) => reply.outcomes.map((outcome) => (outcome.answer ? answerCard(outcome.answer) : refusalCard(outcome.refusal.symbol, outcome.refusal.detail)));
  return show("go", asking, cards, (reply) => reply.outcomes.map(spoken).join(" "));
}

const WORDS = { go: ["Ask", "Asking…"], send: ["Send", "Sending…"] };

/** The button that waits, if one does. */
function busy(waiting) {
  for (const [button, [idle, active]] of Object.entries(WORDS)) {
    $(button).setAttribute("aria-busy", String(button === waiting));
    $(button).textContent = button === waiting ? active : idle;
  }
}

function spoken({ answer, refusal }) {
  if (!answer) return `No answer for ${refusal.symbol}: ${refusal.detail}`;
  return `${answer.action} ${answer.symbol}, confidence ${percent(answer.confidence)}. ${answer.reason}`;
}

const percent = (fraction) => `${Math.round(Number(fraction) * 100)}%`;

function pairOf(symbol) {
  const quote = ["FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD", "EUR", "BTC", "ETH"].find((end) => symbol.endsWith(end) && symbol.length > end.length + 1);
  return quote ? [symbol.slice(0, -quote.length), quote] : [symbol, ""];
}

function answerCard(answer) {
  const [base, quote] = pairOf(answer.symbol);
  const sure = percent(answer.confidence);
  const numbers = answer.indicators;
  return h(
    "article",
    { class: "card", "data-action": answer.action, "aria-label": `${answer.action} ${answer.symbol}` },
    h(
      "div",
      { class: "card-head" },
      h("div", { class: "verdict" }, h("span", { class: "action" }, answer.action), h("span", { class: "symbol" }, base, " ", h("small", {}, quote))),
      h("div", { class: "price" }, h("b", {}, `${grouped(answer.price)} ${quote}`), h("span", {}, age(answer.price_age_ms))),
    ),
    h(
      "div",
      { class: "meter", role: "meter", "aria-label": "Confidence", "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": parseInt(sure, 10) },
      h("span", {}, "Confidence"),
      h("div", { class: "track" }, h("div", { class: "fill", at: { width: sure } })),
      h("b", {}, sure),
    ),
    h("p", { class: "reason" }, answer.reason),
    answer.fallback && h("p", { class: "aside" }, `The ${answer.fallback.from} strategy could not decide: ${answer.fallback.reason}`),
    facts(h("dl", { class: "facts" }), [
      ["Strategy", answer.strategy],
      ["Mode", answer.mode.toUpperCase()],
      ["RSI", numbers?.rsi && Number(numbers.rsi).toFixed(1)],
      ["Fast average", numbers?.sma_fast && grouped(shortened(numbers.sma_fast))],
      ["Slow average", numbers?.sma_slow && grouped(shortened(numbers.sma_slow))],
      ["Cost", Number(answer.cost_usd) > 0 ? `$${answer.cost_usd}` : null],
    ]),
  );
}

// Averages come with many digits: four significant ones after the point are plenty.
function shortened(decimal) {
  const [whole, fraction = ""] = String(decimal).split(".");
  return `${whole}.${fraction.slice(0, whole.replace("-", "").length > 2 ? 2 : 6)}`;
}

function refusalCard(title, detail, upstream) {
  return h(
    "article",
    { class: "card refused", role: "alert" },
    h("div", { class: "card-head" }, h("span", { class: "action" }, title)),
    h("p", { class: "reason" }, detail),
    upstream && facts(h("dl", { class: "facts" }), [["Who failed", upstream]]),
  );
}

// ---- trace and logs --------------------------------------------------------------------------------------------------

function follow(traceId, turn) {
  $("trace").hidden = false;
  $("trace-facts").replaceChildren();
  if (!traceId) {
    $("trace-id").replaceChildren();
    $("trace-body").replaceChildren(notice("Telemetry is off, so this answer left no trace. Start the services with TELEMETRY_ENABLED=true to see one."));
    $("logs").hidden = true;
    return;
  }
  history.replaceState(null, "", `?trace=${traceId}`);
  $("trace-id").replaceChildren(copyButton(traceId, "trace id"));
  $("logs").hidden = false;
  $("logs-facts").replaceChildren();
  const selection = { span: null };
  followTrace(traceId, turn, selection);
  followLogs(traceId, turn, selection);
}

/** Asks until what is there has stopped growing. `look` gives a number that grows, or null while there is nothing. */
async function untilQuiet(turn, look) {
  const end = Date.now() + PATIENCE_MS;
  let last = null;
  let quiet = 0;
  while (turn === current && quiet < QUIET_LOOKS && Date.now() < end) {
    const size = await look();
    if (turn !== current) return null;
    quiet = size !== null && size === last ? quiet + 1 : 0;
    last = size;
    await pause(size === null ? FIRST_LOOK_MS : NEXT_LOOK_MS);
  }
  return last;
}

async function followTrace(traceId, turn, selection) {
  const body = $("trace-body");
  const open = new Set();
  const retry = () => followTrace(traceId, turn, selection);
  const select = (id) => {
    selection.span = id;
    highlight(id);
  };
  body.replaceChildren(notice("The trace arrives in about a second…", { busy: true }));
  try {
    const seen = await untilQuiet(turn, async () => {
      const trace = await api(`/api/v1/traces/${traceId}`).catch((failure) => {
        if (failure.code === "trace_not_found") return null;
        throw failure;
      });
      if (trace === null || turn !== current) return null;
      showTrace(body, trace, open, select);
      // Spans whose parents are missing: more is to come.
      return trace.spans.length + trace.orphan_count / 1_000_000;
    });
    if (seen === null && turn === current) {
      body.replaceChildren(notice("Tempo has no such trace. It may have been forgotten after the retention time, or spans do not reach Tempo.", { retry }));
    }
  } catch (failure) {
    if (turn === current) body.replaceChildren(notice(`${failure.message} The answer does not depend on it.`, { bad: true, retry }));
  }
}

function showTrace(body, trace, open, select) {
  const failed = trace.error_count;
  facts($("trace-facts"), [
    ["Took", duration(trace.duration_us)],
    ["Spans", String(trace.spans.length + trace.omitted_count)],
    ["Services", String(trace.services.length)],
    ["Errors", failed ? String(failed) : null],
  ]);
  drawWaterfall(body, trace, open, select);
  if (trace.omitted_count) body.append(notice(`${trace.omitted_count} later spans are not shown.`));
}

async function followLogs(traceId, turn, selection) {
  const body = $("logs-body");
  const retry = () => followLogs(traceId, turn, selection);
  body.replaceChildren(notice("Log lines arrive in a second or two…", { busy: true }));
  try {
    const seen = await untilQuiet(turn, async () => {
      const logs = await api(`/api/v1/traces/${traceId}/logs`);
      if (turn !== current || logs.lines.length === 0) return null;
      showLogs(body, logs);
      highlight(selection.span);
      return logs.lines.length;
    });
    if (seen === null && turn === current) body.replaceChildren(notice("Loki has no line of this trace.", { retry }));
  } catch (failure) {
    if (turn === current) body.replaceChildren(notice(`${failure.message} The answer does not depend on it.`, { bad: true, retry }));
  }
}

function showLogs(body, logs) {
  const opened = new Set([...body.querySelectorAll("details[open]")].map((line) => line.dataset.key));
  const problems = logs.lines.filter((line) => line.level === "WARN" || line.level === "ERROR").length;
  facts($("logs-facts"), [
    ["Lines", String(logs.lines.length)],
    ["Warnings and errors", problems ? String(problems) : null],
  ]);
  const lines = logs.lines.map((line, index) => {
    const key = `${line.at} ${index}`;
    const more = { ...line.attributes, ...(line.span_id && { span_id: line.span_id }) };
    return h(
      "li",
      {},
      h(
        "details",
        { "data-key": key, "data-span": line.span_id, open: opened.has(key) },
        h(
          "summary",
          {},
          h("time", { datetime: line.at, title: line.at }, clock(line.at)),
          h("span", { class: `level ${line.level}` }, line.level),
          h("span", { class: `who ${colour(line.service)}` }, line.service),
          h("span", { class: "message" }, line.message),
        ),
        pairs(more),
      ),
    );
  });
  body.replaceChildren(h("ul", { class: "lines" }, lines));
  if (logs.truncated) body.append(notice("Only the first lines are shown."));
}

function clock(at) {
  const [, time = at, fraction = ""] = at.match(/T(\d\d:\d\d:\d\d)(?:\.(\d+))?/) ?? [];
  return `${time}.${fraction.padEnd(3, "0").slice(0, 3)}`;
}

/** Marks the log lines of one span. */
function highlight(span) {
  for (const line of $("logs-body").querySelectorAll("details")) line.classList.toggle("lit", span !== null && line.dataset.span === span);
}

// ---- start -----------------------------------------------------------------------------------------------------------

function showTraceOnly(traceId) {
  const turn = ++current;
  busy(null);
  $("answers").hidden = true;
  follow(traceId.toLowerCase(), turn);
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (TRACE_ID.test(question)) showTraceOnly(question);
  else ask(question ? { question } : {});
});

$("process").addEventListener("submit", (event) => {
  event.preventDefault();
  show("send", send, partCards, spokenParts);
});

async function showChips() {
  try {
    const { symbols } = await api("/api/v1/symbols");
    const chips = symbols.slice(0, 20).map(({ symbol, base, quote }) =>
      h("button", { class: "chip", type: "button", onclick: () => ask({ symbols: [symbol] }) }, h("b", {}, base), ` ${quote}`),
    );
    const all = symbols.slice(0, 10).map(({ symbol }) => symbol);
    if (all.length > 1) chips.push(h("button", { class: "chip", type: "button", onclick: () => ask({ symbols: all }) }, all.length === symbols.length ? "All of them" : `First ${all.length}`));
    $("chips").replaceChildren(...chips);
  } catch (failure) {
    $("chips").replaceChildren(notice(`The list of symbols cannot be had: ${failure.message}`, { retry: showChips }));
  }
}

// The system's choice, until the button makes another.
function startTheme() {
  const root = document.documentElement;
  try {
    const stored = localStorage.getItem("theme");
    if (stored) root.dataset.theme = stored;
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // As above.
    }
  });
}

startTheme();
showChips();
const asked = new URLSearchParams(location.search).get("trace");
if (asked && TRACE_ID.test(asked)) showTraceOnly(asked);

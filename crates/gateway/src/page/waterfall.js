// A trace as a waterfall: one row a span in the order of the tree, a click or Enter opens it, arrows walk.

import { colour, duration, facts, h, pairs } from "/page/dom.js";

const TICKS = 4;

/** Draws a trace into `container`; `open` holds ids of opened spans and survives redrawing; `onSelect` hears of clicks. */
export function drawWaterfall(container, trace, open, onSelect) {
  const total = Math.max(trace.duration_us, 1);
  const rows = h("div", { class: "waterfall" }, ruler(total));
  for (const span of trace.spans) {
    const row = spanRow(span, total);
    const detail = spanDetail(span);
    const show = (visible) => {
      row.setAttribute("aria-expanded", String(visible));
      detail.hidden = !visible;
    };
    show(open.has(span.id));
    row.addEventListener("click", () => {
      const visible = !open.has(span.id);
      if (visible) open.add(span.id);
      else open.delete(span.id);
      show(visible);
      onSelect(visible ? span.id : null);
    });
    rows.append(row, detail);
  }
  rows.addEventListener("keydown", (event) => walk(event, rows));
  const focused = container.contains(document.activeElement) ? document.activeElement.dataset.span : null;
  container.replaceChildren(legend(trace), rows);
  if (focused) rows.querySelector(`[data-span="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function walk(event, rows) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.classList.contains("row")) return;
  const all = [...rows.querySelectorAll(".row")];
  const next = all[all.indexOf(event.target) + step];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

function legend(trace) {
  const count = (service) => trace.spans.filter((span) => span.service === service).length;
  return h(
    "ul",
    { class: "legend", "aria-label": "Services" },
    trace.services.map((service) => h("li", { class: colour(service) }, h("b", {}, service), ` ${count(service)}`)),
  );
}

function ruler(total) {
  const ticks = Array.from({ length: TICKS + 1 }, (_, n) =>
    h("span", { at: { left: `${(n / TICKS) * 100}%` } }, n === 0 ? "0" : duration(Math.round((total * n) / TICKS))),
  );
  return h("div", { class: "ruler", "aria-hidden": "true" }, h("span", {}, "Service and operation"), h("div", { class: "ticks" }, ticks));
}

function spanRow(span, total) {
  const start = (span.start_us / total) * 100;
  const width = (span.duration_us / total) * 100;
  const failed = span.status === "error";
  const words = `${span.service}, ${span.name}, ${duration(span.duration_us)}${failed ? ", failed" : ""}, level ${span.depth + 1}`;
  return h(
    "button",
    { class: `row ${colour(span.service)}`, type: "button", "aria-label": words, "data-span": span.id, title: `${span.service}: ${span.name}` },
    h(
      "span",
      { class: "name", "--depth": span.depth },
      h("b", { class: "indent" }),
      h("i"),
      h("span", {}, span.name),
      hint(span) && h("span", { class: "hint" }, hint(span)),
      failed && h("span", { class: "failed" }, "error"),
    ),
    h(
      "span",
      { class: "lane", at: { display: "block" } },
      h("span", { class: failed ? "bar error" : "bar", at: { left: `${Math.min(start, 99.5)}%`, width: `${width}%` } }),
      span.events.slice(0, 50).map((event) => h("span", { class: "dot", at: { left: `${Math.min((event.at_us / total) * 100, 100)}%` } })),
      timeLabel(span, start, width),
    ),
  );
}

// What tells spans of one name apart.
function hint(span) {
  return span.attributes["backend.operation"] ?? (span.depth > 0 && span.kind === "internal" ? span.attributes["crypto.symbol"] : undefined);
}

// Beside the bar where there is room, else before it, else in it.
function timeLabel(span, start, width) {
  const end = start + width;
  if (end < 82) return h("span", { class: "took", at: { left: `${end}%` } }, duration(span.duration_us));
  if (start > 18) return h("span", { class: "took before", at: { left: `${start}%` } }, duration(span.duration_us));
  return h("span", { class: "took inside", at: { left: `${start}%` } }, duration(span.duration_us));
}

function spanDetail(span) {
  const detail = h("div", { class: `detail ${colour(span.service)}` });
  const head = facts(h("dl", { class: "facts" }), [
    ["Service", span.service],
    ["Kind", span.kind],
    ["Starts at", duration(span.start_us)],
    ["Takes", duration(span.duration_us)],
    ["Status", span.status === "unset" ? "ok" : span.status],
    ["Why", span.status_message],
    ["Span", span.id],
  ]);
  detail.append(head);
  if (Object.keys(span.attributes).length) detail.append(h("h3", {}, "Attributes"), pairs(span.attributes));
  if (span.events.length) {
    detail.append(
      h("h3", {}, "Events"),
      ...span.events.map((event) =>
        h(
          "div",
          { class: "event" },
          h("p", {}, h("span", { class: "mono" }, `+${duration(Math.max(event.at_us - span.start_us, 0))}`), event.name),
          Object.keys(event.attributes).length > 0 && pairs(event.attributes),
        ),
      ),
    );
  }
  return detail;
}

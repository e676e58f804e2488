// Building blocks: elements from data (text only ever through textContent), and numbers for people.

/** An element with attributes, listeners (on…), CSS variables (--…) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (name === "class") element.className = value;
    else if (name === "at") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A list of facts: pairs of a name and a text, those without a text left out. */
export function facts(element, pairs) {
  element.replaceChildren(
    ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
  return element;
}

/** Names and values under each other. */
export function pairs(object) {
  const rows = Object.entries(object).flatMap(([name, value]) => [
    h("dt", {}, name),
    h("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
  ]);
  return h("dl", { class: "pairs" }, rows);
}

/** A button that copies a text. */
export function copyButton(text, label) {
  const word = h("em", {}, "Copy");
  const say = (result) => {
    word.textContent = result;
    setTimeout(() => (word.textContent = "Copy"), 1500);
  };
  const copy = () => copyText(text).then(() => say("Copied"), () => say("Press Ctrl-C"));
  return h("button", { class: "copy", type: "button", "aria-label": `Copy ${label} ${text}`, onclick: copy }, h("span", {}, text), word);
}

async function copyText(text) {
  // Without HTTPS there is no clipboard but for this machine's own address; selecting the text is the next best.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = h("textarea", { class: "hidden" });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not copied");
}

/** A decimal text with thousands separators; its digits are never touched. */
export function grouped(decimal) {
  const [whole, fraction = ""] = String(decimal).split(".");
  const digits = fraction.replace(/0+$/, "").padEnd(2, "0");
  return `${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${digits}`;
}

/** Microseconds as a duration: 740 µs, 12.3 ms, 1.25 s. */
export function duration(us) {
  if (us < 1_000) return `${us} µs`;
  if (us < 1_000_000) return `${(us / 1_000).toFixed(us < 100_000 ? 1 : 0)} ms`;
  return `${(us / 1_000_000).toFixed(2)} s`;
}

/** Milliseconds as the age of a price. */
export function age(ms) {
  const plural = (count, unit) => `${count} ${unit}${count === 1 ? "" : "s"} old`;
  if (ms < 1_000) return "less than a second old";
  if (ms < 120_000) return plural(Math.floor(ms / 1_000), "second");
  if (ms < 7_200_000) return plural(Math.floor(ms / 60_000), "minute");
  return plural(Math.floor(ms / 3_600_000), "hour");
}

/** A waiting, empty or failed state, with something to do about it. */
export function notice(text, { busy = false, bad = false, retry } = {}) {
  return h(
    "div",
    { class: bad ? "notice bad" : "notice", role: bad ? "alert" : "status" },
    busy && h("span", { class: "spinner", "aria-hidden": "true" }),
    h("span", {}, text),
    retry && h("button", { class: "chip", type: "button", onclick: retry }, "Try again"),
  );
}

// The services that everybody meets keep their colours from trace to trace; others take them in order.
const KNOWN = ["notifier-service", "market-data-service", "decision-service", "simulator", "user-service", "order-service", "audit-service", "api-gateway"];
const others = [];

/** Class that gives a service its colour. */
export function colour(service) {
  const known = KNOWN.indexOf(service);
  if (known >= 0) return `c${known}`;
  if (!others.includes(service)) others.push(service);
  return `c${others.indexOf(service) % KNOWN.length}`;
}

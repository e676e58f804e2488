// The form that sends a request through the business chain, and the parts of its reply.

import { api } from "/page/api.js";
import { colour, facts, grouped, h, pairs } from "/page/dom.js";

const $ = (id) => document.getElementById(id);

/** What the form says, as the API takes it; a field that is empty says nothing. */
function request() {
  const text = (id) => $(id).value.trim();
  return {
    user_id: Number(text("user-id")),
    ...(text("user-name") && { user_name: text("user-name") }),
    ...(text("user-email") && { user_email: text("user-email") }),
    action: text("action"),
  };
}

/** A key of this very request, so that it may be tried again on its way; where the browser makes none, it is not. */
function idempotency() {
  return crypto.randomUUID ? { "idempotency-key": crypto.randomUUID() } : {};
}

/** Sends the form: the reply, or a failure. */
export function send() {
  return api("/api/v1/process", {
    method: "POST",
    headers: { "content-type": "application/json", ...idempotency() },
    body: JSON.stringify(request()),
  });
}

/** How a part went, in words. */
const STATUS = { deferred: "written down, done as soon as it can be", refused: "refused, and set aside for somebody to look at" };

/** A card for each service, in the order of the chain. */
export function partCards(reply) {
  return reply.services.map((part) =>
    h(
      "article",
      { class: `card part ${colour(part.service)}`, "aria-label": part.service, "data-service": part.service },
      h("div", { class: "card-head" }, h("span", { class: "who" }, h("b", {}, part.service)), h("span", { class: "took-part" }, `${part.worked_ms} ms`)),
      h("p", { class: "reason" }, said(part)),
      facts(h("dl", { class: "facts" }), [["Status", STATUS[part.status] ?? part.status]]),
      Object.keys(part.data ?? {}).length > 0 && h("details", {}, h("summary", {}, "All it says"), pairs(part.data)),
    ),
  );
}

/** What was done, in a line. */
function said({ data, status }) {
  const { user, order, audit } = data ?? {};
  if (order) return `Order ${order.id} of ${order.items.length} ${order.items.length === 1 ? "item" : "items"}: ${grouped(order.total)} ${order.currency ?? ""}`;
  if (user) return `User ${user.id}${user.name ? `, ${user.name}` : ""}: request ${user.request_count}`;
  if (audit) return `Row ${audit.id} of the audit trail`;
  if (data?.request_id) return `Request ${data.request_id}`;
  return { deferred: "It could not be reached.", refused: "It would not do its part." }[status] ?? "Done.";
}

/** What is read out. */
export function spokenParts(reply) {
  if (reply.status === "deferred") return "Taken; a part is still to be done.";
  if (reply.status === "refused") return "Taken; a service would not do its part.";
  return `Done by ${reply.services.map((part) => part.service).join(", ")}.`;
}

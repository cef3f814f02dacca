// Takes e-mail addresses, phone numbers and payment card numbers out of an item's texts. Asks no model.

import { redact } from "./scan.js";

const KINDS = ["email", "phone", "card"];

/** @type {import("sandmill-plugin").Manifest} */
export const manifest = {
  name: "redact",
  version: "0.1.0",
  description: "Takes e-mail addresses, phone numbers and payment card numbers out of an item's texts.",
  config: {
    type: "object",
    properties: {
      fields: {
        description: "The fields that are looked at, by name, at the top of the item. Without it: every text in the item.",
        type: ["array", "null"],
        items: { type: "string" },
      },
      kinds: {
        description: "What is taken out. Without it: all three.",
        type: ["array", "null"],
        items: { enum: KINDS },
      },
    },
  },
};

/**
 * @param {import("sandmill-plugin").Item} item
 * @param {import("sandmill-plugin").Context<{ fields?: string[] | null, kinds?: string[] | null }>} cx
 */
export function process(item, cx) {
  const kinds = new Set(cx.config.kinds ?? KINDS);
  const counts = { email: 0, phone: 0, card: 0 };
  const { fields } = cx.config;
  const chosen = fields && isObject(item.data);
  const value = chosen
    ? mapFields(item.data, (name, inner) => (fields.includes(name) ? walk(inner, kinds, counts) : inner))
    : walk(item.data, kinds, counts);
  return { item: value, redacted: counts };
}

function walk(value, kinds, counts) {
  if (typeof value === "string") return redact(value, kinds, counts);
  if (Array.isArray(value)) return value.map((inner) => walk(inner, kinds, counts));
  if (!isObject(value)) return value;
  // What names the item must go on naming it.
  return mapFields(value, (name, inner) => (name === "id" ? inner : walk(inner, kinds, counts)));
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mapFields(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, inner]) => [name, change(name, inner)]));
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "sandmill-plugin/testing";
import * as plugin from "../src/plugin.js";
import { redact } from "../src/scan.js";

const ALL = new Set(["email", "phone", "card"]);
const clean = (text, counts = { email: 0, phone: 0, card: 0 }) => redact(text, ALL, counts);

test("what people write is found", () => {
  for (const [text, expected] of [
    ["mail jo.b+x@mail.example.org.", "mail [EMAIL]."],
    ["<a@b.co>,c@d.eu", "<[EMAIL]>,[EMAIL]"],
    ["ü@example.org x@y @z a@b.c", "ü@example.org x@y @z a@b.c"],
    ["card 4111 1111 1111 1111 ok", "card [CARD] ok"],
    ["4111111111111111", "[CARD]"],
    ["amex 3782-822463-10005!", "amex [CARD]!"],
    ["4111 1111 1111 1112", "4111 1111 1111 1112"],
    ["call +49 30 901820 now", "call [PHONE] now"],
    ["(555) 123-4567 or 555-123-4567", "[PHONE] or [PHONE]"],
    ["1-800-555-0199; 030/9018200", "[PHONE]; [PHONE]"],
  ]) {
    assert.equal(clean(text), expected);
  }
});

test("everything else stays", () => {
  const counts = { email: 0, phone: 0, card: 0 };
  for (const text of [
    ...["2024-01-02 10:30", "192.168.100.200", "order 1234567890", "12.05.2023", "pi 3.14159265358979", "v1.2.3"],
    ...["id_5551234567", "", "ein Wort", "\u{1f600} + ( )", "+", "(", "+(", "((((", "@", "@@", "a@", "+-"],
  ]) {
    assert.equal(clean(text, counts), text);
  }
  assert.deepEqual(counts, { email: 0, phone: 0, card: 0 });
});

test("texts at every depth are looked at, the id stays, and long numbers lose no digit", () => {
  const { values } = run(plugin, '{"id":"a@b.co","n":12345678901234567890,"deep":[{"mail":"a@b.co"}]}');
  assert.deepEqual(values, [
    { item: { id: "a@b.co", n: 12345678901234567890n, deep: [{ mail: "[EMAIL]" }] }, redacted: { email: 1, phone: 0, card: 0 } },
  ]);
});

test("only the fields and kinds that were chosen are looked at", () => {
  const item = { a: "x@y.eu, 555-123-4567", b: "x@y.eu" };
  const { values } = run(plugin, item, { config: { fields: ["a"], kinds: ["phone"] } });
  assert.deepEqual(values[0].item, { a: "x@y.eu, [PHONE]", b: "x@y.eu" });
});

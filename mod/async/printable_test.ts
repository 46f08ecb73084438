import assert from "node:assert/strict";
import { printable } from "./printable.ts";

Deno.test("printable() keeps words, and takes what would change how a terminal shows them", () => {
  const cases: Record<string, string> = {
    "pod web: café 网络 ✗": "pod web: café 网络 ✗",
    "\u001b]0;title\u0007a": " ]0;title a",
    "a\r\nError: b\tc": "a Error: b c",
    "a\u009b2Jb": "a 2Jb",
    "a\u202eb\u2066c\u200bd\ufeff": "a b c d ",
  };
  for (const [text, shown] of Object.entries(cases)) assert.equal(printable(text), shown);
});

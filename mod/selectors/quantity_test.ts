import assert from "node:assert/strict";
import { Quantity } from "./quantity.ts";

Deno.test("Quantity.parse() reads what Kubernetes does", () => {
  const nano = 1_000_000_000n;
  const cases: Record<string, bigint> = {
    "256": 256n * nano,
    "-1": -nano,
    "+2": 2n * nano,
    ".5": nano / 2n,
    "5.": 5n * nano,
    "1500m": nano * 3n / 2n,
    "1Ki": 1024n * nano,
    "1.5Gi": 1_610_612_736n * nano,
    "1e3": 1000n * nano,
    "2E": 2n * 10n ** 18n * nano,
    // Finer than a thousand-millionth: up.
    "0.0000000001": 1n,
  };
  for (const [text, nanos] of Object.entries(cases)) {
    assert.equal(Quantity.parse(text).nanos, nanos, text);
  }
  for (const text of ["", "1K", "Mi", "1,5", "three", "1e", "1Kim", "1e99999"]) {
    assert.throws(() => Quantity.parse(text), text);
  }
});

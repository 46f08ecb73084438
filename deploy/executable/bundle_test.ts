import assert from "node:assert/strict";
import { withoutImports } from "./bundle.ts";

Deno.test("withoutImports() puts functions that throw where a package was imported", () => {
  const code = 'a();import{fetch as X}from"undici";import{Agent as Y,Z$}from"undici";b()';
  const problem = '{throw new Error("undici is not in this program")}';
  assert.equal(
    withoutImports(code),
    `a();function X()${problem};function Y()${problem}function Z$()${problem};b()`,
  );
});

Deno.test("withoutImports() refuses a bundle that imports the package in another way", () => {
  for (
    const code of ["a()", 'import x from"undici";', 'import{a}from"undici";await import("undici")']
  ) {
    assert.throws(() => withoutImports(code), /does not import undici as .* expects/, code);
  }
});

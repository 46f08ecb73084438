import assert from "node:assert/strict";
import { withoutImports } from "./bundle.ts";

const MODELS = 'import{c as d}from"./gen/index.js";';

Deno.test("withoutImports() puts functions that throw where something was imported", () => {
  const code = `a();import{fetch as X}from"undici";import{Agent as Y,Z$}from"undici";${MODELS}b()`;
  const throws = (name: string, left: string) =>
    `function ${name}(){throw new Error("${left} is not in this program")}`;
  const functions = ["X", "Y", "Z$"].map((name) => throws(name, "undici"));
  const [x, y, z] = functions;
  assert.equal(withoutImports(code), `a();${x};${y}${z};${throws("d", "./gen/index.js")};b()`);
});

Deno.test("withoutImports() refuses a bundle that imports in another way", () => {
  for (
    const code of ["a();", 'import x from"undici";', 'import{a}from"undici";import("undici");']
  ) {
    assert.throws(
      () => withoutImports(code + MODELS),
      /does not import undici as .* expects/,
      code,
    );
  }
});

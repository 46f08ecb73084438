import assert from "node:assert/strict";
import { signalsOf } from "./signals.ts";
import { userHome } from "./user_home.ts";

Deno.test("userHome() finds the user's folder on every system", () => {
  const home = (env: Record<string, string>) => userHome((name) => env[name]);
  assert.equal(home({ HOME: "/home/u" }), "/home/u");
  assert.equal(home({ USERPROFILE: "C:\\Users\\u" }), "C:\\Users\\u");
  assert.equal(home({ HOME: "", HOMEDRIVE: "C:", HOMEPATH: "\\Users\\u" }), "C:\\Users\\u");
  assert.equal(home({ HOMEDRIVE: "C:" }), undefined);
  assert.equal(home({}), undefined);
});

Deno.test("signalsOf() names only signals that the system has", () => {
  assert.ok(!signalsOf("windows").includes("SIGTERM"));
  assert.deepEqual(signalsOf("linux"), signalsOf("darwin"));
});

import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { anAttachment } from "../../tests/support/agent_fakes.ts";
import { FieldError } from "./field.ts";
import { assignInterfaceNames, parseInterfaceName } from "./interface_names.ts";

const ref = (name: string) => ({ namespace: "default", name, uid: name });
const named = (name: string, ...names: string[]) => ({
  claim: ref(name),
  attachments: names.map((ifName) => anAttachment(ifName, { ifNameGiven: ifName !== "" })),
});

Deno.test("assignInterfaceNames() gives each attachment a name of its own", () => {
  fc.assert(fc.property(
    fc.uniqueArray(fc.constantFrom("net1", "net2", "net3", "eth1", "x"), { maxLength: 5 }),
    fc.nat(5),
    fc.nat(5),
    (given, own, unnamed) => {
      const others = [named("b", ...given.slice(own))];
      const mine = named("a", ...given.slice(0, own), ...Array(unnamed).fill(""));
      const names = assignInterfaceNames(mine, others).map(({ ifName }) => ifName);
      const all = [...names, ...given.slice(own)];
      assert.equal(new Set(all).size, all.length);
      const kept = given.slice(0, own);
      assert.deepEqual(names.slice(0, kept.length), kept);
      for (const name of names) parseInterfaceName(name, "x");
    },
  ));
});

Deno.test("assignInterfaceNames() keeps the names of an earlier run as far as they are free", () => {
  const before = (name: string, ...names: string[]) => ({
    claim: ref(name),
    attachments: names.map((ifName) => anAttachment(ifName, { ifNameGiven: false })),
  });
  const cases: [own: string[], others: string[], names: string[]][] = [
    [["net2"], [], ["net2"]],
    [["", "net1"], [], ["net2", "net1"]],
    [["net2", ""], ["net1"], ["net2", "net3"]],
    [["net1"], ["net1"], ["net2"]],
    [["net3", "net3"], [], ["net3", "net1"]],
  ];
  for (const [own, others, names] of cases) {
    const found = assignInterfaceNames(before("a", ...own), [before("b", ...others)]);
    assert.deepEqual(found.map(({ ifName }) => ifName), names);
  }
  const given = { claim: ref("a"), attachments: [anAttachment("net1"), anAttachment("net1")] };
  const [first, second] = given.attachments;
  const own = { ...given, attachments: [{ ...first!, ifNameGiven: false }, second!] };
  assert.deepEqual(assignInterfaceNames(own, []).map(({ ifName }) => ifName), ["net2", "net1"]);
});

Deno.test("assignInterfaceNames() names both sides when one name was given twice", () => {
  const says =
    /"eth1" is requested twice in the pod: by claim default\/b request eth1 and by claim default\/a request eth1/;
  assert.throws(() => assignInterfaceNames(named("a", "eth1"), [named("b", "eth1")]), says);
  assert.throws(() => assignInterfaceNames(named("a", "eth1", "eth1"), []), /claim default\/a/);
});

Deno.test("parseInterfaceName() refuses what plugins take for white space", () => {
  // unicode.IsSpace of Go.
  const spaces = "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000";
  for (const space of spaces) {
    assert.throws(() => parseInterfaceName(`n${space}1`, "name"), /white space/);
  }
});

Deno.test("parseInterfaceName() refuses patterns, of which the kernel makes another name", () => {
  assert.throws(() => parseInterfaceName("net%d", "name"), /"net%d" must not contain "%"/);
});

Deno.test("no name that parseInterfaceName() takes leads out of a folder or into a second argument", () => {
  const part = fc.constantFrom(
    "..",
    ".",
    "/",
    "\0",
    " ",
    "\n",
    ":",
    "eth0",
    "é",
    "%2f",
    ";",
    "=",
    "-",
  );
  const names = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(fc.property(names, (name) => {
    try {
      parseInterfaceName(name, "name");
    } catch (error) {
      assert.ok(error instanceof FieldError);
      return;
    }
    assert.equal(join("/sys/class/net", name), `/sys/class/net/${name}`);
    assert.ok(!/[\0\s/:]/.test(name) && new TextEncoder().encode(name).length <= 15);
  }));
});

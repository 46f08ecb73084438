import assert from "node:assert/strict";
import { migrated, type Migration, RECORD_VERSION } from "./record_version.ts";

const MIGRATIONS: readonly Migration[] = [
  // Version 2 has its pods in a list.
  {
    claim: ({ pod, ...rest }) => ({ ...rest, pods: [pod] }),
    attachment: (record) => record,
  },
  // Version 3 has a sandbox with more than an id.
  {
    claim: (record) => record,
    attachment: ({ sandbox, ...rest }) => ({ ...rest, sandbox: { id: sandbox } }),
  },
];

Deno.test("migrated() takes a record through all versions that came after its own", () => {
  const cases = [
    ["claim", { version: 1, pod: "p" }, { version: 3, pods: ["p"] }],
    ["claim", { version: 2, pods: ["p", "q"] }, { version: 3, pods: ["p", "q"] }],
    ["claim", { version: 3, pods: [] }, { version: 3, pods: [] }],
    ["attachment", { version: 1, sandbox: "s" }, { version: 3, sandbox: { id: "s" } }],
    ["attachment", { version: 2, sandbox: "s" }, { version: 3, sandbox: { id: "s" } }],
  ] as const;
  for (const [kind, record, expected] of cases) {
    assert.deepEqual(migrated(record, kind, MIGRATIONS), expected);
  }
});

Deno.test("migrated() refuses records of a later release, and those without a version", () => {
  assert.throws(
    () => migrated({ version: 4 }, "claim", MIGRATIONS),
    /^Error: version: 4 was written by a later release; this one reads versions up to 3$/,
  );
  for (const json of [{}, { version: 0 }, { version: 1.5 }, { version: "1" }, [], null, 7, "x"]) {
    assert.throws(
      () => migrated(json, "claim", MIGRATIONS),
      /version: must be a number from 1 to 3/,
    );
  }
});

Deno.test("records are written in the version that is read", () => {
  const record = { version: RECORD_VERSION };
  assert.equal(migrated(record, "claim"), record);
  assert.equal(migrated(record, "attachment"), record);
});

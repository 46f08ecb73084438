import assert from "node:assert/strict";
import { anAttachmentSnapshot, aStatusDocument } from "../../tests/support/status_documents.ts";
import { problemsOf } from "../status/problems.ts";
import { sorted } from "../status/sorted.ts";
import type { StatusDocument } from "../status/document.ts";
import { textOf } from "./status_report.ts";

function text(document: StatusDocument, { wide = false, width = 80 } = {}): string {
  const shown = sorted(document);
  return textOf({ ...shown, problems: problemsOf(shown) }, { wide, width });
}

Deno.test("textOf() is aligned in 80 columns where names are short, what is wrong first", () => {
  const document = aStatusDocument([
    anAttachmentSnapshot("default/web", { addresses: ["10.0.0.2/24"] }),
    anAttachmentSnapshot("default/db", {
      state: "attach_failed",
      addresses: [],
      error:
        'plugin type="macvlan" name="lan" failed (add): no address left\nin the range\u001b[2J',
      since: "2026-01-01T00:59:30.000Z",
      tries: 5,
      waitsFor: "the next try",
      nextTry: "2026-01-01T01:00:06.000Z",
    }),
  ]);
  assert.equal(
    text(document),
    `2 attachments, 2 claims: 1 problem
  pod default/db: cannot attach network "lan" (interface net1, claim
    default/claim-db, device eth0): plugin type="macvlan" name="lan" failed
    (add): no address left in the range [2J
    5 tries failed in 30s; waits for the next try, in 6s

AGENT of node-1 (dra.networking), version 0.1.0: leads
  runs since 2026-01-01T00:00:00.000Z (1h0m)
  [+] NRI: synchronized
  [+] kubelet: registered

ATTACHMENTS
POD          INTERFACE  STATE          SINCE  NETWORK  ADDRESSES    WAITS FOR
default/db   net1       attach_failed  30s    lan                   the next try
default/web  net1       attached       1h0m   lan      10.0.0.2/24

CLAIMS
CLAIM              STATE          PODS  DEVICES
default/claim-db   attach_failed  db    eth0-1
default/claim-web  attached       web   eth0-1

DEVICES
DEVICE  INTERFACE  STATE  CLAIMS  ATTACHMENTS
cni                up     0       0
eth0    eth0       up     1       2

SETTINGS
NAME        VALUE  FROM
cniTimeout  10s    flag (--cni-timeout)
1 setting has its default (-o wide lists it)`,
  );
});

Deno.test("textOf() has more columns, the sandboxes and all settings where it may be wide", () => {
  const shown = text(aStatusDocument([anAttachmentSnapshot("default/web")]), { wide: true });
  assert.match(shown, /^1 attachment, 1 claim: nothing is wrong\n/);
  for (
    const word of [
      "PLUGINS",
      "00:00:00:00:00:01",
      "default/claim-web",
      "sandbox-default-web",
      "\nSANDBOXES\n",
      "driverName  dra.networking  default",
      "uid-claim-default-web",
    ]
  ) assert.ok(shown.includes(word), word);
});

Deno.test("problemsOf() names lost networks, refused claims, devices that are gone and what the agent lacks", () => {
  const document = aStatusDocument([
    anAttachmentSnapshot("a/lost", { state: "lost", error: "net1 is not there" }),
    anAttachmentSnapshot("a/stays", { state: "detach_failed", error: "no plugin" }),
    anAttachmentSnapshot("a/odd", { state: "unknown" }),
    anAttachmentSnapshot("a/young", { state: "attaching" }),
  ], {
    claims: [{
      namespace: "a",
      name: "bad",
      uid: "u",
      state: "refused",
      pods: [],
      devices: [],
      attachments: 0,
      error: "policy.plugins.bare: not allowed",
      tries: 2,
    }],
    devices: [
      { name: "eth0", interface: "eth0", state: "gone", claims: 1, attachments: 1 },
      { name: "eth1", interface: "eth1", state: "down", claims: 2, attachments: 0 },
      { name: "eth2", interface: "eth2", state: "down", claims: 0, attachments: 0 },
    ],
  });
  const needs = [{ name: "NRI", ok: false, says: "no socket (for 5s): start it" }];
  const agents = document.agents.map((agent) => ({ ...agent, needs }));
  const where = (name: string) =>
    `network "lan" (interface net1, claim a/claim-${name}, device eth0)`;
  assert.deepEqual(
    problemsOf({ ...document, agents }).map(({ about, message }) => `${about}: ${message}`),
    [
      `pod a/lost: lost ${where("lost")}: net1 is not there`,
      `pod a/stays: cannot detach ${where("stays")}: no plugin`,
      `pod a/odd: not known whether it is attached: ${where("odd")}`,
      "claim a/bad: cannot prepare it: policy.plugins.bare: not allowed",
      "device eth0: the interface eth0 is not on the node any more, and 1 claim holds it",
      "device eth1: the interface eth1 is down, and 2 claims hold it",
      "agent: NRI: no socket (for 5s): start it",
    ],
  );
});

import assert from "node:assert/strict";
import { AddressUses } from "./address_use.ts";

Deno.test("AddressUses keeps a bounded number of names, however many are made up", () => {
  const uses = new AddressUses();
  const pod = { namespace: "shop", name: "db-0", uid: "1" };
  for (let i = 0; i < 50_000; i++) {
    const { network } = uses.read({
      metadata: { name: `n${i}.10-38-0-5`, uid: `${i}`, resourceVersion: "1" },
      spec: {
        network: `n${i}`,
        address: "10.38.0.5",
        node: "node-1",
        claim: pod,
        pod,
        containerID: "s1",
        ifName: "net1",
      },
    });
    assert.equal(network, `n${i}`);
  }
  assert.ok(uses.names <= 20_000);
});

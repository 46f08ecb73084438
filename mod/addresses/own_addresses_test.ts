import assert from "node:assert/strict";
import { FakeAddressApi } from "../../tests/support/fake_address_api.ts";
import { settle } from "../../tests/support/agent_fakes.ts";
import { OwnAddresses } from "./own_addresses.ts";

const named = (name: string) => ({ namespace: "default", name, uid: `uid-${name}` });

Deno.test("OwnAddresses keeps nothing of addresses whose end the watch told before the delete was answered", async () => {
  const api = new FakeAddressApi();
  const own = new OwnAddresses("a");
  const over = new AbortController();
  const running = own.run(api, over.signal);
  for (let i = 1; i <= 20; i++) {
    const created = await api.create({
      network: "lan",
      address: `10.38.0.${i}`,
      owner: {
        node: "a",
        claim: named("c"),
        pod: named("p"),
        containerID: `s${i}`,
        ifName: "net1",
      },
    });
    assert.ok(created.is === "created");
    own.put(created.address);
    const isLate = i % 2 === 0;
    if (isLate) own.drop(created.address);
    await api.remove(created.address);
    await settle();
    own.drop(created.address);
  }
  await settle();
  assert.deepEqual([own.count, own.leaving], [0, 0]);
  over.abort();
  await running;
});

Deno.test("OwnAddresses keeps an address that was created anew when the delete of the one before is answered", async () => {
  const api = new FakeAddressApi();
  const own = new OwnAddresses("a");
  const over = new AbortController();
  const running = own.run(api, over.signal);
  const pod = named("p");
  const owner = { node: "a", claim: named("c"), pod, containerID: "s1", ifName: "net1" };
  const create = async () => {
    const created = await api.create({ network: "lan", address: "10.38.0.1", owner });
    assert.ok(created.is === "created");
    own.put(created.address);
    return created.address;
  };
  const first = await create();
  await api.remove(first);
  await settle();
  const second = await create();
  own.drop(first);
  assert.deepEqual(own.all.map(({ uid }) => uid), [second.uid]);
  over.abort();
  await running;
});

Deno.test("OwnAddresses keeps what a watch tells of while its create has another answer (run 396563713)", async () => {
  const api = new FakeAddressApi();
  const own = new OwnAddresses("a");
  const over = new AbortController();
  const running = own.run(api, over.signal);
  const pod = named("p");
  const owner = { node: "a", claim: named("c"), pod, containerID: "s1", ifName: "net1" };
  const asked = { network: "lan", address: "10.38.0.1", owner };
  own.put(asked);
  // An agent that has died had asked for it, too: this create comes after that one.
  const created = await api.create(asked);
  assert.ok(created.is === "created");
  await settle();
  own.drop(asked);
  assert.deepEqual(own.of({ network: "lan", containerID: "s1", ifName: "net1" }), [
    created.address,
  ]);
  over.abort();
  await running;
});

/** Prints the memory that an agent needs for Networks and addresses (`measureAddressMemory`). */
import { NetworkView } from "../../mod/addresses/network_view.ts";
import { parseNetworkAddress } from "../../mod/addresses/address_object.ts";
import { freeAddresses, Taken } from "../../mod/addresses/free_address.ts";
import { parseAddresses } from "../../mod/addresses/parse_addresses.ts";
import { AddressUses } from "../../mod/duties/address_use.ts";
import { countedPools } from "../../mod/duties/counted_pools.ts";
import { watchedNetwork } from "../../mod/duties/watched_network.ts";
import { readOrInvalid } from "../../mod/networks/invalid.ts";
import { parseNetwork } from "../../mod/networks/network_object.ts";
import { ADDRESSES, addressJson, NETWORKS } from "./addresses.ts";

const collect = (globalThis as unknown as { gc: () => void }).gc;

/** What `make` returns, and how much the heap has grown by it, in MB. */
function grown<T>(make: () => T): { readonly kept: T; readonly mb: number } {
  collect();
  const before = Deno.memoryUsage().heapUsed;
  const kept = make();
  collect();
  return { kept, mb: (Deno.memoryUsage().heapUsed - before) / 2 ** 20 };
}

function networkJson(n: number): string {
  return JSON.stringify({
    metadata: {
      name: `net-${n}`,
      uid: crypto.randomUUID(),
      resourceVersion: `${n}`,
      generation: 1,
      finalizers: ["dra.networking/in-use"],
    },
    spec: {
      description: `the network of team ${n}`,
      config: { cniVersion: "1.0.0", type: "macvlan", master: "eth0", mode: "bridge" },
      addresses: {
        pools: [{ subnet: "10.40.0.0/16", gateway: "10.40.0.1" }, { subnet: "fd00:40::/64" }],
        routes: [{ dst: "10.0.0.0/8", gw: "10.40.0.1" }],
      },
    },
    status: {
      observedGeneration: 1,
      attachments: 20,
      addresses: { ipv4: { used: 20, left: 65_513 }, ipv6: { used: 0, left: 2_147_483_647 } },
      conditions: ["Valid", "Exhausted"].map((type) => ({
        type,
        status: "True",
        reason: type,
        message: "claims can use the network",
        observedGeneration: 1,
        lastTransitionTime: "2026-01-01T00:00:00Z",
      })),
    },
  });
}

const pools = parseAddresses({ pools: [{ subnet: "10.40.0.0/16" }] }, "addresses");
const asker = { namespace: "default", claim: "any" };
const free = freeAddresses(pools, 4, new Taken(), { node: "any", asker });
const addresses = [...free.take(ADDRESSES)].map((address, n) =>
  addressJson(`net-${n % NETWORKS}`, address, n)
);
const networks = Array.from({ length: NETWORKS }, (_, n) => networkJson(n));

const agent = grown(() => {
  const known = networks.map((json) => readOrInvalid(parseNetwork)(JSON.parse(json)));
  const view = new NetworkView("lan");
  for (const json of addresses) view.add(parseNetworkAddress(JSON.parse(json)).address);
  return { known, view };
});
const holder = grown(() => {
  const uses = new AddressUses();
  const names = new Map(addresses.map((json) => {
    const object = JSON.parse(json);
    return [object.metadata.name as string, uses.read(object)];
  }));
  const watched = new Map(networks.map((json, n) => [
    `net-${n}`,
    watchedNetwork(JSON.parse(json), (object) => {
      const { addresses } = parseNetwork(object).network;
      return { pools: addresses && countedPools(addresses) };
    }),
  ]));
  return { names, watched };
});
if (agent.kept.known.length + holder.kept.names.size !== NETWORKS + ADDRESSES) Deno.exit(1);
console.log(JSON.stringify({ agent: agent.mb, holder: holder.mb }));

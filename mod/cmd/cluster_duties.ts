import type { Log } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { AddressUses } from "../duties/address_use.ts";
import { countedPools } from "../duties/counted_pools.ts";
import { doDuties } from "../duties/duties.ts";
import { LeaseHolder } from "../duties/lease_holder.ts";
import { type ReadSpec, watchedNetwork } from "../duties/watched_network.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { KubeDutyApi } from "../kube/duty_api.ts";
import { KubeDutyLease } from "../kube/duty_lease.ts";
import { ObjectCache } from "../kube/object_cache.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { NETWORK_API, parseNetwork } from "../networks/network_object.ts";
import type { RunConfig } from "./run_config.ts";

const LEASE = "network-dra-duties";

/**
 * Does what one agent of the cluster does for all while this one holds the Lease, until the signal is
 * aborted. What the duties need of the cluster's objects is read and kept by the holder alone.
 */
export async function runClusterDuties(
  { driverName: driver, nodeName, leaseNamespace: namespace }: RunConfig,
  { connection, clock, log, signal }: {
    readonly connection: KubeConnection;
    readonly clock: Clock;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const holder = new LeaseHolder({
    api: new KubeDutyLease(connection, { namespace, name: LEASE }),
    me: `${nodeName}_${crypto.randomUUID()}`,
    clock,
    log,
  });
  await holder.run(async (over) => {
    const source = new KubeObjectSource(connection);
    // Nothing is decided by what was read before the API server stopped to answer.
    const options = { maxAge: 1, clock, log };
    const networks = new ObjectCache(source, {
      ...options,
      path: `/apis/${NETWORK_API}/networks`,
      parse: (object) => watchedNetwork(object, readSpec),
    });
    const uses = new AddressUses();
    const addresses = new ObjectCache(source, {
      ...options,
      path: `/apis/${NETWORK_API}/networkaddresses`,
      parse: (object) => uses.read(object),
    });
    const api = new KubeDutyApi(connection);
    await Promise.all([
      networks.run(over),
      addresses.run(over),
      doDuties({ driver, networks, addresses, api, clock, log }, over),
    ]);
  }, signal);
}

function readSpec(object: unknown): ReadSpec {
  try {
    const { addresses } = parseNetwork(object).network;
    return { pools: addresses && countedPools(addresses) };
  } catch (error) {
    return { invalid: errorMessage(error) };
  }
}

import type { Clock } from "../async/clock.ts";
import type { Log, Networks } from "../agent/ports.ts";
import { NetworkFiles } from "../cni/network_files.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { ObjectCache } from "../kube/object_cache.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { ClusterNetworks } from "../networks/cluster_networks.ts";
import { DEFINITION_API, parseDefinition } from "../networks/definition.ts";
import { readOrInvalid } from "../networks/invalid.ts";
import { labelsOf } from "../networks/namespace_selector.ts";
import { NETWORK_API, parseNetwork } from "../networks/network_object.ts";
import type { RunConfig } from "./run_config.ts";

/** The networks that claims can name, and what keeps them up to date. */
export interface NetworkSources {
  readonly networks: Networks;
  /** Each runs until the signal is aborted. */
  readonly followers: readonly {
    readonly what: string;
    readonly run: (signal: AbortSignal) => Promise<void>;
  }[];
}

/** What the agent reads networks from, as its settings say. */
export function networkSources(
  config: RunConfig,
  { connection, clock, log }: {
    readonly connection: KubeConnection;
    readonly clock: Clock;
    readonly log: Log;
  },
): NetworkSources {
  const source = new KubeObjectSource(connection);
  const options = { maxAge: config.networkCacheTime, clock, log };
  const networks = config.networkObjects && new ObjectCache(source, {
    ...options,
    path: `/apis/${NETWORK_API}/networks`,
    parse: readOrInvalid(parseNetwork),
  });
  const definitions = config.networkAttachmentDefinitions && new ObjectCache(source, {
    ...options,
    path: `/apis/${DEFINITION_API}/network-attachment-definitions`,
    parse: readOrInvalid(parseDefinition),
  });
  const namespaces = new ObjectCache(source, {
    ...options,
    path: "/api/v1/namespaces",
    parse: labelsOf,
    lazy: true,
  });
  const following = (what: string, cache: Pick<ObjectCache<unknown>, "run"> | false) =>
    cache ? [{ what, run: (signal: AbortSignal) => cache.run(signal) }] : [];
  return {
    networks: new ClusterNetworks({
      files: new NetworkFiles(config.networkDir, { log }),
      ...networks && { networks },
      ...definitions && { definitions },
      namespaces,
      log,
    }),
    followers: [
      ...following("following Networks", networks),
      ...following("following NetworkAttachmentDefinitions", definitions),
      ...following("following namespaces", networks && namespaces),
    ],
  };
}

import type { Log } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { KnownObjects } from "../networks/ports.ts";
import { AddressCollector } from "./address_collector.ts";
import type { AddressUse } from "./address_use.ts";
import { NetworkKeeper } from "./network_keeper.ts";
import type { CollectorApi, NetworkApi } from "./ports.ts";
import type { WatchedNetwork } from "./watched_network.ts";

/** Between two looks at Networks, in milliseconds: the status of one is written at most this often. */
const NETWORKS_MS = 10_000;
/** And at addresses that nobody may have. */
const ADDRESSES_MS = 60_000;

export interface DutyOptions {
  readonly driver: string;
  readonly networks: KnownObjects<WatchedNetwork>;
  readonly addresses: KnownObjects<AddressUse>;
  readonly api: NetworkApi & CollectorApi;
  readonly clock: Clock;
  readonly log: Log;
}

/** Does what one agent of the cluster does for all, until the signal is aborted. Does not reject. */
export async function doDuties(options: DutyOptions, signal: AbortSignal): Promise<void> {
  const { driver, networks, addresses, api, clock, log } = options;
  const keeper = new NetworkKeeper(api, { driver, clock, log });
  const collector = new AddressCollector(api, { clock, log });
  const problem = new WarnOnce(log);
  let collected = -Infinity;
  const round = async () => {
    const [known, taken] = [await networks.look(signal), await addresses.look(signal)];
    if (known.state === "unreadable" || taken.state === "unreadable") return;
    const uses = taken.state === "known" ? taken.objects : new Map<string, never>();
    if (known.state === "known") {
      await keeper.round(known.objects, { addresses: uses, signal });
    }
    if (clock.elapsed() - collected < ADDRESSES_MS) return;
    collected = clock.elapsed();
    await collector.round(uses, signal);
  };
  while (!signal.aborted) {
    try {
      await round();
      problem.over();
    } catch (error) {
      if (signal.aborted) return;
      const about = { error: errorMessage(error) };
      problem.say("cannot free addresses that nobody has; trying again", about);
    }
    await clock.sleep(NETWORKS_MS, signal).catch(() => {});
  }
}

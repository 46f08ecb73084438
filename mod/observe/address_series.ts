import { Counter, Gauge, type Registry } from "prom-client";
import type { AddressMetrics, AddressRequest, TakeResult } from "../addresses/ports.ts";
import { counters } from "./series.ts";

/** The addresses of the cluster that the node's attachments take. */
export class AddressSeries implements AddressMetrics {
  readonly #held: Gauge;
  readonly #conflicts: Counter;
  readonly #takes: Record<TakeResult, () => void>;
  readonly #requests: Record<AddressRequest, () => void>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#held = new Gauge({
      name: "network_dra_addresses",
      help: "Addresses of the cluster's Networks that this node has taken",
      registers,
    });
    this.#conflicts = new Counter({
      name: "network_dra_address_conflicts_total",
      help: "Addresses that seemed free and were another attachment's: the next one was tried",
      registers,
    });
    this.#takes = counters({
      name: "network_dra_address_takes_total",
      help:
        "Attachments that asked for addresses of a Network, by result; exhausted: none was free",
      label: "result",
      values: ["ok", "exhausted", "error"],
      registers,
    });
    this.#requests = counters({
      name: "network_dra_address_requests_total",
      help: "Requests to the API server about addresses, by verb; one create takes one address",
      label: "verb",
      values: ["create", "get", "update", "delete", "list", "watch"],
      registers,
    });
  }

  taken(result: TakeResult): void {
    this.#takes[result]();
  }

  conflicted(): void {
    this.#conflicts.inc();
  }

  held(count: number): void {
    this.#held.set(count);
  }

  requested(request: AddressRequest): void {
    this.#requests[request]();
  }
}

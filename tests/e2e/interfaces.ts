/** Further interfaces of the private node, and the devices that the agent publishes for them. */
import { ip } from "../../mod/simulator/private_node.ts";
import type { Json } from "./api.ts";
import type { Cluster } from "./cluster.ts";
import { until } from "./poll.ts";

export interface Link {
  readonly name: string;
  readonly mtu?: number;
}

/** Runs `body` while the node has these interfaces, each one end of a cable that leads nowhere. */
export async function withLinks(
  links: readonly Link[],
  body: () => Promise<void>,
): Promise<void> {
  const made: string[] = [];
  try {
    for (const { name, mtu = 1500 } of links) {
      await ip(["link", "add", name, "type", "veth", "peer", "name", `${name}p`]);
      made.push(name);
      for (const end of [name, `${name}p`]) await ip(["link", "set", end, "mtu", `${mtu}`, "up"]);
    }
    await body();
  } finally {
    for (const name of made) await ip(["link", "delete", name]);
  }
}

/** A device, or the first of its copies where devices cannot be shared. */
export async function device(cluster: Cluster, name: string): Promise<Json | undefined> {
  const slices = await cluster.slices();
  return slices.flatMap(({ spec }) => spec.devices)
    .find((each) => each.name === name || each.name === `${name}-0`);
}

/** The device of an interface that is new; changes are published within 5 s. */
export async function published(cluster: Cluster, name: string): Promise<Json> {
  return await until(`${name} is a device`, () => device(cluster, name), { limit: 5_000 });
}

import type { AddressRange } from "./addresses.ts";
import { standsFor } from "./device_names.ts";
import { FieldError, show } from "./field.ts";
import type { PluginConfig } from "./network_list.ts";

/** What of the node decides whether a claim may name it. */
export interface NodeView {
  /** Whether the interface is one of the devices that the node publishes. */
  readonly offers: (interfaceName: string) => boolean;
  /** Whether the name is another interface's, or one that cluster networks and the like use. */
  readonly taken: (interfaceName: string) => boolean;
  /** Why the node needs an interface, or undefined: what the interface has that the node would lose. */
  readonly needs: (interfaceName: string) => string | undefined;
  /** The node's own, without those that hold on one link alone. */
  readonly addresses: readonly NodeAddress[];
}

/** An IP address of the node. */
export interface NodeAddress {
  readonly interfaceName: string;
  readonly address: string;
  /** Bits of the network. */
  readonly prefix: number;
}

/** What a check may look at. */
export interface Surroundings {
  readonly node: NodeView;
  /** The device that the scheduler gave to the claim. */
  readonly device: string;
  /** The plugin's whole configuration. */
  readonly plugin: PluginConfig;
  /** What the administrator refuses besides. */
  readonly refusedAddresses: readonly AddressRange[];
}

/** Lets a field's value through. @throws Objection, or FieldError for a value that no plugin takes */
export type Check = (value: unknown, path: string, around: Surroundings) => void;

/** What is wrong with a value, and where. */
export class Objection extends Error {
  override readonly name = "Objection";
  readonly path: string;

  constructor(path: string, problem: string) {
    super(problem);
    this.path = path;
  }
}

/** Accepts any value. */
export const anyValue: Check = () => {};

/** A field that is known and let through with no value. */
export function closed(why: string): Check {
  return (value, path) => {
    throw new Objection(path, `${show(value)}: ${why}`);
  };
}

/** Accepts one of the values; the plugin takes no other. */
export function oneOf(...values: readonly unknown[]): Check {
  return (value, path) => {
    if (values.includes(value)) return;
    throw invalid(value, path, values.map(show).join(" or "));
  };
}

function invalid(value: unknown, path: string, must: string): FieldError {
  return new FieldError(path, `invalid value ${show(value)}: must be ${must}`);
}

/** Accepts true and false. */
export const flag = oneOf(true, false);

/** A field that must not be turned on. */
export function off(why: string): Check {
  return (value, path, around) => {
    if (value === true) throw new Objection(path, `true: ${why}`);
    flag(value, path, around);
  };
}

/** One of the values; of those that are refused it is said why. */
export function mode(values: readonly string[], refused: Readonly<Record<string, string>>): Check {
  return (value, path, around) => {
    if (typeof value === "string" && Object.hasOwn(refused, value)) {
      throw new Objection(path, `${show(value)}: ${refused[value]}`);
    }
    oneOf(...values)(value, path, around);
  };
}

/** Accepts a whole number, with both limits included; the plugin takes no other. */
export function number(least: number, most: number): Check {
  return (value, path) => {
    const fits = Number.isSafeInteger(value) && (value as number) >= least &&
      (value as number) <= most;
    if (!fits) throw invalid(value, path, `a whole number from ${least} to ${most}`);
  };
}

/** What IPv6 needs at least: a bridge takes over the smallest of its ports. Zero is the plugin's default. */
export const mtu: Check = (value, path, around) => {
  number(0, 65_535)(value, path, around);
  if (value === 0 || (value as number) >= 1280) return;
  throw new Objection(path, `${value} must be a whole number from 1280 to 65535`);
};

/** Addresses that nobody is given by a manufacturer: routers and machines keep theirs. */
export const mac: Check = (value, path) => {
  if (typeof value === "string" && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value)) {
    // The two lowest bits of the first byte: locally administered, and of one interface.
    if ((parseInt(value, 16) & 3) === 2) return;
  }
  throw new Objection(
    path,
    `${show(value)} must be a locally administered MAC address such as 02:00:5e:10:00:01; other ` +
      "addresses belong to machines and routers",
  );
};

/** The interface of the node that a plugin builds on. Left out, plugins take that of the default route. */
export const master: Check = (value, path, around) => {
  const isName = typeof value === "string" && value !== "";
  if (isName && (standsFor(around.device, value) || around.node.offers(value))) return;
  throw new Objection(
    path,
    `the interface is ${
      show(value)
    }: it must be that of the allocated device, or another one that ` +
      "the node publishes as a device",
  );
};

/** Left out, the plugin takes cni0. */
export const bridge: Check = (value, path, around) => {
  const { node } = around;
  if (typeof value !== "string" || !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(value)) {
    throw new Objection(path, `the bridge is ${show(value)}: it must be the name of a bridge`);
  }
  if (standsFor(around.device, value)) return;
  if (node.addresses.some(({ interfaceName }) => interfaceName === value)) {
    throw new Objection(path, `${show(value)} is a bridge of the node itself: it has addresses`);
  }
  if (node.offers(value) || !node.taken(value)) return;
  throw new Objection(
    path,
    `${
      show(value)
    } is already in use: it is an interface that claims may not use, or a name that ` +
      "cluster networks and container engines use",
  );
};

/** An interface of the node that goes into the pod. */
export const wholeInterface: Check = (value, path, around) => {
  if (typeof value !== "string" || !standsFor(around.device, value)) {
    const { device } = around;
    throw new Objection(
      path,
      `${show(value)} is not the interface of the allocated device ${device}`,
    );
  }
  const use = around.node.needs(value);
  if (use !== undefined) throw new Objection(path, `the node would lose ${show(value)}: ${use}`);
};

/** Kernel settings that each network namespace has for itself. */
const SYSCTL = /^net[./](core|ipv4|ipv6|unix)([./][A-Za-z0-9_:@-]+)+$/;

/** Setting it makes the kernel load a module with that name. */
const LOADS_MODULES = /[./]tcp_congestion_control$/;

/** The plugin puts the interface's name there, which the claim chooses: `tcp_IFNAME_control`. */
const PART_IFNAME = /[^./]IFNAME|IFNAME[^./]/;

/** Accepts kernel settings that belong to the pod's own network namespace. */
export const sysctls: Check = (value, path) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Objection(path, `must be an object, not ${show(value)}`);
  }
  for (const [name, text] of Object.entries(value)) {
    const at = `${path}[${JSON.stringify(name)}]`;
    if (!SYSCTL.test(name)) {
      throw new Objection(
        at,
        "must be below net.core, net.ipv4, net.ipv6 or net.unix; other settings are not the pod's own",
      );
    }
    if (PART_IFNAME.test(name)) {
      throw new Objection(
        at,
        "IFNAME must be a whole part of the name; the plugin replaces it with the interface's name",
      );
    }
    if (LOADS_MODULES.test(name)) throw new Objection(at, "the node would load a kernel module");
    if (typeof text !== "string") throw new Objection(at, `must be a string, not ${show(text)}`);
  }
};

/** Which capability arguments a plugin takes. */
export const capabilities: Check = (value, path) => {
  const names = Object.keys(value ?? {});
  const other = names.find((name) => !["ips", "mac", "bandwidth", "portMappings"].includes(name));
  if (other === undefined) return;
  throw new Objection(`${path}[${JSON.stringify(other)}]`, "claims cannot pass this argument");
};

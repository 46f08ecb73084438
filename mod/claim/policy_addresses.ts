import {
  type AddressRange,
  networks,
  overlap,
  parseAddress,
  parseNetwork,
  within,
} from "./addresses.ts";
import { didYouMean } from "./did_you_mean.ts";
import { FieldError, type Fields, show } from "./field.ts";
import { type Check, Objection, type Surroundings } from "./policy_checks.ts";

/** host-local: the range that stands in the configuration itself, by its subnet. */
export const ownRange: Check = (subnet, path, around) => {
  const { rangeStart, rangeEnd, gateway } = around.plugin.ipam as Fields;
  const at = path.replace(/\.subnet$/, "");
  checkRange({ subnet, rangeStart, rangeEnd, gateway }, at, around);
};

/** host-local: lists of lists of ranges. */
export const rangeSets: Check = (value, path, around) => {
  for (const [i, set] of list(value, path).entries()) {
    for (const [j, range] of list(set, `${path}[${i}]`).entries()) {
      checkRange(range, `${path}[${i}][${j}]`, around);
    }
  }
};

/** static: addresses with their gateways. */
export const addresses: Check = (value, path, around) => {
  for (const [i, item] of list(value, path).entries()) {
    const at = `${path}[${i}]`;
    const { address, gateway } = fieldsOf(item, ["address", "gateway"], at);
    const given = gatewayOf(gateway, at);
    checkPool(prefixed(address, `${at}.address`), { path: at, gateway: given }, around);
  }
};

/** The capability argument: addresses, with the prefix length or without. */
export const ips: Check = (value, path, around) => {
  for (const [i, item] of list(value, path).entries()) {
    const at = `${path}[${i}]`;
    const alone = typeof item === "string" ? parseAddress(item) : undefined;
    checkPool(alone ?? prefixed(item, at), { path: at }, around);
  }
};

function checkRange(value: unknown, path: string, around: Surroundings): void {
  const fields = fieldsOf(value, ["subnet", "rangeStart", "rangeEnd", "gateway"], path);
  const { subnet } = fields;
  const net = typeof subnet === "string" ? parseNetwork(subnet) : undefined;
  if (!net) {
    const problem = subnet === undefined ? "is missing" : `invalid CIDR ${show(subnet)}`;
    throw new FieldError(`${path}.subnet`, problem);
  }
  const end = (key: "rangeStart" | "rangeEnd") => {
    const given = fields[key];
    if (given === undefined || given === null) return undefined;
    const address = typeof given === "string" ? parseAddress(given) : undefined;
    if (address && overlap(address, net)) return address.first;
    throw new FieldError(
      `${path}.${key}`,
      address ? `${show(given)} is not in ${show(subnet)}` : `invalid IP address ${show(given)}`,
    );
  };
  const pool = {
    family: net.family,
    first: end("rangeStart") ?? net.first,
    last: end("rangeEnd") ?? net.last,
  };
  if (pool.first > pool.last) throw new FieldError(path, "rangeStart is after rangeEnd");
  // The plugin's own default is the first address.
  const gateway = gatewayOf(fields.gateway, path) ??
    { family: net.family, first: net.first + 1n, last: net.first + 1n };
  checkPool(pool, { path, gateway }, around);
}

/** Addresses that a pod can never have, by what they are. */
const NO_PODS: readonly (readonly [string, readonly AddressRange[]])[] = [
  ["an unspecified address", networks("0.0.0.0/8", "::/128")],
  ["a loopback address", networks("127.0.0.0/8", "::1/128")],
  [
    "a link-local address, such as that of a cloud's metadata service",
    networks("169.254.0.0/16", "fe80::/10"),
  ],
  ["a multicast or reserved address", networks("224.0.0.0/3", "ff00::/8")],
];

const PRIVATE = networks(
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
);

/** Addresses of which pods get theirs. */
function checkPool(
  pool: AddressRange,
  { path, gateway }: { readonly path: string; readonly gateway?: AddressRange },
  around: Surroundings,
): void {
  const { node, plugin, refusedAddresses } = around;
  for (const [what, nets] of NO_PODS) {
    if (nets.some((net) => overlap(net, pool))) {
      throw new Objection(path, `it contains ${what}`);
    }
  }
  if (refusedAddresses.some((net) => overlap(net, pool))) {
    throw new Objection(path, "it contains one of the policy's refusedAddresses");
  }
  const own = node.addresses.find(({ address }) => {
    const mine = parseAddress(address);
    return mine && overlap(mine, pool) && !(gateway && overlap(mine, gateway));
  });
  if (own) throw new Objection(path, `it contains ${own.address}, which is the node's own address`);
  if (plugin.type !== "ptp") return;
  checkRouted(pool, path, around);
  if (gateway) checkRouted(gateway, `${path}.gateway`, around);
}

/** ptp gives the node the gateway's address, and a route to the pod's that goes before all others. */
function checkRouted(
  addresses: AddressRange,
  path: string,
  { node, refusedAddresses }: Surroundings,
): void {
  const outcome = "the node's traffic to it would go to the pod";
  if (!within(addresses, PRIVATE)) {
    throw new Objection(path, `it contains an address that is not private: ${outcome}`);
  }
  if (refusedAddresses.some((net) => overlap(net, addresses))) {
    throw new Objection(path, "it contains one of the policy's refusedAddresses");
  }
  const near = node.addresses.find(({ address, prefix }) => {
    const net = parseNetwork(`${address}/${prefix}`);
    // The node's ends of other such links have no network.
    return net && net.first !== net.last && overlap(net, addresses);
  });
  if (!near) return;
  const net = `${near.address}/${near.prefix} (${near.interfaceName})`;
  throw new Objection(path, `it contains an address of the node's network ${net}: ${outcome}`);
}

function gatewayOf(value: unknown, path: string): AddressRange | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const gateway = typeof value === "string" ? parseAddress(value) : undefined;
  if (gateway) return gateway;
  throw new FieldError(`${path}.gateway`, `invalid IP address ${show(value)}`);
}

/** The address of one with a prefix length. */
function prefixed(value: unknown, path: string): AddressRange {
  const net = typeof value === "string" ? parseNetwork(value) : undefined;
  const address = net && parseAddress((value as string).split("/")[0]!);
  if (address) return address;
  throw new FieldError(
    path,
    `invalid address ${show(value)}: must have a prefix length, such as 10.1.2.3/24`,
  );
}

function list(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Objection(path, `must be a list, not ${show(value)}`);
}

function fieldsOf(value: unknown, known: readonly string[], path: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Objection(path, `must be an object, not ${show(value)}`);
  }
  const other = Object.keys(value).find((key) => !known.includes(key));
  if (other === undefined) return value as Fields;
  throw new Objection(
    `${path}[${JSON.stringify(other)}]`,
    `is not a known field, and plugins ignore the case of names${didYouMean(other, known)}`,
  );
}

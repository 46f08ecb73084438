export interface AddressPool {
  readonly subnet: string;
  readonly family: 4 | 6;
  readonly gateway?: string;
  readonly ranges: readonly string[];
}
export interface NetworkAddresses {
  readonly pools: readonly AddressPool[];
  readonly routes?: readonly unknown[];
  readonly dns?: Record<string, unknown>;
  readonly reserved: readonly unknown[];
  readonly keepForSeconds?: number;
}
export interface Asker {
  readonly namespace: string;
  readonly claim: string;
}
export function poolOf(a: NetworkAddresses, _address: string): AddressPool | undefined {
  return a.pools.find(({ family }) => (family === 6) === _address.includes(":"));
}
export function canonicalAddress(t: string): string | undefined {
  return t;
}
export function countAddresses(_: AddressPool): bigint {
  return 200n;
}
// deno-lint-ignore no-explicit-any
export function parseAddresses(value: any, _path: string): NetworkAddresses {
  return {
    pools: value.pools.map((p: any) => ({
      ...p,
      family: p.subnet.includes(":") ? 6 : 4,
      ranges: p.ranges ?? [],
    })),
    reserved: [],
  };
}

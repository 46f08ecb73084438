import { Environment } from "@marcbachmann/cel-js";
import { Quantity } from "./quantity.ts";
import { Semver } from "./semver.ts";

/** What a selector sees as `device`. */
export class CelDevice {
  readonly driver: string;
  readonly allowMultipleAllocations: boolean;
  readonly attributes: Map<string, Map<string, unknown>>;
  readonly capacity: Map<string, Map<string, Quantity>>;

  constructor(fields: CelDevice) {
    this.driver = fields.driver;
    this.allowMultipleAllocations = fields.allowMultipleAllocations;
    this.attributes = fields.attributes;
    this.capacity = fields.capacity;
  }
}

/** The CEL environment of device selectors in Kubernetes 1.36: `device`, quantities, versions, optional types. */
export function selectorEnvironment(): Environment {
  const env = new Environment({ enableOptionalTypes: true });
  env.registerType("kubernetes.Quantity", { ctor: Quantity, fields: {} });
  env.registerType("kubernetes.Semver", { ctor: Semver, fields: {} });
  env.registerType("kubernetes.DRADevice", {
    ctor: CelDevice,
    fields: {
      driver: "string",
      allowMultipleAllocations: "bool",
      attributes: "map<string, map<string, dyn>>",
      capacity: "map<string, map<string, kubernetes.Quantity>>",
    },
  });
  env.registerVariable("device", "kubernetes.DRADevice");
  env.registerFunction("string.charAt(int): string", charAt);
  env.registerFunction(
    "string.replace(string, string): string",
    (text: string, from: string, to: string) => text.replaceAll(from, () => to),
  );
  registerQuantities(env);
  registerVersions(env);
  return env;
}

function charAt(text: string, at: bigint): string {
  const characters = [...text];
  if (at >= 0n && at <= characters.length) return characters[Number(at)] ?? "";
  throw new Error(`index out of range: ${at}`);
}

function registerQuantities(env: Environment): void {
  const type = "kubernetes.Quantity";
  const parses = (text: string) => {
    try {
      Quantity.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  const ofInt = (value: bigint) => new Quantity(value * 1_000_000_000n);
  const plus = (a: Quantity, b: Quantity) => new Quantity(a.nanos + b.nanos);
  const minus = (a: Quantity, b: Quantity) => new Quantity(a.nanos - b.nanos);
  const sign = ({ nanos }: Quantity) => nanos === 0n ? 0n : nanos < 0n ? -1n : 1n;
  const integer = (quantity: Quantity) => {
    const found = quantity.toInteger();
    if (found === undefined) throw new Error("cannot convert value to integer");
    return found;
  };
  env.registerFunction(`quantity(string): ${type}`, (text: string) => Quantity.parse(text));
  env.registerFunction("isQuantity(string): bool", parses);
  env.registerFunction(`sign(${type}): int`, sign);
  env.registerFunction(`${type}.isGreaterThan(${type}): bool`, isGreater);
  env.registerFunction(`${type}.isLessThan(${type}): bool`, isLess);
  env.registerFunction(`${type}.compareTo(${type}): int`, comparison);
  env.registerFunction(`${type}.asApproximateFloat(): double`, (a: Quantity) => a.toNumber());
  env.registerFunction(`${type}.asInteger(): int`, integer);
  env.registerFunction(`${type}.isInteger(): bool`, (a: Quantity) => a.toInteger() !== undefined);
  env.registerFunction(`${type}.add(${type}): ${type}`, plus);
  env.registerFunction(`${type}.sub(${type}): ${type}`, minus);
  env.registerFunction(
    `${type}.add(int): ${type}`,
    (a: Quantity, b: bigint) => plus(a, ofInt(b)),
  );
  env.registerFunction(
    `${type}.sub(int): ${type}`,
    (a: Quantity, b: bigint) => minus(a, ofInt(b)),
  );
  env.registerOperator(`${type} == ${type}`, (a: Quantity, b: Quantity) => a.compareTo(b) === 0);
}

function registerVersions(env: Environment): void {
  const type = "kubernetes.Semver";
  const parse = (text: string, normalize: boolean) =>
    normalize ? Semver.parseNormalized(text) : Semver.parse(text);
  const parses = (text: string, normalize: boolean) => {
    try {
      parse(text, normalize);
      return true;
    } catch {
      return false;
    }
  };
  env.registerFunction(`semver(string): ${type}`, (text: string) => parse(text, false));
  env.registerFunction(`semver(string, bool): ${type}`, parse);
  env.registerFunction("isSemver(string): bool", (text: string) => parses(text, false));
  env.registerFunction("isSemver(string, bool): bool", parses);
  env.registerFunction(`${type}.major(): int`, ({ major }: Semver) => major);
  env.registerFunction(`${type}.minor(): int`, ({ minor }: Semver) => minor);
  env.registerFunction(`${type}.patch(): int`, ({ patch }: Semver) => patch);
  env.registerFunction(`${type}.isGreaterThan(${type}): bool`, isGreater);
  env.registerFunction(`${type}.isLessThan(${type}): bool`, isLess);
  env.registerFunction(`${type}.compareTo(${type}): int`, comparison);
  env.registerOperator(`${type} == ${type}`, (a: Semver, b: Semver) => a.compareTo(b) === 0);
}

interface Comparable<T> {
  compareTo(other: T): number;
}

function isGreater<T extends Comparable<T>>(a: T, b: T): boolean {
  return a.compareTo(b) > 0;
}

function isLess<T extends Comparable<T>>(a: T, b: T): boolean {
  return a.compareTo(b) < 0;
}

function comparison<T extends Comparable<T>>(a: T, b: T): bigint {
  return BigInt(a.compareTo(b));
}

import type { ParseResult } from "@marcbachmann/cel-js";
import { CelDevice, selectorEnvironment } from "./environment.ts";
import { Quantity } from "./quantity.ts";
import { dottedHas, patterns, rewrite } from "./rewrite.ts";
import { Semver } from "./semver.ts";

/** The parts of a ResourceSlice's device (resource.k8s.io/v1) that selectors see. */
export interface SelectorDevice {
  readonly driver: string;
  readonly allowMultipleAllocations?: boolean;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly capacity?: Readonly<Record<string, { readonly value: string }>>;
}

export interface AttributeValue {
  readonly string?: string;
  readonly int?: number;
  readonly bool?: boolean;
  readonly version?: string;
}

/** The expression does not compile: the API server refuses it with this message. */
export class SelectorError extends Error {
  override readonly name = "SelectorError";
}

/** The expression uses a function of Kubernetes that is not evaluated here. */
export class UnsupportedSelectorError extends Error {
  override readonly name = "UnsupportedSelectorError";
}

/** A compiled CEL expression of a DeviceClass or a request. */
export interface Selector {
  readonly expression: string;
  /** @throws Error if the evaluation fails, such as "no such key: mtu": the scheduler then stops */
  matches(device: SelectorDevice): boolean;
}

/** CELSelectorExpressionMaxLength of the API. */
const LONGEST = 10 * 1024;

/** Functions of Kubernetes' CEL libraries and cel-go's extensions that are not evaluated here. */
const NOT_HERE =
  /\b(sets\.\w+|lists\.range|(?:findAll|find|url|isURL|isIP|ip|cidr|isCIDR|isSorted|sum|min|max|slice|flatten|distinct|sort|sortBy|reverse|quote|format\.\w+|transformList|transformMap|transformMapEntry|existsOne|optMap|optFlatMap))\(/;

const environment = selectorEnvironment();

/**
 * Compiles a selector as the API server does: syntax, types, and a result that can be a boolean.
 *
 * @throws SelectorError
 * @throws UnsupportedSelectorError
 */
export function compileSelector(expression: string): Selector {
  if (new TextEncoder().encode(expression).length > LONGEST) {
    throw new SelectorError(`Too long: may not be more than ${LONGEST} bytes`);
  }
  const program = compile(expression);
  return {
    expression,
    matches: (device) => {
      const result = evaluate(program, device);
      if (typeof result === "boolean") return result;
      throw new Error(`CEL result of type ${typeof result} could not be converted to bool`);
    },
  };
}

function compile(expression: string): ParseResult {
  const program = parsed(expression);
  const { valid, type, error } = program.check();
  if (!valid) throw refusal(error, expression);
  if (type === "bool" || type === "dyn") return program;
  throw new SelectorError(`must evaluate to bool or the unknown type, not ${type}`);
}

function parsed(expression: string): ParseResult {
  try {
    let program = environment.parse(expression);
    for (const name of dottedHas(program.ast, expression)) {
      const { error } = environment.check(name);
      if (error?.code === "no_such_key") throw error;
    }
    for (const pattern of patterns(program.ast)) assertPattern(pattern);
    for (let text = rewrite(program.ast, expression); text; text = rewrite(program.ast, text)) {
      program = environment.parse(text);
    }
    return program;
  } catch (error) {
    throw refusal(error, expression);
  }
}

function assertPattern(pattern: string): void {
  try {
    new RegExp(pattern, "u");
  } catch {
    throw new Error("invalid matches argument");
  }
}

function refusal(error: unknown, expression: string): Error {
  const [, unknown] = expression.match(NOT_HERE) ?? [];
  if (unknown !== undefined) {
    return new UnsupportedSelectorError(`${unknown}() is not evaluated here`);
  }
  return new SelectorError(`compilation failed: ${described(error)}`);
}

function evaluate(program: ParseResult, device: SelectorDevice): unknown {
  try {
    return program({ device: celDevice(device) });
  } catch (error) {
    const { summary = String(error) } = error as { summary?: string };
    throw new Error(summary.replace(/^No such key:/, "no such key:"), { cause: error });
  }
}

/** Adds the position in the expression, and uses cel-go's words for the most common mistakes. */
function described(error: unknown): string {
  const { summary, message, range, node } = error as {
    readonly summary?: string;
    readonly message: string;
    readonly range?: { readonly start: number };
    readonly node?: { readonly input?: string };
  };
  const words = (summary ?? message)
    .replace(/^No such key: (.*)$/, "undefined field '$1'")
    .replace(/^Unknown variable: (.*)$/, "undeclared reference to '$1' (in container '')")
    .replace(/^no such overload: /, "found no matching overload for ");
  if (range === undefined || node?.input === undefined) return words;
  const before = node.input.slice(0, range.start).split("\n");
  return `ERROR: <input>:${before.length}:${before.at(-1)!.length + 1}: ${words}`;
}

function celDevice(
  { driver, allowMultipleAllocations = false, attributes = {}, capacity = {} }: SelectorDevice,
): CelDevice {
  return new CelDevice({
    driver,
    allowMultipleAllocations,
    attributes: byDomain(attributes, driver, attributeValue),
    capacity: byDomain(capacity, driver, ({ value }) => Quantity.parse(value)),
  });
}

/** `domain/name` → domain → name; the driver is the domain of names without one. */
function byDomain<T, R>(
  all: Readonly<Record<string, T>>,
  driver: string,
  convert: (value: T) => R,
): Map<string, Map<string, R>> {
  const domains = new Map<string, Map<string, R>>();
  for (const [key, value] of Object.entries(all)) {
    const slash = key.indexOf("/");
    const [domain, name] = slash < 0 ? [driver, key] : [key.slice(0, slash), key.slice(slash + 1)];
    const names = domains.get(domain) ?? new Map<string, R>();
    domains.set(domain, names.set(name, convert(value)));
  }
  // A missing domain is an empty map. The library requires a Map, not a subclass.
  const get = domains.get.bind(domains);
  return Object.assign(domains, { get: (domain: string) => get(domain) ?? new Map<string, R>() });
}

function attributeValue({ string, int, bool, version }: AttributeValue): unknown {
  if (int !== undefined) return BigInt(int);
  if (bool !== undefined) return bool;
  if (version !== undefined) return Semver.parse(version);
  return string;
}

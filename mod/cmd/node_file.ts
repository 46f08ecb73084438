import * as v from "valibot";
import { didYouMean } from "../claim/did_you_mean.ts";
import { join, show } from "../claim/field.ts";
import type { Link } from "../inventory/link.ts";
import { parseConfigYaml } from "./config_yaml.ts";
import { UsageError } from "./usage_error.ts";

const TYPES = ["physical", "bond", "bridge", "vlan"] as const;

/** An interface that a file for `--node` describes. */
export interface DescribedInterface {
  readonly name: string;
  readonly type: typeof TYPES[number];
  readonly up: boolean;
  readonly mtu: number;
  readonly mac?: string;
  /** Mbit/s */
  readonly speed?: number;
  readonly numaNode?: number;
  readonly pciBusId?: string;
}

export interface DescribedNode {
  readonly name: string;
  readonly interfaces: readonly DescribedInterface[];
}

/** The name of the agent's node, unless the first described node has another name. */
export const DEFAULT_NODE = "node-1";

const whole = (least: number, most: number) =>
  v.pipe(
    v.number(`must be a whole number from ${least} to ${most}`),
    v.integer(`must be a whole number from ${least} to ${most}`),
    v.minValue(least, `must be a whole number from ${least} to ${most}`),
    v.maxValue(most, `must be a whole number from ${least} to ${most}`),
  );
const matching = (pattern: RegExp, what: string) =>
  v.pipe(v.string(`must be ${what}`), v.regex(pattern, `must be ${what}`));

const interfaceShape = v.strictObject({
  name: matching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/, "the name of an interface"),
  type: v.optional(v.picklist(TYPES, `must be ${TYPES.join(", ")}`), "physical"),
  up: v.optional(v.boolean("must be true or false"), true),
  mtu: v.optional(whole(68, 65_535), 1500),
  mac: v.optional(matching(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, "a MAC address in lower case")),
  speed: v.optional(whole(1, 10_000_000)),
  numaNode: v.optional(whole(0, 1023)),
  pciBusID: v.optional(
    matching(/^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/, "a PCI address such as 0000:3b:00.0"),
  ),
}, "must be an interface: {name: eth1, …}");

const interfaces = v.optional(v.array(interfaceShape, "must be a list of interfaces"), []);
const node = v.strictObject(
  {
    name: v.optional(matching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, "the name of a node")),
    interfaces,
  },
  "must be a node: {name: node-2, interfaces: […]}",
);
const file = v.strictObject({
  nodes: v.pipe(v.array(node, "must be a list of nodes"), v.minLength(1)),
});

/** The known fields, where unknown ones are refused. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  "": ["nodes"],
  nodes: Object.keys(node.entries),
  interfaces: Object.keys(interfaceShape.entries),
};

/** Reads a file that describes nodes. @throws UsageError with the file, the field and what is allowed */
export function parseNodeFile(text: string, path: string): readonly DescribedNode[] {
  let value: unknown;
  try {
    value = parseConfigYaml(text);
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}`);
  }
  const result = v.safeParse(file, value);
  if (!result.success) throw new UsageError(`${path}: ${problem(result.issues[0])}`);
  return result.output.nodes.map(({ name, interfaces }, i) => ({
    name: name ?? (i === 0 ? DEFAULT_NODE : `node-${i + 1}`),
    interfaces: interfaces.map(({ pciBusID, ...rest }) => ({
      ...rest,
      ...(pciBusID !== undefined && { pciBusId: pciBusID }),
    })),
  }));
}

function problem(issue: v.BaseIssue<unknown>): string {
  const { type, expected, input, message } = issue;
  const path = issue.path ?? [];
  const at = path.reduce(
    (all, { key }) => typeof key === "number" ? `${all}[${key}]` : join(all, String(key)),
    "",
  );
  if (type === "strict_object" && expected === "never") {
    const parent = path.slice(0, -1).findLast(({ key }) => typeof key === "string")?.key ?? "";
    const known = KNOWN[String(parent)] ?? [];
    return `${at}: is unknown; must be one of ${known.join(", ")}${
      didYouMean(String(path.at(-1)?.key), known)
    }`;
  }
  if (input === undefined) return `${at}: is missing`;
  return `${at || "the file"}: invalid value ${show(input)}: ${message}`;
}

/** The links of a node as its agent would find them. */
export function linksOf({ interfaces }: DescribedNode): Link[] {
  return interfaces.map((each, i): Link => ({
    ...each,
    index: i + 2,
    peer: i + 2,
    virtual: each.type !== "physical",
    port: false,
    ...(each.pciBusId && { pcieRoot: `pci${each.pciBusId.slice(0, 7)}` }),
  }));
}

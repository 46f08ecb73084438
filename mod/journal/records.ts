import * as v from "valibot";
import type { AttachmentRecord, ClaimRecord, Sandbox } from "../agent/model.ts";
import { isRange, isSubnet } from "../addresses/cidr.ts";
import { IDENTITY, LABEL } from "../claim/field.ts";
import { parseInterfaceName } from "../claim/interface_names.ts";
import { migrated, RECORD_VERSION } from "./record_version.ts";

const text = v.pipe(v.string(), v.minLength(1));
/** Values that become file names or go to plugins are checked again; otherwise, DEL could be impossible. */
const identity = v.pipe(v.string(), v.regex(IDENTITY));
const ifName = v.pipe(v.string(), v.check(isInterfaceName, "must be the name of an interface"));
const claim = v.object({ namespace: identity, name: identity, uid: identity });
const plugin = v.looseObject({
  type: v.pipe(text, v.regex(/^[^/\0]+$/), v.notValue("."), v.notValue("..")),
});
const range = v.pipe(v.string(), v.check(isRange, "must be an IP address, FIRST-LAST or a CIDR"));
const addresses = v.looseObject({
  pools: v.pipe(
    v.array(v.looseObject({
      subnet: v.pipe(v.string(), v.check(isSubnet, "must be a CIDR")),
      ranges: v.optional(v.array(range)),
      exclude: v.optional(v.array(range)),
      gateway: v.optional(range),
    })),
    v.minLength(1),
  ),
  routes: v.optional(v.array(v.looseObject({ dst: text }))),
  dns: v.optional(v.looseObject({})),
  reserved: v.optional(v.array(v.looseObject({ address: range, namespace: identity }))),
  keepFor: v.optional(text),
});
const attachment = v.object({
  request: text,
  pool: text,
  device: text,
  shareID: v.optional(text),
  ifName,
  ifNameGiven: v.boolean(),
  network: v.looseObject({
    cniVersion: text,
    name: text,
    plugins: v.pipe(v.array(plugin), v.minLength(1)),
    addresses: v.optional(addresses),
  }),
  capabilityArgs: v.record(v.string(), v.unknown()),
  origin: v.optional(v.object({
    from: v.picklist(["class", "claim"]),
    path: text,
    form: v.picklist(["list", "single", "name"]),
    definition: v.optional(text),
  })),
});
const claimRecord = v.object({
  version: v.literal(RECORD_VERSION),
  claim,
  pods: v.array(v.object({ name: identity, uid: identity })),
  groups: v.optional(v.array(identity)),
  unprepared: v.optional(v.literal(true)),
  shareable: v.boolean(),
  podClaimName: v.optional(v.pipe(v.string(), v.regex(LABEL))),
  attachments: v.array(attachment),
});
const sandbox = v.object({
  id: identity,
  pod: v.object({ namespace: identity, name: identity, uid: identity }),
  netns: v.optional(text),
});
const attachmentRecord = v.object({
  version: v.literal(RECORD_VERSION),
  claim,
  sandbox,
  attachment,
  attached: v.optional(v.object({
    result: v.looseObject({ cniVersion: text }),
    networkData: v.object({
      interfaceName: v.optional(v.string()),
      hardwareAddress: v.optional(v.string()),
      ips: v.optional(v.array(v.string())),
    }),
    at: text,
    checked: v.optional(v.literal(true)),
    index: v.optional(v.number()),
  })),
  add: v.optional(v.picklist(["pending", "started"])),
  repair: v.optional(v.literal(true)),
  addFailed: v.optional(v.literal(true)),
  foreign: v.optional(v.literal(true)),
  lost: v.optional(v.object({
    reason: v.picklist(["NetworkInterfaceLost", "DeviceRemoved"]),
    message: v.string(),
    since: text,
  })),
});

function isInterfaceName(name: string): boolean {
  try {
    return parseInterfaceName(name, "") === name;
  } catch {
    return false;
  }
}

/** Throws an Error that names the path of what is wrong. */
export function parseClaimRecord(json: unknown): ClaimRecord {
  const { version: _, ...record } = parse(claimRecord, migrated(json, "claim"));
  return record as ClaimRecord;
}

/** Throws an Error that names the path of what is wrong. */
export function parseAttachmentRecord(json: unknown): AttachmentRecord {
  const { version: _, ...record } = parse(attachmentRecord, migrated(json, "attachment"));
  return record as AttachmentRecord;
}

/** Throws an Error that names the path of what is wrong. */
export function parseSandbox(json: unknown): Sandbox {
  return parse(sandbox, json) as Sandbox;
}

function parse<S extends v.GenericSchema>(schema: S, json: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw new Error(`${v.getDotPath(issue) ?? "the record"}: ${issue.message}`);
}

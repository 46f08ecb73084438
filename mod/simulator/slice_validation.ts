import { LABEL } from "../claim/field.ts";
import type { StoredDevice, StoredSlice } from "./stored_slice.ts";

const IDENTIFIER = /^([a-z0-9.-]+\/)?[A-Za-z_][A-Za-z0-9_]{0,31}$/;

/** Whether `generateName` is a DNS name, apart from dashes at its end. */
export function isNamePrefix(prefix: string): boolean {
  return prefix.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?-*$/.test(prefix);
}

/** The parts of the API server's validation of ResourceSlices that a driver can violate. */
export function validateSlice({ devices = [] }: StoredSlice["spec"]): string[] {
  const tainted = devices.some(({ taints }) => taints?.length);
  const most = tainted ? 64 : 128;
  const problems = devices.length > most
    ? [`spec.devices: Too many: ${devices.length}: must have at most ${most} items`]
    : [];
  const names = new Set<string>();
  for (const [i, device] of devices.entries()) {
    const path = `spec.devices[${i}]`;
    if (names.has(device.name)) problems.push(`${path}.name: Duplicate value: "${device.name}"`);
    names.add(device.name);
    problems.push(...validateDevice(device, path));
  }
  return problems;
}

function validateDevice({ name, attributes = {}, capacity = {} }: StoredDevice, path: string) {
  const problems: string[] = [];
  if (!LABEL.test(name)) problems.push(`${path}.name: Invalid value: "${name}"`);
  const keys = [...Object.keys(attributes as object), ...Object.keys(capacity)];
  if (keys.length > 32) {
    problems.push(`${path}: Invalid value: ${keys.length}: at most 32 attributes and capacities`);
  }
  for (const key of keys.filter((key) => !IDENTIFIER.test(key))) {
    problems.push(`${path}.attributes: Invalid value: "${key}": a valid C identifier`);
  }
  for (const [key, value] of Object.entries(attributes as Record<string, { string?: string }>)) {
    const bytes = new TextEncoder().encode(value.string ?? "").length;
    if (bytes > 64) problems.push(`${path}.attributes[${key}].string: Too long`);
  }
  return problems;
}

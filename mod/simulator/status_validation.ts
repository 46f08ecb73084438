import ipaddr from "ipaddr.js";

type Fields = Record<string, unknown>;

/** The errors of the API server's validation of `status.devices` (resource.k8s.io/v1); empty if it is valid. */
export function validateDeviceStatuses(devices: unknown, allocation: unknown): string[] {
  if (!Array.isArray(devices)) return ["status.devices: must be a list"];
  const results = list(fields(fields(allocation).devices).results).map(fields);
  const seen = new Set<string>();
  return devices.flatMap((item, i) => {
    const device = fields(item);
    const at = `status.devices[${i}]`;
    const key = deviceKey(device);
    const problems: string[] = [];
    if (seen.has(key)) problems.push(`${at}: Duplicate value: ${key}`);
    seen.add(key);
    if (!results.some((result) => deviceKey(result) === key)) {
      problems.push(`${at}: Invalid value: ${key}: must be an allocated device in the claim`);
    }
    problems.push(...conditions(device.conditions, `${at}.conditions`));
    problems.push(...data(device.data, `${at}.data`));
    problems.push(...networkData(device.networkData, `${at}.networkData`));
    return problems;
  });
}

/** The keys of the list map: driver, device, pool, shareID. */
export function deviceKey({ driver, pool, device, shareID }: Fields): string {
  return JSON.stringify([driver, pool, device, shareID ?? null]);
}

function conditions(value: unknown, at: string): string[] {
  if (value === undefined || value === null) return [];
  const problems: string[] = [];
  const all = list(value).map(fields);
  if (all.length > 8) problems.push(`${at}: Too many: ${all.length}: must have at most 8 items`);
  const types = new Set<unknown>();
  all.forEach((condition, i) => {
    const path = `${at}[${i}]`;
    if (types.has(condition.type)) problems.push(`${path}.type: Duplicate value`);
    types.add(condition.type);
    if (typeof condition.type !== "string" || condition.type === "") {
      problems.push(`${path}.type: Required value`);
    }
    if (!["True", "False", "Unknown"].includes(condition.status as string)) {
      problems.push(`${path}.status: Unsupported value: ${JSON.stringify(condition.status)}`);
    }
    if (!/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/.test(String(condition.reason ?? ""))) {
      problems.push(`${path}.reason: Invalid value: ${JSON.stringify(condition.reason)}`);
    }
    if (typeof condition.message !== "string") problems.push(`${path}.message: Required value`);
    else if (condition.message.length > 32768) problems.push(`${path}.message: Too long`);
    if (Number.isNaN(Date.parse(String(condition.lastTransitionTime)))) {
      problems.push(`${path}.lastTransitionTime: Required value`);
    }
  });
  return problems;
}

function data(value: unknown, at: string): string[] {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object" || Array.isArray(value)) {
    return [`${at}: Invalid value: must be a JSON object`];
  }
  // Its length is that of Go's encoding/json, which escapes these characters.
  const json = JSON.stringify(value).replaceAll(/[<>&\u2028\u2029]/g, "\\u0000");
  const size = new TextEncoder().encode(json).length;
  return size > 10 * 1024 ? [`${at}: Too long: must have at most 10240 bytes`] : [];
}

function networkData(value: unknown, at: string): string[] {
  if (value === undefined || value === null) return [];
  const { interfaceName, hardwareAddress, ips } = fields(value);
  const problems: string[] = [];
  const bytes = (text: unknown) => new TextEncoder().encode(String(text ?? "")).length;
  if (bytes(interfaceName) > 256) {
    problems.push(`${at}.interfaceName: Too long: may not be more than 256 bytes`);
  }
  if (bytes(hardwareAddress) > 128) {
    problems.push(`${at}.hardwareAddress: Too long: may not be more than 128 bytes`);
  }
  const all = list(ips);
  if (all.length > 16) {
    problems.push(`${at}.ips: Too many: ${all.length}: must have at most 16 items`);
  }
  all.forEach((ip, i) => {
    if (all.indexOf(ip) < i) problems.push(`${at}.ips[${i}]: Duplicate value: ${ip}`);
    if (!isCanonicalCidr(ip)) {
      problems.push(
        `${at}.ips[${i}]: Invalid value: ${JSON.stringify(ip)}: must be in canonical form`,
      );
    }
  });
  return problems;
}

/** Host bits may be set. IPv6 must be compressed, in lower case, and not an IPv4-mapped address. */
function isCanonicalCidr(value: unknown): boolean {
  const [, text = "", prefix = ""] = String(value).match(/^([^/]+)\/(0|[1-9][0-9]*)$/) ?? [];
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    return Number(prefix) <= 32 && ipaddr.IPv4.parse(text).toString() === text;
  }
  if (!ipaddr.IPv6.isValid(text)) return false;
  const address = ipaddr.IPv6.parse(text);
  return Number(prefix) <= 128 && !address.isIPv4MappedAddress() &&
    address.toRFC5952String() === text;
}

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? value as Fields : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

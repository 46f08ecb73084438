import { LABEL } from "../claim/field.ts";

/** How the text of a flag or setting becomes its value. */
export interface Parse<T> {
  /** @throws Error that says what the text must be */
  (text: string): T;
  /** All values, if there are few. */
  readonly choices?: readonly string[];
}

/** A DNS name (KEP-3063). CDI also uses it as a vendor, which must begin with a letter. */
export const driverName: Parse<string> = (text) => {
  const label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
  const name = new RegExp(`^(?=[a-z])${label}(\\.${label})*$`);
  if (name.test(text) && text.length <= 63) return text;
  throw new Error(
    "a DNS name in lower case of at most 63 characters that begins with a letter, such as " +
      "dra.networking",
  );
};

export const pluginName: Parse<string> = (text) => {
  if (/^[A-Za-z0-9_.+-]+$/.test(text)) return text;
  throw new Error('a name of letters, digits, "_", ".", "+" and "-"');
};

export const pluginIndex: Parse<string> = (text) => {
  if (/^[0-9]{2}$/.test(text)) return text;
  throw new Error("two digits, 00 to 99");
};

export const name: Parse<string> = (text) => {
  if (text !== "") return text;
  throw new Error("a name that is not empty");
};

/** The name of an object: a DNS subdomain. */
export const objectName: Parse<string> = (text) => {
  if (OBJECT_NAME.test(text)) return text;
  throw new Error("a name of lower-case letters, digits, - and ., such as network-dra-webhook");
};

const OBJECT_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** The namespace and the name of an object. */
export const namespacedName: Parse<{ readonly namespace: string; readonly name: string }> = (
  text,
) => {
  const [namespace = "", name = "", ...more] = text.split("/");
  if (LABEL.test(namespace) && OBJECT_NAME.test(name) && more.length === 0) {
    return { namespace, name };
  }
  throw new Error("NAMESPACE/NAME of an object, such as kube-system/network-dra-webhook-tls");
};

/** A DNS label, as namespaces have them. */
export const namespace: Parse<string> = (text) => {
  if (LABEL.test(text)) return text;
  throw new Error("the name of a namespace");
};

export const podUid: Parse<string> = (text) => {
  if (/^[0-9a-f-]{32,36}$/.test(text)) return text;
  throw new Error("a pod's UID, such as 4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55");
};

/** A path of a file that is read once, which need not be absolute. */
export const filePath: Parse<string> = (text) => {
  if (text !== "" && !text.includes("\0")) return text;
  throw new Error("the path of a file");
};

/** A folder to write. A word that formats are called by is one that was meant for another flag. */
export const newFolder: Parse<string> = (text) => {
  const isFormat = ["json", "yaml", "text"].includes(text);
  if (text !== "" && !text.includes("\0") && !isFormat) return text;
  throw new Error("the path of a folder (the format of the report is -o, as in -o json)");
};

function isAbsolute(path: string): boolean {
  return path.startsWith("/") && !path.includes("\0");
}

export const absolutePath: Parse<string> = (text) => {
  if (isAbsolute(text)) return text;
  throw new Error("an absolute path");
};

export const absolutePathOrEmpty: Parse<string> = (text) => text === "" ? "" : absolutePath(text);

/** A root folder other than this process's own. */
export const otherRootOrEmpty: Parse<string> = (text) => {
  if (text === "" || /^(\/[^/\0]+)+$/.test(text) && !/\/\.{1,2}(\/|$)/.test(text)) return text;
  throw new Error("an absolute path such as /host, without . and .., or empty");
};

/** Host and port; null if the text is empty. */
export const listenAddress: Parse<{ readonly hostname: string; readonly port: number } | null> = (
  text,
) => {
  if (text === "") return null;
  const match = text.match(/^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]*)):([0-9]{1,5})$/);
  const port = Number(match?.[3] ?? NaN);
  // As in ":9177": on all addresses.
  if (port <= 65_535) return { hostname: match?.[1] ?? (match?.[2] || "::"), port };
  throw new Error("HOST:PORT, such as 127.0.0.1:9177, [::1]:9177 or :9177, or empty");
};

/** Host and port. */
export const listenAddressGiven: Parse<{ readonly hostname: string; readonly port: number }> = (
  text,
) => {
  const address = listenAddress(text);
  if (address) return address;
  throw new Error("HOST:PORT, such as 0.0.0.0:9443 or [::]:9443");
};

/** The address of an HTTP server without a path. */
export const collectorOrEmpty: Parse<string> = (text) => {
  if (text === "") return "";
  const url = URL.parse(text);
  const isPlain = url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`;
  if (isPlain) return url.origin;
  throw new Error(
    "an http or https address without a path, such as http://10.0.0.5:4318, or empty",
  );
};

export const socketPath: Parse<string> = (text) => {
  if (isAbsolute(text) && new TextEncoder().encode(text).length <= 107) return text;
  throw new Error("an absolute path of at most 107 bytes");
};

export const searchPath: Parse<readonly string[]> = (text) => {
  const folders = text.split(":");
  if (folders.every(isAbsolute)) return folders;
  throw new Error("absolute paths separated by colons");
};

export function wholeNumber(
  { least, most }: { readonly least: number; readonly most: number },
): Parse<number> {
  return (text) => {
    const number = Number(text);
    if (/^[0-9]+$/.test(text) && number >= least && number <= most) return number;
    throw new Error(`a whole number from ${least} to ${most}`);
  };
}

/** Milliseconds. */
export const duration: Parse<number> = (text) => {
  const [, number = "", unit = ""] = text.match(/^([0-9]+(?:\.[0-9]+)?)(ms|s|m)$/) ?? [];
  const ms = Number(number) * ({ ms: 1, s: 1000, m: 60_000 }[unit] ?? NaN);
  if (ms >= 1 && ms <= 3_600_000) return ms;
  throw new Error("a time from 1ms to 60m, such as 500ms, 30s or 2m");
};

/** Milliseconds, of something that may be long ago. */
export const age: Parse<number> = (text) => {
  const [, number = "", unit = ""] = text.match(/^([0-9]+)([smhd])$/) ?? [];
  const ms = Number(number) * ({ s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit] ?? NaN);
  if (ms >= 1000 && ms <= 365 * 86_400_000) return ms;
  throw new Error("a time from 1s to 365d, such as 30m, 1h or 2d");
};

/** Milliseconds, or 0. */
export const durationOrZero: Parse<number> = (text) => {
  if (/^0(ms|s|m)?$/.test(text)) return 0;
  try {
    return duration(text);
  } catch (error) {
    throw new Error(`${(error as Error).message}, or 0`);
  }
};

export const yesOrNo: Parse<boolean> = Object.assign((text: string) => {
  if (text === "true" || text === "false") return text === "true";
  throw new Error("true or false");
}, { choices: ["true", "false"] });

/** Network names that CNI accepts. */
export const networkNames: Parse<readonly string[]> = (text) => {
  const names = text === "" ? [] : text.split(",").map((name) => name.trim());
  if (names.every((name) => /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))) return names;
  throw new Error("names of networks separated by commas");
};

export function oneOf<const T extends string>(...values: readonly T[]): Parse<T> {
  return Object.assign((text: string) => {
    const found = values.find((value) => value === text);
    if (found !== undefined) return found;
    throw new Error(`one of ${values.join(", ")}`);
  }, { choices: values });
}

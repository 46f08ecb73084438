/** What is left out of every archive, redacted or not: credentials, wherever they stand. */

/** What stands in for a secret. */
export const LEFT_OUT = "(left out)";

const WORD = "token|secret|passw(?:or)?d|passphrase|pre-?shared-?key|psk|credentials?|" +
  "(?:private|api|access|account|shared|signing|encryption|ssh)[-_]?key|session[-_]?(?:id|key)|" +
  "client-key(?:-data)?|authorization|cookie|" +
  // Short ones are parts of other words.
  "(?<![a-z])(?:auth|pass|pwd|sig|signature)(?![a-z])|(?-i:(?<=[a-z])(?:Pass|Pwd)(?![a-z]))";
const SECRET_NAME = new RegExp(WORD, "i");
const SECRET_FLAG = new RegExp(`^--?[\\w-]*(?:${WORD})[\\w-]*$`, "i");
const NAMED = `[\\w.-]{0,64}(?:${WORD})[\\w.-]{0,64}`;

/** A name, perhaps in quotes, and what stands between it and its value. */
const KEY = `(?:${WORD})[\\w.-]{0,64}\\\\{0,7}["']?\\s{0,8}(?:[:=]|%3[ad])\\s{0,8}`;

/** Texts that are secrets by how they look, and those that a name before them says to be one. */
const REPLACEMENTS: readonly (readonly [what: RegExp, by: string])[] = [
  // A key in PEM with all that stands in it, then one without an end, and the end of one whose begin
  // was cut off.
  [
    /-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?:(?!-----BEGIN)[^]){0,16384}?-----END [A-Z ]*-----/g,
    LEFT_OUT,
  ],
  [/-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\]*/g, LEFT_OUT],
  [/^[A-Za-z0-9+/=\s\\]*-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----/, LEFT_OUT],
  // "-----BEGIN" in base64, as Secrets and kubeconfigs hold keys.
  [/LS0tLS1CRUdJTi[A-Za-z0-9+/=]*/g, LEFT_OUT],
  // A header to the end of its line or of its quotes, and the scheme anywhere.
  [
    /\b((?:proxy-)?authorization|(?:set-)?cookie)(\\?["']?\s*[:=]\s*\\?["']?)[^\r\n"'\\]+/gi,
    `$1$2${LEFT_OUT}`,
  ],
  [/\b(Bearer)\s+[\w.~+/-]+=*/gi, `$1 ${LEFT_OUT}`],
  [/\b(Basic)\s+(?=[A-Za-z+/]*[0-9=])[A-Za-z0-9+/]{8,}=*/gi, `$1 ${LEFT_OUT}`],
  // JSON Web Tokens; tokens of OpenShift, of bootstrapping, of well-known services.
  [/\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?/g, LEFT_OUT],
  [/\bsha256~[\w-]{20,}/g, LEFT_OUT],
  [/\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g, LEFT_OUT],
  [/\b(?:A[KS]IA[A-Z0-9]{16}|gh[oprsu]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,})/g, LEFT_OUT],
  [/\b(?:xox[a-z]-[\w-]{10,}|AIza[\w-]{35}|hv[bsr]\.[\w-]{20,}|npm_\w{30,})/g, LEFT_OUT],
  [/\b(?:[rs]k_(?:live|test)_\w{16,}|SG\.[\w-]{16,}\.[\w-]{16,}|dop_v1_\w{20,})/g, LEFT_OUT],
  // https://user:password@host, where a password may have a "/"; https://token@host.
  [
    /(\b\w+:\/\/)(?:[^\s/@:"'<>[]{0,256}:(?!\d{1,5}(?:[/?#,;]|$))[^\s"'<>]{0,1024}|[^\s/@:?#"'<>[]{1,1024})@/g,
    `$1${LEFT_OUT}@`,
  ],
  // curl -u user:password
  [/(\s(?:-u|--user)[\s=]+)[^\s:"']+:[^\s"']+/g, `$1${LEFT_OUT}`],
  // <password>…</password>
  [new RegExp(`(<[\\w:.-]{0,64}(?:${WORD})[\\w.-]{0,64}>)[^<]+`, "gi"), `$1${LEFT_OUT}`],
  // token "…", but not secret "…", which is the name of an object.
  [
    /((?<![\w-])(?:token|passw(?:or)?d|passphrase)\s{1,8}(\\{0,7}["']))(?:(?!\2)[^\r\n])+/gi,
    `$1${LEFT_OUT}`,
  ],
  // A flag and its value.
  [new RegExp(`(--?[\\w-]{0,64}(?:${WORD})[\\w-]{0,64} )[^\\s"']+`, "gi"), `$1${LEFT_OUT}`],
  // A YAML block, also in a list; then a value on the same line.
  [yamlBlock("", "[ \\t]+"), `$1$2${LEFT_OUT}\n`],
  [yamlBlock("- ", "[ \\t]{3,}"), `$1- $2${LEFT_OUT}\n`],
  // A YAML list.
  [
    new RegExp(
      `^([ \\t]*(?:- )?["']?${NAMED}["']?[ \\t]*:)[ \\t]*\\n(?:[ \\t]*- .*(?:\\n|$))+`,
      "gim",
    ),
    `$1 ${LEFT_OUT}\n`,
  ],
  // A list or an object of JSON.
  [new RegExp(`(${KEY})(?:\\[[^\\]]*\\]?|\\{[^}]*\\}?)`, "gi"), `$1${LEFT_OUT}`],
  // In quotes, which stay, also where they are escaped, and without.
  [new RegExp(`(${KEY}(\\\\{1,7}"))(?:(?!\\2)[^\\r\\n])*`, "gi"), `$1${LEFT_OUT}`],
  [new RegExp(`(${KEY}")(?:[^"\\\\]|\\\\.)*`, "gi"), `$1${LEFT_OUT}`],
  [new RegExp(`(${KEY}')[^']*`, "gi"), `$1${LEFT_OUT}`],
  // To what begins another value: "token=abc,mtu=1500".
  [
    new RegExp(
      `(${KEY})(?!\\(left out\\))[^\\s,;}&"'\\\\]` +
        `(?:[^\\s,;}&"'\\\\]|[,;&](?![\\w.-]{1,64}[:=])(?=[^\\s"']))*`,
      "gi",
    ),
    `$1${LEFT_OUT}`,
  ],
];

/** What may be text in base64, of the usual or the URL's alphabet. */
const BASE64 = /(?<![\w+/-])[\w+/-]{24,}={0,2}/g;

/** @param before what stands before the name; @param deeper how much deeper the block's lines begin */
function yamlBlock(before: string, deeper: string): RegExp {
  const head = `^([ \\t]*)${before}(["']?${NAMED}["']?[ \\t]*:[ \\t]*)[|>][-+0-9]*[ \\t]*\\n`;
  return new RegExp(`${head}(?:\\1${deeper}.*(?:\\n|$)|[ \\t]*\\n)*`, "gim");
}

/**
 * A text without the secrets in it. They are found by their form (PEM keys, bearer tokens, JSON Web
 * Tokens, users and passwords of URLs) and by the names before them (`password: …`).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { textWithoutSecrets } from "./secrets.ts";
 *
 * assert.equal(textWithoutSecrets("token=abc, mtu=1500"), "token=(left out), mtu=1500");
 * ```
 */
export function textWithoutSecrets(text: string): string {
  const clean = REPLACEMENTS.reduce((rest, [what, by]) => rest.replace(what, by), text);
  return clean.replace(BASE64, (encoded) => {
    const decoded = textInBase64(encoded);
    return decoded === undefined || textWithoutSecrets(decoded) === decoded ? encoded : LEFT_OUT;
  });
}

/** Undefined for what is not text in base64; an end that was cut off may be missing. */
function textInBase64(encoded: string): string | undefined {
  const plain = encoded.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "");
  const decoded = atob(plain.slice(0, plain.length - plain.length % 4));
  return /^[\t\n\r\x20-\x7e]+$/.test(decoded) ? decoded : undefined;
}

/** Keys of objects that are left out wherever they stand, with all that is in them. */
const LEFT_OUT_KEYS: readonly string[] = [
  "managedFields",
  "kubectl.kubernetes.io/last-applied-configuration",
];

/** Fields that say where a secret is, and not what it is. */
const REFERENCE_KEYS: readonly string[] = ["name", "namespace", "key", "path"];

/**
 * A JSON value without secrets: also without fields whose names say that they hold one, values of
 * environment variables of such names, and arguments that follow such flags.
 */
export function withoutSecrets(value: unknown): unknown {
  if (typeof value === "string") return textWithoutSecrets(value);
  if (Array.isArray(value)) {
    return value.map((each, i) =>
      typeof each === "string" && SECRET_FLAG.test(String(value[i - 1]))
        ? LEFT_OUT
        : withoutSecrets(each)
    );
  }
  if (typeof value !== "object" || value === null) return value;
  const { name, key: alias } = value as { readonly name?: unknown; readonly key?: unknown };
  const isSecretVariable = [name, alias].some((each) =>
    typeof each === "string" && SECRET_NAME.test(each)
  );
  const kept = Object.entries(value).filter(([key]) => !LEFT_OUT_KEYS.includes(key));
  return Object.fromEntries(kept.map(([key, each]) => {
    const isSecret = SECRET_NAME.test(key) || key === "value" && isSecretVariable;
    return [textWithoutSecrets(key), isSecret ? leftOut(each) : withoutSecrets(each)];
  }));
}

/** What a secret's field holds: nothing of it stays but references to objects, and what is on or off. */
function leftOut(value: unknown): unknown {
  if (typeof value === "string" || typeof value === "number") return LEFT_OUT;
  if (Array.isArray(value)) return value.map(leftOut);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      textWithoutSecrets(key),
      REFERENCE_KEYS.includes(key) ? withoutSecrets(each) : leftOut(each),
    ]),
  );
}

/**
 * What YAML takes of a JSON value: server-side apply reads its body as YAML, and refuses the whole of
 * it for one delete or C1 control character, half of a surrogate pair, or U+FFFE and U+FFFF. Each of
 * them is shown as U+FFFD.
 */
export function yamlSafe<T>(value: T): T {
  const json = JSON.stringify(value)
    .replaceAll(
      /\\(u[dD][89a-fA-F][0-9a-fA-F]{2}|.)/g,
      (escape, what: string) => what.length > 1 ? "\ufffd" : escape,
    )
    .replaceAll(/[\x7f-\x9f\ufffe\uffff]/g, "\ufffd");
  return JSON.parse(json);
}

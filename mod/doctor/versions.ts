/** A version, as far as it is compared. */
export type Version = readonly [major: number, minor: number];

/** Reads `v1.36.2`, `1.36` or `2.0.5-k3s1`; undefined for what is none. */
export function versionOf(text: string): Version | undefined {
  const [, major, minor] = text.match(/^v?(\d+)\.(\d+)/) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor)];
}

/** The minor version of Kubernetes, such as 36; undefined for what is no version 1. */
export function minorOf(text: string): number | undefined {
  const version = versionOf(text);
  return version?.[0] === 1 ? version[1] : undefined;
}

/** Below zero where the first is the older one. */
export function compareVersions(one: Version, other: Version): number {
  return one[0] - other[0] || one[1] - other[1];
}

const NUMBER = "(0|[1-9][0-9]*)";
const PATTERN = new RegExp(
  `^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-([0-9A-Za-z.-]+))?(?:\\+([0-9A-Za-z.-]+))?$`,
);

/** A semantic version (semver.org, 2.0.0). */
export class Semver {
  readonly major: bigint;
  readonly minor: bigint;
  readonly patch: bigint;
  readonly prerelease: readonly string[];

  private constructor(numbers: readonly string[], prerelease: readonly string[]) {
    const [major = "0", minor = "0", patch = "0"] = numbers;
    this.major = BigInt(major);
    this.minor = BigInt(minor);
    this.patch = BigInt(patch);
    this.prerelease = prerelease;
  }

  /** @throws Error for text that is not a version */
  static parse(text: string): Semver {
    const match = text.match(PATTERN);
    const [, major, minor, patch, prerelease, build] = match ?? [];
    const parts = prerelease?.split(".") ?? [];
    const wellFormed = match &&
      [...parts, ...build?.split(".") ?? []].every((part) => part !== "") &&
      parts.every((part) => !/^0[0-9]+$/.test(part));
    if (!wellFormed) throw new Error(`invalid semantic version ${JSON.stringify(text)}`);
    return new Semver([major!, minor!, patch!], parts);
  }

  /** As {@link parse}; a leading "v", leading zeros and missing numbers are accepted. */
  static parseNormalized(text: string): Semver {
    const parts = splitInThree(text.replace(/^v/, "")).map((part) => {
      if (part.length < 2) return part;
      const rest = part.replace(/^0+/, "");
      return /^[0-9]/.test(rest) ? rest : `0${rest}`;
    });
    if (parts.length < 3) {
      if (/[+-]/.test(parts.at(-1)!)) throw new Error("a short version must not have a suffix");
      while (parts.length < 3) parts.push("0");
    }
    return Semver.parse(parts.join("."));
  }

  compareTo(other: Semver): number {
    for (const key of ["major", "minor", "patch"] as const) {
      if (this[key] !== other[key]) return this[key] < other[key] ? -1 : 1;
    }
    return comparePrerelease(this.prerelease, other.prerelease);
  }
}

function splitInThree(text: string): string[] {
  const [major = "", minor, ...rest] = text.split(".");
  return [major, ...minor === undefined ? [] : [minor], ...rest.length ? [rest.join(".")] : []];
}

/** A version without a prerelease is newer than those with one. */
function comparePrerelease(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return Math.sign(b.length - a.length);
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [left, right] = [a[i], b[i]];
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    if (left === right) continue;
    const numbers = [left, right].map((part) => /^[0-9]+$/.test(part));
    if (numbers[0] && numbers[1]) return BigInt(left) < BigInt(right) ? -1 : 1;
    if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return 0;
}

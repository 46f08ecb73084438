/** In billionths, the finest unit that Kubernetes keeps. */
const NANO = 1_000_000_000n;

const DECIMAL: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

const INT64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n };

/** A Kubernetes quantity such as `256`, `1500m`, `10Gi` or `1e3`, exact to a billionth. */
export class Quantity {
  /** In billionths. */
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }

  /** @throws Error for text that is not a quantity */
  static parse(text: string): Quantity {
    const match = text.match(
      /^([+-]?)(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?$/,
    );
    if (!match) throw new Error(`quantities must match the regular expression: ${text}`);
    const [, sign, number = "", exponent, suffix = ""] = match;
    const [whole = "", fraction = ""] = number.split(".");
    const digits = BigInt(whole + fraction || "0");
    const binary = BINARY.indexOf(suffix);
    const power = (exponent ? Number(exponent.slice(1)) : DECIMAL[suffix] ?? 0) - fraction.length;
    if (Math.abs(power) > 1_000) throw new Error(`the exponent is out of range: ${text}`);
    const factor = binary < 0 ? 1n : 1024n ** BigInt(binary + 1);
    const nanos = scaled(digits * factor * NANO, power);
    return new Quantity(sign === "-" ? -nanos : nanos);
  }

  compareTo({ nanos }: Quantity): number {
    return this.nanos < nanos ? -1 : this.nanos > nanos ? 1 : 0;
  }

  /** Undefined if it is not a whole number of 64 bits. */
  toInteger(): bigint | undefined {
    const whole = this.nanos / NANO;
    const fits = this.nanos % NANO === 0n && whole >= INT64.least && whole <= INT64.most;
    return fits ? whole : undefined;
  }

  toNumber(): number {
    return Number(this.nanos) / Number(NANO);
  }
}

/** Multiplies by a power of ten; rounds up below a billionth, as Kubernetes does. */
function scaled(number: bigint, power: number): bigint {
  if (power >= 0) return number * 10n ** BigInt(power);
  const divisor = 10n ** BigInt(-power);
  return (number + divisor - 1n) / divisor;
}

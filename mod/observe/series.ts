import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** A metric whose series differ in one label, whose values are known. */
export interface MetricOptions<V extends string> {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  readonly values: readonly V[];
  readonly registers: Registry[];
}

/** What counts one up, by value. Every series is there from the start, at zero. */
export function counters<const V extends string>(
  { name, help, label, values, registers }: MetricOptions<V>,
): Record<V, () => void> {
  const counter = new Counter({ name, help, labelNames: [label], registers });
  return byValue(values, (value) => {
    const series = counter.labels({ [label]: value });
    series.inc(0);
    return () => series.inc();
  });
}

/** What sets a gauge, by value. Every series is there from the start, at zero. */
export function gauges<const V extends string>(
  { name, help, label, values, registers }: MetricOptions<V>,
): Record<V, (number: number) => void> {
  const gauge = new Gauge({ name, help, labelNames: [label], registers });
  return byValue(values, (value) => {
    const series = gauge.labels({ [label]: value });
    series.set(0);
    return (number) => series.set(number);
  });
}

/** What takes up a duration, by value. Every series is there from the start, at zero. */
export function durations<const V extends string>(
  { name, help, label, values, buckets, registers }: MetricOptions<V> & {
    /** Seconds. */
    readonly buckets: readonly number[];
  },
): Record<V, (seconds: number) => void> {
  const labelNames = [label];
  const histogram = new Histogram({ name, help, labelNames, buckets: [...buckets], registers });
  return byValue(values, (value) => {
    histogram.zero({ [label]: value });
    const series = histogram.labels({ [label]: value });
    return (seconds) => series.observe(seconds);
  });
}

function byValue<V extends string, T>(values: readonly V[], make: (value: V) => T): Record<V, T> {
  return Object.fromEntries(values.map((value) => [value, make(value)])) as Record<V, T>;
}

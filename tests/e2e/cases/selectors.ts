/** Device selectors as the API server and the scheduler take them: what `try` and `lint` say must be the same. */
import assert from "node:assert/strict";
import { SELECTOR_CASES, SELECTOR_DEVICES } from "../../support/selector_cases.ts";
import { ApiError, type Json, type Manifest } from "../api.ts";
import { claimWith, deviceClass } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

const CLASS = "selectors";
/** A node without a kubelet: its pods are scheduled, and nothing more. */
const NODE = "selectors";
/** Of each outcome, as many expressions are scheduled. */
const SCHEDULED = 4;

function claimOf(name: string, expression: string): Manifest {
  const exactly = {
    deviceClassName: CLASS,
    allocationMode: "All",
    selectors: [{ cel: { expression } }],
  };
  return claimWith(name, { devices: { requests: [{ name: "all", exactly }] } });
}

function podOf(name: string, claim: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      tolerations: [{ operator: "Exists" }],
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "main", image: "busybox", resources: { claims: [{ name: "all" }] } }],
      resourceClaims: [{ name: "all", resourceClaimName: claim }],
    },
  };
}

export const SELECTORS: Readonly<Record<string, Case>> = {
  "selectors are refused or taken by the API server as by try": async (space) => {
    const { api } = space.cluster;
    const path = `/apis/resource.k8s.io/v1/namespaces/${space.namespace}/resourceclaims?dryRun=All`;
    const wrong: string[] = [];
    for (const [expected, expressions] of Object.entries(SELECTOR_CASES)) {
      for (const expression of expressions) {
        const said = await api.request("POST", path, claimOf("one", expression)).then(
          () => "taken",
          (error: unknown) => {
            assert.ok(error instanceof ApiError, String(error));
            return error.message;
          },
        );
        const isRight = expected === "refused"
          ? /spec\.devices\.requests\[0\]\.exactly\.selectors\[0\]\.cel\.expression: Invalid/.test(
            said,
          )
          : said === "taken";
        if (!isRight) wrong.push(`${expression} (${expected}): ${said}`);
      }
    }
    assert.deepEqual(wrong, []);
  },

  "selectors are evaluated by the scheduler as by try": async (space) => {
    await withDevices(space, async () => {
      const expression = 'device.driver.endsWith(".selectors")';
      const cases = Object.entries(SELECTOR_CASES).filter(([expected]) => expected !== "refused")
        .flatMap(([expected, expressions]) =>
          expressions.slice(0, SCHEDULED).map((each) => ({ expected, expression: each }))
        );
      await space.apply(
        deviceClass({ name: CLASS, expression }),
        ...cases.flatMap(({ expression }, i) => [
          claimOf(`c${i}`, expression),
          podOf(`p${i}`, `c${i}`),
        ]),
      );
      try {
        const wrong: string[] = [];
        for (const [i, { expected, expression }] of cases.entries()) {
          const found = await outcome(space, i);
          if (found !== wanted(expected)) {
            wrong.push(`${expression}: ${found}, not ${wanted(expected)}`);
          }
        }
        assert.deepEqual(wrong, []);
      } finally {
        // No kubelet ends them.
        for (const i of cases.keys()) await space.delete("Pod", `p${i}`, { graceSeconds: 0 });
      }
    });
  },
};

/** The devices that match, "none", or "error". */
function wanted(expected: string): string {
  if (expected.includes("!")) return "error";
  const names = SELECTOR_DEVICES.filter((_, i) => expected[i] === "+").map(({ name }) => name);
  return names.toSorted().join() || "none";
}

async function outcome(space: Space, i: number): Promise<string> {
  return await until(`pod p${i} is scheduled, or not`, async () => {
    const claim = await space.get("ResourceClaim", `c${i}`);
    const results = claim?.status?.allocation?.devices.results as Json[] | undefined;
    if (results) return results.map(({ device }) => device).toSorted().join();
    const events = (await space.events(`p${i}`)).join("\n");
    if (/FailedScheduling: .*CEL runtime error/.test(events)) return "error";
    return /FailedScheduling: .*cannot allocate all claims/.test(events) ? "none" : undefined;
  });
}

/** With a node that has the devices, in a slice for each driver. */
async function withDevices(space: Space, body: () => Promise<void>): Promise<void> {
  const { api } = space.cluster;
  await api.apply({ apiVersion: "v1", kind: "Node", metadata: { name: NODE } });
  const amounts = { cpu: "8", memory: "8Gi", pods: "200" };
  await api.request(
    "PATCH",
    `/api/v1/nodes/${NODE}/status`,
    { status: { capacity: amounts, allocatable: amounts } },
    "application/merge-patch+json",
  );
  const drivers = [...new Set(SELECTOR_DEVICES.map(({ driver }) => driver))];
  try {
    for (const driver of drivers) {
      const devices = SELECTOR_DEVICES.filter((device) => device.driver === driver)
        .map(({ driver: _, capacity = {}, ...device }) => ({
          ...device,
          capacity: Object.fromEntries(
            Object.entries(capacity).map(([name, { value }]) => [name, {
              value,
              requestPolicy: { default: "1", validRange: { min: "1", step: "1" } },
            }]),
          ),
        }));
      await api.apply({
        apiVersion: "resource.k8s.io/v1",
        kind: "ResourceSlice",
        metadata: { name: driver },
        spec: {
          driver,
          nodeName: NODE,
          pool: { name: NODE, generation: 1, resourceSliceCount: 1 },
          devices,
        },
      });
    }
    await body();
  } finally {
    for (const name of drivers) await api.delete({ kind: "ResourceSlice", name });
    await api.delete({ kind: "Node", name: NODE });
  }
}

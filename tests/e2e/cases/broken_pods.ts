/** What `explain` and `doctor` say of pods whose network is missing, as their user asks them. */
import assert from "node:assert/strict";
import { cli } from "../../support/cli.ts";
import { type Fault, FAULTS } from "../broken_pods.ts";
import type { Case, Space } from "../space.ts";

const STACK_TRACE = /^\s+at .*:\d+:\d+/m;

async function assertNamed(space: Space, { pod, flags = [], ...fault }: Fault): Promise<void> {
  const kubeconfig = ["--kubeconfig", await space.cluster.adminKubeconfig()];
  const asked = [
    [["explain", `pod/${pod}`, "--namespace", space.namespace], fault.explained],
    [["doctor"], fault.diagnosed],
  ] as const;
  for (const [command, expected] of asked) {
    const { code, stdout, stderr } = await cli([...command, ...flags, ...kubeconfig]);
    const said = stdout + stderr;
    assert.notEqual(code, 0, said);
    for (const each of expected) assert.match(said, each);
    assert.doesNotMatch(said, STACK_TRACE);
  }
}

export const BROKEN_PODS: Readonly<Record<string, Case>> = Object.fromEntries(
  FAULTS.map((fault) => [
    `explain and doctor name the fault: ${fault.name}`,
    (space: Space) => fault.during(space, () => assertNamed(space, fault)),
  ]),
);

import assert from "node:assert/strict";
import { ClaimError, planClaim } from "../../../mod/claim/plan.ts";
import { FieldError } from "../../../mod/claim/field.ts";
import { assignInterfaceNames } from "../../../mod/claim/interface_names.ts";
import { PolicyRefusal } from "../../../mod/claim/policy.ts";
import { assertAllowed } from "../../../mod/claim/policy_judge.ts";
import { environment, stdin } from "../../../mod/cni/invocation.ts";
import { RECORD_VERSION } from "../../../mod/journal/record_version.ts";
import { parseClaimRecord } from "../../../mod/journal/records.ts";
import { FakeNode } from "../../support/agent_fakes.ts";
import { DRIVER } from "../agent_bench.ts";
import { jsonCorpus } from "../corpus.ts";
import { type Json, mutateJson } from "../mutate_json.ts";
import { declared, holds, type Target } from "../target.ts";

/** The longest that parameters may be for the API server (resource.k8s.io/v1), as a claim has several. */
const LONGEST = 64 * 1024;

/** ResourceClaims with their opaque parameters, up to what plugins would be given. */
export async function makeClaims(): Promise<Target> {
  const target: Target<Json> = {
    seeds: await jsonCorpus("claims"),
    mutate: mutateJson,
    attempt(claim) {
      const text = JSON.stringify(claim);
      if (text === undefined || text.length > LONGEST) return;
      let plan;
      try {
        plan = planClaim(JSON.parse(text), { driver: DRIVER, interfaceOf });
      } catch (error) {
        declared(error, ClaimError);
        // Below the error that names the claim stands what was wrong, and no slip of the code.
        for (let cause = error.cause; cause !== undefined; cause = (cause as Error).cause) {
          declared(cause, Error, FieldError);
        }
        return;
      }
      let attachments;
      try {
        attachments = assignInterfaceNames(plan, []);
      } catch (error) {
        declared(error, Error);
        return;
      }
      for (const attachment of attachments) {
        const { namespace } = plan.claim;
        try {
          assertAllowed(attachment, { policy: {}, namespace, node: NODE.view(), networkNames: [] });
        } catch (error) {
          declared(error, FieldError, PolicyRefusal);
        }
      }
      const record = JSON.parse(JSON.stringify({ ...plan, attachments }));
      assert.deepEqual(parseClaimRecord({ version: RECORD_VERSION, ...record }), record);
      for (const { ifName, network, capabilityArgs } of attachments) {
        holds(/^[^/:\s\0]{1,15}$/.test(ifName) && ifName !== "." && ifName !== "..", ifName);
        for (const plugin of network.plugins) {
          holds(/^[^/\0]+$/.test(plugin.type) && !/^\.\.?$/.test(plugin.type), plugin.type);
          const of = { claim: plan.claim, pod: plan.claim };
          const runtime = {
            containerID: "c",
            netns: "/n",
            ifName,
            args: [],
            capabilityArgs,
            ...of,
          };
          JSON.stringify(stdin(network, plugin, { runtime }));
          const values = Object.values(environment({ command: "ADD", runtime }));
          holds(values.every((value) => !value.includes("\0")), "a NUL in the environment");
        }
      }
    },
    show: (claim) => JSON.stringify(claim),
  };
  return target as Target;
}

const NODE = new FakeNode();

function interfaceOf(device: string) {
  if (device.includes("eth")) return { device, interfaceName: "eth0", type: "physical" };
  if (device.includes("br")) return { device, interfaceName: "br0", type: "bridge" };
  return { device };
}

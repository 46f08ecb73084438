/** The chart's ValidatingAdmissionPolicies for parameters, held against what the agent says. */
import assert from "node:assert/strict";
import { Environment } from "@marcbachmann/cel-js";
import { parseAllDocuments } from "yaml";
import { parseParameters } from "../../mod/claim/parameters.ts";
import { errorMessage } from "../../mod/async/error_message.ts";
import { type ApiObject, only, readObjects } from "../support/deployment.ts";
import { fetchHelmRender, renderChart } from "../support/helm_render.ts";
import { PARAMETERS_CASES } from "../support/parameters_cases.ts";

const helm = await fetchHelmRender({ progress: (line) => console.error(line) });
const missing = "missing" in helm ? helm.missing : undefined;

interface Policy extends ApiObject {
  readonly spec: {
    readonly variables: readonly { readonly name: string; readonly expression: string }[];
    readonly validations: readonly {
      readonly expression: string;
      readonly messageExpression: string;
    }[];
  };
}

/** Kubernetes' functions that the policies use and cel-js lacks; here `strings` is a variable with one method. */
class Strings {}

/** The policies' variables one after the other, as the API server evaluates them; gives its message. */
function evaluate({ spec }: Policy, object: unknown): string | undefined {
  const variables: Record<string, unknown> = {};
  const run = (expression: string) => {
    const env = new Environment({ enableOptionalTypes: true, unlistedVariablesAreDyn: true });
    env.registerType("Strings", Strings);
    env.registerVariable("strings", "Strings");
    env.registerFunction(
      "Strings.quote(string): string",
      (_: Strings, text: string) => JSON.stringify(text),
    );
    env.registerFunction("list.join(string): string", (all: string[], by: string) => all.join(by));
    return env.evaluate(expression, { object, variables, strings: new Strings() });
  };
  for (const { name, expression } of spec.variables) variables[name] = run(expression);
  const [validation] = spec.validations;
  return run(validation!.expression) === true ? undefined : `${run(validation!.messageExpression)}`;
}

async function policies(values: Record<string, unknown> = { enabled: true }): Promise<Policy[]> {
  assert.ok("path" in helm);
  const objects = readObjects(await renderChart(helm.path, { parametersPolicy: values }));
  return objects.filter(({ kind, metadata }) =>
    kind === "ValidatingAdmissionPolicy" && metadata.name.startsWith("network-dra-resource") ||
    kind === "ValidatingAdmissionPolicy" && metadata.name === "network-dra-deviceclasses"
  ) as unknown as Policy[];
}

function agentSays(given: unknown, path: string): string | undefined {
  try {
    parseParameters(given, path, ({ name }) => ({
      network: { cniVersion: "1.0.0", name, plugins: [{ type: "macvlan" }] },
      place: "a file",
      form: "name",
    }));
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

const KINDS: Readonly<
  Record<string, { readonly path: string; readonly spec: (devices: unknown) => unknown }>
> = {
  "network-dra-resourceclaims": {
    path: "spec.devices.config[1].opaque.parameters",
    spec: (devices) => ({ devices }),
  },
  "network-dra-resourceclaimtemplates": {
    path: "spec.spec.devices.config[1].opaque.parameters",
    spec: (devices) => ({ spec: { devices } }),
  },
  "network-dra-deviceclasses": {
    path: "spec.config[1].opaque.parameters",
    spec: (devices) => devices,
  },
};

Deno.test({
  name: "the policies for parameters refuse what the agent refuses, in its words, and nothing else",
  ignore: missing !== undefined,
  fn: async (t) => {
    for (const policy of await policies()) {
      const { path, spec } = KINDS[policy.metadata.name]!;
      await t.step(policy.metadata.name, () => {
        const other = { opaque: { driver: "gpu.example", parameters: { mtu: 1 } } };
        for (const [name, { given, cel }] of Object.entries(PARAMETERS_CASES)) {
          const config = [other, { opaque: { driver: "dra.networking", parameters: given } }];
          const [said, agent] = [
            evaluate(policy, { spec: spec({ config }) }),
            agentSays(given, path),
          ];
          assert.equal(said !== undefined, cel === "refuses", `${name}: ${said}`);
          assert.equal(agent !== undefined, cel !== "takes", `${name}: ${agent}`);
          if (said !== undefined) assert.ok(agent!.startsWith(said), `${name}:\n${said}\n${agent}`);
        }
        assert.equal(evaluate(policy, { spec: spec({ config: [other] }) }), undefined);
        assert.equal(evaluate(policy, { spec: spec({}) }), undefined);
      });
    }
  },
});

Deno.test({
  name: "the policies for parameters are off by default, and can be limited to namespaces",
  ignore: missing !== undefined,
  fn: async () => {
    assert.deepEqual(await policies({}), []);
    assert.deepEqual((await policies()).map(({ metadata }) => metadata.name), Object.keys(KINDS));
    assert.ok("path" in helm);
    const namespaceSelector = { matchLabels: { tier: "web" } };
    const yaml = await renderChart(helm.path, {
      driverName: "nets.example",
      parametersPolicy: { enabled: true, namespaceSelector },
    });
    assert.ok(
      parseAllDocuments(yaml).every((each) => each.toJS() !== null),
      "a document is empty: what reads manifests one by one trips over it",
    );
    const objects = readObjects(yaml).filter(({ metadata }) =>
      metadata.name === "network-dra-resourceclaims"
    );
    // deno-lint-ignore no-explicit-any
    const binding = only<any>(objects, "ValidatingAdmissionPolicyBinding");
    assert.deepEqual(binding.spec, {
      policyName: "network-dra-resourceclaims",
      validationActions: ["Deny"],
      matchResources: { namespaceSelector },
    });
    const policy = only<Policy>(objects, "ValidatingAdmissionPolicy");
    const config = (driver: string) => [{ opaque: { driver, parameters: {} } }];
    const judge = (driver: string) =>
      evaluate(policy, { spec: { devices: { config: config(driver) } } });
    assert.equal(judge("dra.networking"), undefined);
    assert.match(judge("nets.example")!, /parameters\.config: is missing/);
  },
});

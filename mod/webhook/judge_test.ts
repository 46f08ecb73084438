import assert from "node:assert/strict";
import { parse, parseAllDocuments } from "yaml";
import fc from "fast-check";
import { EXAMPLES, readExample } from "../../tests/support/examples.ts";
import { mistaken, MISTAKES, RIGHT } from "../../tests/support/mistakes.ts";
import type { Fields } from "../claim/field.ts";
import { parsePolicy } from "../claim/policy_config.ts";
import { lint } from "../lint/lint.ts";
import { chartClasses } from "../manifests/chart_classes.ts";
import type { Manifest } from "../manifests/manifest.ts";
import { judge, type JudgeOptions } from "./judge.ts";
import { type AdmissionRequest, answerOf, parseReview } from "./review.ts";
import type { Verdict } from "./verdict.ts";

const DRIVER = "dra.networking";
const classes = new Map(chartClasses(DRIVER).map((each) => [each.metadata.name, each]));
const OPTIONS: JudgeOptions = { driver: DRIVER, policy: {}, classes };

/** What the API server sends when an object is created. */
function created(manifest: Manifest, changes: Partial<AdmissionRequest> = {}): AdmissionRequest {
  const [version, group] = manifest.apiVersion.split("/").toReversed();
  return {
    ...parseReview({
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      request: {
        uid: "u-1",
        kind: { group, version, kind: manifest.kind },
        namespace: manifest.metadata.namespace ?? "default",
        operation: "CREATE",
        object: manifest,
        oldObject: null,
      },
    }),
    ...changes,
  };
}

function objects(yaml: string): Manifest[] {
  return parseAllDocuments(yaml).map((each) => each.toJS() as Manifest).filter(Boolean);
}

function claimOf(yaml: string): Manifest {
  return objects(yaml).find(({ kind }) => kind === "ResourceClaim")!;
}

function said(verdict: Verdict): string {
  return verdict.is === "denied"
    ? `${verdict.reason}: ${verdict.message}`
    : ["allowed", ...verdict.warnings].join(": ");
}

const KINDS = ["ResourceClaim", "ResourceClaimTemplate", "DeviceClass", "Network"];

Deno.test("judge() denies what lint says that agents refuse, in the same words", async (t) => {
  let denied = 0;
  for (
    const [name, mistake] of Object.entries(MISTAKES).flatMap((each) => Object.entries(each[1]))
  ) {
    if (mistake.command !== "lint") continue;
    const text = mistaken(mistake);
    const policy = mistake.config === undefined ? {} : parsePolicy(parse(mistake.config).policy);
    const problems = lint([{ file: "f", text }], { policy });
    const ofClaims = problems.filter(({ rule, object }) =>
      (rule === "agent" || rule === "policy") && object.startsWith("ResourceClaim")
    );
    if (ofClaims.length === 0) continue;
    denied++;
    await t.step(name, () => {
      const verdict = judge(created(claimOf(text)), { ...OPTIONS, policy });
      const reason = ofClaims.every(({ rule }) => rule === "policy") ? "Forbidden" : "Invalid";
      const message = ofClaims.map((problem) => problem.message).join("; ");
      assert.equal(said(verdict), `${reason}: ${message}`);
    });
  }
  assert.ok(denied >= 20, `${denied}`);
});

for (const name of EXAMPLES) {
  Deno.test(`judge() allows every object of the example ${name}`, async () => {
    const { file } = await readExample(name);
    const all = objects(await Deno.readTextFile(file));
    const own = all.filter(({ kind }) => kind === "DeviceClass");
    const known = new Map([...classes, ...own.map((each) => [each.metadata.name, each] as const)]);
    const judged = all.filter(({ kind }) => KINDS.includes(kind));
    assert.ok(judged.length > 0);
    for (const each of judged) {
      assert.equal(
        said(judge(created(each), { ...OPTIONS, classes: known })),
        "allowed",
        each.kind,
      );
    }
  });
}

const WRONG = RIGHT.replace("master: eth0", "mater: eth0");
const REFUSED = /^Forbidden: spec\.devices\.config\[0\]\.opaque\.parameters\.config\.mater: /;

/** A claim of one class, with a configuration of its own. */
function claim(
  config: Fields | undefined,
  { requests, driver = DRIVER, ...way }: Fields = {},
): Manifest {
  const one = [{ name: "lan", exactly: { deviceClassName: "network-interface", ...way } }];
  const opaque = { driver, parameters: { interface: "lan", config } };
  const devices = { requests: requests ?? one, config: config ? [{ opaque }] : [] };
  return {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaim",
    metadata: { name: "lan", namespace: "shop" },
    spec: { devices },
  };
}

function deviceClass(name: string, expression: string | undefined, parameters?: unknown): Manifest {
  return {
    apiVersion: "resource.k8s.io/v1",
    kind: "DeviceClass",
    metadata: { name },
    spec: {
      ...(expression !== undefined && { selectors: [{ cel: { expression } }] }),
      ...(parameters !== undefined && { config: [{ opaque: { driver: DRIVER, parameters } }] }),
    },
  };
}

const isOurs = `device.driver == "${DRIVER}"`;
const BAD = { cniVersion: "1.0.0", name: "lan", type: "macvlna" };
const HOST_DEVICE = { cniVersion: "1.0.0", name: "lan", type: "host-device", device: "eth7" };

Deno.test("judge() denies what no device would mend, and nothing else", async (t) => {
  const cases: Record<string, [Manifest, RegExp, Partial<JudgeOptions>?]> = {
    "a plugin that is unknown": [
      claim(BAD),
      /^Forbidden: .*claims may not use the plugin "macvlna"/,
    ],
    "of a class that does not exist yet": [claim(BAD, { deviceClassName: "later" }), /^allowed$/],
    "of a class of another driver": [
      claim(BAD, { deviceClassName: "gpu" }),
      /^allowed$/,
      { classes: new Map([["gpu", deviceClass("gpu", 'device.driver == "gpu.example"')]]) },
    ],
    "of a class for any driver": [
      claim(BAD, { deviceClassName: "any" }),
      /^allowed$/,
      { classes: new Map([["any", deviceClass("any", undefined)]]) },
    ],
    "of a class that may be for another driver": [
      claim(BAD, { deviceClassName: "any" }),
      /^allowed$/,
      { classes: new Map([["any", deviceClass("any", `${isOurs} || true`)]]) },
    ],
    "a configuration of another driver": [
      claim(BAD, { driver: "gpu.example", deviceClassName: "later" }),
      /^allowed$/,
    ],
    "an interface that the scheduler may choose": [
      claim(HOST_DEVICE, { deviceClassName: "host-interface" }),
      /^allowed$/,
    ],
    "one that it may choose, from a class that is also for others": [
      claim(HOST_DEVICE, { deviceClassName: "ours" }),
      /^allowed$/,
      { classes: new Map([["ours", deviceClass("ours", isOurs)]]) },
    ],
    "an interface where only the device cni can be had": [
      claim(HOST_DEVICE),
      /^Forbidden: .*"eth7" is not the interface of the allocated device cni/,
    ],
    "a master that the policy may allow": [
      claim({ cniVersion: "1.0.0", name: "lan", type: "macvlan" }, {
        deviceClassName: "host-interface",
      }),
      /^allowed$/,
      { policy: parsePolicy({ plugins: { macvlan: { master: ["ens5"] } } }) },
    ],
    "a master that it does not": [
      claim({ cniVersion: "1.0.0", name: "lan", type: "macvlan", master: "eth1" }),
      /^Forbidden: .*"eth1" is not allowed; the policy allows/,
      { policy: parsePolicy({ plugins: { macvlan: { master: ["ens5"] } } }) },
    ],
    "what the claim's namespace may": [
      claim(BAD),
      /^allowed$/,
      { policy: parsePolicy({ namespaces: [{ names: ["shop"], trustClaims: true }] }) },
    ],
    "one alternative": [
      claim(HOST_DEVICE, {
        requests: [{
          name: "lan",
          firstAvailable: [
            { name: "a", deviceClassName: "network-interface" },
            { name: "b", deviceClassName: "host-interface" },
          ],
        }],
      }),
      /^allowed: if the scheduler takes this alternative: .*allocated device cni/,
    ],
    "every alternative": [
      claim(BAD, {
        requests: [{
          name: "lan",
          firstAvailable: [
            { name: "a", deviceClassName: "network-interface" },
            { name: "b", deviceClassName: "host-interface" },
          ],
        }],
      }),
      /^Forbidden: .*macvlna/,
    ],
    "a class's mistake, which a claim cannot mend": [
      claim(undefined, { deviceClassName: "lan" }),
      /^allowed: DeviceClass lan: spec\.config\[0\]\.opaque\.parameters\.config\.name: must be/,
      { classes: new Map([["lan", deviceClass("lan", isOurs, { config: {} })]]) },
    ],
    "the class itself": [
      deviceClass("lan", isOurs, { config: {} }),
      /^Invalid: spec\.config\[0\]\.opaque\.parameters\.config\.name: must be/,
    ],
    "a class without parameters": [deviceClass("lan", isOurs), /^allowed$/],
    "a class may use what a policy denies to claims": [
      deviceClass("lan", isOurs, { config: { ...BAD, type: "own" } }),
      /^allowed$/,
    ],
    "a Network": [
      {
        apiVersion: "dra.networking/v1alpha1",
        kind: "Network",
        metadata: { name: "lan" },
        spec: { config: { cniVersion: "1.0.0", type: "bridge" }, mtu: 1 },
      },
      /^Invalid: spec\.mtu: must be a whole number from 68 to 65535, not 1$/,
    ],
    "somebody else's Network": [
      { apiVersion: "example.com/v1", kind: "Network", metadata: { name: "lan" } },
      /^allowed$/,
    ],
  };
  for (const [name, [manifest, expected, options]] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.match(said(judge(created(manifest), { ...OPTIONS, ...options })), expected);
    });
  }
});

/** Parameters that name a network. */
function naming(parameters: Fields): Manifest {
  const manifest = claim(BAD);
  const { devices } = manifest.spec as { devices: Fields };
  const own = { apiVersion: "dra.networking/v1alpha1", kind: "Network", ...parameters };
  const config = [{ opaque: { driver: DRIVER, parameters: own } }];
  return { ...manifest, spec: { devices: { ...devices, config } } };
}

Deno.test("judge() allows networks that nodes or the cluster may have, unless the policy says no", () => {
  const policy = parsePolicy({ networks: ["lan-*"] });
  const of = (parameters: Fields) =>
    said(judge(created(naming(parameters)), { ...OPTIONS, policy }));
  assert.equal(of({ networkName: "lan-1" }), "allowed");
  assert.match(
    of({ networkName: "wan" }),
    /^Forbidden: .*networkName: .*claims in namespace shop may not use network "wan"/,
  );
  // Whose text it is decides whether the list of names holds for it.
  assert.equal(of({ networkAttachmentDefinition: "infra/wan" }), "allowed");
  assert.match(of({ networkName: "lan-1", mtu: 1 }), /^Invalid: .*\.mtu: is unknown/);
});

Deno.test("judge() denies a template in its own fields", () => {
  const { metadata, spec, ...rest } = claimOf(WRONG);
  const template = { ...rest, metadata, kind: "ResourceClaimTemplate", spec: { spec } };
  const message = said(judge(created(template as Manifest), OPTIONS));
  assert.match(
    message,
    /^Forbidden: spec\.spec\.devices\.config\[0\]\.opaque\.parameters\.config\.m/,
  );
});

Deno.test("judge() never holds back what is already there", () => {
  const bad = claimOf(WRONG);
  const of = (changes: Partial<AdmissionRequest>) => said(judge(created(bad, changes), OPTIONS));
  assert.match(of({}), REFUSED);
  const finalized = { ...bad, metadata: { ...bad.metadata, finalizers: [] } };
  assert.equal(of({ operation: "UPDATE", oldObject: finalized }), "allowed");
  assert.match(of({ operation: "UPDATE", oldObject: claimOf(RIGHT) }), REFUSED);
  const leaving = {
    ...bad,
    metadata: { ...bad.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
  };
  assert.equal(of({ operation: "UPDATE", object: leaving, oldObject: claimOf(RIGHT) }), "allowed");
  assert.equal(of({ operation: "DELETE", object: {} }), "allowed");
  assert.equal(of({ subResource: "status" }), "allowed");
});

Deno.test("judge() names a claim that has no name yet by what it will begin with", () => {
  const { metadata: _, ...rest } = claimOf(WRONG);
  const generated = { ...rest, metadata: { generateName: "web-" } } as unknown as Manifest;
  assert.match(said(judge(created(generated), OPTIONS)), REFUSED);
});

Deno.test("judge() allows what it cannot judge, and says so", () => {
  const broken = { ...claim(BAD), spec: { devices: { requests: [null] } } };
  assert.match(
    said(judge(created(broken), OPTIONS)),
    /^allowed: network-dra cannot judge this object/,
  );
  const requests = Array.from({ length: 33 }, (_, i) => ({ name: `r${i}`, exactly: {} }));
  assert.match(said(judge(created(claim(BAD, { requests })), OPTIONS)), /beyond the limits of/);
  const long = claim({ ...BAD, text: "x".repeat(30_000) });
  assert.match(said(judge(created(long), OPTIONS)), /beyond the limits of/);
});

/** Any JSON, with the names of fields that mean something in places where they do not. */
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom(DRIVER, "network-interface", "macvlan", "ResourceClaim", "constructor"),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(
      fc.constantFrom(
        ...["devices", "requests", "config", "opaque", "driver", "parameters", "plugins", "type"],
        ...["exactly", "firstAvailable", "deviceClassName", "count", "name", "spec", "selectors"],
        ...["metadata", "namespaceSelector", "mtu", "capabilities", "networkName", "toString"],
      ),
      tie("value"),
      { maxKeys: 6 },
    ),
  ),
})).value;

/** A claim in which one value is any. */
const mutated = fc.tuple(fc.nat(), json).map(([at, value]) => {
  const manifest = structuredClone(claimOf(RIGHT)) as Fields;
  const places: [Record<string, unknown>, string][] = [];
  const walk = (each: unknown) => {
    if (typeof each !== "object" || each === null) return;
    for (const key of Object.keys(each)) {
      places.push([each as Record<string, unknown>, key]);
      walk((each as Fields)[key]);
    }
  };
  walk(manifest);
  const [holder, key] = places[at % places.length]!;
  holder[key] = value;
  return manifest;
});

Deno.test("any object gets an answer for its uid, within the sizes of warnings", () => {
  const kinds = fc.constantFrom(...KINDS);
  fc.assert(
    fc.property(kinds, fc.oneof(json, mutated), (kind, object) => {
      const group = kind === "Network" ? "dra.networking" : "resource.k8s.io";
      const version = kind === "Network" ? "v1alpha1" : "v1";
      let request: AdmissionRequest;
      try {
        request = parseReview({
          apiVersion: "admission.k8s.io/v1",
          kind: "AdmissionReview",
          request: { uid: "u", kind: { group, version, kind }, operation: "CREATE", object },
        });
      } catch (error) {
        assert.match((error as Error).message, /^request\.object: must be an object/);
        return;
      }
      const answer = answerOf(request, judge(request, OPTIONS)) as { response: Fields };
      const { uid, allowed, status, warnings } = answer.response;
      assert.equal(uid, "u");
      assert.equal(allowed, status === undefined);
      for (const each of (warnings ?? []) as string[]) assert.ok(each.length <= 256);
    }),
    { numRuns: 500 },
  );
});

Deno.test("parseReview() refuses what is not a review", () => {
  for (const body of [null, [], {}, { apiVersion: "admission.k8s.io/v1beta1" }, "x"]) {
    assert.throws(() => parseReview(body), /^FieldError: the body: must be an/);
  }
  const review = (request: unknown) => ({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request,
  });
  const kind = { group: "", version: "v1", kind: "Pod" };
  assert.throws(() => parseReview(review({ kind, operation: "CREATE" })), /request\.uid: must be/);
  assert.throws(() => parseReview(review({ uid: "u", kind: {} })), /request\.kind\.kind: must be/);
});

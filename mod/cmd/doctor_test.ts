import assert from "node:assert/strict";
import { join } from "node:path";
import { type ClusterApi, withClusterApi } from "../../tests/support/cluster_api.ts";
import {
  rawClaim,
  rawCluster,
  rawNetwork,
  rawPod,
  reservation,
} from "../../tests/support/cluster_objects.ts";
import { SCENES } from "../../tests/support/cluster_scenes.ts";
import { type Outcome, outcome } from "../../tests/support/command_outcome.ts";
import {
  anAgentDocument,
  type DoctorScene,
  doctorScene,
  faultyScene,
  rawLease,
  serveScene,
} from "../../tests/support/doctor_scene.ts";

type Run = (...argv: string[]) => Promise<Outcome>;

const named = (name: string) => SCENES.find((scene) => scene.name === name)!.cluster;
const BARE = { ...rawCluster({ resourceslices: [], deviceclasses: [] }), pods: [] };

/** Runs `doctor` on a made-up cluster. The clocks of its nodes and of its leases are those of the machine. */
function on(
  more: Partial<DoctorScene>,
  body: (run: Run, api: ClusterApi) => Promise<void>,
): Promise<void> {
  return withClusterApi(rawCluster(), async (api) => {
    serveScene(api, doctorScene(more));
    const folder = await Deno.makeTempDir();
    const kubeconfig = join(folder, "kubeconfig");
    await Deno.writeTextFile(kubeconfig, api.kubeconfig());
    try {
      await body((...argv) => outcome("doctor", ...argv, "--kubeconfig", kubeconfig), api);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("doctor finds nothing wrong with a healthy cluster, exit code 0", () =>
  on({ cluster: named("healthy") }, async (run) => {
    const { code, stdout, stderr } = await run();
    assert.equal(stderr, "");
    assert.match(
      stdout,
      /^Check-up of http:\/\/127\.0\.0\.1:\d+, driver dra\.networking\n\n✓ api /,
    );
    assert.equal(stdout.match(/^✓ /gm)?.length, 12);
    assert.match(stdout, /^0 errors, 0 warnings, 0 notes; everything was looked at$/m);
    assert.equal(code, 0);
    const document = JSON.parse((await run("-o", "json")).stdout);
    assert.deepEqual([document.mode, document.verdict], ["check-up", "well"]);
    assert.equal(document.checks.length, 12);
  }));

Deno.test("doctor names what is wrong, where and how to mend it, exit code 3", () =>
  on({
    cluster: named("exhausted addresses"),
    denied: ["patch resourceclaims/status", "update resourceclaims/status"],
    leases: [rawLease("node-1"), rawLease("node-2", 600)],
  }, async (run) => {
    const { code, stdout } = await run();
    assert.equal(code, 3);
    assert.match(
      stdout,
      /^✗ rights\n {2}✗ ServiceAccount kube-system\/network-dra: it may not p.*\n/m,
    );
    assert.match(
      stdout,
      /^✗ claims\n {2}✗ claim default\/lan: .*addresses.*\n {4}to do: use a la/m,
    );
    assert.match(stdout, /^! clocks\n {2}! node node-2: its clock is 600 s ahead/m);
    assert.match(stdout, /^2 errors, 1 warning, 0 notes; everything was looked at$/m);
    const { checks } = JSON.parse((await run("--output=json")).stdout);
    const clocks = checks.find(({ check }: { check: string }) => check === "clocks");
    assert.equal(clocks.verdict, "wrong");
    assert.equal(clocks.findings[0].where, "node node-2");
    const one = (await run("--node", "node-1")).stdout;
    assert.match(one, /^Check-up of .*, driver dra\.networking, node node-1$/m);
    assert.match(one, /claim default\/lan/);
    assert.doesNotMatch(one, /node-2/);
    assert.doesNotMatch((await run("--node", "node-2")).stdout, /node-1|claim default/);
  }));

Deno.test("doctor does not call well what it could not look at, exit code 4", () =>
  on({ forbidden: ["metrics", "leases"] }, async (run, api) => {
    api.fault = (plural) =>
      plural === "pods/exec" ? Response.json({ message: "no" }, { status: 403 }) : undefined;
    const { code, stdout } = await run();
    assert.equal(code, 4);
    assert.match(stdout, /^\? api +not everything was looked at$/m);
    assert.match(stdout, /^\? policy +not looked at$/m);
    assert.match(
      stdout,
      /^Not looked at:\n {2}\? the feature gates of the API server: you have no right to read \/metrics/m,
    );
    assert.match(
      stdout,
      /^ {2}\? what the agent says of nodes node-1, node-2: you have no right to r/m,
    );
    assert.match(stdout, /; \d things were not looked at$/m);
    // One agent is asked; nobody else need be.
    assert.equal(
      api.asked.filter((line) => line.includes("/pods/network-dra-node-2/exec")).length,
      0,
    );
  }));

Deno.test("doctor asks older agents too, and shows what they do not tell", () =>
  on({
    documents: {
      "node-1": 'network-dra: unknown command "status"',
      "node-2": anAgentDocument("node-2"),
    },
  }, async (run) => {
    const { code, stdout } = await run();
    assert.equal(code, 4);
    assert.match(stdout, /\? what the agent says of node node-1: /);
  }));

Deno.test("doctor checks before the driver is installed whether it could be", () =>
  on({ cluster: BARE }, async (run, api) => {
    const { code, stdout } = await run();
    assert.match(stdout, /^Preflight \(no agent runs\) of http/);
    assert.match(stdout, /^- agents .*\n {2}i cluster: no agent runs, and no node has devices/m);
    assert.match(stdout, /^✓ rights +you have the rights to install the chart/m);
    assert.match(stdout, /^- admission nothing to look at where no agent runs$/m);
    assert.equal(code, 0);
    serveScene(api, doctorScene({ cluster: BARE, version: "v1.33.0", resourceVersions: [] }));
    const old = await run();
    assert.equal(old.code, 3);
    assert.match(old.stdout, /v1\.33\.0 does not serve resource\.k8s\.io\/v1/);
  }));

Deno.test("doctor says that there is no such node", () =>
  on({}, async (run) => {
    const { code, stderr } = await run("--node", "nod-1");
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^network-dra doctor: --node "nod-1": the cluster has no node .*did you mean "node-1"/,
    );
  }));

Deno.test("doctor of a cluster that cannot be asked gets a sentence, never a stack trace", async (t) => {
  const cases: readonly [string, ClusterApi["fault"], RegExp][] = [
    [
      "bad credentials",
      () => Response.json({ message: "Unauthorized" }, { status: 401 }),
      /does not accept the credentials of the kubeconfig: Unauthorized/,
    ],
    [
      "it hangs",
      () =>
        new Promise((resolve) => {
          Deno.unrefTimer(setTimeout(() => resolve(Response.json({})), 2_000));
        }),
      /no answer from http:\/\/127\.0\.0\.1:\d+: timed out/,
    ],
  ];
  for (const [name, fault, says] of cases) {
    await t.step({
      name,
      // The answer that nobody waits for comes later.
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () =>
        on({}, async (run, api) => {
          api.fault = fault;
          const { code, stdout, stderr } = await run("--request-timeout", "1s");
          assert.deepEqual([code, stdout], [1, ""]);
          assert.match(stderr, says);
          assert.doesNotMatch(stderr, /\n {4}at |ReadError/);
        }),
    });
  }
  const broken = await outcome("doctor", "--kubeconfig", "/nonexistent/kubeconfig");
  assert.equal(broken.code, 1);
  assert.match(
    broken.stderr,
    /^network-dra doctor: cannot open \/nonexistent\/kubeconfig: no such/,
  );
});

Deno.test("the page on doctor shows what it prints", async (t) => {
  const page = await Deno.readTextFile(
    new URL("../../docs/how-to/check-a-cluster.md", import.meta.url),
  );
  const scenes = [
    doctorScene({ cluster: BARE, documents: {} }),
    doctorScene({ cluster: named("healthy") }),
    faultyScene(),
  ];
  const shown = [...page.matchAll(/^\$ kubectl network-dra (doctor.*)\n((?:(?!\$ |```).*\n)+)/gm)];
  assert.equal(shown.length, scenes.length);
  for (const [i, [, line = "", text = ""]] of shown.entries()) {
    await t.step(
      `${line}, ${i}`,
      () =>
        on(scenes[i]!, async (run, api) => {
          const { stdout } = await run(...line.split(" ").slice(1));
          assert.equal(stdout.replace(api.url, "https://10.0.0.1:6443"), text);
        }),
    );
  }
});

Deno.test("doctor gives up an agent that hangs, and the API's other answers are shown", () =>
  on({ documents: { "node-1": anAgentDocument("node-1") } }, async (run, api) => {
    const { program } = api;
    api.program = (pod, command) =>
      pod === "network-dra-node-2" ? { hangs: true } : program(pod, command);
    const { code, stdout } = await run("--agent-timeout", "3s");
    assert.equal(code, 4);
    assert.match(stdout, /\? what the agent says of node node-2: .*did not say in time/);
    assert.match(stdout, /^✓ claims /m);
  }));

/** What would clear the screen, begin a line of its own and turn the text around. */
const HOSTILE = "\u001b[2J\r\n\u202eall is well";

Deno.test("doctor, cluster-status, explain and pods print names and messages of others on lines of ours", () => {
  const pod = rawPod("web", {
    claims: [{ name: `lan${HOSTILE}`, resourceClaimName: `c${HOSTILE}` }],
    node: "node-1",
  });
  const claim = rawClaim(`c${HOSTILE}`, {
    parameters: rawNetwork(`net${HOSTILE}`, `plugin${HOSTILE}`),
    node: "node-1",
    reservedFor: [reservation(pod)],
    ready: { reason: "NetworkInterfaceNotReady", message: HOSTILE },
  });
  const cluster = rawCluster({ pods: [pod], resourceclaims: [claim] });
  return on({ cluster, version: `v1.36.2${HOSTILE}` }, async (_, api) => {
    const folder = await Deno.makeTempDir();
    const kubeconfig = join(folder, "kubeconfig");
    await Deno.writeTextFile(kubeconfig, api.kubeconfig());
    try {
      for (
        const command of ["doctor", "cluster-status -o wide", "explain pod/web", "pods -o wide"]
      ) {
        const { stdout } = await outcome(...command.split(" "), "--kubeconfig", kubeconfig);
        assert.match(stdout, /all is well/, command);
        // deno-lint-ignore no-control-regex
        assert.doesNotMatch(stdout, /[\u001b\r\u202e]|^ *all is well/m, command);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});

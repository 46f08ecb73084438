/** What claims can ask for. */
import assert from "node:assert/strict";
import {
  claim,
  claimTemplate,
  claimWith,
  CLASS,
  deployment,
  deviceClass,
  DRIVER,
  parametersOf,
  pod,
} from "../objects.ts";
import { until } from "../poll.ts";
import { type Case, claimsOf } from "../space.ts";

export const CLAIMS: Readonly<Record<string, Case>> = {
  "a template in a Deployment of 5": async (space) => {
    await space.apply(
      claimTemplate("lan", [{ name: "web", subnet: 1, interface: "net1" }]),
      deployment("web", { replicas: 5, templates: ["lan"] }),
    );
    const addresses = new Set<string>();
    for (const running of await space.allRunning(5)) {
      addresses.add((await space.assertNetwork(running, { subnet: 1 })).address);
    }
    assert.equal(addresses.size, 5);
  },

  "three networks in one pod": async (space) => {
    const networks = [1, 2, 3].map((subnet) => ({ name: `lan-${subnet}`, subnet }));
    await space.apply(claim("lans", networks), pod("three", { claims: ["lans"] }));
    const running = await space.running("three");
    for (const subnet of [1, 2, 3]) {
      await space.assertNetwork(running, { link: `net${subnet}`, subnet });
    }
  },

  "a claim of a program, with the keys of its parameters in an order of their own": async (
    space,
  ) => {
    const { cluster, namespace } = space;
    const program = claim("program", [{ name: "lan", subnet: 1, interface: "lan0" }]);
    // As it is: kubectl, and server-side apply, would sort the keys.
    await cluster.api.request(
      "POST",
      `/apis/resource.k8s.io/v1/namespaces/${namespace}/resourceclaims`,
      program,
    );
    await space.apply(pod("web", { claims: ["program"] }));
    const running = await space.running("web");
    const { claim: found } = await space.assertNetwork(running, { link: "lan0", subnet: 1 });
    const [{ opaque }] = found.status.allocation.devices.config;
    assert.deepEqual(Object.keys(opaque.parameters), ["interface", "config"]);
    const events = await space.events("program");
    assert.deepEqual(events.filter((event) => event.startsWith("NetworkStatusRefused")), []);
  },

  "two claims in one pod": async (space) => {
    await space.apply(
      claim("first", [{ name: "lan", subnet: 1 }]),
      claim("second", [{ name: "lan", subnet: 2 }]),
      // The runtime mounts a file of each claim also where nothing else can be written.
      pod("two", { claims: ["first", "second"], readOnlyRoot: true }),
    );
    const running = await space.running("two");
    const shown = await Promise.all(
      [1, 2].map((n) => space.exec(running, "ip", "addr", "show", `net${n}`)),
    );
    // Which claim's network comes first is not said anywhere; each has one.
    const ofFirst = shown.findIndex((text) => text.includes("inet 10.10.1."));
    const names = ofFirst === 0 ? ["net1", "net2"] : ["net2", "net1"];
    await space.assertNetwork(running, { claim: "first", link: names[0], subnet: 1 });
    await space.assertNetwork(running, { claim: "second", link: names[1], subnet: 2 });
  },

  "one claim with two requests, each with an interface's name": async (space) => {
    await space.apply(
      claim("both", [
        { name: "left", subnet: 1, interface: "left0" },
        { name: "right", subnet: 2, interface: "right0" },
      ]),
      pod("both", { claims: ["both"] }),
    );
    const running = await space.running("both");
    await space.assertNetwork(running, { link: "left0", subnet: 1 });
    await space.assertNetwork(running, { link: "right0", subnet: 2 });
  },

  "a claim shared by two pods": async (space) => {
    await space.apply(
      claim("shared", [{ name: "lan", subnet: 1 }]),
      pod("one", { claims: ["shared"] }),
    );
    const one = await space.running("one");
    const { address } = await space.assertNetwork(one, { subnet: 1 });
    await space.apply(pod("other", { claims: ["shared"] }));
    const other = await space.running("other");
    const others = await space.linkIn(other, { subnet: 1 });
    assert.notEqual(others.address, address);
    // The status has room for one of them.
    await until("the status says that there are two", async () => {
      const { entry } = await space.assertNetwork(one, { subnet: 1 });
      return /in 2 pods/.test(entry.conditions[0].message) || undefined;
    });
    await space.delete("Pod", "one");
    await space.linkIn(other, { subnet: 1 });
    await space.assertNetwork(other, { subnet: 1 });
  },

  "eight pods on one shared device, told apart by shareID or by copies of it": async (space) => {
    const names = Array.from({ length: 8 }, (_, i) => `pod-${i}`);
    for (const name of names) {
      await space.apply(
        claim(name, [{ name: "lan", subnet: 1 }]),
        pod(name, { claims: [name] }),
      );
    }
    const [devices, shareIds] = [new Set<string>(), new Set<string>()];
    for (const name of names) {
      const { entry } = await space.assertNetwork(await space.running(name), { subnet: 1 });
      devices.add(entry.device);
      if (entry.shareID !== undefined) shareIds.add(entry.shareID);
    }
    if (space.cluster.minor >= 36) {
      assert.deepEqual([devices.size, shareIds.size], [1, 8]);
    } else {
      assert.deepEqual([devices.size, shareIds.size], [8, 0]);
    }
  },

  "firstAvailable": async (space) => {
    await space.apply(
      deviceClass({ name: "none-here", expression: `device.driver == "none.example"` }),
      claimWith("choice", {
        devices: {
          requests: [{
            name: "lan",
            firstAvailable: [
              { name: "best", deviceClassName: "none-here" },
              { name: "good", deviceClassName: CLASS },
            ],
          }],
          config: [{
            requests: ["lan/good"],
            opaque: { driver: DRIVER, parameters: parametersOf({ name: "good", subnet: 4 }) },
          }],
        },
      }),
      pod("choosy", { claims: ["choice"] }),
    );
    const { claim: found } = await space.assertNetwork(await space.running("choosy"), {
      subnet: 4,
    });
    assert.equal(found.status.allocation.devices.results[0].request, "lan/good");
  },

  "configured by the DeviceClass": async (space) => {
    const parameters = parametersOf({ name: "lan", subnet: 5, interface: "lan0" });
    const requests = [{ name: "lan", exactly: { deviceClassName: "office-lan" } }];
    await space.apply(
      deviceClass({ name: "office-lan", parameters }),
      claimWith("office", { devices: { requests } }),
      pod("office", { claims: ["office"] }),
    );
    await space.assertNetwork(await space.running("office"), { link: "lan0", subnet: 5 });
  },

  "configured by the claim, although the DeviceClass says otherwise": async (space) => {
    const ofClass = parametersOf({ name: "lan", subnet: 5, interface: "lan0" });
    const ofClaim = parametersOf({ name: "own", subnet: 6, interface: "own0" });
    await space.apply(
      deviceClass({ name: "office-lan", parameters: ofClass }),
      claimWith("own", {
        devices: {
          requests: [{ name: "lan", exactly: { deviceClassName: "office-lan" } }],
          config: [{ opaque: { driver: DRIVER, parameters: ofClaim } }],
        },
      }),
      pod("own", { claims: ["own"] }),
    );
    await space.assertNetwork(await space.running("own"), { link: "own0", subnet: 6 });
  },

  "init containers, a sidecar and a container that does not name the claim": async (space) => {
    const { spec, ...rest } = pod("many", { claims: ["lan"] });
    const [main] = (spec as { containers: Record<string, unknown>[] }).containers;
    const look = ["sh", "-c", "ip addr show net1"];
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), {
      ...rest,
      spec: {
        ...spec as object,
        initContainers: [
          { ...main, name: "first", command: look },
          { ...main, name: "sidecar", restartPolicy: "Always" },
          { ...main, name: "second", command: look, resources: {} },
        ],
        containers: [main, { ...main, name: "other", resources: {} }],
      },
    });
    const running = await space.running("many");
    await space.assertNetwork(running, { subnet: 1 });
    const ended = running.status.initContainerStatuses.filter(({ name }: { name: string }) =>
      name !== "sidecar"
    );
    assert.deepEqual(
      ended.map((each: { restartCount: number; state: { terminated?: { exitCode: number } } }) => [
        each.state.terminated?.exitCode,
        each.restartCount,
      ]),
      [[0, 0], [0, 0]],
    );
  },

  "a container that crashes and is started again keeps its network": async (space) => {
    const mark = "/tmp/crashed";
    const command = `[ -e ${mark} ] && exec sleep infinity; : > ${mark}; ip addr show net1; exit 1`;
    const made = pod("crash", { claims: ["lan"], command: ["sh", "-c", command] });
    const spec = made.spec as { containers: Record<string, unknown>[] };
    spec.containers[0]!.volumeMounts = [{ name: "tmp", mountPath: "/tmp" }];
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), {
      ...made,
      spec: { ...spec, volumes: [{ name: "tmp", emptyDir: {} }] },
    });
    const running = await until("the container runs again", async () => {
      const found = await space.get("Pod", "crash");
      const [status] = found.status.containerStatuses ?? [];
      return status?.ready && status.restartCount > 0 ? found : undefined;
    });
    await space.assertNetwork(running, { subnet: 1 });
  },

  "the health of a pod's devices is in its status": async (space) => {
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), pod("one", { claims: ["lan"] }));
    await space.running("one");
    const resources = await until("the pod's status tells of its devices", async () => {
      const { status } = await space.get("Pod", "one");
      const [told] = status.containerStatuses[0].allocatedResourcesStatus ?? [];
      return told?.resources?.[0]?.health === "Unknown" ? undefined : told;
    }, { explain: async () => JSON.stringify((await space.get("Pod", "one")).status) });
    assert.equal(resources.name, "claim:lan");
    assert.equal(resources.resources[0].health, "Healthy");
  },

  "a claim that no container names": async (space) => {
    const made = pod("quiet", { claims: ["lan"] });
    const spec = made.spec as { containers: Record<string, unknown>[] };
    spec.containers[0]!.resources = {};
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), made);
    await space.assertNetwork(await space.running("quiet"), { subnet: 1 });
  },

  "a pod without claims is left alone": async (space) => {
    await space.apply(pod("plain"));
    const running = await space.running("plain");
    assert.deepEqual(claimsOf(running), []);
    const links = await space.exec(running, "ls", "/sys/class/net");
    assert.deepEqual(links.trim().split(/\s+/), ["eth0", "lo"]);
  },
};

import assert from "node:assert/strict";
import { join } from "node:path";
import { Registration } from "../../proto/gen/dra/registration_pb.ts";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import { GrpcClient } from "../grpc/client.ts";
import { SimulatedKubelet, type SimulatedKubeletOptions } from "../simulator/kubelet.ts";
import type { DraHandlers, PrepareOutcome } from "./dra_service.ts";
import type { DeviceHealth, HealthSource } from "./health_service.ts";
import { DraPlugin } from "./plugin.ts";
import { socketPaths } from "./socket_paths.ts";

const driver = "dra.networking";
const claims = ["a", "b"].map((name) => ({ namespace: "default", name, uid: `uid-${name}` }));

class FakeHandlers implements DraHandlers, HealthSource {
  readonly batches: string[] = [];
  outcome: (claim: ClaimRef) => PrepareOutcome = ({ name }) => ({
    devices: [{
      requestNames: ["net"],
      pool: "node",
      device: name,
      cdiDeviceIds: [`x/y=${name}`],
      shareID: `share-${name}`,
    }],
  });
  during: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  async prepare(refs: readonly ClaimRef[], signal: AbortSignal) {
    this.batches.push(`prepare ${refs.map(({ namespace, name, uid }) => [namespace, name, uid])}`);
    await this.during(signal);
    return new Map(refs.map((ref) => [ref.uid, this.outcome(ref)]));
  }
  async unprepare(refs: readonly ClaimRef[], signal: AbortSignal) {
    this.batches.push(`unprepare ${refs.map(({ name }) => name)}`);
    await this.during(signal);
    return new Map(refs.map(({ uid }) => [uid, uid === "uid-b" ? { error: "still there" } : {}]));
  }
  async *watchHealth(signal: AbortSignal): AsyncGenerator<DeviceHealth[]> {
    yield [{ pool: "node", device: "cni", healthy: true, message: "" }];
    yield [{ pool: "node", device: "cni", healthy: false, message: "link down" }];
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }
}

interface Bench {
  readonly kubelet: SimulatedKubelet;
  readonly kubeletDir: string;
  readonly handlers: FakeHandlers;
  readonly plugin: DraPlugin;
  readonly registrations: boolean[];
  readonly log: FakeLog;
}

const clock = {
  now: () => new Date(),
  elapsed: () => performance.now(),
  sleep: (_ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, 20);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    }),
};

async function withPlugin(
  options: Partial<SimulatedKubeletOptions>,
  body: (bench: Bench) => Promise<void>,
) {
  const kubeletDir = await Deno.makeTempDir();
  const kubelet = new SimulatedKubelet({ kubeletDir, ...options });
  const handlers = new FakeHandlers();
  const registrations: boolean[] = [];
  const log = new FakeLog();
  const plugin = new DraPlugin({
    driver,
    kubeletDir,
    log,
    clock,
    onRegistered: (registered) => registrations.push(registered),
  }, handlers);
  await kubelet.start();
  try {
    await plugin.start();
    await body({ kubelet, kubeletDir, handlers, plugin, registrations, log });
  } finally {
    await kubelet.stop();
    await plugin.stop();
    await Deno.remove(kubeletDir, { recursive: true });
  }
}

Deno.test("the kubelet registers the plugin and prefers v1", () =>
  withPlugin({}, async ({ kubelet, registrations }) => {
    await kubelet.registered(driver);
    // The kubelet knows the driver first and tells it so then.
    while (registrations.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(registrations, [true]);
    assert.deepEqual(kubelet.supportedVersions(driver), [
      "v1.DRAPlugin",
      "v1beta1.DRAPlugin",
      "v1.DRAResourceHealth",
      "v1alpha1.DRAResourceHealth",
    ]);
  }));

Deno.test("a refusal by the kubelet is reported", () =>
  withPlugin({ versions: [] }, async ({ registrations, log, plugin }) => {
    while (registrations.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(registrations, [false]);
    assert.ok(log.lines.includes("error the kubelet refused the driver"));
    assert.match(plugin.lack()!.problem, /^the kubelet refused the driver: ./);
  }));

for (const version of ["v1.DRAPlugin", "v1beta1.DRAPlugin"] as const) {
  Deno.test(`Prepare and Unprepare work over ${version}`, () =>
    withPlugin({ versions: [version] }, async ({ kubelet, handlers }) => {
      await kubelet.registered(driver);
      const prepared = await kubelet.prepare(driver, claims);
      assert.deepEqual(Object.keys(prepared).sort(), ["uid-a", "uid-b"]);
      const device = prepared["uid-a"]!.devices[0]!;
      assert.deepEqual(
        [device.requestNames, device.poolName, device.deviceName, device.cdiDeviceIds],
        [["net"], "node", "a", ["x/y=a"]],
      );
      assert.equal(device.shareId, version === "v1.DRAPlugin" ? "share-a" : undefined);
      const unprepared = await kubelet.unprepare(driver, claims);
      assert.equal(unprepared["uid-a"]!.error, "");
      assert.equal(unprepared["uid-b"]!.error, "still there");
      assert.deepEqual(handlers.batches, [
        "prepare default,a,uid-a,default,b,uid-b",
        "unprepare a,b",
      ]);
    }));
}

Deno.test("a claim's error leaves the others prepared", () =>
  withPlugin({}, async ({ kubelet, handlers }) => {
    await kubelet.registered(driver);
    const fine = handlers.outcome;
    handlers.outcome = (claim) => claim.name === "a" ? { error: "no such plugin" } : fine(claim);
    const prepared = await kubelet.prepare(driver, claims);
    assert.equal(prepared["uid-a"]!.error, "no such plugin");
    assert.equal(prepared["uid-b"]!.devices.length, 1);
  }));

Deno.test("a handler that throws fails its claims and not the call", () =>
  withPlugin({}, async ({ kubelet, handlers }) => {
    await kubelet.registered(driver);
    handlers.during = () => Promise.reject(new Error("journal is full"));
    assert.equal((await kubelet.prepare(driver, claims))["uid-a"]!.error, "journal is full");
    assert.equal((await kubelet.unprepare(driver, claims))["uid-a"]!.error, "journal is full");
  }));

Deno.test("calls for different pods run side by side", () =>
  withPlugin({}, async ({ kubelet, handlers }) => {
    await kubelet.registered(driver);
    let running = 0;
    const all = Promise.withResolvers<void>();
    handlers.during = () => {
      if (++running === 5) all.resolve();
      return all.promise;
    };
    await Promise.all(Array.from({ length: 5 }, () => kubelet.prepare(driver, claims)));
  }));

Deno.test("the plugin is registered again by a kubelet that restarted", () =>
  withPlugin({}, async ({ kubelet, kubeletDir, registrations }) => {
    await kubelet.registered(driver);
    await kubelet.stop();
    const next = new SimulatedKubelet({ kubeletDir });
    await next.start();
    try {
      await next.registered(driver);
      assert.equal((await next.prepare(driver, claims))["uid-a"]!.error, "");
      assert.deepEqual(registrations, [true, true]);
    } finally {
      await next.stop();
    }
  }));

Deno.test("sockets that someone removed are made again", async (t) => {
  for (const which of ["registry", "service"] as const) {
    await t.step(which, () =>
      withPlugin({}, async ({ kubelet, kubeletDir, registrations }) => {
        await kubelet.registered(driver);
        const path = socketPaths({ kubeletDir, driver })[which];
        await Deno.remove(path);
        const isBack = () => Deno.lstat(path).then(() => true, () => false);
        while (!await isBack()) await new Promise((resolve) => setTimeout(resolve, 10));
        const next = new SimulatedKubelet({ kubeletDir });
        await next.start();
        await next.registered(driver);
        assert.equal((await next.prepare(driver, claims))["uid-a"]!.error, "");
        await next.stop();
        // The kubelet forgets a plugin whose registry socket goes.
        assert.equal(registrations.includes(false), which === "registry");
      }));
  }
});

Deno.test("the kubelet forgets a plugin that is withdrawn, and calls it again once it is offered", () =>
  withPlugin({}, async ({ kubelet, kubeletDir, handlers, log, plugin }) => {
    await kubelet.registered(driver);
    const { registry, service } = socketPaths({ kubeletDir, driver });
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    handlers.during = () => {
      begun.resolve();
      return end.promise;
    };
    const call = kubelet.prepare(driver, claims);
    await begun.promise;
    await plugin.withdraw();
    await assert.rejects(Deno.lstat(registry), Deno.errors.NotFound);
    assert.equal(plugin.lack(), undefined, "it stands by");
    end.resolve();
    assert.equal((await call)["uid-a"]!.error, "", "a call goes on");
    await Deno.lstat(service);
    // The sockets are looked at meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await assert.rejects(kubelet.prepare(driver, claims), /is not registered/);
    await plugin.offer();
    await kubelet.registered(driver);
    assert.equal((await kubelet.prepare(driver, claims))["uid-a"]!.error, "");
    assert.deepEqual(log.lines.filter((line) => line.startsWith("warn")), []);
  }));

Deno.test("a plugin that is withdrawn before it starts is registered when it is offered", async () => {
  const kubeletDir = await Deno.makeTempDir();
  const kubelet = new SimulatedKubelet({ kubeletDir });
  const plugin = new DraPlugin(
    { driver, kubeletDir, log: new FakeLog(), clock },
    new FakeHandlers(),
  );
  await kubelet.start();
  try {
    await plugin.withdraw();
    await plugin.start();
    const { registry, service } = socketPaths({ kubeletDir, driver });
    await Deno.lstat(service);
    await assert.rejects(Deno.lstat(registry), Deno.errors.NotFound);
    await Promise.all([plugin.offer(), plugin.withdraw(), plugin.offer()]);
    await kubelet.registered(driver);
  } finally {
    await kubelet.stop();
    await plugin.stop();
    await Deno.remove(kubeletDir, { recursive: true });
  }
});

Deno.test("stop() answers running calls and removes the sockets", () =>
  withPlugin({}, async ({ kubelet, kubeletDir, handlers, plugin }) => {
    await kubelet.registered(driver);
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    handlers.during = () => {
      begun.resolve();
      return end.promise;
    };
    const call = kubelet.prepare(driver, claims);
    await begun.promise;
    const stopped = plugin.stop();
    end.resolve();
    assert.equal((await call)["uid-a"]!.error, "");
    await kubelet.stop();
    await stopped;
    for (const path of Object.values(socketPaths({ kubeletDir, driver }))) {
      await assert.rejects(Deno.lstat(path), Deno.errors.NotFound);
    }
  }));

Deno.test("a stale socket is replaced, and only its owner can use the new one", async () => {
  const kubeletDir = await Deno.makeTempDir();
  const { registry } = socketPaths({ kubeletDir, driver });
  await Deno.mkdir(join(kubeletDir, "plugins_registry"));
  const stale = Deno.listen({ transport: "unix", path: registry });
  stale.close();
  const plugin = new DraPlugin(
    { driver, kubeletDir, log: new FakeLog(), clock },
    new FakeHandlers(),
  );
  try {
    await plugin.start();
    assert.equal((await Deno.stat(registry)).mode! & 0o777, 0o600);
  } finally {
    await plugin.stop();
    await Deno.remove(kubeletDir, { recursive: true });
  }
});

Deno.test("a file or link in a socket's place is refused, not removed", async () => {
  const kubeletDir = await Deno.makeTempDir();
  const { registry } = socketPaths({ kubeletDir, driver });
  await Deno.mkdir(join(kubeletDir, "plugins_registry"));
  await Deno.symlink("/etc/passwd", registry);
  const plugin = new DraPlugin(
    { driver, kubeletDir, log: new FakeLog(), clock },
    new FakeHandlers(),
  );
  try {
    await assert.rejects(plugin.start(), /is not a socket: remove it/);
  } finally {
    await plugin.stop();
    await Deno.remove(kubeletDir, { recursive: true });
  }
});

Deno.test("start() waits for the kubelet's folder; what the plugin lacks follows", async () => {
  const kubeletDir = await Deno.makeTempDir();
  const registry = join(kubeletDir, "plugins_registry");
  const log = new FakeLog();
  const plugin = new DraPlugin({ driver, kubeletDir, log, clock }, new FakeHandlers());
  const kubelet = new SimulatedKubelet({ kubeletDir });
  try {
    assert.equal(plugin.lack()?.problem, `the kubelet's folder ${registry} does not exist`);
    const started = plugin.start();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(plugin.lack()?.problem, `the kubelet's folder ${registry} does not exist`);
    assert.match(plugin.lack()?.whatToDo ?? "", /--kubelet-dir/);
    await Deno.mkdir(registry);
    await started;
    assert.equal(
      plugin.lack()?.problem,
      `the kubelet has not registered the driver, whose socket is in ${registry}`,
    );
    await kubelet.start();
    await kubelet.registered(driver);
    while (plugin.lack()) await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    await kubelet.stop();
    await plugin.stop();
    await Deno.remove(kubeletDir, { recursive: true });
  }
  assert.match(plugin.lack()?.problem ?? "", /the agent is stopping/);
});

Deno.test("DraPlugin refuses a socket path that the kernel would not take", () => {
  const options = { driver, kubeletDir: `/${"k".repeat(90)}`, log: new FakeLog(), clock };
  assert.throws(
    () => new DraPlugin(options, new FakeHandlers()),
    /a socket's path can have at most 107/,
  );
});

Deno.test("the health stream gives full lists", () =>
  withPlugin({}, async ({ kubelet }) => {
    await kubelet.registered(driver);
    const end = new AbortController();
    const seen: string[] = [];
    for await (const { devices } of kubelet.watchHealth(driver, end.signal)) {
      const { device, health, message, lastUpdatedTime } = devices[0]!;
      assert.ok(lastUpdatedTime > 1_700_000_000n);
      seen.push(`${device?.poolName}/${device?.deviceName} ${health} ${message}`);
      if (seen.length === 2) end.abort();
    }
    assert.deepEqual(seen, ["node/cni 1 ", "node/cni 2 link down"]);
  }));

Deno.test("a request with the kubelet's encoded :authority is answered", () =>
  withPlugin({}, async ({ kubeletDir }) => {
    const { registry } = socketPaths({ kubeletDir, driver });
    const authority = "%2Fvar%2Flib%2Fkubelet%2Fplugins_registry%2Fdra.networking-reg.sock";
    const client = new GrpcClient(registry, { authority });
    try {
      const info = await client.call(Registration.method.getInfo, {}, { timeout: 5_000 });
      assert.equal(info.name, driver);
    } finally {
      client.close();
    }
  }));

Deno.test("a call that no kubelet can mean is refused before the driver hears of it", async (t) => {
  const one = claims[0]!;
  const cases: Record<string, { claims: ClaimRef[]; says: RegExp }> = {
    "a UID that leads elsewhere": {
      claims: [{ ...one, uid: "../../x" }],
      says: /INVALID_ARGUMENT: "\.\.\/\.\.\/x" is not the namespace, name or UID of a claim/,
    },
    "a UID longer than a file's name": {
      claims: [{ ...one, uid: "x".repeat(300) }],
      says: /INVALID_ARGUMENT: "x+…/,
    },
    "no name": { claims: [{ ...one, name: "" }], says: /INVALID_ARGUMENT: "" is not/ },
    "a namespace with a NUL byte": {
      claims: [{ ...one, namespace: "a\0b" }],
      says: /INVALID_ARGUMENT/,
    },
    "more claims than a pod has": {
      claims: Array.from({ length: 257 }, (_, i) => ({ ...one, uid: `u${i}` })),
      says: /INVALID_ARGUMENT: the call names 257 claims; at most 256 are allowed/,
    },
    "a message of a megabyte": {
      claims: Array.from({ length: 5000 }, () => ({ ...one, name: "n".repeat(200) })),
      says: /RESOURCE_EXHAUSTED/,
    },
  };
  await withPlugin({}, async ({ kubelet, handlers }) => {
    await kubelet.registered(driver);
    for (const [name, { claims, says }] of Object.entries(cases)) {
      await t.step(name, async () => {
        await assert.rejects(kubelet.prepare(driver, claims), says);
        await assert.rejects(kubelet.unprepare(driver, claims), says);
      });
    }
    assert.deepEqual(handlers.batches, []);
    assert.equal((await kubelet.prepare(driver, [one]))[one.uid]?.error, "");
  });
});

Deno.test("a link in place of a socket's folder is refused", async (t) => {
  for (const place of ["plugins", "registry"]) {
    await t.step(place, async () => {
      const kubeletDir = await Deno.makeTempDir();
      const elsewhere = await Deno.makeTempDir({ dir: kubeletDir });
      await Deno.mkdir(join(kubeletDir, "plugins"));
      if (place === "plugins") {
        await Deno.mkdir(join(kubeletDir, "plugins_registry"));
        await Deno.symlink(elsewhere, join(kubeletDir, "plugins", driver));
      } else {
        await Deno.symlink(elsewhere, join(kubeletDir, "plugins_registry"));
      }
      const options = { driver, kubeletDir, log: new FakeLog(), clock };
      const plugin = new DraPlugin(options, new FakeHandlers());
      await assert.rejects(plugin.start(), /is a symbolic link, which is not followed/);
      await plugin.stop();
      assert.deepEqual([...Deno.readDirSync(elsewhere)], []);
      await Deno.remove(kubeletDir, { recursive: true });
    });
  }
});

Deno.test("the driver's folder is closed to others, its sockets too", async () => {
  const kubeletDir = await Deno.makeTempDir();
  const { service, registry } = socketPaths({ kubeletDir, driver });
  await Deno.mkdir(join(kubeletDir, "plugins_registry"));
  await Deno.mkdir(join(kubeletDir, "plugins", driver), { recursive: true });
  await Deno.chmod(join(kubeletDir, "plugins", driver), 0o777);
  const options = { driver, kubeletDir, log: new FakeLog(), clock };
  const plugin = new DraPlugin(options, new FakeHandlers());
  await plugin.start();
  const mode = async (path: string) => (await Deno.lstat(path)).mode! & 0o777;
  assert.equal(await mode(join(kubeletDir, "plugins", driver)), 0o700);
  assert.deepEqual([await mode(service), await mode(registry)], [0o600, 0o600]);
  await plugin.stop();
  await Deno.remove(kubeletDir, { recursive: true });
});

import { join } from "node:path";
import { socketPaths } from "../../mod/dra/socket_paths.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { BRIDGE, PROGRAMS } from "./networks.ts";
import type { Misbehaviour } from "./plugins.ts";
import type { Fault, FaultKind } from "./schedule.ts";
import { DRIVER, mount, type World } from "./world.ts";

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

type Inject = (world: World, fault: Fault) => Promise<void>;

const misbehave = (what: Misbehaviour): Inject => async (world, { command, times }) => {
  // A plugin that hangs holds its pod for as long as the plugins' time-out.
  await world.plugins.misbehave(command, what, what === "hangs" ? 1 : times);
};

/** How each fault comes about. Resolves when it is over; what waits for a call is taken back later. */
const INJECT: Readonly<Record<FaultKind, Inject>> = {
  agentKilled: (world, { lasts }) => world.agent.restart("SIGKILL", { away: lasts }),
  agentCrashes: (world, { crashPoint }) => Promise.resolve(world.agent.crashAt(crashPoint)),
  agentEnded: (world, { lasts }) => world.agent.restart("SIGTERM", { away: lasts }),
  runtimeRestarted: (world, { lasts }) => world.runtime.restart(lasts),
  runtimeConnectionDropped: (world) => world.runtime.dropConnection(),
  kubeletRestarted: (world) => world.restartKubelet({ forgets: true }),
  kubeletConnectionDropped: (world) => world.restartKubelet({ forgets: false }),
  kubeletSocketsRemoved: async (world) => {
    const { registry } = socketPaths({ kubeletDir: world.paths.kubelet, driver: DRIVER });
    await Deno.remove(registry).catch(() => {});
  },
  strangeUnprepare: (world, { choice }) => world.strangeUnprepare(choice),
  apiDown: (world, { lasts }) => world.apiFaults.down(lasts * 2),
  apiSlow: (world, { lasts }) => world.apiFaults.slow(400, lasts * 2),
  apiConflict: (world, { times }) => answers(world, "conflict", times),
  apiThrottled: (world, { times }) => answers(world, "throttled", times),
  apiFails: (world, { times }) => answers(world, "fails", times),
  apiUnauthorized: (world, { times }) => answers(world, "unauthorized", times),
  apiWatchClosed: (world) => {
    world.api.slices.endWatches();
    world.api.objects.endWatches();
    return Promise.resolve();
  },
  addressTakenFirst: (world, { times }) => Promise.resolve(world.addresses.loseRaces(times)),
  addressAnswerLost: (world, { times }) => Promise.resolve(world.addresses.loseAnswers(times)),
  addressWatchExpired: (world, { times }) => Promise.resolve(world.addresses.forgetChanges(times)),
  addressesElsewhere: (world, { times, lasts }) => world.addresses.takeElsewhere(times * 3, lasts),
  addressesCollected: (world) => world.addresses.collect(),
  pluginFails: misbehave("fails"),
  pluginFailsAfterwards: misbehave("failsAfterwards"),
  pluginHangs: misbehave("hangs"),
  pluginKilled: misbehave("killed"),
  pluginHalfAnswer: misbehave("halfAnswer"),
  pluginSlow: misbehave("slow"),
  pluginGarbage: misbehave("garbage"),
  pluginMissing: async (world, { choice, lasts }) => {
    const back = await world.plugins.take(program(choice));
    await pause(lasts);
    await back?.();
  },
  pluginBusy: async (world, { choice, lasts }) => {
    const release = await world.plugins.occupy(program(choice));
    await pause(lasts);
    release?.();
  },
  diskFull: async (world, { lasts }) => {
    const fillers = await Promise.all(world.recordFolders.map(fill));
    await pause(lasts);
    for (const filler of fillers) await remove(filler);
  },
  diskReadOnly: async (world, { lasts }) => {
    for (const folder of world.recordFolders) await remount(folder, "ro");
    await pause(lasts);
    for (const folder of world.recordFolders) await remount(folder, "rw");
  },
  recordDamaged: (world, { lasts, choice }) =>
    world.agent.restart("SIGKILL", {
      away: lasts / 4,
      meanwhile: () => damageRecord(world, choice),
    }),
  clockSetBack: async (world, { lasts, choice }) => {
    world.agent.setClock(-Math.floor(choice * 86_400_000));
    await pause(lasts);
    world.agent.setClock(0);
  },
  nodeRebooted: async (world, { lasts }) => {
    await world.agent.restart("SIGKILL", {
      away: lasts / 4,
      meanwhile: async () => {
        await world.runtime.reboot();
        await ip(["link", "delete", BRIDGE]).catch(() => {});
        await Deno.remove(world.runtime.cdiFolder, { recursive: true }).catch(() => {});
      },
    });
    await world.restartKubelet({ forgets: true });
    await Promise.all(
      [...world.pods.values()].filter((pod) => pod.sandboxes.length > 0 && !pod.ending).map((pod) =>
        world.sync(pod)
      ),
    );
  },
};

/** Writes until nothing more goes; the path of what it wrote. */
async function fill(folder: string): Promise<string> {
  const path = join(folder, `filler-${crypto.randomUUID()}`);
  const file = await Deno.open(path, { write: true, create: true }).catch(() => undefined);
  for (let size = 65536; file && size >= 1;) {
    try {
      file.writeSync(new Uint8Array(size));
    } catch {
      size = Math.floor(size / 2);
    }
  }
  file?.close();
  return path;
}

/** Refused while something is written just now. */
async function remount(folder: string, mode: "ro" | "rw"): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    try {
      return await mount(["-o", `remount,${mode}`, folder]);
    } catch {
      await pause(10);
    }
  }
}

/** Also where the disk is read-only at first. */
async function remove(path: string): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      return await Deno.remove(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (tries === 100) throw error;
      await pause(50);
    }
  }
}

export async function inject(world: World, fault: Fault): Promise<void> {
  const about = `${fault.lasts} ms, ${fault.times} times, ${fault.command}, ${fault.crashPoint}`;
  // Counted when the agent comes there, and when there is such a record.
  if (fault.kind === "agentCrashes" || fault.kind === "recordDamaged") {
    world.record.note(`${fault.kind} at ${fault.crashPoint}`);
  } else world.record.fault(fault.kind, about);
  await INJECT[fault.kind](world, fault);
}

function answers(world: World, answer: Parameters<World["apiFaults"]["answer"]>[0], times: number) {
  return Promise.resolve(world.apiFaults.answer(answer, times));
}

function program(choice: number): string {
  return PROGRAMS[Math.floor(choice * PROGRAMS.length)]!;
}

/**
 * Makes a record truncated, empty, or one of a version to come: that of a claim or of an attachment
 * which the claim's status describes too, and whose pod stays.
 */
async function damageRecord(world: World, choice: number): Promise<void> {
  const staying = new Set(
    world.staying().flatMap(({ pod }) => pod.claims.map(({ ref }) => ref.uid)),
  );
  const kind = Math.floor(choice * 100) % 3 === 0 ? "claims" : "attachments";
  const folder = join(world.paths.state, kind);
  const files = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name)
    .filter((name) => name.endsWith(".json") && staying.has(name.split(".")[0]!)).toSorted();
  const name = files[Math.floor(choice * files.length)];
  // One of a claim: of what nothing is left, nothing can be known.
  const claim = name?.split(".")[0] ?? "";
  if (name === undefined || world.damaged.has(claim)) return;
  world.damaged.add(claim);
  const path = join(folder, name);
  const text = await Deno.readTextFile(path);
  const damages = [
    "",
    text.slice(0, text.length / 2),
    text.replace('"version": 1', '"version": 99'),
  ];
  await Deno.writeTextFile(path, damages[Math.floor(choice * 1000) % damages.length]!);
  world.record.fault("recordDamaged", `${kind}/${name}`);
}

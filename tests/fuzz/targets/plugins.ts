import { restored } from "../../../mod/agent/attachments/attachment_state.ts";
import { viewOf } from "../../../mod/agent/attachments/attachment_view.ts";
import { join } from "node:path";
import { CniError } from "../../../mod/cni/error.ts";
import { PluginFolders } from "../../../mod/cni/plugin_folders.ts";
import { Plugins } from "../../../mod/cni/plugins.ts";
import type { ProgramOutcome } from "../../../mod/cni/program.ts";
import { CniRunner } from "../../../mod/cni/runner.ts";
import { deviceStatuses } from "../../../mod/agent/status/device_status.ts";
import { RECORD_VERSION } from "../../../mod/journal/record_version.ts";
import { parseAttachmentRecord } from "../../../mod/journal/records.ts";
import { validateDeviceStatuses } from "../../../mod/simulator/status_validation.ts";
import { anAttachment, aSandbox } from "../../support/agent_fakes.ts";
import { DRIVER } from "../agent_bench.ts";
import { jsonCorpus } from "../corpus.ts";
import { type Json, mutateJson } from "../mutate_json.ts";
import { mutateText } from "../mutate_text.ts";
import type { Random } from "../random.ts";
import { declared, holds, type Target } from "../target.ts";

/** What one run of a plugin came to. */
interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

const VERSIONS = ["0.1.0", "0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
const sandbox = aSandbox("one");
const claim = { namespace: "default", name: "a", uid: "uid-a" };

/** What plugins print, up to the status of the claim and the record on disk. */
export async function makePlugins(folder: string): Promise<Target> {
  for (const type of ["first", "second"]) await Deno.writeTextFile(join(folder, type), "");
  let answers: Answer[] = [];
  const plugins = new Plugins({
    folders: new PluginFolders({ cniPath: [folder] }),
    timeout: 1000,
    run: () => Promise.resolve(outcome(answers.shift())),
  });
  const runner = new CniRunner(plugins);
  const seeds = await jsonCorpus("plugins");
  const texts = seeds.map((seed) => JSON.stringify(seed, null, 1));
  const target: Target<readonly Answer[]> = {
    seeds: seeds.map((seed) => [{ stdout: JSON.stringify(seed), stderr: "", code: 0 }]),
    mutate: (_, random) => [1, 2, 3].map(() => answer(random, seeds, texts)),
    async attempt(input, random) {
      answers = [...input];
      const cniVersion = random.pick(VERSIONS);
      const types = random.oneIn(2) ? ["first"] : ["first", "second"];
      const network = { cniVersion, name: "n", plugins: types.map((type) => ({ type })) };
      const attachment = anAttachment("net1", { network });
      const runtime = {
        containerID: sandbox.id,
        netns: sandbox.netns!,
        ifName: "net1",
        args: [],
        capabilityArgs: {},
        claim: { namespace: "default", name: "c", uid: "claim-uid" },
        pod: sandbox.pod,
      };
      await passes(() => runner.verify(network, never));
      answers = [...input];
      const added = await passes(() => runner.add(network, runtime, { signal: never }));
      if (!added) return;
      answers = [...input];
      await passes(() => runner.runCheck(network, runtime, added.result, never));
      answers = [...input];
      await passes(() => runner.del(network, runtime, added.result, never));
      const attached = { ...added, at: "2026-01-01T00:00:00Z" };
      const record = { claim, sandbox, attachment, attached };
      parseAttachmentRecord(JSON.parse(JSON.stringify({ version: RECORD_VERSION, ...record })));
      const entry = viewOf({ ...record, state: restored(record) });
      const all = { claim, pods: [], shareable: false, attachments: [attachment] };
      const statuses = deviceStatuses(all, { driver: DRIVER, entries: [entry] });
      const devices = JSON.parse(JSON.stringify(statuses));
      const { pool, device } = attachment;
      const allocation = { devices: { results: [{ driver: DRIVER, pool, device }] } };
      const problems = validateDeviceStatuses(devices, allocation);
      holds(problems.length === 0, problems.join("; "));
    },
    show: (input) => JSON.stringify(input),
  };
  return target as Target;
}

const never = new AbortController().signal;

async function passes<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    declared(error, CniError, Error, AggregateError);
    return undefined;
  }
}

function answer(random: Random, seeds: readonly Json[], texts: readonly string[]): Answer {
  const stdout = random.oneIn(4)
    ? mutateText(texts, random)
    : JSON.stringify(mutateJson(seeds, random)) ?? "";
  const stderr = random.oneIn(8) ? mutateText(texts, random) : "";
  return { stdout, stderr, code: random.oneIn(6) ? 1 + random.below(255) : 0 };
}

function outcome({ stdout, stderr, code }: Answer = { stdout: "", stderr: "", code: 0 }) {
  return { code, stdout: new TextEncoder().encode(stdout), stderr } satisfies ProgramOutcome;
}

/**
 * `network-dra run` for the fault tests: the agent as it is, except that it dies at a named point of
 * its work, sees another time or is broken, when a control file says so. The file's path is the
 * first argument. The adapters are changed here and nowhere in the agent's own source.
 */
import { AddressBook } from "../../mod/addresses/address_book.ts";
import { Agent } from "../../mod/agent/agent.ts";
import { CdiSpecFiles } from "../../mod/cdi/spec_files.ts";
import { CniRunner } from "../../mod/cni/runner.ts";
import { FileJournal } from "../../mod/journal/journal.ts";
import { KubeAddressApi } from "../../mod/kube/address_api.ts";
import { KubeCluster } from "../../mod/kube/cluster.ts";
import { runUnconfined } from "../support/unconfined_agent.ts";
import type { Control } from "./control.ts";
import { OTHER } from "./networks.ts";
import type { CrashPoint } from "./schedule.ts";

const [controlPath, ...flags] = Deno.args;

function control(): Control {
  try {
    return JSON.parse(Deno.readTextFileSync(controlPath!));
  } catch {
    return {};
  }
}

function reach(point: CrashPoint): void {
  if (control().crash !== point) return;
  Deno.kill(Deno.pid, "SIGKILL");
  for (;;);
}

/** What a file of the agent's is: part of the name of its crash points. */
function kindOf(path: string): "claim" | "attachment" | "cdi" | "attached" | undefined {
  if (/\/claims\/[^/]+\.json(\.tmp)?$/.test(path)) return "claim";
  if (/\/attachments\/[^/]+\.json(\.tmp)?$/.test(path)) return "attachment";
  if (/\/cdi\/[^/]+\.json(\.tmp)?$/.test(path)) return "cdi";
  if (/\/cdi\/[^/]+\.attached$/.test(path)) return "attached";
  return undefined;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** An attachment's first record is the intent, the one that replaces it the result. */
function writeOf(path: string): "claim" | "intent" | "result" | "cdi" | "attached" | undefined {
  const kind = kindOf(path);
  if (kind !== "attachment") return kind;
  return exists(path.replace(/\.tmp$/, "")) ? "result" : "intent";
}

function crashInFiles(): void {
  const { openSync, renameSync, removeSync } = Deno;
  Deno.openSync = (path, options) => {
    const write = options?.createNew ? writeOf(String(path)) : undefined;
    if (write) reach(`${write}:before-write` as CrashPoint);
    const file = openSync(path, options);
    // Empty, and so never under another name.
    if (write === "attached") reach("attached:after-write");
    return file;
  };
  Deno.renameSync = (from, to) => {
    // A claim that departs is moved elsewhere: its record goes.
    const goes = String(from).endsWith(".tmp") ? undefined : kindOf(String(from));
    const write = goes ? undefined : writeOf(String(from));
    if (goes) reach(`${goes}:before-remove` as CrashPoint);
    if (write) reach(`${write}:after-write` as CrashPoint);
    renameSync(from, to);
    if (write) reach(`${write}:after-rename` as CrashPoint);
    if (goes) reach(`${goes}:after-remove` as CrashPoint);
  };
  Deno.removeSync = (path, options) => {
    const ours = /\.(json|attached)$/.test(String(path)) && exists(String(path));
    const kind = ours ? kindOf(String(path)) : undefined;
    if (kind) reach(`${kind}:before-remove` as CrashPoint);
    removeSync(path, options);
    if (kind) reach(`${kind}:after-remove` as CrashPoint);
  };
}

function crashInCalls(): void {
  const { add, del } = CniRunner.prototype;
  CniRunner.prototype.add = async function (...args) {
    reach("add:before");
    const result = await add.apply(this, args);
    reach("add:after");
    return result;
  };
  CniRunner.prototype.del = async function (...args) {
    reach("del:before");
    await del.apply(this, args);
    reach("del:after");
  };
  const { create, remove } = KubeAddressApi.prototype;
  KubeAddressApi.prototype.create = async function (...args) {
    reach("address:before-create");
    const created = await create.apply(this, args);
    reach("address:after-create");
    return created;
  };
  KubeAddressApi.prototype.remove = async function (...args) {
    reach("address:before-delete");
    const removed = await remove.apply(this, args);
    reach("address:after-delete");
    return removed;
  };
  const { applyDeviceStatus } = KubeCluster.prototype;
  KubeCluster.prototype.applyDeviceStatus = async function (...args) {
    reach("status:before");
    const outcome = await applyDeviceStatus.apply(this, args);
    reach("status:after");
    return outcome;
  };
}

function moveClock(): void {
  let offset = 0;
  setInterval(() => offset = control().clock ?? 0, 100);
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...args: unknown[]) {
      super(...(args.length === 0 ? [RealDate.now() + offset] : args) as [number]);
    }
    static override now() {
      return RealDate.now() + offset;
    }
  } as DateConstructor;
}

function sabotage(): void {
  const every = (n: number) => {
    let calls = 0;
    return () => ++calls % n === 0;
  };
  const { add, del } = CniRunner.prototype;
  switch (control().sabotage) {
    case "forgets DEL": {
      const forgets = every(3);
      CniRunner.prototype.del = async function (...args) {
        if (!forgets()) await del.apply(this, args);
      };
      break;
    }
    case "opens the gate early":
      Agent.prototype.gate = () => Promise.resolve();
      break;
    case "lets containers start early": {
      // As if there were no second file: containers start once they can be created.
      const { allowCreate, allowStart } = CdiSpecFiles.prototype;
      CdiSpecFiles.prototype.allowCreate = function (metadata) {
        allowStart.call(this, metadata);
        allowCreate.call(this, metadata);
      };
      break;
    }
    case "deletes what lives":
      CniRunner.prototype.add = async function (network, runtime, options) {
        const result = await add.call(this, network, runtime, options);
        const { signal } = options;
        setTimeout(() => void del.call(this, network, runtime, result.result, signal), 500);
        return result;
      };
      break;
    case "writes no status":
      KubeCluster.prototype.applyDeviceStatus = () => Promise.resolve("applied");
      break;
    case "takes others' entries": {
      const { applyDeviceStatus } = KubeCluster.prototype;
      KubeCluster.prototype.applyDeviceStatus = function (claim, devices, signal) {
        const networkData = { interfaceName: "stolen" };
        const other = { driver: OTHER.driver, pool: "node-1", device: OTHER.device, networkData };
        const stolen = { ...other, conditions: [] };
        return applyDeviceStatus.call(this, claim, [...devices, stolen], signal);
      };
      break;
    }
    case "runs two operations at once":
      CniRunner.prototype.add = async function (network, runtime, options) {
        const elsewhere = { ...runtime, ifName: "zz9" };
        const [result] = await Promise.all([
          add.call(this, network, runtime, options),
          del.call(this, network, elsewhere, undefined, options.signal).catch(() => {}),
        ]);
        return result;
      };
      break;
    case "keeps records":
      FileJournal.prototype.removeAttachment = () => Promise.resolve();
      break;
    case "keeps descriptors":
      CniRunner.prototype.del = async function (...args) {
        Deno.openSync(controlPath!);
        await del.apply(this, args);
      };
      break;
    case "frees addresses before DEL": {
      let book: AddressBook | undefined;
      const { take } = AddressBook.prototype;
      AddressBook.prototype.take = function (...args) {
        book = this;
        return take.apply(this, args);
      };
      CniRunner.prototype.del = async function (network, runtime, prevResult, signal) {
        const { containerID, ifName } = runtime;
        await book?.giveBack({ network: network.name, containerID, ifName }, { signal });
        await del.call(this, network, runtime, prevResult, signal);
      };
      break;
    }
    case "keeps addresses after DEL":
      AddressBook.prototype.giveBack = () => Promise.resolve();
      break;
    case "takes addresses off record": {
      const { putAttachment } = FileJournal.prototype;
      FileJournal.prototype.putAttachment = async function (record) {
        // What is only intended is not written.
        if ("attached" in record) await putAttachment.call(this, record);
      };
      break;
    }
  }
}

sabotage();
crashInFiles();
crashInCalls();
moveClock();
Deno.exit(await runUnconfined(flags));

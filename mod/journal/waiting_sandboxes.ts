import { join } from "node:path";
import type { Sandbox } from "../agent/model.ts";
import type { WaitingSandboxes } from "../agent/ports.ts";
import { removeIfThere, replaceFile } from "../files/durable.ts";
import { makeOwnFolder } from "../files/own_folder.ts";
import { STATE_PATHS } from "../files/state_paths.ts";
import { parseSandbox } from "./records.ts";

const FILE = ".json";

/**
 * Waiting sandboxes as files in the agents' state folder, one a sandbox, under `waiting/`. They need
 * not outlive a crash of the machine: it ends the sandboxes, too.
 */
export class FileWaitingSandboxes implements WaitingSandboxes {
  readonly #folder: string;

  constructor(stateDir: string) {
    this.#folder = join(stateDir, STATE_PATHS.waiting);
  }

  async put({ id, pod: { namespace, name, uid }, netns }: Sandbox): Promise<void> {
    const sandbox = parseSandbox({ id, pod: { namespace, name, uid }, netns });
    await makeOwnFolder(this.#folder);
    replaceFile(join(this.#folder, `${id}${FILE}`), JSON.stringify(sandbox) + "\n");
  }

  async take(): Promise<Sandbox[]> {
    const sandboxes: Sandbox[] = [];
    for (const name of await this.#names()) {
      const path = join(this.#folder, name);
      try {
        const sandbox = parseSandbox(JSON.parse(await Deno.readTextFile(path)));
        if (`${sandbox.id}${FILE}` === name) sandboxes.push(sandbox);
      } catch {
        // It may be of another version, and is put again while a container waits.
      }
      removeIfThere(path);
    }
    return sandboxes;
  }

  async #names(): Promise<string[]> {
    try {
      const entries = await Array.fromAsync(Deno.readDir(this.#folder));
      return entries.map(({ name }) => name).filter((name) => name.endsWith(FILE));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }
}

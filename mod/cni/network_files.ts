import { join } from "node:path";
import type { Log } from "../agent/ports.ts";
import { parseNetworkList } from "../claim/network_list.ts";
import type { FileNetwork, FileNetworks, NetworkFileSource } from "../networks/ports.ts";
import { errorMessage } from "../async/error_message.ts";

/** What libcni reads as network configurations. */
const ENDINGS = [".conf", ".conflist", ".json"];

/** The administrator's networks: CNI configurations, one a file, in a folder of the node. */
export class NetworkFiles implements NetworkFileSource {
  readonly #folder: string;
  readonly #log: Log;
  /** What was said of the files last. */
  #said = "";

  /** @param folder empty where there is none */
  constructor(folder: string, { log }: { readonly log: Log }) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Read again each time: the administrator changes files as they like. */
  async read(): Promise<FileNetworks> {
    const folder = this.#folder;
    if (folder === "") {
      return {
        names: [],
        find: () => undefined,
        where:
          "in files: the agent of this node was started without --network-dir, the folder of " +
          "the administrator's networks",
      };
    }
    const found = new Map<string, FileNetwork>();
    const problems: string[] = [];
    for (const file of await this.#files(problems)) {
      try {
        const network = parseNetworkList(JSON.parse(await Deno.readTextFile(file)), "");
        // As in libcni, the first of a name is meant.
        if (!found.has(network.name)) found.set(network.name, { network, file });
      } catch (error) {
        problems.push(`${file}: ${errorMessage(error)}`);
      }
    }
    const said = problems.join("; ");
    if (said !== "" && said !== this.#said) {
      this.#log.warn("cannot read the administrator's networks", { error: said });
    }
    this.#said = said;
    // Whoever asks may be a tenant: what stands in the files is not theirs to know.
    const broken = said === "" ? "" : ", some of which cannot be read (see the agent's log)";
    return {
      names: [...found.keys()],
      find: (name) => found.get(name),
      where: `in the files of ${folder}${broken}`,
    };
  }

  async #files(problems: string[]): Promise<string[]> {
    try {
      const entries = await Array.fromAsync(Deno.readDir(this.#folder));
      return entries.map(({ name }) => name)
        .filter((name) => ENDINGS.some((ending) => name.endsWith(ending)))
        .toSorted().map((name) => join(this.#folder, name));
    } catch (error) {
      problems.push(errorMessage(error));
      return [];
    }
  }
}

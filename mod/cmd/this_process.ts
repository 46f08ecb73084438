import { availableParallelism } from "node:os";
import type { Surroundings } from "./run_config.ts";

/** The sources of settings: this process's environment, the node's files, its name and cores. */
export const thisProcess: Surroundings = {
  env: (name) => Deno.env.get(name),
  readFile: (path) => Deno.readTextFileSync(path),
  hostname: () => Deno.hostname(),
  cores: availableParallelism(),
};

import { parse, stringify } from "yaml";
import { parseConfigYaml } from "../../../mod/cmd/config_yaml.ts";
import { parseRunConfig, type RunConfig } from "../../../mod/cmd/run_config.ts";
import { UsageError } from "../../../mod/cmd/usage_error.ts";
import { corpus } from "../corpus.ts";
import { type Json, mutateJson } from "../mutate_json.ts";
import { mutateText } from "../mutate_text.ts";
import { declared, holds, type Target } from "../target.ts";

/** What the YAML configuration file may hold. */
export async function makeConfig(): Promise<Target> {
  const seeds = [...(await corpus("config")).values()];
  const documents = seeds.map((seed) => parse(seed) as Json);
  const known = new Set(Object.keys(read("", [])));
  const target: Target<string> = {
    seeds,
    mutate(texts, random) {
      if (random.oneIn(2)) return mutateText(texts, random);
      const document = mutateJson(documents, random);
      // JSON is YAML too, and of the two the one that is written fast however deep it is.
      const json = JSON.stringify(document) ?? "";
      return json.length < 2000 && random.oneIn(2) ? stringify(document) : json;
    },
    attempt(text) {
      let config;
      try {
        config = read(text, []);
      } catch (error) {
        declared(error, UsageError);
        return;
      }
      const given = parseConfigYaml(text) ?? {};
      for (const key of Object.keys(given)) holds(known.has(key) || key === "kubeconfig", key);
      for (const key of Object.keys(config)) holds(known.has(key) || key === "kubeconfig", key);
      const { kubeletDir, stateDir, cdiDir, nriSocket, cniPath } = config;
      for (const path of [kubeletDir, stateDir, cdiDir || "/", nriSocket, ...cniPath]) {
        holds(path.startsWith("/") && !path.includes("\0"), `a path: ${JSON.stringify(path)}`);
      }
    },
    show: (text) => JSON.stringify(text),
  };
  return target as Target;
}

function read(text: string, flags: readonly string[]): RunConfig {
  return parseRunConfig(["--config", "/c.yaml", ...flags], {
    env: () => undefined,
    readFile: () => text,
    hostname: () => "node-1",
    cores: 2,
  });
}

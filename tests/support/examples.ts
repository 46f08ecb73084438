/** What the tests read of the folders below examples/. */
import { join } from "node:path";
import { parse } from "yaml";

export const EXAMPLES_FOLDER = new URL("../../examples", import.meta.url).pathname;

/** The names of the examples' folders. */
export const EXAMPLES = (await Array.fromAsync(Deno.readDir(EXAMPLES_FOLDER)))
  .filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();

export interface Example {
  /** The path of its YAML. */
  readonly file: string;
  readonly readme: string;
  /** The `networkData` of the devices that its README promises. */
  readonly expected: readonly Readonly<Record<string, unknown>>[];
  /** Whether it can be run on a simulated node, as its README says. */
  readonly simulated: boolean;
}

export async function readExample(name: string): Promise<Example> {
  const readme = await Deno.readTextFile(join(EXAMPLES_FOLDER, name, "README.md"));
  const [, block = ""] = readme.split("## What to expect")[1]?.match(/```yaml\n(.*?)```/s) ?? [];
  const { devices } = parse(block) as { devices: { networkData: Record<string, unknown> }[] };
  return {
    file: join(EXAMPLES_FOLDER, name, `${name}.yaml`),
    readme,
    expected: devices.map(({ networkData }) => networkData),
    simulated: /\btask (try|demo)\b/.test(readme),
  };
}

import { join } from "node:path";
import { IPAM_PROGRAMS, PROGRAMS } from "./networks.ts";
import type { PluginCommand } from "./schedule.ts";

/** What a program is made to do the next time it is called with a command. */
export type Misbehaviour =
  | "fails"
  | "failsAfterwards"
  | "hangs"
  | "killed"
  | "halfAnswer"
  | "slow"
  | "garbage";

/** One call of a plugin as its wrapper wrote it down. */
export interface PluginCall {
  /** Seconds since the machine started. */
  readonly at: number;
  readonly command: string;
  readonly container: string;
  readonly interface: string;
  readonly program: string;
  readonly misbehaviour: string;
  /** Set when another program ran for the same container: what that was. */
  readonly beside?: string;
}

/**
 * CNI plugins that misbehave: in their own folder, scripts that write down each call, hold a
 * lock for their container, and run the real plugin, or do what a token in another folder says.
 */
export class MisbehavingPlugins {
  readonly folder: string;
  readonly #tokens: string;
  readonly #log: string;
  #read = 0;
  #token = 0;

  private constructor(folder: string) {
    this.folder = join(folder, "plugins");
    this.#tokens = join(folder, "tokens");
    this.#log = join(folder, "calls");
  }

  static async install(
    folder: string,
    { real }: { readonly real: string },
  ): Promise<MisbehavingPlugins> {
    const plugins = new MisbehavingPlugins(folder);
    for (const each of [plugins.folder, plugins.#tokens, join(folder, "locks")]) {
      await Deno.mkdir(each, { recursive: true });
    }
    await Deno.writeTextFile(plugins.#log, "");
    for (const program of PROGRAMS) {
      const script = wrapper({ folder, program, real: join(real, program) });
      await Deno.writeTextFile(join(plugins.folder, program), script, { mode: 0o755 });
    }
    return plugins;
  }

  /** Each of the next calls with that command takes one. */
  async misbehave(command: PluginCommand, what: Misbehaviour, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      await Deno.writeTextFile(join(this.#tokens, `${command}.${++this.#token}.${what}`), "");
    }
  }

  async behave(): Promise<void> {
    for await (const { name } of Deno.readDir(this.#tokens)) {
      await Deno.remove(join(this.#tokens, name)).catch(() => {});
    }
  }

  /** Takes a program away, as an upgrade does; the function brings it back. Undefined when it is away. */
  async take(program: string): Promise<(() => Promise<void>) | undefined> {
    const [path, away] = [join(this.folder, program), join(this.folder, `.${program}`)];
    try {
      await Deno.rename(path, away);
      return () => Deno.rename(away, path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Holds a program open for writing, so that it cannot be run (ETXTBSY). Undefined when it is away. */
  async occupy(program: string): Promise<(() => void) | undefined> {
    try {
      const file = await Deno.open(join(this.folder, program), { write: true });
      return () => file.close();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** The calls since the last time. */
  async calls(): Promise<PluginCall[]> {
    const bytes = (await Deno.readFile(this.#log)).subarray(this.#read);
    const whole = bytes.subarray(0, bytes.lastIndexOf(10) + 1);
    this.#read += whole.length;
    return parse(whole);
  }

  /** What was begun last for an interface of a container: ADD or DEL. Undefined for neither. */
  async lastBegun(container: string, ifName: string): Promise<string | undefined> {
    return parse(await Deno.readFile(this.#log)).findLast((call) =>
      call.container === container && call.interface === ifName &&
      ["ADD", "DEL"].includes(call.command)
    )?.command;
  }
}

function parse(bytes: Uint8Array): PluginCall[] {
  return new TextDecoder().decode(bytes).split("\n").filter((line) => line !== "").map((line) => {
    const [at, command, container, link, program, misbehaviour, ...beside] = line.split(" ");
    return {
      at: Number(at),
      command: command!,
      container: container!,
      interface: link!,
      program: program!,
      misbehaviour: misbehaviour!,
      ...(beside.length > 0 && { beside: beside.join(" ") }),
    };
  });
}

/**
 * The lock's descriptor is passed on to the real plugin, so a container stays locked until the last
 * process of an operation is gone. One that was killed for hanging may take a moment for that.
 */
function wrapper(
  { folder, program, real }: {
    readonly folder: string;
    readonly program: string;
    readonly real: string;
  },
): string {
  // Plugins call their IPAM plugin, which is part of the same operation.
  const locks = !IPAM_PROGRAMS.includes(program);
  return `#!/bin/sh
what=well
for token in ${folder}/tokens/$CNI_COMMAND.*; do
  if [ -e "$token" ] && rm "$token" 2>/dev/null; then what=\${token##*.}; break; fi
done
beside=
${
    locks
      ? `case $CNI_COMMAND in ADD | DEL | CHECK)
  exec 9>>${folder}/locks/$CNI_CONTAINERID
  if ! flock -n 9; then
    beside=" $(tail -n 1 ${folder}/locks/$CNI_CONTAINERID)"
    flock -w 5 9
  fi
  echo "$CNI_COMMAND $CNI_IFNAME ${program} $what" >&9
esac
`
      : ""
  }read up rest < /proc/uptime
echo "$up $CNI_COMMAND \${CNI_CONTAINERID:--} \${CNI_IFNAME:--} ${program} $what$beside" >> ${folder}/calls
case $what in
  well) exec ${real} ;;
  slow) sleep 0.7; exec ${real} ;;
  fails) echo '{"cniVersion":"1.0.0","code":100,"msg":"told to fail"}'; exit 1 ;;
  failsAfterwards) ${real} >/dev/null; echo '{"cniVersion":"1.0.0","code":101,"msg":"told to fail afterwards"}'; exit 1 ;;
  hangs) ${real} >/dev/null; sleep 1000 ;;
  killed) exec 3<&0; ${real} <&3 & sleep 0.01; kill -9 $!; kill -9 $$ ;;
  halfAnswer) answer=$(${real}); status=$?; printf %s "$answer" | head -c 40; exit $status ;;
  garbage) echo 'panic: told to' >&2; exit 2 ;;
esac
`;
}

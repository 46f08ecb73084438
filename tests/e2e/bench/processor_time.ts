/** Processor time in seconds, since some moment in the past: what counts is the difference of two. */
export interface ProcessorTime {
  /** Of all processors, whatever they did. */
  readonly all: number;
  /** For so long they had nothing to do. */
  readonly idle: number;
  readonly apiServer: number;
  readonly agent: number;
  /** The programs that the agent ran and that have ended: its plugins. */
  readonly plugins: number;
}

/** The kernel counts in these, whatever the machine (proc(5), USER_HZ). */
const TICKS_PER_SECOND = 100;

/** @param agent the id of its process */
export async function processorTime(agent: number): Promise<ProcessorTime> {
  const machine = await Deno.readTextFile("/proc/stat");
  // user, nice, system, idle, iowait, irq, softirq, steal; guests' time is in user's already.
  const times = machine.split("\n", 1)[0]!.split(/ +/).slice(1, 9).map(Number);
  const idle = times[3]! + times[4]!;
  const all = times.reduce((total, time) => total + time, 0) - idle;
  const [own, apiServer] = await Promise.all([statOf(agent), statOf(await idOf("kube-apiserver"))]);
  const ticks = {
    all,
    idle,
    apiServer: apiServer.itself,
    agent: own.itself,
    plugins: own.children,
  };
  return mapped(ticks, (value) => value / TICKS_PER_SECOND);
}

export function difference(later: ProcessorTime, earlier: ProcessorTime): ProcessorTime {
  return mapped(later, (value, part) => value - earlier[part]);
}

function mapped(
  { all, idle, apiServer, agent, plugins }: ProcessorTime,
  change: (value: number, part: keyof ProcessorTime) => number,
): ProcessorTime {
  return {
    all: change(all, "all"),
    idle: change(idle, "idle"),
    apiServer: change(apiServer, "apiServer"),
    agent: change(agent, "agent"),
    plugins: change(plugins, "plugins"),
  };
}

async function statOf(id: number): Promise<{ itself: number; children: number }> {
  const line = await Deno.readTextFile(`/proc/${id}/stat`);
  // Behind the name, which may hold anything, from the third field on; the times are 14 to 17.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ").map(Number);
  return { itself: fields[11]! + fields[12]!, children: fields[13]! + fields[14]! };
}

/** The id of the process with that name: in a private node there is one. */
async function idOf(name: string): Promise<number> {
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    const found = await Deno.readTextFile(`/proc/${entry.name}/comm`).catch(() => "");
    if (found.trim() === name) return Number(entry.name);
  }
  throw new Error(`no process is called ${name}`);
}

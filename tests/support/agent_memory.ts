/** What a process holds in memory, in bytes (proc(5), statm: the second number is resident pages). */
export async function residentMemory(pid: number): Promise<number> {
  const [, resident] = (await Deno.readTextFile(`/proc/${pid}/statm`)).split(" ");
  return Number(resident) * 4096;
}

/** How many unix sockets a process holds: others come and go with requests to the API server. */
export async function unixSockets(pid: number): Promise<number> {
  const unix = await Deno.readTextFile(`/proc/${pid}/net/unix`);
  const inodes = new Set(unix.split("\n").map((line) => line.trim().split(/ +/)[6]));
  let count = 0;
  for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
    const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
    const inode = target.match(/^socket:\[(\d+)\]$/)?.[1];
    if (inode !== undefined && inodes.has(inode)) count++;
  }
  return count;
}

/** Watches a process's memory until it is told the most that was seen. */
export class MemoryWatch {
  readonly #timer: ReturnType<typeof setInterval>;
  most = 0;

  constructor(pid: number) {
    this.#timer = setInterval(() => {
      residentMemory(pid).then((bytes) => this.most = Math.max(this.most, bytes), () => {});
    }, 20);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

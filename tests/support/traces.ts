/** What tests could leave on the machine although their namespaces are gone. */
export async function traces(): Promise<string[]> {
  const found: string[] = [];
  const folders = ["/sys/class/net", "/run/netns", "/var/lib/cni", "/var/run/cdi"];
  for (const controller of await list("/sys/fs/cgroup")) {
    folders.push(`/sys/fs/cgroup/${controller}`);
  }
  for (const folder of folders) {
    for (const name of await list(folder)) found.push(`${folder}/${name}`);
  }
  const mounts = await Deno.readTextFile("/proc/mounts");
  found.push(...mounts.split("\n").map((line) => `mount ${line.split(" ")[1]}`));
  return found;
}

async function list(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}

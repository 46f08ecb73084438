import { join } from "node:path";

/** What the kubelet sets on its machine (pkg/kubelet/cm, setupKernelTunables). */
const KERNEL_SETTINGS: Readonly<Record<string, string>> = {
  "vm/overcommit_memory": "1",
  "vm/panic_on_oom": "0",
  "kernel/panic": "10",
  "kernel/panic_on_oops": "1",
  "kernel/keys/root_maxkeys": "1000000",
  "kernel/keys/root_maxbytes": "25000000",
};

/**
 * Keeps from the machine what a kubelet does to it beyond its namespaces: settings of the kernel, for
 * which it finds files that hold what it wants, and folders below /var/log.
 */
export async function shieldMachine(folder: string): Promise<void> {
  await mount(["-t", "tmpfs", "tmpfs", "/var/log"]);
  for (const [setting, value] of Object.entries(KERNEL_SETTINGS)) {
    const file = join(folder, setting.replaceAll("/", "."));
    await Deno.writeTextFile(file, `${value}\n`);
    await mount(["--bind", file, `/proc/sys/${setting}`]);
  }
}

async function mount(args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("mount", {
    args: [...args],
    stdin: "null",
  }).output();
  if (!success) throw new Error(`mount ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

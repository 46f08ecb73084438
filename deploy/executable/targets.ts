/** A machine that the agent is built for. */
export interface Target {
  /** As container builders name it. */
  readonly architecture: "amd64" | "arm64";
  /** As Deno names it in `--target`. */
  readonly triple: string;
  /** As Deno names it in `Deno.build.arch`. */
  readonly machine: string;
  /** Its number in the header of ELF files (e_machine). */
  readonly elf: number;
}

const TARGETS: readonly Target[] = [
  { architecture: "amd64", triple: "x86_64-unknown-linux-gnu", machine: "x86_64", elf: 62 },
  { architecture: "arm64", triple: "aarch64-unknown-linux-gnu", machine: "aarch64", elf: 183 },
];

/**
 * The target with that name; this machine's where it is undefined, or empty as builders without BuildKit
 * leave TARGETARCH.
 *
 * @throws Error where there is none with that name
 */
export function targetOf(name: string | undefined): Target {
  const found = TARGETS.find(({ architecture, machine }) =>
    name ? architecture === name : machine === Deno.build.arch
  );
  if (found) return found;
  const known = TARGETS.map(({ architecture }) => architecture).join(" or ");
  throw new Error(
    name
      ? `--target ${JSON.stringify(name)}: must be ${known}`
      : `this machine is ${Deno.build.arch}; the agent is built for ${known}`,
  );
}

/** Whether it is the machine that runs this. */
export function isOwn({ machine }: Target): boolean {
  return machine === Deno.build.arch;
}

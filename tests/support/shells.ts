import { join } from "node:path";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";

const SUITE = "bookworm";

/** Zsh and fish of Debian, unpacked and not installed. */
export interface Shells {
  readonly zsh: {
    readonly program: string;
    /** What holds the functions of its completion. */
    readonly functions: string;
  };
  readonly fish: {
    readonly program: string;
    readonly functions: string;
    readonly env: Readonly<Record<string, string>>;
  };
}

export async function fetchShells(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<Shells> {
  const fetched = (name: string) =>
    fetchDebianPackage(name, { suite: SUITE, cache: cacheFolder(), progress });
  const fishFiles = await fetched("fish-common");
  return {
    zsh: {
      // The other one looks for its modules in /usr.
      program: join(await fetched("zsh-static"), "bin/zsh-static"),
      functions: join(await fetched("zsh-common"), "usr/share/zsh/functions"),
    },
    fish: {
      program: join(await fetched("fish"), "usr/bin/fish"),
      functions: join(fishFiles, "usr/share/fish/functions"),
      env: {
        LD_LIBRARY_PATH: join(
          await fetched("libpcre2-32-0"),
          `usr/lib/${Deno.build.arch}-linux-gnu`,
        ),
        XDG_DATA_DIRS: join(fishFiles, "usr/share"),
      },
    },
  };
}

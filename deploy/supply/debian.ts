import type { PinnedPackage } from "../../mod/simulator/debian_package.ts";

/** The package URL (purl) of a Debian package. */
export function packageUrl(
  { name, version, architecture, suite }: Omit<PinnedPackage, "sha256">,
): string {
  return `pkg:deb/debian/${name}@${
    encodeURIComponent(version)
  }?arch=${architecture}&distro=${suite}`;
}

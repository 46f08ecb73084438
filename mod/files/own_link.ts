/**
 * Makes a link in a folder of the agent's own, or lets it lead elsewhere. Deno lets only who may read
 * and write everywhere make links.
 */
export function makeOwnLink(link: string, target: string): void {
  try {
    // A disk that takes nothing at the moment has it from an earlier start.
    if (Deno.readLinkSync(link) === target) return;
  } catch {
    // Something else, or nothing, is there.
  }
  try {
    Deno.removeSync(link);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  Deno.symlinkSync(target, link);
}

/**
 * The folder in which a user's `.kube` is, found as kubectl does: on Windows, HOME need not be set.
 *
 * @param env gives a variable's value
 */
export function userHome(env: (name: string) => string | undefined): string | undefined {
  const [drive, path] = [env("HOMEDRIVE"), env("HOMEPATH")];
  return env("HOME") || env("USERPROFILE") || (drive && path && `${drive}${path}`) || undefined;
}

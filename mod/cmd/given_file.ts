import { errorMessage } from "../async/error_message.ts";
import { UsageError } from "./usage_error.ts";

/**
 * The text of a file that the command line, the environment or the configuration file names.
 *
 * @param at the flag or variable that names it; undefined for an argument
 * @throws UsageError that says where the file was named, and what is wrong with it
 */
export function readGivenFile(
  path: string,
  { at, readFile = Deno.readTextFileSync }: {
    readonly at?: string;
    readonly readFile?: (path: string) => string;
  } = {},
): string {
  if (path === "") throw new UsageError(`${at ?? "FILE"}: the name of a file cannot be empty`);
  try {
    return readFile(path);
  } catch (error) {
    throw unusable(path, at, fileProblem(error, "no such file"));
  }
}

/** @throws UsageError if the flag's value is not a folder */
export function assertFolder(path: string, { at }: { readonly at: string }): void {
  let isDirectory: boolean;
  try {
    ({ isDirectory } = Deno.statSync(path));
  } catch (error) {
    throw unusable(path, at, fileProblem(error, "no such folder"));
  }
  if (!isDirectory) throw unusable(path, at, "not a folder");
}

function unusable(path: string, at: string | undefined, problem: string): UsageError {
  return new UsageError(`${at === undefined ? path : `${at} ${path}`}: ${problem}`);
}

/** What is wrong with a path, without Deno's hints about its own calls and flags. */
function fileProblem(error: unknown, notFound: string): string {
  if (error instanceof Deno.errors.NotFound) return notFound;
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "is a folder, not a file";
  if (error instanceof Deno.errors.NotADirectory) return "part of this path is not a folder";
  if (error instanceof Deno.errors.NotCapable) {
    return "cannot be read: network-dra does not read devices or files in /proc and /sys";
  }
  return errorMessage(error).replace(/ \(os error \d+\).*$/s, "");
}

/** The command line, an environment variable or the configuration file is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** The command line does not match the usage that the help shows. */
export class CommandLineError extends UsageError {
  override readonly name = "CommandLineError";
}

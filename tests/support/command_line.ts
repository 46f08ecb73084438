import { flagsOf } from "../../mod/cmd/command.ts";
import { COMMANDS } from "../../mod/cmd/commands.ts";

/** The flags of each command, with their dashes. */
export function flagsOfCommands(): Map<string, Set<string>> {
  return new Map(COMMANDS.map((command) => [
    command.name,
    new Set(
      flagsOf(command).flatMap(({ name, short, aliases = [] }) => [
        ...[name, ...aliases].map((each) => `--${each}`),
        ...short === undefined ? [] : [`-${short}`],
      ]),
    ),
  ]));
}

import { type Command, EXIT_CODES } from "../command.ts";

/** The supported shells, and how each loads its script in all sessions. */
const SHELLS = {
  bash: "network-dra completion bash > /etc/bash_completion.d/network-dra",
  zsh: 'network-dra completion zsh > "${fpath[1]}/_network-dra"',
  fish: "network-dra completion fish > ~/.config/fish/completions/network-dra.fish",
} as const;

export type Shell = keyof typeof SHELLS;

export const COMPLETION = {
  name: "completion",
  summary: "Print a completion script for a shell.",
  description: [
    "Prints a script for a shell to complete commands, flags, their values and file names.",
  ],
  argument: {
    name: "SHELL",
    help: "The shell that the script is for.",
    least: 1,
    most: 1,
    choices: Object.keys(SHELLS),
  },
  flags: {},
  examples: [
    { what: "In this session of Bash:", line: "source <(network-dra completion bash)" },
    { what: "For all future sessions of Bash:", line: SHELLS.bash },
    { what: "For all future sessions of Zsh:", line: SHELLS.zsh },
    { what: "For all future sessions of fish:", line: SHELLS.fish },
  ],
  exitCodes: { 0: "The script was printed.", 2: EXIT_CODES[2] },
} as const satisfies Command;

export const VERSION = {
  name: "version",
  summary: "Print the version.",
  description: ["Prints the version."],
  flags: {},
  examples: [{ what: "Print the version:", line: "network-dra version" }],
  exitCodes: { 0: "The version was printed.", 2: EXIT_CODES[2] },
} as const satisfies Command;

export const HELP = {
  name: "help",
  summary: "Print help for a command.",
  description: ["Prints help for a command, or the list of commands."],
  argument: { name: "COMMAND", help: "The command that help is for.", least: 0, most: 1 },
  flags: {},
  examples: [
    { what: "List the commands:", line: "network-dra help" },
    { what: "Print the flags of a command, and examples:", line: "network-dra help try" },
  ],
  exitCodes: { 0: "The help was printed.", 2: EXIT_CODES[2] },
} as const satisfies Command;

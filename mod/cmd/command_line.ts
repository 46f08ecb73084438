import { errorMessage } from "../async/error_message.ts";
import { type CommandName, commandNamed, COMMANDS } from "./commands.ts";
import { CLUSTER_STATUS } from "./commands/cluster.ts";
import { COMPLETION, HELP, VERSION as VERSION_COMMAND } from "./commands/general.ts";
import type { Shell } from "./commands/general.ts";
import { readCommandLine } from "./flag_values.ts";
import { CommandLineError, UsageError } from "./usage_error.ts";
import { VERSION } from "./version.ts";
import { asksForHelp, meantBy } from "./words.ts";

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** Carries out a command, given what follows its name. @returns the exit code */
type Start = (argv: readonly string[], code: string) => Promise<number>;

/** Loaded when needed: each loads libraries that the others do not use. */
const START: Readonly<Record<CommandName, Start>> = {
  run: async (argv, code) => (await import("./run.ts")).run(argv, code),
  try: async (argv) => (await import("./try.ts")).tryFiles(argv),
  lint: async (argv) => (await import("./lint.ts")).lintFiles(argv),
  migrate: async (argv) => (await import("./migrate.ts")).migrateFiles(argv),
  "cluster-status": async (argv) => (await import("./cluster_status.ts")).clusterStatus(argv),
  pods: async (argv) => (await import("./cluster_lists.ts")).pods(argv),
  networks: async (argv) => (await import("./cluster_lists.ts")).networks(argv),
  devices: async (argv) => (await import("./cluster_lists.ts")).devices(argv),
  explain: async (argv) => (await import("./explain.ts")).explain(argv),
  ui: async (argv) => (await import("./ui.ts")).serveUi(argv),
  doctor: async (argv) => (await import("./doctor.ts")).doctor(argv),
  status: async (argv) => (await import("./status.ts")).status(argv),
  test: async (argv) => (await import("./connectivity.ts")).testNetwork(argv),
  sysdump: async (argv) => (await import("./sysdump.ts")).sysdump(argv),
  forget: async (argv) => (await import("./forget.ts")).forget(argv),
  webhook: async (argv) => (await import("./webhook.ts")).webhook(argv),
  "install-plugins": async (argv) =>
    (await import("./install_plugins.ts")).installPluginsCommand(argv),
  probe: async (argv) => (await import("./probe.ts")).probe(argv),
  ready: async (argv) => (await import("./ready.ts")).ready(argv),
  completion: async (argv) => {
    const { args: [shell] } = readCommandLine(COMPLETION, argv);
    return print((await import("./completion.ts")).completionScript(shell as Shell));
  },
  version: (argv) => {
    readCommandLine(VERSION_COMMAND, argv);
    return Promise.resolve(print(VERSION));
  },
  help: async (argv) => {
    const { args: [name] } = readCommandLine(HELP, argv);
    return await printHelp(name);
  },
};

/**
 * Runs the command line, and prints what is wrong. Gives the exit code.
 *
 * @param code URL of the module that serves the warden when it is run as a worker
 */
export async function runCommandLine(argv: readonly string[], code: string): Promise<number> {
  const [name = "--help", ...rest] = pluginWords(argv, Deno.execPath()) ?? argv;
  const command = commandNamed(name);
  try {
    if (command === undefined) return await withoutCommand(name, rest);
    if (asksForHelp(rest)) return await printHelp(command.name);
    return await START[command.name](rest, code);
  } catch (error) {
    const program = command && command.name !== HELP.name
      ? `network-dra ${command.name}`
      : "network-dra";
    console.error(`${program}: ${errorMessage(error)}`);
    if (error instanceof CommandLineError) console.error(`Run '${program} --help' for usage.`);
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE;
  }
}

/**
 * The words of a command line if the program is called as a kubectl plugin: by the plugin's name, or with
 * `kubectl` as the first word, which a portable executable adds. Undefined otherwise.
 */
export function pluginWords(
  argv: readonly string[],
  executable: string,
): readonly string[] | undefined {
  if (argv[0] === "kubectl") return asPlugin(argv.slice(1));
  return /(^|[\\/])kubectl-network_dra(\.exe)?$/.test(executable) ? asPlugin(argv) : undefined;
}

/** For the plugin, `status` means the cluster's status, not the node's. */
export function asPlugin(argv: readonly string[]): readonly string[] {
  const at = argv[0] === HELP.name || argv[0] === "--help" ? 1 : 0;
  return argv.map((word, i) => i === at && word === "status" ? CLUSTER_STATUS.name : word);
}

/** Handles a first word that is not a command. */
async function withoutCommand(word: string, rest: readonly string[]): Promise<number> {
  if (word === "--help" || word === "-h") return await printHelp(rest[0]);
  if (word === "--version") return print(VERSION);
  if (word.startsWith("-")) {
    const meant = word === "-v" ? "version" : meantBy(word.replace(/^-+/, ""), ["help", "version"]);
    const hint = meant === undefined ? "the command must come first" : `did you mean --${meant}?`;
    throw new CommandLineError(`unknown flag ${word}; ${hint}`);
  }
  throw unknownCommand(word);
}

async function printHelp(name: string | undefined): Promise<number> {
  const { commandHelp, help } = await import("./help.ts");
  if (name === undefined) return print(help());
  const command = commandNamed(name);
  if (command === undefined) throw unknownCommand(name);
  return print(commandHelp(command));
}

function unknownCommand(word: string): CommandLineError {
  const meant = meantBy(word, COMMANDS.map(({ name }) => name));
  const hint = meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`;
  return new CommandLineError(`unknown command ${JSON.stringify(word)}${hint}`);
}

function print(text: string): 0 {
  console.log(text);
  return 0;
}

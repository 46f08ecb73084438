import { choicesOf, type Command, flagsOf } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import type { Shell } from "./commands/general.ts";
import type { Flag } from "./flag.ts";

/** The completion script for a shell, generated from the table of commands. */
export function completionScript(shell: Shell): string {
  return SCRIPTS[shell]().trimEnd();
}

const SCRIPTS: Readonly<Record<Shell, () => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Text in single quotes, which mean the same in all three shells as long as the text contains no '. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}

/** The possible arguments; for `help`, the names of the commands. */
function argumentChoices({ name, argument }: Command): readonly string[] {
  return name === "help" ? COMMANDS.map((each) => each.name) : argument?.choices ?? [];
}

/** `-o --output`, and other spellings. */
function spellings({ name, short, aliases = [] }: Flag<unknown>): string[] {
  return [
    ...short === undefined ? [] : [`-${short}`],
    ...[name, ...aliases].map((spelling) => `--${spelling}`),
  ];
}

/** The first sentence, for one line of a list. */
function summaryOf({ help }: Flag<unknown>): string {
  return help.split(/\.(?= |$)/)[0]!;
}

function bashScript(): string {
  const values = COMMANDS.flatMap((command) =>
    flagsOf(command).filter(({ takes }) => takes !== undefined).map((flag) =>
      `    ${spellings(flag).map((each) => quoted(`${command.name} ${each}`)).join(" | ")}) ` +
      `${bashValues(flag)} ;;`
    )
  );
  const words = COMMANDS.map((command) => {
    const flags = flagsOf(command).map(({ name }) => `--${name}`);
    return `    ${command.name}) flags=${quoted(flags.join(" "))} ${bashArguments(command)} ;;`;
  });
  const commands = COMMANDS.map(({ name }) => name).join(" ");
  return `# Completion of network-dra for Bash.
_network_dra() {
  local index=$COMP_CWORD word=\${COMP_WORDS[COMP_CWORD]} flag flags='' choices='' files=''
  COMPREPLY=()
  # Bash takes = and : for words of their own.
  if [[ $word == [=:] ]]; then
    word=''
    index=$((index + 1))
  fi
  while ((index > 2)) && [[ \${COMP_WORDS[index - 1]} == : ]]; do
    index=$((index - 2))
  done
  flag=\${COMP_WORDS[index - 1]}
  if [[ $flag == = ]]; then
    flag=\${COMP_WORDS[index - 2]}
  fi
  case "\${COMP_WORDS[1]} $flag" in
${values.join("\n")}
    *) _network_dra_words ;;
  esac
  if [[ -n $files ]]; then
    compopt -o filenames 2> /dev/null
    mapfile -t COMPREPLY < <(compgen -A "$files" -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
  fi
}

# What stands where no value is awaited: a command, a flag or an argument.
_network_dra_words() {
  if ((COMP_CWORD == 1)); then
    choices='${commands}'
    flags='--help --version'
  else
    case "\${COMP_WORDS[1]}" in
${words.join("\n").replaceAll(/^/gm, "  ")}
    esac
  fi
  if [[ $word == -* ]]; then
    choices=$flags
    files=''
  fi
}

complete -F _network_dra network-dra
`;
}

/** Sets the possible values of a flag; nothing if they are unknown. */
function bashValues(flag: Flag<unknown>): string {
  if (flag.path !== undefined) return `files=${flag.path === "file" ? "file" : "directory"}`;
  return `choices=${quoted(choicesOf(flag).join(" "))}`;
}

function bashArguments(command: Command): string {
  if (command.argument?.path !== undefined) return "files=file";
  return `choices=${quoted(argumentChoices(command).join(" "))}`;
}

function zshScript(): string {
  const commands = COMMANDS.map(({ name, summary }) =>
    quoted(`${zshText(name)}:${summary.replace(/\.$/, "")}`)
  );
  const cases = COMMANDS.map((command) => {
    const { name, argument } = command;
    const specs = [
      ...flagsOf(command).flatMap(zshFlag),
      ...argument ? [zshArgument(command)] : [],
    ];
    return `    ${name})\n      _arguments -s ${specs.join(" \\\n        ")} ;;`;
  });
  return `#compdef network-dra
# Completion of network-dra for Zsh.
_network_dra() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C \\
    '(-)'{-h,--help}'[Print this help]' \\
    '(-)--version[Print the version]' \\
    '1:command:->command' \\
    '*::argument:->argument'
  case $state in
  command)
    local -a commands=(
      ${commands.join("\n      ")}
    )
    _describe command commands ;;
  argument)
    case $words[1] in
${cases.join("\n")}
    esac ;;
  esac
}

# Where it is read as a function of fpath, it is called at once.
if [[ $funcstack[1] == _network-dra ]]; then
  _network_dra "$@"
else
  compdef _network_dra network-dra
fi
`;
}

/** Escapes colons and brackets for zsh. */
function zshText(text: string): string {
  return text.replaceAll(/[\\:[\]]/g, "\\$&");
}

function zshFlag(flag: Flag<unknown>): string[] {
  const { takes } = flag;
  const all = spellings(flag);
  const what = zshText(summaryOf(flag));
  const value = takes === undefined ? "" : `:${zshText(takes)}:${zshValues(flag)}`;
  return all.map((spelling) => {
    const sign = takes !== undefined && spelling.startsWith("--") ? "=" : "";
    const others = all.length > 1 ? `(${all.join(" ")})` : "";
    return quoted(`${others}${spelling}${sign}[${what}]${value}`);
  });
}

function zshValues(flag: Flag<unknown>): string {
  if (flag.path !== undefined) return flag.path === "file" ? "_files" : "_directories";
  const choices = choicesOf(flag);
  return choices.length === 0 ? " " : `(${choices.join(" ")})`;
}

function zshArgument(command: Command): string {
  const { name, most, path } = command.argument!;
  const choices = argumentChoices(command);
  const action = path !== undefined
    ? "_files"
    : choices.length > 0
    ? `(${choices.join(" ")})`
    : " ";
  return quoted(`${most === "any" ? "*" : "1"}:${name}:${action}`);
}

function fishScript(): string {
  const commands = COMMANDS.map(({ name, summary }) =>
    fishLine("-n __fish_use_subcommand", `-a ${name} -d ${quoted(summary.replace(/\.$/, ""))}`)
  );
  const rest = COMMANDS.flatMap((command) => {
    const when = `-n '__fish_seen_subcommand_from ${command.name}'`;
    const choices = argumentChoices(command);
    return [
      ...flagsOf(command).map((flag) => fishLine(when, fishFlag(flag))),
      ...command.argument?.path !== undefined ? [fishLine(when, "-F")] : [],
      ...choices.length > 0 ? [fishLine(when, `-a ${quoted(choices.join(" "))}`)] : [],
    ];
  });
  return `# Completion of network-dra for fish.
complete -c network-dra -f
${fishLine("-n __fish_use_subcommand", "-s h -l help -d 'Print this help'")}
${fishLine("-n __fish_use_subcommand", "-l version -d 'Print the version'")}
${[...commands, ...rest].join("\n")}
`;
}

function fishLine(when: string, what: string): string {
  return `complete -c network-dra ${when} ${what}`;
}

function fishFlag(flag: Flag<unknown>): string {
  const { name, short, aliases = [], takes, path } = flag;
  const names = [
    ...short === undefined ? [] : [`-s ${short}`],
    ...[name, ...aliases].map((spelling) => `-l ${spelling}`),
  ];
  const values = takes === undefined
    ? ""
    : path === "file"
    ? " -r -F"
    : path === "folder"
    ? " -x -a '(__fish_complete_directories)'"
    : ` -x -a ${quoted(choicesOf(flag).join(" "))}`;
  return `${names.join(" ")}${values} -d ${quoted(summaryOf(flag))}`;
}

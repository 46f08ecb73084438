/** What is printed for the mistakes of new users, and docs/reference/mistakes.md, which shows it. */
import { join } from "node:path";
import { parse } from "yaml";
import { parsePolicy } from "../../mod/claim/policy_config.ts";
import { lint } from "../../mod/lint/lint.ts";
import { textReport } from "../../mod/lint/reports.ts";
import { cli } from "./cli.ts";
import { type Mistake, mistaken, MISTAKES, RIGHT } from "./mistakes.ts";

export const PAGE = new URL("../../docs/reference/mistakes.md", import.meta.url);

/** What a mistake's command prints about it, line by line; its exit code where that is all. */
export async function printed(mistake: Mistake): Promise<string> {
  return mistake.command === "lint" ? ofLint(mistake) : await ofTry(mistake);
}

function ofLint({ changes, config }: Mistake): string {
  const policy = config === undefined ? {} : parsePolicy(parse(config).policy);
  const problems = lint([{ file: "lan.yaml", text: mistaken({ changes }) }], { policy });
  // The last line counts them.
  return textReport(problems, 1).split("\n").slice(0, -1).join("\n");
}

async function ofTry({ changes, config }: Mistake): Promise<string> {
  const folder = await Deno.makeTempDir();
  const write = async (name: string, text: string) => {
    await Deno.writeTextFile(join(folder, name), text);
    return join(folder, name);
  };
  try {
    const { code, stderr } = await cli([
      "try",
      await write("lan.yaml", mistaken({ changes })),
      ...config === undefined ? [] : ["--config", await write("config.yaml", config)],
    ]);
    // The first cause, with what to do about it; not what came of it.
    const [first = ""] = stderr.match(/^network-dra.*(\n {2}\S.*)*/m) ?? [];
    const plain = first.replaceAll(`${folder}/`, "").replace(
      /\/\S*\/dhcp daemon/,
      "/opt/cni/bin/dhcp daemon",
    );
    return plain === "" ? `exit code ${code}: the pod ran` : plain;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The page, from what is printed for each mistake. */
export function page(outcomes: ReadonlyMap<Mistake, string>): string {
  let number = 0;
  const groups = Object.entries(MISTAKES).map(([title, mistakes]) => {
    const rows = Object.entries(mistakes).map(([name, mistake]) =>
      row([
        `${++number}`,
        `${name}<br>${code(mistake.config?.trimEnd() ?? wrote(mistake))}`,
        code(outcomes.get(mistake)!),
        code(mistake.before),
      ])
    );
    const head = [
      row(["", "what was written", "what is printed", "before"]),
      row(Array(4).fill("---")),
    ];
    return [
      `## ${title}`,
      "",
      "<!-- deno-fmt-ignore-start -->",
      "",
      ...head,
      ...rows,
      "",
      "<!-- deno-fmt-ignore-end -->",
    ]
      .join("\n");
  });
  return `${INTRODUCTION}\n${groups.join("\n\n")}\n`;
}

const INTRODUCTION = `# Mistakes and their messages

<!-- Written by \`deno task docs:mistakes\` from tests/support/mistakes.ts; a test holds it equal. -->

**What you get:** a list in which you can find your message and the mistake behind it. **Time:** a
search.

Each row shows one mistake in the file below, and the message that \`network-dra lint\` prints. \`lint\`
knows nothing about the node and runs no plugin; for mistakes that it therefore cannot find, the row
shows the message of \`network-dra try\`. On a cluster, \`kubectl apply\` or the pod's events show the
same ([troubleshooting](../how-to/troubleshooting.md)).

The last column shows the message of \`try\` at commit 420ed6b, before we revised the messages for new
users. There was no \`lint\` then, and \`try\` needed the DeviceClass in the file.

\`\`\`yaml
${RIGHT.trimEnd()}
\`\`\`
`;

/** The lines that stand in RIGHT otherwise. */
function wrote({ wrote, changes }: Mistake): string {
  if (wrote !== undefined) return wrote;
  const right = RIGHT.split("\n");
  return changes.flatMap(([, wrong]) => wrong.split("\n"))
    .map((line) => line.trim())
    .filter((line) => line !== "" && !right.some((each) => each.trim().replace(/^- /, "") === line))
    .join("\n");
}

/** Text as it is, line by line, in a cell of a table. */
function code(text: string): string {
  return text.split("\n").filter((line) => line.trim() !== "")
    .map((line) => {
      const fence = line.includes("`") ? "``" : "`";
      return `${fence}${line.trim().replaceAll("|", "\\|")}${fence}`;
    }).join("<br>");
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

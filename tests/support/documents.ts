/** The project's Markdown, as the tests of the documentation look at it. */
import { join, relative } from "node:path";

const ROOT = new URL("../..", import.meta.url).pathname;

/** Folders that hold no documentation of ours. */
const PASSED_OVER = [".git", ".cache", ".vitepress", "dist", "node_modules", "proto"];

export interface Document {
  /** From the project's folder on. */
  readonly path: string;
  readonly text: string;
}

/** A fenced block of code. */
export interface Block {
  readonly path: string;
  /** Of the block's first line of code. */
  readonly line: number;
  /** What follows the fence, such as `yaml`; empty where nothing does. */
  readonly language: string;
  readonly text: string;
}

/** Every Markdown file of the project. */
export async function documents(folder = ROOT): Promise<Document[]> {
  const found: Document[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) {
      if (!PASSED_OVER.includes(name)) found.push(...await documents(path));
    } else if (name.endsWith(".md")) {
      found.push({ path: relative(ROOT, path), text: await Deno.readTextFile(path) });
    }
  }
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

export function blocks({ path, text }: Document): Block[] {
  const found: Block[] = [];
  let open: { fence: string; language: string; line: number; lines: string[] } | undefined;
  text.split("\n").forEach((line, i) => {
    const [, fence = "", language = ""] = line.match(/^\s*(```+)(.*)$/) ?? [];
    if (open === undefined) {
      if (fence !== "") open = { fence, language: language.trim(), line: i + 2, lines: [] };
    } else if (fence.startsWith(open.fence) && language === "") {
      const { language, line, lines } = open;
      found.push({ path, line, language, text: `${lines.join("\n")}\n` });
      open = undefined;
    } else open.lines.push(line);
  });
  return found;
}

/** The text without its blocks of code; lines keep their numbers. */
export function prose({ text }: Document): string {
  return text.replaceAll(
    /^\s*(```+)[^\n]*\n[\s\S]*?^\s*\1\s*$/gm,
    (block) => block.replaceAll(/[^\n]/g, ""),
  );
}

/** What stands in code spans. */
export function codeSpans(document: Document): string[] {
  return [...prose(document).matchAll(/(`+)([^`]+)\1/g)].map(([, , code]) =>
    code!.replaceAll(/\s+/g, " ")
  );
}

/** The targets of links and pictures. */
export function links(document: Document): string[] {
  const text = prose(document).replaceAll(/(`+)[^`]+\1/g, "code");
  const inline = [...text.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)].map(([, target]) => target!);
  const named = [...text.matchAll(/^\[[^\]]+\]:\s+(\S+)/gm)].map(([, target]) => target!);
  return [...inline, ...named];
}

/** The anchors of a document's headings, as code hosts make them. */
export function anchors(document: Document): Set<string> {
  const found = new Set<string>();
  for (const [, heading] of prose(document).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = anchorOf(heading!);
    let anchor = slug;
    for (let n = 1; found.has(anchor); n++) anchor = `${slug}-${n}`;
    found.add(anchor);
  }
  return found;
}

function anchorOf(heading: string): string {
  return heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(/\s/g, "-");
}

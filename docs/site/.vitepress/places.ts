/** Which pages the site has, and where. Paths of the repository have no slash at their beginning. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

/** Where the pages that are not below docs go. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "README.md": "readme.md",
  "CONTRIBUTING.md": "contributing.md",
  "CHANGELOG.md": "changelog.md",
  "deploy/README.md": "install.md",
  "examples/README.md": "examples/index.md",
};

/** The page's path on the site; undefined for what is not a page. */
export function placeOf(path: string): string | undefined {
  if (path in ELSEWHERE) return ELSEWHERE[path];
  const [, example] = path.match(/^examples\/([^/]+)\/README\.md$/) ?? [];
  if (example !== undefined) return `examples/${example}.md`;
  const [, page] = path.match(/^docs\/(?!site\/)(.+\.md)$/) ?? [];
  return page;
}

/** A link as the site has it. */
export type Target =
  | { readonly kind: "page"; readonly href: string; readonly path: string }
  /** A file of the repository that is not a page. */
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "outside" };

/** @param from the page's file @param root the repository's folder */
export function targetOf(link: string, from: string, root: string): Target {
  if (/^([a-z]+:|#)/.test(link)) return { kind: "outside" };
  const [file = "", anchor] = link.split("#");
  const path = normalize(join(dirname(relative(root, from)), file)).replace(/\/$/, "");
  const full = join(root, path);
  const page = existsSync(full) && statSync(full).isDirectory() ? `${path}/README.md` : path;
  const place = placeOf(page);
  if (place === undefined) return { kind: "file", path };
  const href = `/${place}${anchor === undefined ? "" : `#${anchor}`}`;
  return { kind: "page", href, path: page };
}

/** A group of the sidebar. */
export interface Group {
  readonly text: string;
  readonly items: readonly { readonly text: string; readonly link: string }[];
}

/** The sidebar: the groups and pages that docs/index.md lists, each page by its own title. */
export function sidebar(root: string): Group[] {
  const index = join(root, "docs/index.md");
  const [, ...groups] = readFileSync(index, "utf8").split(/^## /m);
  return groups.map((group) => {
    const [text = "", ...lines] = group.split("\n");
    const links = lines.join("\n").matchAll(/\]\(([^)\s]+)\)/g);
    const items = [...links].flatMap(([, link]) => {
      const target = targetOf(link!, index, root);
      return target.kind === "page"
        ? [{ text: titleOf(join(root, target.path)), link: target.href }]
        : [];
    });
    return { text, items };
  });
}

function titleOf(file: string): string {
  const [, title = ""] = readFileSync(file, "utf8").match(/^# (.+)$/m) ?? [];
  return title.replaceAll("`", "");
}

/** A heading's anchor as code hosts make it. */
export function anchorOf(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(/\s/g, "-");
}

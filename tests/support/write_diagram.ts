/** `deno task diagram`: writes the state diagram of docs/design.md again. */
import { diagram, walk } from "./attachment_walk.ts";

const DESIGN = new URL("../../docs/design.md", import.meta.url);
const text = await Deno.readTextFile(DESIGN);
const block = "```mermaid\n" + diagram(walk(true)) + "\n```";
await Deno.writeTextFile(DESIGN, text.replace(/```mermaid\nstateDiagram[^`]*```/, block));

import type { ASTNode } from "@marcbachmann/cel-js";

/**
 * Rewrites one call that the library reads differently from CEL, so that it means the same in both:
 * - `has(e[…].name)` becomes `(e[…].?name).hasValue()`: the library takes dotted names only;
 * - `x in device.attributes` becomes `x in device.attributes.map(domain, domain)`: looking up a domain
 *   that does not exist gives an empty map, so the library would find every domain.
 *
 * @returns the expression with one such part rewritten; undefined if there is none
 */
export function rewrite(ast: ASTNode, expression: string): string | undefined {
  const all = nodes(ast);
  const has = all.findLast(isIndexedHas);
  if (has) {
    const [, operand, field] = textOf(has, expression)
      .match(/^has\s*\(([\s\S]*)\.\s*([A-Za-z_][A-Za-z0-9_]*)\s*\)$/) ?? [];
    if (operand !== undefined) {
      return replaced(has, expression, `(${operand}.?${field}).hasValue()`);
    }
  }
  const domains = all.flatMap((node) =>
    node.op === "in" && isDomains(node.args[1]) ? [node.args[1]] : []
  )
    .at(-1);
  if (!domains) return undefined;
  return replaced(domains, expression, `${textOf(domains, expression)}.map(domain, domain)`);
}

/** The argument of `has(…)` if it is dotted names: the library accepts fields that no type has. */
export function dottedHas(ast: ASTNode, expression: string): string[] {
  return nodes(ast).flatMap((node) => {
    const argument = hasArgument(node);
    return argument && !isIndexedHas(node) ? [textOf(argument, expression)] : [];
  });
}

/** Patterns of `matches(…)` that are literals. */
export function patterns(ast: ASTNode): string[] {
  return nodes(ast).flatMap((node) => {
    if (node.op !== "rcall" || node.args[0] !== "matches") return [];
    const [pattern] = node.args[2];
    return pattern?.op === "value" && typeof pattern.args === "string" ? [pattern.args] : [];
  });
}

function hasArgument(node: ASTNode): ASTNode | undefined {
  if (node.op !== "call" || node.args[0] !== "has") return undefined;
  const [argument] = node.args[1];
  return argument?.op === "." ? argument : undefined;
}

function isIndexedHas(node: ASTNode): boolean {
  let argument = hasArgument(node);
  if (!argument) return false;
  while (argument?.op === "." || argument?.op === ".?") argument = argument.args[0];
  return argument?.op !== "id";
}

function isDomains(node: ASTNode): boolean {
  if (node.op !== "." || !["attributes", "capacity"].includes(node.args[1])) return false;
  const [object] = node.args;
  return object.op === "id" && object.args === "device";
}

/** The node and all nodes below it, in the order of the text. */
function nodes(part: unknown): ASTNode[] {
  if (Array.isArray(part)) return part.flatMap(nodes);
  if (typeof part !== "object" || part === null || !("op" in part)) return [];
  return [part as ASTNode, ...nodes((part as ASTNode).args)];
}

function textOf({ range: { start, end } }: ASTNode, expression: string): string {
  return expression.slice(start, end);
}

function replaced({ range: { start, end } }: ASTNode, expression: string, text: string): string {
  return expression.slice(0, start) + text + expression.slice(end);
}

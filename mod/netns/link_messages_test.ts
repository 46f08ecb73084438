import assert from "node:assert/strict";
import { parseLinks } from "./link_messages.ts";

/** A netlink message: header, then what follows. */
function message(type: number, body: readonly number[]): number[] {
  const length = 16 + body.length;
  const padding = new Array<number>((4 - length % 4) % 4).fill(0);
  return [length, 0, 0, 0, type, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, ...body, ...padding];
}

function attribute(type: number, value: readonly number[]): number[] {
  const length = 4 + value.length;
  const padding = new Array<number>((4 - length % 4) % 4).fill(0);
  return [length, 0, type, 0, ...value, ...padding];
}

function link(index: number, name: string, mac: readonly number[]): number[] {
  const info = [0, 0, 1, 0, index, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  const named = attribute(3, [...new TextEncoder().encode(name), 0]);
  return message(16, [...info, ...named, ...attribute(13, [1]), ...attribute(1, mac)]);
}

const done = message(3, [0, 0, 0, 0]);
const bytes = (...parts: readonly number[][]) => Uint8Array.from(parts.flat());

Deno.test("parseLinks() reads name, number and hardware address in all datagrams", () => {
  const first = bytes(link(1, "lo", [0, 0, 0, 0, 0, 0]), link(7, "net1", [2, 0, 0, 0, 10, 255]));
  assert.deepEqual(
    [...parseLinks([first, bytes(link(9, "tun0", []), done)])],
    [
      ["lo", { index: 1, mac: "00:00:00:00:00:00" }],
      ["net1", { index: 7, mac: "02:00:00:00:0a:ff" }],
      ["tun0", { index: 9 }],
    ],
  );
});

Deno.test("parseLinks() takes no part for the whole, and no error for an answer", () => {
  assert.throws(() => parseLinks([bytes(link(1, "lo", []))]), /is not complete/);
  assert.throws(() => parseLinks([]), /is not complete/);
  assert.throws(() => parseLinks([bytes(message(2, [243, 255, 255, 255]))]), /error 13$/);
  assert.throws(() => parseLinks([bytes(message(3, [244, 255, 255, 255]))]), /error 12$/);
  // Lengths that lead nowhere.
  assert.throws(() => parseLinks([Uint8Array.from(new Array(40).fill(0))]), /is not complete/);
});

import assert from "node:assert/strict";
import { EventReader, formatEvent, KEEP_ALIVE } from "./event_stream.ts";

const EVENTS = [
  { type: "picture", data: '{"pods":[]}' },
  { type: "changes", data: '{"said":"a: b\\n\\nc"}' },
];
const STREAM = formatEvent(EVENTS[0]!) + KEEP_ALIVE + formatEvent(EVENTS[1]!);

for (const size of [1, 2, 7, STREAM.length]) {
  Deno.test(`EventReader reads what formatEvent() writes, in pieces of ${size}`, () => {
    const reader = new EventReader();
    const read = [];
    for (let at = 0; at < STREAM.length; at += size) {
      read.push(...reader.push(STREAM.slice(at, at + size)));
    }
    assert.deepEqual(read, EVENTS);
  });
}

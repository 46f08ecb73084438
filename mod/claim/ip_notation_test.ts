import assert from "node:assert/strict";
import { parseIp } from "./ip_notation.ts";

Deno.test("parseIp() reads addresses as Go reads them", () => {
  const cases: Readonly<Record<string, string>> = {
    "10.0.0.1": "10.0.0.1",
    "::1.2.3.4": "::102:304",
    "::FFFF:1.2.3.4": "::ffff:102:304",
    "0:0:0:0:0:0:1.2.3.4": "::102:304",
    "64:ff9b::1.2.3.4": "64:ff9b::102:304",
    "1:2:3:4:5:6:1.2.3.4": "1:2:3:4:5:6:102:304",
    "2001:DB8::0": "2001:db8::",
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
    "1:2:3:4:5:6:7::": "1:2:3:4:5:6:7:0",
    "::": "::",
  };
  for (const [text, expected] of Object.entries(cases)) {
    const address = parseIp(text);
    const shown = address && "toRFC5952String" in address
      ? address.toRFC5952String()
      : `${address}`;
    assert.equal(shown, expected, text);
  }
});

Deno.test("parseIp() takes nothing that Go refuses", () => {
  const cases = [
    "",
    "10.1",
    "010.0.0.1",
    "0x0a.0.0.1",
    "10.0.0.256",
    "167772161",
    "fe80::1%eth0",
    "::g",
    "12345::",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "::1.2.3",
    "::01.2.3.4",
    "::1.2.3.0x4",
    "::1.2.3.256",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "[::1]",
    " ::1",
  ];
  for (const text of cases) assert.equal(parseIp(text), undefined, text);
});

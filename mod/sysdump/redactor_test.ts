import assert from "node:assert/strict";
import { learnFromText } from "./names.ts";
import { Redactor } from "./redactor.ts";

function taught(): Redactor {
  const redactor = new Redactor(["net.example"]);
  redactor.learn("namespace", "shop");
  redactor.learn("namespace", "kube-system");
  redactor.learn("pod", "web");
  redactor.learn("pod", "web-0");
  redactor.learn("claim", "web");
  redactor.learn("node", "a.example.com");
  redactor.learn("node", "net");
  return redactor;
}

Deno.test("text() replaces names, also as parts of longer ones, the longest first", () => {
  const cases: readonly (readonly [text: string, redacted: string])[] = [
    ["pod shop/web and claim shop/web", "pod namespace_1/pod_1 and claim namespace_1/pod_1"],
    ["web-0, web-1, cobweb, webs", "pod_2, pod_1-1, cobweb, webs"],
    ["dra.networking-a.example.com-x7", "dra.networking-node_1-x7"],
    ["kube-system/network-dra on a.example.com.", "kube-system/network-dra on node_1."],
    ["/namespaces/shop%2Fweb", "/namespaces/namespace_1%2Fpod_1"],
    ['error="a\\nweb\\tshop\\u0000web"', 'error="a\\npod_1\\tnamespace_1\\u0000pod_1"'],
    ["net.example is the driver, net a node", "net.example is the driver, node_2 a node"],
  ];
  for (const [text, redacted] of cases) assert.equal(taught().text(text), redacted);
});

Deno.test("text() replaces addresses, the same by the same", () => {
  const cases: readonly (readonly [text: string, redacted: string])[] = [
    ["10.0.0.5/24 via 10.0.0.1, 10.0.0.5", "ip_1/24 via ip_2, ip_1"],
    ["10.77.0.5-10.77.0.9", "ip_1-ip_2"],
    ["ip-10-0-0-5.internal is 10.0.0.5.", "ip-ip_1.internal is ip_1."],
    ["[fe80::1%eth0]:80 FE80:0:0::1 fe80::2.", "[ip_1%eth0]:80 ip_1 ip_2."],
    ["::ffff:10.0.0.1 2001:db8::/32", "ip_1 ip_2/32"],
    ["mac=02:00:00:AB:cd:01 02-00-00-ab-cd-01", "mac=mac_1 mac_1"],
    ["addr:fd00::1 ip6:fd00::1, via_fd00::2 a\\nfd00::3", "addr:ip_1 ip6:ip_1, via_ip_2 a\\nip_3"],
    ["fd00::1-fd00::9 mac:02:00:00:ab:cd:01", "ip_1-ip_2 mac:mac_1"],
    ['User "jane@corp.example" cannot, jane@corp.example', 'User "user_1" cannot, user_1'],
    // None of them says whose it is.
    ["127.0.0.1 ::1 0.0.0.0 :: 255.255.255.0", "127.0.0.1 ::1 0.0.0.0 :: 255.255.255.0"],
    ["10:00:00.123 2026-11-30T10:00:00Z v1.36.2 0000:00:1f.0", ""],
    ["4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55 std::map 1.2.3.400", ""],
    ["sha256:02aa00bb std::fe::map busybox@sha256:4f1c5a1e", ""],
  ];
  for (const [text, redacted] of cases) assert.equal(new Redactor().text(text), redacted || text);
});

Deno.test("value() keeps the fields of the API, and replaces what is in them", () => {
  assert.deepEqual(
    taught().value({
      web: "web",
      "shop.example/web-0": ["10.0.0.1", 5, null],
      pod: { name: "shop" },
    }),
    {
      web: "pod_1",
      "namespace_1.example/pod_2": ["ip_1", 5, null],
      pod: { name: "namespace_1" },
    },
  );
});

Deno.test("learnFromText() finds the names of what is gone", () => {
  const redactor = new Redactor();
  const text =
    'stale: pod old/gone-0 of claim old/lease; "node":"n-1", on node n-2; the node is well; User "jane" no';
  learnFromText(redactor, text);
  assert.equal(
    redactor.text(text),
    'stale: pod namespace_1/pod_1 of claim namespace_1/claim_1; "node":"node_1", on node node_2; ' +
      'the node is well; User "user_1" no',
  );
});

/** Advice for errors of plugins that do not say what to do. */
const ADVICE: readonly { readonly when: RegExp; readonly what: (cniPath: string) => string }[] = [
  {
    when: /dial unix \S*dhcp\.sock: connect: (no such file or directory|connection refused)/,
    what: (cniPath) =>
      `the DHCP daemon does not run: start it on every node: ${cniPath}/dhcp daemon ` +
      "(a simulated node has neither that daemon nor a DHCP server: try another ipam, such as static)",
  },
];

/** The error, followed by what to do. */
export function withAdvice(message: string, cniPath: readonly string[]): string {
  const found = ADVICE.find(({ when }) => when.test(message));
  return found ? `${message}\n  ${found.what(cniPath[0] ?? "/opt/cni/bin")}` : message;
}

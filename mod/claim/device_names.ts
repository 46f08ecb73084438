/** The device for networks with no parent interface. */
export const CNI_DEVICE = "cni";

/** Longer names are spelled in hexadecimal as a whole, so that a copy's number still has room. */
const LONGEST = 50;

/**
 * The device of a host interface: its name, as a DNS label, with what a label cannot hold spelled
 * `--xx` (`eth0.100` → `eth0--2e100`). Different names give different devices, and none gives one
 * that could be the device `cni` or a numbered copy.
 */
export function deviceName(interfaceName: string): string {
  const bytes = [...new TextEncoder().encode(interfaceName)];
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0"));
  const plain = (i: number) => /^[a-z0-9]$/.test(String.fromCharCode(bytes[i]!));
  // No escape holds 00, which is in no interface's name.
  const whole = `x--00${hex.join("")}`;
  if (interfaceName === CNI_DEVICE || !plain(0)) return whole;
  const numbered = interfaceName.match(/-[0-9]+$/)?.index;
  const label = bytes.map((byte, i) => {
    const between = byte === 0x2d && i + 1 < bytes.length && plain(i - 1) && plain(i + 1);
    return plain(i) || between && i !== numbered ? String.fromCharCode(byte) : `--${hex[i]}`;
  }).join("");
  return label.length > LONGEST ? whole : label;
}

/** The name of the `number`-th copy of a device, for clusters in which devices cannot be shared. */
export function copyName(device: string, number: number): string {
  return `${device}-${number}`;
}

/** The device that a name means, be it the device's own or that of a numbered copy. */
export function originalDevice(name: string): string {
  return name.replace(/(?<!-)-[0-9]+$/, "");
}

/** Whether a device, as an allocation names it, stands for the host interface with that name. */
export function standsFor(device: string, interfaceName: string): boolean {
  return deviceName(interfaceName) === originalDevice(device);
}

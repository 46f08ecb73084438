import type { InterfaceIdentity, Interfaces } from "../agent/model.ts";

/** Types of messages (linux/netlink.h, linux/rtnetlink.h). */
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const RTM_NEWLINK = 16;
/** Types of attributes (linux/if_link.h). */
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;

/** Lengths of headers: of a message, of what it says of an interface, of an attribute. */
const NLMSGHDR = 16;
const IFINFOMSG = 16;
const RTATTR = 4;

/**
 * The interfaces in the answer to RTM_GETLINK (rtnetlink(7)), by name.
 *
 * @param datagrams as the kernel gave them
 * @throws Error when the answer is an error, or is not complete
 */
export function parseLinks(
  datagrams: readonly Uint8Array[],
): Interfaces {
  const links = new Map<string, InterfaceIdentity>();
  for (const { type, body } of datagrams.flatMap(messagesOf)) {
    if (type === NLMSG_DONE || type === NLMSG_ERROR) {
      const errno = body.length >= 4 ? viewOf(body).getInt32(0, true) : 0;
      if (errno !== 0) throw new Error(`the kernel answers with error ${-errno}`);
      return links;
    }
    if (type !== RTM_NEWLINK || body.length < IFINFOMSG) continue;
    const { name, mac } = attributesOf(body.subarray(IFINFOMSG));
    if (name === undefined) continue;
    links.set(name, { index: viewOf(body).getInt32(4, true), ...(mac && { mac }) });
  }
  throw new Error("the kernel's answer is not complete");
}

function messagesOf(
  datagram: Uint8Array,
): { readonly type: number; readonly body: Uint8Array }[] {
  const messages: { readonly type: number; readonly body: Uint8Array }[] = [];
  const view = viewOf(datagram);
  for (let at = 0; at + NLMSGHDR <= datagram.length;) {
    const length = view.getUint32(at, true);
    if (length < NLMSGHDR) break;
    const body = datagram.subarray(at + NLMSGHDR, at + length);
    messages.push({ type: view.getUint16(at + 4, true), body });
    at += aligned(length);
  }
  return messages;
}

function attributesOf(body: Uint8Array): { readonly name?: string; readonly mac?: string } {
  const found: { name?: string; mac?: string } = {};
  const view = viewOf(body);
  for (let at = 0; at + RTATTR <= body.length;) {
    const length = view.getUint16(at, true);
    if (length < RTATTR) break;
    const value = body.subarray(at + RTATTR, at + length);
    const type = view.getUint16(at + 2, true);
    if (type === IFLA_IFNAME) {
      found.name = new TextDecoder().decode(value).replace(/\0.*$/s, "");
    } else if (type === IFLA_ADDRESS && value.length > 0) {
      found.mac = [...value].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    }
    at += aligned(length);
  }
  return found;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

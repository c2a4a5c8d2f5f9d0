import { Buffer } from 'node:buffer';

/** A file of an initramfs. */
export interface CpioEntry {
  /** Without a leading slash. */
  path: string;
  /** Type and permissions, as in `st_mode`. */
  mode: number;
  content?: Uint8Array;
  /** Numbers of a device file. */
  device?: readonly [major: number, minor: number];
}

export const DIRECTORY = 0o040755;
export const PROGRAM = 0o100755;
export const TEXT = 0o100644;
export const CHARACTER_DEVICE = 0o020600;

/** An archive in the format "newc", which the kernel unpacks as its first root (Documentation/driver-api/early-userspace/buffer-format.rst). */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, i) => parts.push(...record(entry, i + 1)));
  parts.push(...record({ path: 'TRAILER!!!', mode: 0 }, 0));
  return Buffer.concat(parts);
}

/** Header of thirteen 8-digit fields behind the magic, the name with its NUL, the content; each padded to 4 bytes. */
function record({ path, mode, content = new Uint8Array(0), device = [0, 0] }: CpioEntry, inode: number): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, device[0], device[1], name.length, 0];
  const head = Buffer.concat([
    Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`),
    name,
  ]);
  return [head, padding(head.length), Buffer.from(content), padding(content.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}

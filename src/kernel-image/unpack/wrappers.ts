import { startsWith } from './decoders';
import { malformed } from './fail';

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.max(0, Math.min(to, bytes.length) - from)).toString('latin1');

/** The setup header of x86's boot protocol (Documentation/arch/x86/boot.rst). */
const HDRS = 0x202;
const SECTOR = 512;

export function isBzImage(bytes: Uint8Array): boolean {
  return bytes.length > 0x250 && latin1(bytes, HDRS, HDRS + 4) === 'HdrS';
}

/** The compressed kernel of a bzImage, with the size word behind it. @throws KlpflowError `malformed-image` */
export function bzImagePayload(bytes: Uint8Array, path: string): Uint8Array {
  const header = view(bytes);
  const protocol = header.getUint16(0x206, true);
  if (protocol < 0x208)
    malformed(
      path,
      0x206,
      `boot protocol 0x${protocol.toString(16)} does not say where the kernel is (2.08 and later do)`,
    );
  const start = ((header.getUint8(0x1f1) || 4) + 1) * SECTOR;
  const from = start + header.getUint32(0x248, true);
  const length = header.getUint32(0x24c, true);
  if (length < 8 || from + length > bytes.length)
    malformed(
      path,
      0x248,
      `the kernel lies at ${from} to ${from + length}, the file has ${bytes.length} bytes: it is cut short`,
    );
  return bytes.subarray(from, from + length);
}

/** Linux's own EFI loader (drivers/firmware/efi/libstub/zboot-header.S): `MZ`, `zimg` at 4, offset and length of the payload. */
export function isZboot(bytes: Uint8Array): boolean {
  return bytes.length > 0x40 && startsWith(bytes, [0x4d, 0x5a]) && latin1(bytes, 4, 8) === 'zimg';
}

/** @throws KlpflowError `malformed-image` */
export function zbootPayload(bytes: Uint8Array, path: string): Uint8Array {
  const header = view(bytes);
  const from = header.getUint32(8, true);
  const length = header.getUint32(12, true);
  if (length < 8 || from + length > bytes.length)
    malformed(
      path,
      8,
      `the kernel lies at ${from} to ${from + length}, the file has ${bytes.length} bytes: it is cut short`,
    );
  return bytes.subarray(from, from + length);
}

/** arm64's header (Documentation/arch/arm64/booting.rst): `ARM\x64` at 0x38. */
export function isArm64Image(bytes: Uint8Array): boolean {
  return bytes.length > 0x40 && latin1(bytes, 0x38, 0x3c) === 'ARMd';
}

/** Files that hold a kernel and yet are none, by what they begin with. */
const OTHERS: ReadonlyArray<readonly [magic: readonly number[], what: string]> = [
  [
    [0x4d, 0x5a],
    'is an EFI program without a Linux boot header: of a unified kernel image pass its section .linux (objcopy -O binary --only-section=.linux)',
  ],
  [[0x27, 0x05, 0x19, 0x56], 'is a U-Boot image: pass the kernel within it (dumpimage)'],
  [[0xd0, 0x0d, 0xfe, 0xed], 'is a device tree or FIT image: pass the kernel within it (dumpimage)'],
  [[0x41, 0x4e, 0x44, 0x52, 0x4f, 0x49, 0x44, 0x21], 'is an Android boot image: pass the kernel within it'],
  [[0x21, 0x3c, 0x61, 0x72, 0x63, 0x68, 0x3e], 'is an archive or a Debian package: pass boot/vmlinuz-* from within it'],
];

/** What a file is that is no kernel's image, as the end of a sentence. */
export function imageProblem(bytes: Uint8Array, wrappers: readonly string[]): string {
  const within = wrappers.length === 0 ? '' : ` within ${wrappers.join(', ')}`;
  const known = OTHERS.find(([magic]) => startsWith(bytes, magic));
  if (known !== undefined) return `${known[1]}${within}`;
  return `holds no kernel${within}: it begins with ${Buffer.from(bytes.subarray(0, 8)).toString('hex')}, encrypted or of another kind`;
}

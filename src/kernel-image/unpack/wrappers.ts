import { startsWith } from './decoders';
import { malformed, unusable } from './fail';

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.max(0, Math.min(to, bytes.length) - from)).toString('latin1');

/** The setup header of x86's boot protocol (Documentation/arch/x86/boot.rst). */
const HDRS = 0x202;
const SECTOR = 512;
const BOOT_FLAG = 0x1fe;

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
  if (hasBootSector(bytes, from + length)) unusable(path, 'has a second boot header: two kernels lie in one file');
  return bytes.subarray(from, from + length);
}

/** Whether another bzImage begins at or behind an offset; a signature (`sbsign`) has no such header. */
function hasBootSector(bytes: Uint8Array, from: number): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = text.indexOf('HdrS', from, 'latin1'); at >= 0; at = text.indexOf('HdrS', at + 1, 'latin1')) {
    const start = at - HDRS;
    if (start >= from && text.readUInt16LE(start + BOOT_FLAG) === 0xaa55) return true;
  }
  return false;
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

/** Files that hold a kernel and yet are none that is read, by bytes near their beginning. */
const OTHERS: ReadonlyArray<readonly [at: number, magic: readonly number[], what: string]> = [
  [0x38, [0x52, 0x53, 0x43, 0x05], 'is a kernel for RISC-V: images are read of x86-64 and arm64'],
  [0x24, [0x18, 0x28, 0x6f, 0x01], 'is a kernel for 32-bit ARM: livepatches are for 64-bit ones'],
  [
    0,
    [0x4d, 0x5a],
    'is an EFI program without the boot header of x86-64 or arm64: of a unified kernel image pass its section .linux (objcopy -O binary --only-section=.linux)',
  ],
  [0, [0x27, 0x05, 0x19, 0x56], 'is a U-Boot image: pass the kernel within it (dumpimage)'],
  [0, [0xd0, 0x0d, 0xfe, 0xed], 'is a device tree or FIT image: pass the kernel within it (dumpimage)'],
  [0, [0x41, 0x4e, 0x44, 0x52, 0x4f, 0x49, 0x44, 0x21], 'is an Android boot image: pass the kernel within it'],
  [
    0,
    [0x21, 0x3c, 0x61, 0x72, 0x63, 0x68, 0x3e],
    'is an archive or a Debian package: pass boot/vmlinuz-* from within it',
  ],
  [0, [0xed, 0xab, 0xee, 0xdb], 'is an RPM package: pass the vmlinuz from within it'],
  [0, [0x53, 0x61, 0x6c, 0x74, 0x65, 0x64, 0x5f, 0x5f], 'is encrypted by openssl: pass the kernel as it boots'],
  [0, [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe], 'is an encrypted volume: pass the kernel within it'],
];

function known(bytes: Uint8Array): string | undefined {
  return OTHERS.find(([at, magic]) => startsWith(bytes, magic, at))?.[2];
}

/** Whether a file is known to hold a kernel in a form that is not read. */
export function isOtherForm(bytes: Uint8Array): boolean {
  return known(bytes) !== undefined;
}

/** What a file is that is no kernel's image, as the end of a sentence. */
export function imageProblem(bytes: Uint8Array, wrappers: readonly string[]): string {
  const within = wrappers.length === 0 ? '' : ` within ${wrappers.join(', ')}`;
  const form = known(bytes);
  if (form !== undefined) return `${form}${within}`;
  return `holds no kernel${within}: it begins with ${Buffer.from(bytes.subarray(0, 8)).toString('hex')}, encrypted or of another kind`;
}

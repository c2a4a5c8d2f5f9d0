import { ELF_MAGIC } from '../../elf';
import { PROCESSORS, RAW } from '../processors';
import { decoderOf } from './decoders';
import { LARGEST } from './codecs';
import { malformed, unusable } from './fail';
import { bzImagePayload, imageProblem, isArm64Image, isBzImage, isOtherForm, isZboot, zbootPayload } from './wrappers';

/** A kernel as it lies in memory before it has run: what remains when all wrappers are off. */
export interface Unpacked {
  /** A linked ELF file (x86-64, or any vmlinux), or arm64's raw image, whose bytes are memory from `_text` on. */
  form: 'elf' | 'raw';
  bytes: Uint8Array;
  machine: number;
  /** Wrappers from outside to inside: `bzImage`, `zstd`. */
  wrappers: readonly string[];
}

/** `Image.gz` within an EFI zboot has two; nothing has more than three. */
const DEEPEST = 4;

/** Whether a file that begins so can be a kernel's image: ELF is left to who knows linked files and objects apart. */
export function mayBeImage(bytes: Uint8Array): boolean {
  return (
    isBzImage(bytes) || isZboot(bytes) || isArm64Image(bytes) || decoderOf(bytes) !== undefined || isOtherForm(bytes)
  );
}

/**
 * Takes a kernel's image out of its wrappers.
 * @throws KlpflowError `malformed-image` (damaged, cut short), `unusable-image` (of another processor or kind)
 */
export async function unpack(bytes: Uint8Array, path: string): Promise<Unpacked> {
  const wrappers: string[] = [];
  let sized = false;
  for (let depth = 0; depth <= DEEPEST; depth++) {
    if (isElf(bytes)) return { form: 'elf', bytes, machine: elfMachine(bytes, path), wrappers };
    if (isArm64Image(bytes) && !isZboot(bytes))
      return { form: 'raw', bytes, machine: RAW, wrappers: [...wrappers, 'Image'] };
    if (isBzImage(bytes)) {
      bytes = bzImagePayload(bytes, path);
      wrappers.push('bzImage');
      sized = true;
      continue;
    }
    if (isZboot(bytes)) {
      bytes = zbootPayload(bytes, path);
      wrappers.push('EFI zboot');
      sized = false;
      continue;
    }
    const decoder = decoderOf(bytes);
    if (decoder === undefined) unusable(path, imageProblem(bytes, wrappers));
    bytes = await decoded(decoder, bytes, sized, path);
    wrappers.push(decoder.name);
    sized = false;
  }
  return unusable(path, `is wrapped ${wrappers.length} times (${wrappers.join(', ')}): no kernel is`);
}

/** One compressed stream; in a bzImage the size of what it holds follows it, and is proof that all of it is there. */
async function decoded(
  decoder: NonNullable<ReturnType<typeof decoderOf>>,
  bytes: Uint8Array,
  sized: boolean,
  path: string,
): Promise<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = sized ? view.getUint32(bytes.length - 4, true) : undefined;
  const fail = (why: string): never =>
    malformed(path, 0, `its ${decoder.name} stream ${why}: it is damaged or cut short`);
  if (size !== undefined && size > LARGEST) fail(`would hold ${size} bytes`);
  let output: Uint8Array;
  try {
    output = await decoder.decode(sized && decoder.sized ? bytes.subarray(0, -4) : bytes, size);
  } catch (cause) {
    return fail(`cannot be read (${(cause as Error).message.split('\n', 1)[0]})`);
  }
  if (size !== undefined && output.length !== size) fail(`holds ${output.length} bytes, not the ${size} that it says`);
  return output;
}

function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 20 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) === ELF_MAGIC;
}

function elfMachine(bytes: Uint8Array, path: string): number {
  const machine = new DataView(bytes.buffer, bytes.byteOffset).getUint16(18, bytes[5] === 1);
  if (bytes[4] !== 2) unusable(path, 'holds a 32-bit kernel: livepatches are for 64-bit ones');
  if (bytes[5] !== 1 || !PROCESSORS.has(machine))
    unusable(
      path,
      `holds a kernel for ELF machine ${machine}: images are read of ${[...PROCESSORS.values()].join(' and ')}`,
    );
  return machine;
}

import { decoderOf } from './decoders';
import { malformed } from './fail';

/** Whether a file that begins so is compressed. */
export function isCompressed(head: Uint8Array): boolean {
  return decoderOf(head) !== undefined;
}

/** What a compressed file holds (`.ko.xz`, `symvers.gz`, ...); of another its own bytes. @throws KlpflowError `malformed-image` for a damaged one */
export async function plainBytes(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  const decoder = decoderOf(bytes);
  if (decoder === undefined) return bytes;
  try {
    return await decoder.decode(bytes, undefined);
  } catch (cause) {
    return malformed(
      path,
      0,
      `its ${decoder.name} stream cannot be read (${(cause as Error).message.split('\n', 1)[0]}): it is damaged or cut short`,
    );
  }
}

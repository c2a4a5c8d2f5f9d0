import xxhash from 'xxhash-wasm';

type Hasher = Awaited<ReturnType<typeof xxhash>>;
let hasher: Hasher | undefined;

/** Loads the hash's WebAssembly; call once before anything that hashes, records too. */
export async function loadHash(): Promise<void> {
  hasher ??= await xxhash();
}

/** WebAssembly memory is small and each update copies into it, so big inputs go in pieces. */
const PIECE = 1 << 16;

/** XXH64 of byte ranges that come one after another. */
export class Hash64 {
  private readonly state = hasher!.create64();

  update(part: Uint8Array): this {
    for (let at = 0; at < part.length; at += PIECE) this.state.update(part.subarray(at, at + PIECE));
    return this;
  }

  digest(): bigint {
    return this.state.digest();
  }
}

const CHUNK = 8 << 20;

/** The digest by which an input file is known: hex, with the size in it, so that files of different size never share one. */
export function contentDigest(bytes: Uint8Array): string {
  const chunks = new BigUint64Array(Math.ceil(bytes.length / CHUNK));
  for (let i = 0; i < chunks.length; i++)
    chunks[i] = new Hash64().update(bytes.subarray(i * CHUNK, (i + 1) * CHUNK)).digest();
  const all = new Hash64().update(new Uint8Array(chunks.buffer)).digest();
  const first =
    chunks.length === 0
      ? 0n
      : chunks.reduce((sum, chunk, i) => BigInt.asUintN(64, sum * 0x9e3779b97f4a7c15n + chunk + BigInt(i)), 0n);
  return `${all.toString(16).padStart(16, '0')}${first.toString(16).padStart(16, '0')}-${bytes.length.toString(16)}`;
}

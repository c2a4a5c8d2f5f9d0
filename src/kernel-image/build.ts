import { gunzipSync } from 'node:zlib';
import type { KallsymsList } from './kallsyms';
import type { ImageMemory } from './memory';

/** How and of what the kernel was built, as far as the image says it. */
export interface BuildFacts {
  /** `uname -r`; null where the image has no banner. */
  release: string | null;
  /** Compiler and linker with their revisions. */
  compiler: string | null;
  /** `linux_banner`: what /proc/version shows. */
  banner: string | null;
  vermagic: string | null;
  /** NT_GNU_BUILD_ID, which a running kernel shows in /sys/kernel/notes. */
  buildId: string | null;
}

/** More than any line of these has. */
const LONGEST = 1024;

/** Read at their symbols: `Linux version ` is found first in a copy that lacks the build's number. */
export function buildFacts(memory: ImageMemory, list: KallsymsList): BuildFacts {
  const at = (name: string): string | null => {
    const address = list.addressOf(name);
    return (address === undefined ? undefined : memory.textAt(address, LONGEST)) ?? null;
  };
  const banner = at('linux_banner')?.trimEnd() ?? null;
  const [, release = null, compiler = null] = /^Linux version (\S+) \([^)]*\) \((.*)\) #/.exec(banner ?? '') ?? [];
  return { release, compiler, banner, vermagic: at('vermagic'), buildId: buildId(memory, list) };
}

const NT_GNU_BUILD_ID = 3;

function buildId(memory: ImageMemory, list: KallsymsList): string | null {
  const start = list.addressOf('__start_notes');
  const stop = list.addressOf('__stop_notes');
  const notes =
    memory.section('.notes')?.bytes ??
    (start === undefined || stop === undefined ? undefined : memory.bytesAt(start, stop - start));
  if (notes === undefined) return null;
  const view = new DataView(notes.buffer, notes.byteOffset, notes.length);
  for (let at = 0; at + 12 <= notes.length; ) {
    const [name, content, type] = [0, 4, 8].map((field) => view.getUint32(at + field, true)) as [
      number,
      number,
      number,
    ];
    const from = at + 12 + ((name + 3) & ~3);
    if (from + content > notes.length) return null;
    const owner = Buffer.from(notes.subarray(at + 12, at + 12 + name)).toString('latin1');
    if (type === NT_GNU_BUILD_ID && owner === 'GNU\0')
      return Buffer.from(notes.subarray(from, from + content)).toString('hex');
    at = from + ((content + 3) & ~3);
  }
  return null;
}

/** The configuration, where it is within (CONFIG_IKCONFIG): gzip between two marks. */
export function embeddedConfig({ bytes }: ImageMemory): string | null {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = text.indexOf('IKCFG_ST', 0, 'latin1');
  const stop = start < 0 ? -1 : text.indexOf('IKCFG_ED', start, 'latin1');
  if (stop < 0) return null;
  try {
    return gunzipSync(text.subarray(start + 8, stop), { maxOutputLength: 4 << 20 }).toString('utf8');
  } catch {
    return null;
  }
}

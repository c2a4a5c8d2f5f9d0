import { readFileSync } from 'node:fs';
import { KernelImage, PROCESSORS } from '../kernel-image';

/** What a kernel's image tells, in numbers; null for what it does not have. */
export interface ImageDescription {
  path: string;
  /** From outside to inside. */
  wrappers: readonly string[];
  processor: 'x86-64' | 'arm64';
  release: string | null;
  compiler: string | null;
  vermagic: string | null;
  buildId: string | null;
  /** Whether it is the kernel that runs here, by build ID; null where one of the two has none. */
  runsHere: boolean | null;
  symbols: number;
  exports: { count: number; gpl: number; namespaced: number; versions: boolean };
  btfBytes: number | null;
  ftraceSites: number | null;
  /** Functions whose ENDBR boot removes. */
  sealed: number;
  /** Lines of the configuration that is within. */
  configLines: number | null;
}

/** @throws KlpflowError `malformed-image`, `unusable-image`, `unreadable` */
export async function describeImage(path: string): Promise<ImageDescription> {
  const image = await KernelImage.open(path);
  const { build, exports, wrappers, machine } = image;
  const running = runningBuildId();
  return {
    path,
    wrappers,
    processor: PROCESSORS.get(machine)!,
    ...{ release: build.release, compiler: build.compiler, vermagic: build.vermagic, buildId: build.buildId },
    runsHere: build.buildId === null || running === null ? null : build.buildId === running,
    symbols: image.symbols.count,
    exports: {
      count: exports.length,
      gpl: exports.filter(({ gpl }) => gpl).length,
      namespaced: exports.filter(({ namespace }) => namespace !== '').length,
      versions: exports.some(({ crc }) => crc !== 0),
    },
    btfBytes: image.btf?.length ?? null,
    ftraceSites: image.ftraceSites?.length ?? null,
    sealed: image.sealed.size,
    configLines: image.config?.trimEnd().split('\n').length ?? null,
  };
}

/** NT_GNU_BUILD_ID of the kernel that runs: u32 4, u32 length, u32 3, `GNU\0`, the ID. Null where it does not say. */
function runningBuildId(): string | null {
  try {
    const notes = readFileSync('/sys/kernel/notes');
    const at = notes.indexOf(Buffer.from('03000000474e5500', 'hex'));
    return at < 4 ? null : notes.toString('hex', at + 8, at + 8 + notes.readUInt32LE(at - 4));
  } catch {
    return null;
  }
}

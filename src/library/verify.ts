import { KlpflowError } from '../diagnostics';
import { checkPresent } from './present';
import { telling, type Run } from './run';
import { withPlain } from './unpacked';
import { VERIFY_STEPS, verify as check, type VerifyResult } from '../verify';
import { readShipped } from '../verify/shipped';
import { readShippedModules } from '../verify/shipped/modules';
import { PlainFiles } from '../verify/shipped/plain-files';

/** A finished module, and the files that it is held against; what cannot be checked for want of one is a note in the result. */
export interface VerifyOptions {
  module: string;
  /** The running kernel: its image, a linked vmlinux, or text of /proc/kallsyms, System.map or `readelf -sW`. */
  vmlinux?: string | undefined;
  /** Shipped files of modules that are patched. */
  moduleImages?: readonly string[] | undefined;
  symvers?: string | undefined;
  btf?: string | undefined;
  /** Any module of the running kernel. */
  template?: string | undefined;
  /** Objects with the fix that the module was made from. */
  objects?: readonly string[] | undefined;
  /** When the run began, by `performance.now()`; default now. */
  startedAt?: number | undefined;
}

/** Checks a finished livepatch module, by its own way. @throws KlpflowError where a file cannot be read; findings are no errors */
export function verify(options: VerifyOptions): Run<VerifyResult> {
  return telling(async (tell) => {
    const { module: object, startedAt = performance.now() } = options;
    let done = 0;
    // One is for what is read before anything is checked.
    const step = (): void =>
      tell({
        ...{ stage: 'verify', object, done, total: VERIFY_STEPS + 1, reused: false, miss: null },
        at: (performance.now() - startedAt) / 1000,
      });
    const files = new PlainFiles();
    try {
      // A run that is told of begins when its caller has what to listen to.
      await Promise.resolve();
      step();
      const stepped = (): void => {
        done++;
        step();
      };
      return await withPlain({ file: (path) => files.of(path) }, options, (given) => verifyPlain(given, stepped), [
        'module',
      ]);
    } finally {
      files.remove();
    }
  });
}

async function verifyPlain(options: VerifyOptions, stepped: () => void): Promise<VerifyResult> {
  const { module, vmlinux, moduleImages = [], symvers, btf, template, objects } = options;
  if (moduleImages.length > 0 && vmlinux === undefined)
    throw new KlpflowError(
      'usage',
      `--module-image ${moduleImages[0]}: --vmlinux FILE is needed, too, the kernel that loads it`,
    );
  checkPresent([module, vmlinux, symvers, btf, template, ...moduleImages, ...(objects ?? [])]);
  // The image that boots is read by the verifier's own way; what has a symbol table or is a list, as before.
  const shipped = vmlinux === undefined ? undefined : await readShipped(vmlinux);
  const modules = await readShippedModules(moduleImages);
  stepped();
  return check({
    module,
    shipped,
    modules,
    stepped,
    ...(vmlinux === undefined ? {} : { vmlinux }),
    ...(symvers === undefined ? {} : { symvers }),
    ...(btf === undefined ? {} : { btf }),
    ...(template === undefined ? {} : { template }),
    ...(objects === undefined ? {} : { objects }),
  });
}

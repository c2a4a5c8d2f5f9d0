/** Livepatches: objects that `link` reads, finished modules that `verify`, post-link and create-klp-module read, a kernel's modules. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKlpModule } from '../../../src/index';
import { ElfObject } from '../../../src/elf';
import { readKlpObject, writeKlpObject } from '../../../src/livepatch/klp';
import { postLink } from '../../../src/tools/objtool/post-link';
import { readTemplate, writeModule } from '../../../src/livepatch/ko';
import { verify, type VerifyRequest } from '../../../src/verify';
import { kernelFiles, livepatchModule } from '../livepatch-module';
import { sample } from '../livepatch-sample';
import { damaged } from './mutate-within';
import { PatchedObject } from '../patched-object';
import { OPTIONS, TARGET } from '../target-kernel';
import { ELF_CODES, checkResult, opened, type Subject } from './outcome';

function written(object: Parameters<typeof writeKlpObject>[0]): Buffer {
  return Buffer.concat([...writeKlpObject(object).chunks()].map((chunk) => Buffer.from(chunk)));
}

/** Two livepatch objects: one with something of everything, one that can be linked. */
function livepatchObjects(): Buffer[] {
  const patched = new PatchedObject();
  patched.replace('one');
  patched.load('two', 'vmlinux', 'secret', 2);
  patched.print('three', 'text');
  patched.call('four', '_printk');
  patched.data('hits', 8, '.data..percpu', 64);
  patched.object.callbacks.pre_patch = patched.func('before');
  return [written(patched.object), written(sample().object)];
}

/** `link` of a damaged object, alone or with a whole one. The module that comes out is verified. */
export function linkSubject(folder: string): Subject {
  const bases = livepatchObjects();
  const module = join(folder, 'linked.ko');
  return {
    codes: new Set([...ELF_CODES, 'not-klpflow-object']),
    mutant(seed) {
      const { bytes, done } = damaged(bases[seed % bases.length]!, seed);
      return {
        done: [`livepatch object ${seed % bases.length}`, ...done],
        run() {
          const object = readKlpObject(opened(bytes));
          const others = seed % 3 === 0 ? [readKlpObject(opened(bases[(seed + 1) % bases.length]!, 'other.o'))] : [];
          const { chunks, diagnostics } = writeModule([object, ...others], TARGET, OPTIONS);
          checkResult([], diagnostics);
          if (chunks === null) return 'refused';
          writeFileSync(module, Buffer.concat([...chunks()].map((chunk) => Buffer.from(chunk))));
          const { ok, diagnostics: findings } = verify({ module });
          checkResult([], findings);
          return ok ? 'module' : 'module-with-findings';
        },
      };
    },
  };
}

/** `verify` of a damaged module, with and without what it is checked against; or against a damaged kernel, module or object. */
export function verifySubject(folder: string): Subject {
  const { vmlinux, symvers, btf, template, objects } = kernelFiles(folder);
  const at = (name: string): string => join(folder, name);
  const module = livepatchModule().module.bytes();
  writeFileSync(at('whole.ko'), module);
  const parts = { vmlinux: readFileSync(vmlinux), template: readFileSync(template), object: readFileSync(objects[0]!) };
  return {
    codes: new Set([
      ...ELF_CODES,
      'malformed-symbol-list',
      // Where the name of .gnu.linkonce.this_module is lost it is an object like others.
      'not-a-livepatch',
      'not-linked',
      'not-a-module',
      'no-btf',
      'malformed-symvers',
    ]),
    mutant(seed) {
      const what = seed % 8 < 5 ? 'module' : (['vmlinux', 'template', 'object'] as const)[(seed % 8) - 5]!;
      const { bytes, done } = damaged(what === 'module' ? module : parts[what], seed);
      const file = at(`damaged-${what}`);
      return {
        done: [what, ...done],
        run() {
          writeFileSync(file, bytes);
          const whole: VerifyRequest = { module: at('whole.ko'), vmlinux, symvers, btf, template, objects };
          const request =
            what === 'object'
              ? { ...whole, objects: [file] }
              : seed % 16 === 0
                ? { module: file }
                : { ...whole, [what]: file };
          const { diagnostics, ok, module: told } = verify(request);
          checkResult(told, diagnostics);
          return ok ? 'ok' : 'findings';
        },
      };
    },
  };
}

/** What finishes modules that others linked, and what reads a kernel's own. */
export function moduleSubject(folder: string, kpatchObject: Buffer, template: string): Subject {
  const bases = [written(sample().object), kpatchObject, readFileSync(template)];
  const input = join(folder, 'module.ko');
  return {
    codes: new Set([...ELF_CODES, 'malformed-kpatch-object', 'name-limit', 'usage', 'not-a-module']),
    mutant(seed) {
      const { bytes, done } = damaged(bases[seed % bases.length]!, seed);
      return {
        done: [['linked by klp-build', 'of create-diff-object', 'template'][seed % bases.length]!, ...done],
        async run() {
          if (seed % bases.length === 0) {
            let length = 0;
            for (const chunk of postLink(opened(bytes)) ?? []) length += chunk.length;
            return length === 0 ? 'nothing-to-do' : 'finished';
          }
          if (seed % bases.length === 2) {
            const { size, init, exit } = readTemplate(opened(bytes));
            for (const offset of [init, exit])
              if (offset !== undefined && !(offset >= 0 && offset + 8 <= size))
                return `BUG: an entry point at ${offset} of ${size}`;
            return 'template';
          }
          writeFileSync(input, bytes);
          await createKlpModule({
            input,
            output: join(folder, 'klp.ko'),
            archSections: seed % 4 === 1,
            environment: {},
          });
          ElfObject.open(join(folder, 'klp.ko'));
          return 'made';
        },
      };
    },
  };
}

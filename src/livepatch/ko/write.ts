import { machineName } from '../../elf/machines';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { writable } from '../../arch';
import { SHN_LORESERVE } from '../../elf';
import type { LivepatchObject } from '../object';
import { addDescriptors, addThisModule, pointThisModule } from './descriptors';
import { moduleFile } from './emit';
import { ModuleImage } from './image';
import { resolveImports } from './imports';
import { chooseStructs, type KernelStructs } from './layouts';
import { mergeObjects } from './merge';
import { addModinfo, addVersions } from './module-info';
import { checkNames } from './names';
import { choosePlatform, type Platform } from './platform';
import type { ModuleProcessor } from './processor';
import { processorOf } from './processors';
import { settleRelocations } from './relocations';
import { checkShape } from './shape';
import type { ModuleOptions, ModuleResult, TargetKernel } from './types';

const UNKNOWN = 'nothing in ORIG shows the hashes of `int (void)` and `void (void)`';
const CONTRADICTION =
  'what shows the hashes of `int (void)` and `void (void)` does not agree: initcalls and exit calls, their callers, what compilers compute';

/**
 * The livepatch module of one or more patched objects, in the form that the kernel loads as it is: klp relocations in
 * sections of their own, descriptors as static data, init and exit code, all tables that the kernel reads from a module.
 * Every reason to refuse is collected; the same input gives the same bytes.
 */
export function writeModule(
  objects: readonly LivepatchObject[],
  kernel: TargetKernel,
  options: ModuleOptions,
): ModuleResult {
  const { symvers, template } = kernel;
  const found: Diagnostic[] = [];
  if (objects.length === 0) throw new RangeError('a module of no objects');
  const [{ machine }] = objects as readonly [LivepatchObject];
  const processor = processorOf(machine);
  if (processor === undefined) found.push(unwritable(objects[0]!));
  for (const other of objects) {
    if (other.machine !== machine)
      found.push(
        diagnostic(
          'kernel-mismatch',
          `${other.name} is for ${machineName(other.machine)}, ${objects[0]!.name} for ${machineName(machine)}`,
          { object: other.name },
        ),
      );
  }
  if (template !== undefined && template.machine !== machine)
    found.push(
      diagnostic(
        'kernel-mismatch',
        `${template.path} is for ${machineName(template.machine)}, not for ${machineName(machine)}`,
        {
          object: template.path,
        },
      ),
    );
  checkShape(objects, found);
  checkNames(objects, found);
  // What follows computes with these sizes and alignments.
  if (processor === undefined || found.length > 0) return { chunks: null, diagnostics: found };
  const platform = choosePlatform(objects, kernel, found);
  const structs = chooseStructs(kernel.structs, template, platform.kobjectRelease, found);
  if (!processor.canWriteEntryCode(platform)) {
    found.push(
      diagnostic(
        'no-kcfi-donor',
        `the kernel checks types of called functions (kCFI), and ${platform.kcfi === 'disagreement' ? CONTRADICTION : UNKNOWN}`,
      ),
    );
  }
  const image = new ModuleImage(machine);
  const symbols = mergeObjects(objects, image, processor, symvers, found);
  if (structs !== undefined) addOwnParts(structs, platform, processor);
  processor.finish(image, platform);
  settleRelocations(image, found);
  const imports = resolveImports(image, symvers, platform, template, options, found);
  addModinfo(image, objects, imports, platform, options);
  addVersions(image, imports.versions, template);
  // The loader reads the 16-bit count of the file header alone. Each section may have relocations, and klp relocations for each object.
  if (image.sections.length * (2 + objects.length) >= SHN_LORESERVE)
    found.push(
      diagnostic(
        'malformed-elf',
        `${image.sections.length} sections of different names are more than the module loader reads`,
      ),
    );
  const refused = structs === undefined || found.some(({ severity }) => severity === 'error' || severity === 'refusal');
  return { chunks: refused ? null : () => moduleFile(image).chunks(), diagnostics: found };

  /** What no object brings: descriptors, init and exit, `struct module`. */
  function addOwnParts(layouts: KernelStructs, known: Platform, own: ModuleProcessor): void {
    const self = addThisModule(image, layouts, options.name);
    const patch = addDescriptors(image, objects, { symbols, structs: layouts, self, found }, options);
    const { init, exit } = own.addEntryCode(image, known, patch);
    pointThisModule(image, self, layouts, init, exit);
  }
}

function unwritable({ name, machine }: LivepatchObject): Diagnostic {
  return diagnostic(
    'unsupported-object',
    `${name}: modules are written for ${writable()}, not for ${machineName(machine)}`,
    { object: name },
  );
}

/** Which of this kernel's units a patch's files are: what make lists is the kernel, whatever else lies in the tree. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KlpflowError } from '../diagnostics';
import { folderAbove, foldersElsewhere } from './makefiles';
import { unitsOf, type Unit } from './units';
import type { WorkTree } from './work-tree';

/** So many folders are asked each by itself. */
const FEW_FOLDERS = 8;

export class UnitList {
  private readonly known = new Map<string, Map<string, Unit>>();

  constructor(private readonly work: WorkTree) {}

  /** The unit of a C file; undefined where this kernel has none. @throws KlpflowError `make-failed` */
  async find(source: string): Promise<Unit | undefined> {
    const above = folderAbove(this.work, source);
    const unit = above === undefined ? undefined : (await this.listed(above)).get(source);
    if (unit !== undefined) return unit;
    for (const folder of await foldersElsewhere(this.work, source)) {
      const found = (await this.listed(folder)).get(source);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Those of many C files that this kernel has. A folder at the top is asked once, where that is less than each by itself. */
  async findAll(sources: readonly string[]): Promise<Unit[]> {
    const tops = new Set(sources.map(topOf));
    const folders = new Set(sources.map((source) => dirname(source)));
    const wide = folders.size > FEW_FOLDERS;
    if (wide) for (const top of tops) await this.listed(top);
    const units: Unit[] = [];
    for (const source of sources) {
      const unit = wide ? this.ofKnown(source) : await this.find(source);
      if (unit !== undefined) units.push(unit);
    }
    return units;
  }

  /** By any folder that was asked: arch/x86 compiles virt/kvm/kvm_main.c. */
  private ofKnown(source: string): Unit | undefined {
    for (const units of this.known.values()) {
      const unit = units.get(source);
      if (unit !== undefined) return unit;
    }
    return undefined;
  }

  private async listed(folder: string): Promise<Map<string, Unit>> {
    let units = this.known.get(folder);
    if (units === undefined) this.known.set(folder, (units = await this.list(folder)));
    return units;
  }

  private async list(folder: string): Promise<Map<string, Unit>> {
    const name = createHash('sha256').update(folder).digest('hex').slice(0, 24);
    const kept = join(this.work.folder, 'units', `${name}.json`);
    if (existsSync(kept)) return new Map(JSON.parse(readFileSync(kept, 'utf8')) as Array<[string, Unit]>);
    // Some kernels run objtool on vmlinux.o and not on units; without the delay make says with which arguments a unit would get it.
    const units = unitsOf(await this.printed(folder));
    mkdirSync(dirname(kept), { recursive: true });
    writeFileSync(`${kept}.new`, JSON.stringify([...units]));
    renameSync(`${kept}.new`, kept);
    return units;
  }

  /**
   * A folder into which this kernel's build does not go is no target. Rust's rules run even where make only prints (`+$(call if_changed_rule,rustc_library)`), and
   * without the delay objtool then ends on rust/core.o, as in Debian's 7.3: no C file needs what they make.
   */
  private async printed(folder: string): Promise<string> {
    try {
      return await this.work.make(
        ['-n', 'delay-objtool=', 'CONFIG_RUST=', `${folder}/`],
        `list-${folder.replaceAll('/', '-')}`,
      );
    } catch (cause) {
      if (cause instanceof KlpflowError && /No rule to make target|Nothing to be done/.test(cause.message)) return '';
      throw cause;
    }
  }
}

/** The folder that the kernel's own Makefile goes into: of a processor its own. */
function topOf(source: string): string {
  const [top = '', next = ''] = source.split('/');
  return top === 'arch' ? `${top}/${next}` : top;
}

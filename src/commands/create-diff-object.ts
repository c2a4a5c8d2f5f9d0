import { Flags } from '@oclif/core';
import { createDiffObject, kpatchStructSizes } from '../index';
import { KpatchCommand, type ArgpLine } from './support/kpatch-command';
import { argument } from './support/argument';

export default class CreateDiffObject extends KpatchCommand {
  static override summary = 'compare one object of a kernel build for kpatch-build';
  static override description =
    "Writes an object with the changed and new functions for the livepatch module that kpatch-build links. Sizes of kernel structs come from the environment (ALT_STRUCT_SIZE, BUG_STRUCT_SIZE, EX_STRUCT_SIZE, FIXUP_STRUCT_SIZE, JUMP_STRUCT_SIZE, ORC_STRUCT_SIZE, PARA_STRUCT_SIZE, PRINTK_INDEX_STRUCT_SIZE, STATIC_CALL_STRUCT_SIZE), else from the object's own types or those of known kernels. Exit codes are create-diff-object's: 0 written, 1 error, 2 the change cannot be a livepatch, 3 nothing changed, 64 wrong command line.";
  static override examples = [
    '<%= config.bin %> <%= command.id %> a.o b.o vmlinux vmlinux.symtab Module.symvers fix out.o',
  ];
  static override args = {
    orig: argument({ name: 'ORIG.o', description: 'the object built from the unmodified source' }),
    patched: argument({
      name: 'PATCHED.o',
      description: 'the object built from the modified source, with the same flags',
    }),
    parentName: argument({ name: 'PARENT-NAME', description: "vmlinux, or the module's name with _ for -" }),
    parentSymtab: argument({ name: 'PARENT-SYMTAB', description: 'what `readelf -s --wide` prints of the parent' }),
    symvers: argument({ name: 'MODULE-SYMVERS', description: 'Module.symvers of the build' }),
    patchName: argument({ name: 'PATCH-MODULE-NAME', description: 'name of the livepatch module; not used' }),
    output: argument({ name: 'OUTPUT.o', description: 'the object to write' }),
  };
  static override flags = {
    debug: Flags.boolean({ char: 'd', description: 'also tell notes on stderr' }),
    'klp-arch': Flags.boolean({ char: 'a', description: 'the kernel supports .klp.arch sections (before 5.8)' }),
  };
  protected override readonly program = 'create-diff-object';
  protected override readonly letters = { debug: 'd', 'klp-arch': 'a' };
  protected override readonly usage =
    'ORIG.o PATCHED.o PARENT-NAME PARENT-SYMTAB MODULE-SYMVERS PATCH-MODULE-NAME OUTPUT.o';
  protected override readonly positionalCount = 7;

  protected override async execute({ options, positionals }: ArgpLine): Promise<number> {
    const [orig, patched, parentName, parentSymtab, symvers, , output] = positionals as [
      string,
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const { exit, diagnostics } = await createDiffObject({
      orig,
      patched,
      parentName,
      parentSymtab,
      symvers,
      output,
      klpArch: options.has('klp-arch'),
      structSizes: kpatchStructSizes(process.env),
      print: (line) => process.stdout.write(`${line}\n`),
    });
    this.tell(diagnostics, options.has('debug'));
    if (exit === 2) process.stderr.write(`${this.program}: unreconcilable difference\n`);
    return exit;
  }
}

/** Immediates that only the kernel's own code has filled in at boot; in a module they would stay as they are. */
import type { Instruction } from './code';
import type { Context } from './context';
import { isExecutable, type ModuleSection } from './module';

/** What a runtime pointer holds in the kernel's file: 0x0123456789abcdef. */
const POINTER = Buffer.from('efcdab8967452301', 'hex');

/** A runtime mask (Linux 7.3, `runtime_mask_X`): `and $0x12345678` of 32 bits, in both of its encodings. */
const MASK = Buffer.from('78563412', 'hex');
const AND_EAX = 0x25;
const GROUP1 = 0x81;
const AND = 4;

/** A shift has a placeholder that any code may hold (12): its table tells, and compareCode where the object is there. */
export function checkPlaceholders({ module, code, findings }: Context): void {
  for (const section of module.sections) {
    if (section.name.startsWith('runtime_'))
      findings.add('verify-runtime-constant', { section }, 'the kernel does not read this table from modules');
    if (!isExecutable(section)) continue;
    const bytes = Buffer.from(section.bytes.buffer, section.bytes.byteOffset, section.bytes.length);
    for (let at = bytes.indexOf(POINTER); at >= 0; at = bytes.indexOf(POINTER, at + 1)) {
      findings.add(
        'verify-runtime-constant',
        { section, offset: at },
        'the placeholder 0x0123456789abcdef is in the code',
      );
    }
    for (const instruction of code.of(section)) {
      if (isMask(section, instruction))
        findings.add(
          'verify-runtime-constant',
          { section, offset: instruction.offset },
          'the placeholder 0x12345678 of a mask is in the code',
        );
    }
  }
}

function isMask(section: ModuleSection, instruction: Instruction): boolean {
  const { offset, length } = instruction;
  const field = instruction.fields.find(({ kind, size }) => kind === 'immediate' && size === 4);
  if (field === undefined || field.at + 4 !== length) return false;
  if (!MASK.equals(section.bytes.subarray(offset + field.at, offset + length))) return false;
  // The opcode 25 stands right before the immediate; 81 before a ModRM byte, which with a register operand is the last one before it.
  const [before, last] = [section.bytes[offset + field.at - 2], section.bytes[offset + field.at - 1]!];
  return (field.at === 1 && last === AND_EAX) || (field.at >= 2 && before === GROUP1 && ((last >>> 3) & 7) === AND);
}

/** Processors by e_machine, as people call them. */
const MACHINES: Readonly<Record<number, string>> = {
  3: 'x86 (32-bit)',
  8: 'MIPS',
  20: 'PowerPC (32-bit)',
  21: 'ppc64',
  22: 's390x',
  40: 'Arm (32-bit)',
  43: 'SPARC',
  62: 'x86-64',
  183: 'aarch64',
  243: 'RISC-V',
  258: 'loongarch64',
};

export function machineName(machine: number): string {
  return MACHINES[machine] ?? `ELF machine ${machine}`;
}

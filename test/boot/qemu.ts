import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Boot {
  /** bzImage or vmlinuz. */
  image: string;
  initramfs: Uint8Array;
  /** Appended to the kernel's command line. */
  append: string;
  /** QEMU's name of the processor. */
  cpu: string;
  cpus: number;
  /** Where the guest's serial ports are written to. */
  folder: string;
  /** Default x86-64. */
  machine?: keyof typeof MACHINES;
}

/** What is emulated: QEMU's program, what kernel messages and the report go to, and how both are had. */
export const MACHINES = {
  'x86-64': {
    program: 'qemu-system-x86_64',
    // Without no_timer_check, a kernel whose emulated timer is late (the host does other work) looks for another one.
    console: 'console=ttyS0 panic=-1 no_timer_check',
    report: 'ttyS1',
    devices: (log: string, report: string) => ['-serial', `file:${log}`, '-serial', `file:${report}`],
  },
  // The board "virt" has one serial port, so the report goes to one on PCI.
  arm64: {
    program: 'qemu-system-aarch64',
    console: 'console=ttyAMA0 panic=-1',
    report: 'ttyS0',
    devices: (log: string, report: string) => [
      '-machine',
      'virt',
      '-serial',
      `file:${log}`,
      '-chardev',
      `file,id=report,path=${report}`,
      '-device',
      'pci-serial,chardev=report',
    ],
  },
} as const;

/** What came out of a guest's serial ports. */
export interface Booted {
  /** The first port: kernel messages. */
  log: string;
  /** The second port: what `/init` told. */
  report: string;
  /** QEMU's own words. */
  qemu: string;
  /** The watchdog ended it. */
  hung: boolean;
  seconds: number;
}

/** Software emulation boots in some 15 s; a machine that does other work needs several times that. */
const WATCHDOG_MS = 300_000;

/**
 * All emulated processors on one thread of the host. With a thread each, one goes on executing code that another has just rewritten:
 * of a static key that the livepatch core itself switches (`__schedule` of 7.2) it met the breakpoint that was no longer there, and the kernel
 * died of an int3 that nobody owned.
 */
const ACCELERATION = 'tcg,thread=single';

/** How often a kernel is started that ends before it comes to `/init`. */
const ATTEMPTS = 3;

/**
 * Boots a kernel in software emulation until it restarts itself. One that ends before `/init` (seen once with two emulated
 * processors, on a host with eight times the load that it has processors) has loaded no module, so that it says nothing about one:
 * it is started again, and its log shown.
 */
export async function boot(what: Boot): Promise<Booted> {
  for (let attempt = 1; ; attempt++) {
    const booted = await bootOnce(what);
    if (attempt === ATTEMPTS || booted.hung || booted.report.includes('@@ booted')) return booted;
    console.warn(`${what.image} ended before /init; the last it said:\n${(booted.qemu + booted.log).slice(-3000)}`);
  }
}

async function bootOnce({ image, initramfs, append, cpu, cpus, folder, machine = 'x86-64' }: Boot): Promise<Booted> {
  mkdirSync(folder, { recursive: true });
  const [initrd, log, report] = ['initramfs.cpio', 'console', 'report'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(initrd, initramfs);
  const { program, console: options, devices } = MACHINES[machine];
  const started = performance.now();
  const child = spawn(
    program,
    [
      '-accel',
      ACCELERATION,
      '-cpu',
      cpu,
      '-smp',
      String(cpus),
      '-m',
      '1024',
      '-kernel',
      image,
      '-initrd',
      initrd,
      '-append',
      `${options} ${append}`.trim(),
      '-display',
      'none',
      '-no-reboot',
      '-nodefaults',
      '-monitor',
      'none',
      ...devices(log, report),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let qemu = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (qemu += text));
  let hung = false;
  const watchdog = setTimeout(() => {
    hung = true;
    child.kill('SIGKILL');
  }, WATCHDOG_MS);
  const end = (): unknown => child.kill('SIGKILL');
  process.once('exit', end);
  await new Promise<void>((resolve, reject) => child.on('error', reject).on('close', () => resolve()));
  process.removeListener('exit', end);
  clearTimeout(watchdog);
  const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'latin1') : '');
  return { log: read(log), report: read(report), qemu, hung, seconds: (performance.now() - started) / 1000 };
}

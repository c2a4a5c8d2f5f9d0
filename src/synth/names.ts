import { mix } from './random';

/** FILE symbols hold base names only, and some are common: `core.c` stands 23 times in a 7.2 kernel, `inode.c` 12 times. */
const FILES = [
  'core.c',
  'core.c',
  'core.c',
  'inode.c',
  'inode.c',
  'init.c',
  'init.c',
  'proc.c',
  'trace.c',
  'sysfs.c',
  'main.c',
  'file.c',
  'common.c',
  'utils.c',
  'super.c',
  'namei.c',
  'bitmap.c',
  'balloc.c',
  'xattr.c',
  'dir.c',
  'msg.c',
  'sem.c',
  'shm.c',
  'timer.c',
  'clock.c',
  'signal.c',
  'fork.c',
  'exit.c',
  'sched.c',
  'fair.c',
  'rt.c',
  'mutex.c',
  'rwsem.c',
  'slab.c',
  'vmscan.c',
  'mmap.c',
  'page_alloc.c',
  'swapfile.c',
  'netdevice.c',
  'sock.c',
  'skbuff.c',
  'route.c',
  'neighbour.c',
  'tcp_input.c',
  'tcp_output.c',
  'udp.c',
  'raw.c',
  'icmp.c',
  'pci.c',
  'probe.c',
];

const FOLDERS = [
  'kernel/sched',
  'kernel/time',
  'kernel/locking',
  'kernel/bpf',
  'mm',
  'fs',
  'fs/ext4',
  'fs/btrfs',
  'fs/nfs',
  'net/core',
  'net/ipv4',
  'net/ipv6',
  'drivers/pci',
  'drivers/net',
  'drivers/usb/core',
  'drivers/gpu/drm',
  'block',
  'security/selinux',
  'arch/x86/kernel',
  'lib',
];

const SYSTEMS = [
  'acpi',
  'audit',
  'bdev',
  'bio',
  'blk',
  'bpf',
  'btrfs',
  'cgroup',
  'clk',
  'cpu',
  'cpuset',
  'crypto',
  'dev',
  'dma',
  'drm',
  'ext4',
  'fib',
  'folio',
  'fsnotify',
  'futex',
  'gpio',
  'hrtimer',
  'i2c',
  'input',
  'iommu',
  'ip6',
  'ipv4',
  'irq',
  'jbd2',
  'kobj',
  'ksys',
  'kthread',
  'led',
  'llc',
  'lock',
  'md',
  'mem',
  'mmc',
  'net',
  'nf',
  'nfs',
  'nvme',
  'of',
  'page',
  'pci',
  'perf',
  'phy',
  'pid',
  'pm',
  'proc',
  'rcu',
  'regmap',
  'rtc',
  'sched',
  'scsi',
  'selinux',
  'sk',
  'snd',
  'spi',
  'swap',
  'tcp',
  'tty',
  'usb',
  'vfs',
];
const VERBS = [
  'add',
  'alloc',
  'attach',
  'bind',
  'check',
  'clear',
  'complete',
  'copy',
  'create',
  'del',
  'do',
  'enable',
  'enqueue',
  'expand',
  'find',
  'flush',
  'free',
  'get',
  'handle',
  'insert',
  'lookup',
  'map',
  'prepare',
  'put',
  'read',
  'register',
  'release',
  'remove',
  'set',
  'start',
  'update',
  'write',
];
const NOUNS = [
  'attr',
  'bitmap',
  'block',
  'bucket',
  'buffer',
  'bus',
  'cache',
  'chain',
  'child',
  'class',
  'config',
  'context',
  'cred',
  'desc',
  'device',
  'domain',
  'entry',
  'event',
  'extent',
  'fd',
  'fence',
  'filter',
  'flags',
  'frame',
  'group',
  'handle',
  'hash',
  'head',
  'index',
  'info',
  'inode',
  'iter',
  'key',
  'link',
  'list',
  'mapping',
  'mask',
  'mode',
  'name',
  'node',
  'notifier',
  'owner',
  'param',
  'parent',
  'path',
  'policy',
  'pool',
  'port',
  'priv',
  'queue',
  'range',
  'record',
  'ref',
  'request',
  'resource',
  'root',
  'slot',
  'state',
  'stats',
  'table',
  'task',
  'timer',
  'tree',
  'work',
];
const TAILS = [
  '',
  '_rcu',
  '_locked',
  '_atomic',
  '_irq',
  '_nowait',
  '_slow',
  '_fast',
  '_common',
  '_one',
  '_all',
  '_user',
  '_kernel',
  '_sync',
  '_safe',
  '_noprof',
];

/** Names that many units have as a static function of their own (`type_show` ×17, `refcount_inc` ×13 in a 7.2 kernel). */
const SHARED_STATICS = [
  'type_show',
  'init_once',
  'refcount_inc',
  'name_show',
  'state_store',
  'cleanup',
  'find_entry',
  'read_reg',
  'write_reg',
  'get_state',
  'set_state',
  'probe',
  'remove',
  'suspend',
  'resume',
  'match',
  'release',
  'open',
  'seq_show',
  'irq_handler',
];

const UNIQUE_NAMES = SYSTEMS.length * VERBS.length * NOUNS.length * TAILS.length;

/** A name no other id has. */
export function uniqueName(id: number): string {
  // Names in file order would all begin alike; an odd factor permutes them, their count being a power of two.
  let rest = Number((BigInt(id % UNIQUE_NAMES) * 0x9e3779b1n) % BigInt(UNIQUE_NAMES));
  const take = (words: readonly string[]): string => {
    const word = words[rest % words.length]!;
    rest = Math.floor(rest / words.length);
    return word;
  };
  const more = Math.floor(id / UNIQUE_NAMES);
  return `${take(SYSTEMS)}_${take(VERBS)}_${take(NOUNS)}${take(TAILS)}${more === 0 ? '' : `_${more}`}`;
}

/** The `number`th of the names that statics of different units share. */
export function sharedStaticName(number: number): string {
  return SHARED_STATICS[number] ?? `${uniqueName(number * 31)}_cb`;
}

export function fileName(seed: number, unit: number): string {
  return FILES[mix(seed, unit, 1) % FILES.length]!;
}

/** Path of the unit's source from the top of the tree, as `__FILE__` puts it into strings. */
export function sourcePath(seed: number, unit: number): string {
  return `${FOLDERS[mix(seed, unit, 2) % FOLDERS.length]!}/${fileName(seed, unit)}`;
}

/** A text of `length` bytes of the kind kernels print, with its line end. Different keys may give the same text where it is short, as units share strings. */
export function message(key: number, length: number): string {
  const words = (shift: number, list: readonly string[]): string => list[(key >>> shift) % list.length]!;
  let text = `${words(0, SYSTEMS)}: cannot ${words(6, VERBS)} ${words(11, NOUNS)} %s, error %d`;
  for (let more = mix(key); text.length < length; more = mix(more))
    text += ` ${SYSTEMS[more % SYSTEMS.length]!} ${NOUNS[(more >>> 8) % NOUNS.length]!} %x`;
  // The key stands in front where words alone would not tell two texts of this length apart.
  return length < 4
    ? `${text.slice(0, Math.max(length - 1, 0))}\n`
    : `${`${key.toString(36).slice(0, Math.min(length - 2, 5))} ${text}`.slice(0, length - 1)}\n`;
}

/** ThinLTO's suffix of a promoted name: a hash of the unit, which any edit of the unit changes. */
export function promotedSuffix(seed: number, unit: number, edited: boolean): string {
  const version = edited ? 1 : 0;
  return `.llvm.${BigInt(mix(seed, unit, 3, version)) * 0x100000000n + BigInt(mix(seed, unit, 4, version))}`;
}

import { THUNKS } from './rewriting';
import type { Site } from './sites';

/** A module to load in the guest, and what to look at. */
export interface Trial {
  /** Also the module's file name. */
  name: string;
  /** The name under which the kernel knows it. */
  moduleName: string;
  module: Uint8Array;
  /** Shell command whose output is told before, while and after the module is loaded. */
  run: string;
  /** Whether it is a livepatch, which has a transition to wait for and must be disabled before it can be unloaded. */
  livepatch: boolean;
  /** Code to read back while it is loaded. */
  sites: readonly Site[];
  /** Modules that it patches. */
  targets?: Targets;
}

/** Modules that a livepatch is for. */
export interface Targets {
  /** By the names of their files, in the order in which they are loaded. */
  modules: ReadonlyArray<{ name: string; content: Uint8Array }>;
  /** They are loaded when the livepatch is there. */
  late: boolean;
  /** They are unloaded and loaded again while it is active. */
  reload: boolean;
}

/** Text of `/init`'s part for one trial: what it tells stands between `@@` lines that `report.ts` reads. */
function steps({ name, moduleName, livepatch, sites, targets }: Trial): string {
  const phase = (which: string): string =>
    `echo "@@ begin ${name} ${which}"; sh /trial/${name}.run 2>&1; echo "@@ end"`;
  const files = targets?.modules.map((module) => module.name) ?? [];
  const come = files.map((file) => `come ${name} ${file}`);
  const leave = files.map((file) => `leave ${name} ${file.replaceAll('-', '_')}`).reverse();
  return [
    `echo "klpflow trial ${name}" >/dev/kmsg`,
    ...(targets?.late === false ? come : []),
    phase('before'),
    `if insmod /trial/${name}.ko 2>/tmp/error; then echo "@@ loaded ${name}"; else echo "@@ refused ${name} $(cat /tmp/error)"; fi`,
    ...(livepatch ? [`transition ${name}`] : []),
    ...(targets?.late === true ? come : []),
    phase('after'),
    ...(targets?.reload === true ? [...leave, ...come, phase('reloaded')] : []),
    ...sites.map(
      ({ kind, section, offset, length }) =>
        `echo "@@ memory ${name} ${kind} $(memory ${moduleName} ${section} ${offset} ${length})"`,
    ),
    ...(livepatch ? [`disable ${name}`] : []),
    phase('restored'),
    `unload ${name} ${moduleName}`,
    ...leave,
  ].join('\n');
}

/**
 * `/init` of the guest. The report goes to the second serial port, so that kernel messages cannot break its lines. Waiting is
 * polling with an end: 30 s for a transition, then the report says so.
 */
export function initScript(trials: readonly Trial[], report = 'ttyS1'): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /tmp
exec >/dev/${report} 2>&1

settled() { for one in /sys/kernel/livepatch/*/transition; do [ ! -e "$one" ] || [ "$(cat $one)" = 0 ] || return 1; done; }
gone() { for one in /sys/kernel/livepatch/*/enabled; do [ ! -e "$one" ] || return 1; done; }
wait_for() { tries=0; until $1; do tries=$((tries + 1)); [ $tries -lt 300 ] || return 1; sleep 0.1; done; }
transition() { if wait_for settled && ! gone; then echo "@@ patched $1"; else echo "@@ stuck $1 patching"; fi; }
disable() { for one in /sys/kernel/livepatch/*/enabled; do echo 0 >$one; done; if wait_for gone; then echo "@@ unpatched $1"; else echo "@@ stuck $1 unpatching"; fi; }
remove() { rmmod $removing 2>/tmp/error; }
unload() { removing=$2; if wait_for remove; then echo "@@ unloaded $1"; else echo "@@ stuck $1 unloading: $(cat /tmp/error)"; fi; }
come() { if insmod /trial/$2.target 2>/tmp/error; then echo "@@ come $1"; else echo "@@ stuck $1 loading $2: $(cat /tmp/error)"; fi; }
leave() { removing=$2; if wait_for remove; then echo "@@ left $1"; else echo "@@ stuck $1 unloading $2: $(cat /tmp/error)"; fi; }
memory() { address=$(printf '%x' $(($(cat /sys/module/$1/sections/$2) + $3))); echo "$address $(/bin/guest read $address $4)"; }

echo "@@ booted $(uname -r)"
cat /sys/devices/system/cpu/vulnerabilities/spectre_v2 /sys/devices/system/cpu/vulnerabilities/retbleed | sed 's/^/@@ mitigation /'
grep -E ' (${THUNKS.join('|')})$' /proc/kallsyms | sed 's/^/@@ symbol /'
${trials.map(steps).join('\n')}
echo "@@ done"
sync
reboot -f
`;
}

/**
 * Single units of many kernels on five architectures: kpatch's public unit-test objects, with what kpatch's own tool says
 * of them. `diff` speaks another dialect, so some answers differ; each difference is listed here with its reason, and a
 * pair that comes to agree, or ceases to, fails.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { CORPUS, skipWithout, unavailable } from './support/corpus';
import { EXIT_CODES, klpflow, resultOf } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

const runs = tempFolder();

/** One pair in `expected.json`: what kpatch's tool did. */
interface Unit {
  patched: string;
  exit: number;
  /** Any refusal will do. */
  mustFail?: boolean;
  changed: string[];
  new: string[];
}

/** How many pairs there are: none may be lost unseen. */
const PAIRS = { aarch64: 5, loongarch64: 4, ppc64le: 20, s390x: 15, x86_64: 36 };

const INIT = 'kpatch fails on the changed section and names no function of it';
const PART = 'kpatch counts a .part function to its parent and does not list it';
const RTNL = 'ASSERT_RTNL hands __LINE__ to __warn_printk, where kpatch takes any constant for a line, klpflow none';
const DEAF = 'defect: reportedAs() waits for an instruction with `flow`, and src/arch/words-decode.ts says that of none, so that no line is recognised';
const DDEBUG = 'defect: two or more pr_debug descriptors of one function do not pair once only their lines, or that function, changed';

/** Functions that klpflow lists (+) or does not list (-), other than kpatch. What is no difference of dialects says `defect`. */
const LISTED_OTHERWISE: Record<string, { changed?: string; new?: string; why: string }> = {
  'loongarch64/syscall': {
    changed: '+sys_newuname -__se_sys_newuname',
    why: 'two names of one body: kpatch takes the one that names the section, klpflow lists the other with this one as an alias',
  },
  'ppc64le/data-read-mostly': {
    changed: [
      '+__dev_change_flags +__dev_set_allmulti +__dev_set_promiscuity +__netdev_adjacent_dev_insert +__netdev_adjacent_dev_remove.constprop.35',
      '+__netdev_update_features +__netdev_upper_dev_link +dev_change_net_namespace +dev_change_xdp_fd +dev_get_nest_level +netdev_has_any_upper_dev',
      '+netdev_has_upper_dev +netdev_lower_state_changed +netdev_master_upper_dev_get +netdev_upper_dev_unlink +register_netdevice',
      '+rollback_registered_many +unregister_netdevice_queue',
    ].join(' '),
    why: `${RTNL}; ${DEAF}`,
  },
  'ppc64le/dynamic-debug-jump-label-issue-1253': { changed: '+__btrfs_cow_block +balance_node_right +split_node', why: `${DEAF}; ${DDEBUG}` },
  'ppc64le/line-detect-issue-1253': { changed: '+__btrfs_cow_block +balance_node_right +push_node_left +split_node', why: `${DEAF}; ${DDEBUG}` },
  'ppc64le/meminfo-init2': { changed: '+proc_meminfo_init', why: INIT },
  'ppc64le/meminfo-string': {
    changed: '-meminfo_proc_show',
    why: 'defect: what a .toc entry refers to is not compared, so a string or a variable that changes behind one is missed',
  },
  'ppc64le/ppc64le-ftr-fixup': {
    changed: [
      '+__dev_change_flags +__dev_change_net_namespace +__dev_set_allmulti +__dev_set_promiscuity +__netdev_update_features +__netdev_upper_dev_link',
      '+bpf_xdp_link_release +dev_change_xdp_fd +dev_set_allmulti +dev_set_promiscuity +dev_xdp_attach +netdev_has_any_upper_dev',
      '+netdev_has_upper_dev +netdev_lower_state_changed +netdev_master_upper_dev_get +netdev_upper_dev_unlink +register_netdevice',
      '+rollback_registered_many +unregister_netdev +unregister_netdevice_queue',
    ].join(' '),
    why: `${RTNL}; ${DEAF}`,
  },
  'ppc64le/warn-detect': {
    changed: [
      '+__dev_change_flags +__dev_close_many +__dev_get_by_flags +__dev_getfirstbyhwtype +__dev_open +__dev_set_allmulti +__dev_set_promiscuity',
      '+__netdev_update_features +__netdev_upper_dev_link +call_netdevice_notifiers_info +dev_change_name +dev_change_net_namespace',
      '+dev_change_xdp_fd +dev_get_nest_level +list_netdevice +netdev_has_any_upper_dev +netdev_has_upper_dev +netdev_is_rx_handler_busy',
      '+netdev_lower_state_changed +netdev_master_upper_dev_get +netdev_rx_handler_unregister +netdev_upper_dev_unlink +netif_set_real_num_rx_queues',
      '+netif_set_real_num_tx_queues +register_netdevice +rollback_registered_many +unlist_netdevice +unregister_netdevice_queue',
    ].join(' '),
    why: `${RTNL}; ${DEAF}`,
  },
  's390x/data-read-mostly': {
    changed: [
      '+__dev_change_flags +__dev_change_net_namespace +__dev_set_allmulti +__dev_set_promiscuity +__netdev_has_upper_dev +__netdev_update_features',
      '+__netdev_upper_dev_link +__netdev_upper_dev_unlink +bpf_xdp_link_release +default_device_exit_batch +dev_change_xdp_fd +dev_xdp_attach',
      '+flush_all_backlogs +free_netdev +netdev_has_any_upper_dev +netdev_has_upper_dev +netdev_lower_state_changed +netdev_master_upper_dev_get',
      '+netdev_offload_xstats_disable +netdev_offload_xstats_enable +netdev_offload_xstats_enabled +netdev_offload_xstats_get',
      '+netdev_offload_xstats_push_delta +register_netdevice +unregister_netdevice_many +unregister_netdevice_queue',
    ].join(' '),
    why: `${RTNL}; ${DEAF}`,
  },
  's390x/dynamic-debug-jump-label-issue-1253': { changed: '+balance_node_right +split_node', why: DEAF },
  's390x/gcc-static-local-var-5': { changed: '+audit_log_start.part.0', new: '+audit_log_end.part.0', why: PART },
  's390x/line-detect-issue-1253': { changed: '+balance_node_right +push_node_left +split_node', why: DEAF },
  'x86_64/clang-lstr': { changed: '+__io_submit_one', why: DDEBUG },
  'x86_64/data-read-mostly': {
    changed: [
      '+__dev_change_flags +__dev_set_allmulti +__dev_set_promiscuity +__netdev_update_features +__netdev_upper_dev_link +dev_change_net_namespace',
      '+dev_change_xdp_fd +dev_get_nest_level +netdev_has_any_upper_dev +netdev_has_upper_dev +netdev_lower_state_changed',
      '+netdev_master_upper_dev_get +netdev_upper_dev_unlink +register_netdevice +rollback_registered_many +unregister_netdevice_queue',
    ].join(' '),
    why: RTNL,
  },
  'x86_64/ignore-missing-ftracehook-issue-1091': { changed: '+blk_trace_remove', why: 'KPATCH_IGNORE_FUNCTION belongs to the kpatch dialect' },
  'x86_64/meminfo-init': { changed: '+proc_meminfo_init', why: INIT },
  'x86_64/meminfo-init2': { changed: '+proc_meminfo_init', why: INIT },
  'x86_64/static-local-moved-subfunction-issue-1054': { new: '+audit_log_end.part.17', why: PART },
};

/** What klpflow refuses and why kpatch does not, unless it does too. */
const REFUSED: Record<string, { why: string; pairs: string[] }> = {
  'not-traceable': {
    why: 'recordmcount of these kernels knew no .text.NAME section: __mcount_loc lists .init.text alone, and only it proves a site; kpatch looks for the call at the function\'s start',
    pairs: [
      'ppc64le/bug-table-section', 'ppc64le/data-new', 'ppc64le/data-read-mostly', 'ppc64le/function-ptr-new', 'ppc64le/gcc-static-local-var-5',
      'ppc64le/jump-label-issue-946', 'ppc64le/mcount_loc-issue-1102', 'ppc64le/meminfo-init2', 'ppc64le/ppc64le-ftr-fixup', 'ppc64le/sec-addralign',
      'ppc64le/special-static', 'ppc64le/warn-detect', 'x86_64/bug-table-section', 'x86_64/cold-add', 'x86_64/cold-change-sub', 'x86_64/cold-del-sub',
      'x86_64/convert-global-local', 'x86_64/data-new', 'x86_64/data-read-mostly', 'x86_64/function-ptr-new', 'x86_64/gcc-static-local-var-3',
      'x86_64/gcc-static-local-var-5', 'x86_64/jump-label-issue-946', 'x86_64/meminfo-init2', 'x86_64/meminfo-string', 'x86_64/new-function',
      'x86_64/special-static',
    ],
  },
  'special-entry-size': {
    why: 'kpatch is told the sizes (24 in ppc64le\'s __bug_table and old __jump_table; .parainstructions ends in a shorter entry), klpflow knows newer kernels\' only and is given no --btf',
    pairs: [
      'ppc64le/bug-table-section', 'ppc64le/data-read-mostly', 'ppc64le/gcc-static-local-var-3', 'ppc64le/gcc-static-local-var-5',
      'ppc64le/jump-label-issue-946', 'ppc64le/new-function', 'ppc64le/ppc64le-bundled-localentry-issue-1007', 'ppc64le/ppc64le-ftr-fixup',
      'ppc64le/special-static', 'ppc64le/warn-detect', 'x86_64/altinstr_aux', 'x86_64/convert-global-local', 'x86_64/data-read-mostly',
      'x86_64/ignore-missing-ftracehook-issue-1091', 'x86_64/jump-label-issue-946', 'x86_64/replace-section-references', 'x86_64/special-static',
      'x86_64/tracepoints-section',
    ],
  },
  'ambiguous-data': {
    why: `kpatch copies pr_debug descriptors and pairs none; ${DDEBUG}`,
    pairs: [
      'ppc64le/dynamic-debug-jump-label-issue-1253', 'ppc64le/line-detect-issue-1253', 's390x/data-read-mostly', 's390x/gcc-static-local-var-4',
      'x86_64/clang-lstr',
    ],
  },
  'init-change': {
    why: 'kpatch refuses these too',
    pairs: [
      'ppc64le/meminfo-init2', 'x86_64/meminfo-init', 'x86_64/meminfo-init2',
    ],
  },
  'changed-data': {
    why: 'KPATCH_IGNORE_SECTION belongs to the kpatch dialect',
    pairs: [
      'aarch64/syscall',
    ],
  },
};

describe.each(Object.entries(PAIRS))('%s', (arch, count) => {
  const folder = join(CORPUS, 'kpatch-unit', arch);
  const missing = unavailable(join('kpatch-unit', arch), false);
  const units = existsSync(folder) ? (JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<string, Unit>) : {};
  beforeEach((context) => skipWithout(context, missing && `${count} pairs: ${missing}`));

  // Guards against pairs that are no longer run, and against reasons that no longer have a pair.
  test(`${count} pairs, and every listed difference is about one of them`, () => {
    expect(Object.keys(units).length).toBe(count);
    const listed = [...Object.keys(LISTED_OTHERWISE), ...Object.values(REFUSED).flatMap(({ pairs }) => pairs)].filter((pair) => pair.startsWith(`${arch}/`));
    expect(listed.filter((pair) => !(pair.slice(arch.length + 1) in units))).toEqual([]);
  });

  // Guards against a change that is missed on one architecture, and against a unit that ends klpflow.
  test.each(Object.keys(units))('%s: changed and new functions, refusals and verdict are kpatch\'s, or the listed others', async (name) => {
    const unit = units[name]!;
    const pair = `${arch}/${name}`;
    const ran = await klpflow(['diff', join(folder, `${name}.ORIG.o`), join(folder, unit.patched), '--run-dir', join(runs, arch), '--json', '--progress', 'none']);
    const { schema, verdict, objects, diagnostics } = resultOf(ran);
    expect({ schema, stderr: ran.stderr }).toEqual({ schema: 'klpflow/diff@1', stderr: '' });

    const { changed, new: added } = objects[0]!.functions;
    const { why: _, ...differs } = LISTED_OTHERWISE[pair] ?? { why: '' };
    expect({ changed: differences(unit.changed, changed), new: differences(unit.new, added) }).toEqual({ changed: '', new: '', ...differs });

    const refusals = Object.keys(REFUSED).filter((code) => REFUSED[code]!.pairs.includes(pair)).sort();
    const found = new Set<string>(diagnostics.filter(({ severity }) => severity === 'refusal' || severity === 'error').map(({ code }) => code));
    expect([...found].sort()).toEqual(refusals);
    // Without a refusal the verdict follows from the lists above: kpatch's exit code 3 says that both are empty.
    if (unit.mustFail !== true) expect(unit.exit).toBe(unit.changed.length + unit.new.length > 0 ? 0 : 3);
    expect(verdict).toBe(refusals.length > 0 ? 'refused' : changed.length + added.length > 0 ? 'patchable' : 'unchanged');
    if (unit.mustFail === true) expect(verdict).not.toBe('patchable');
    expect(ran.status).toBe(EXIT_CODES[verdict]);
  });
});

function differences(expected: readonly string[], got: ReadonlyArray<{ name: string }>): string {
  const names = got.map(({ name }) => name);
  const more = names.filter((name) => !expected.includes(name)).map((name) => `+${name}`);
  const less = expected.filter((name) => !names.includes(name)).map((name) => `-${name}`);
  return [...more.sort(), ...less.sort()].join(' ');
}

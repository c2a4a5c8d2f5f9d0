/**
 * Which folder make is asked about for a C file. A folder too few and a fix is refused as not compiled although the kernel has it; the whole of drivers/ for
 * each file that is not compiled, and the answer takes a minute.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { folderAbove, foldersElsewhere } from '../../src/kbuild/makefiles';
import type { WorkTree } from '../../src/kbuild/work-tree';
import { tempFolder } from '../support/temp-folder';

const tree = tempFolder();
const work = { tree, signal: undefined } as WorkTree;

/** As they stand in Linux 6.12. */
const MAKEFILES = {
  'fs/Makefile': 'obj-y := open.o\nobj-$(CONFIG_XFS_FS) += xfs/\n',
  'fs/xfs/Makefile': 'obj-$(CONFIG_XFS_FS) += xfs.o\nxfs-y += $(addprefix libxfs/, \\\n\t\txfs_ag.o)\n',
  'arch/x86/kvm/Makefile': 'include $(srctree)/virt/kvm/Makefile.kvm\nobj-$(CONFIG_KVM) += kvm.o\n',
  'virt/kvm/Makefile.kvm': 'KVM ?= ../../../virt/kvm\nkvm-y := $(KVM)/kvm_main.o\n',
  'drivers/Makefile': 'obj-y += usb/ gpu/\n',
  'drivers/usb/core/Makefile': 'usbcore-y += ../misc/onboard_usb_dev_pdevs.o\nobj-$(CONFIG_USB) += usbcore.o\n',
  'drivers/usb/misc/Makefile': 'obj-$(CONFIG_USB_LD) += ldusb.o\n',
  'drivers/gpu/drm/Makefile': 'obj-$(CONFIG_DRM_AMDGPU) += amd/amdgpu/\n',
  'drivers/gpu/drm/amd/display/Makefile': 'include $(AMD_DAL)\n',
  'drivers/gpu/drm/amd/display/dc/Makefile': 'AMD_DISPLAY_CORE = dc.o dc_stat.o\n',
  'kernel/Makefile': 'obj-y += sched/\n',
  'kernel/sched/Makefile': 'obj-y += core.o\nobj-y += build_policy.o\n',
};

beforeAll(() => {
  for (const [path, text] of Object.entries(MAKEFILES)) {
    mkdirSync(join(tree, dirname(path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
});

test.for([
  ['fs/open.c', 'fs'],
  ['fs/xfs/libxfs/xfs_ag.c', 'fs/xfs'],
  ['drivers/gpu/drm/amd/display/dc/core/dc.c', 'drivers/gpu/drm'],
  ['kernel/sched/core.c', 'kernel/sched'],
] as const)('%s is named in %s, or below it', ([source, folder]) => {
  expect(folderAbove(work, source)).toBe(folder);
});

test.for([
  ['virt/kvm/kvm_main.c', 'arch/x86/kvm'],
  ['drivers/usb/misc/onboard_usb_dev_pdevs.c', 'drivers/usb/core'],
] as const)('%s is compiled by %s', async ([source, folder]) => {
  expect(folderAbove(work, source)).toBeUndefined();
  expect(await foldersElsewhere(work, source)).toEqual([folder]);
});

test.for([
  'kernel/sched/rt.c',
  'drivers/usb/misc/other.c',
  'nowhere/at/all.c',
  'drivers/gpu/drm/amd/display/dc/core/c.c',
])('nobody is asked about %s, whose object no Makefile names', async (source) => {
  expect(folderAbove(work, source)).toBeUndefined();
  expect(await foldersElsewhere(work, source)).toEqual([]);
});

/**
 * Functions of the kernel that take a source line, and as which argument: never one that takes any value there, like printk. A prefix
 * of theirs or a macro passes `__LINE__`; nobody calls them with anything else.
 */
const LINE_ARGUMENTS: Readonly<Record<string, number>> = {
  // Debugging: __FILE__ and __LINE__ come first.
  __might_sleep: 2,
  ___might_sleep: 2,
  __might_resched: 2,
  __might_fault: 2,
  __cant_sleep: 2,
  __cant_migrate: 2,
  lockdep_rcu_suspicious: 2,
  // btrfs: __func__ and __LINE__ behind the file system.
  __btrfs_abort_transaction: 3,
  __btrfs_handle_fs_error: 3,
  __btrfs_panic: 3,
  btrfs_assertfail: 3,
  // ext4 and jbd2. (Before 6.2 the third argument of __ext4_journal_start_sb is the handle's type, which counts in statistics alone.)
  __ext4_error: 3,
  __ext4_error_inode: 3,
  __ext4_error_file: 3,
  __ext4_std_error: 3,
  __ext4_abort: 3,
  __ext4_warning: 3,
  __ext4_warning_inode: 3,
  __ext4_grp_locked_error: 2,
  __ext4_journal_start_sb: 3,
  __ext4_journal_start: 2,
  __ext4_journal_start_reserved: 2,
  __ext4_journal_stop: 2,
  __ext4_journal_get_write_access: 2,
  __ext4_journal_get_create_access: 2,
  __ext4_forget: 2,
  __ext4_handle_dirty_metadata: 2,
  __ext4_handle_dirty_super: 2,
  ext4_journal_abort_handle: 2,
  __ext4_check_dir_entry: 2,
  __ext4_ext_check: 2,
  __ext4_ext_dirty: 2,
  __read_extent_tree_block: 2,
  __ext4_read_dirblock: 5,
  __ext4_iget: 5,
  jbd2_journal_start_reserved: 3,
  // xfs.
  assfail: 4,
  asswarn: 4,
  xfs_error_report: 5,
  xfs_errortag_test: 4,
  // ACPICA: the module's name and __LINE__.
  acpi_error: 2,
  acpi_exception: 2,
  acpi_warning: 2,
  acpi_bios_error: 2,
  acpi_bios_exception: 2,
  acpi_bios_warning: 2,
  acpi_ut_predefined_warning: 2,
  acpi_ut_predefined_info: 2,
  acpi_ut_predefined_bios_error: 2,
  acpi_ut_prefixed_namespace_error: 2,
  acpi_ut_namespace_error: 2,
  acpi_ut_method_error: 2,
  acpi_debug_print: 2,
  acpi_debug_print_raw: 2,
  // gfs2, ocfs2.
  gfs2_assert_withdraw_i: 5,
  gfs2_assert_warn_i: 5,
  __mlog_printk: 3,
};

/** Which argument of `callee` is a source line; 0 if none. `warn_slowpath_fmt(file, line, ...)` and its kin take it second. */
export function lineArgument(callee: string): number {
  return LINE_ARGUMENTS[callee] ?? (callee.startsWith('warn_slowpath_') ? 2 : 0);
}

/** Functions that take a format and any values behind it. */
export function printsValues(callee: string): boolean {
  return callee === '__warn_printk' || callee === 'printk' || callee === '_printk';
}
